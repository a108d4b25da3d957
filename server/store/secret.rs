//! Signing secrets, sealed.

use std::sync::Arc;

use super::{
    Conn, Error, Result, Tx,
    seal::{Keyring, Place},
    sql::{execute, fetch_all},
};
use crate::{
    model::{EndpointKey, Secret, SecretKey, TenantKey, Timestamp},
    signing,
};

/// Writes a secret, sealed.
pub(crate) async fn insert(
    tx: &mut Tx,
    keyring: &Keyring,
    tenant: TenantKey,
    endpoint: EndpointKey,
    secret: &Secret,
) -> Result<()> {
    let sealed = keyring.seal(place(tenant, secret.key), secret.value.expose().as_bytes());
    let expires = secret.expires.map(Timestamp::as_micros);
    let sql = "INSERT INTO secret (key, tenant, endpoint, sealed, created, expires) VALUES ($1, $2, $3, $4, $5, $6)";
    let created = secret.created.as_micros();
    execute!(&mut tx.conn, sql, secret.key.0, tenant.0, endpoint.0, sealed, created, expires)?;
    Ok(())
}

/// Sets when a secret stops signing.
pub(crate) async fn set_expiry(tx: &mut Tx, key: SecretKey, expires: Timestamp) -> Result<()> {
    execute!(&mut tx.conn, "UPDATE secret SET expires = $2 WHERE key = $1", key.0, expires.as_micros())?;
    Ok(())
}

/// Erases the secrets of an endpoint that have stopped signing.
pub(crate) async fn delete_expired(tx: &mut Tx, endpoint: EndpointKey, now: Timestamp) -> Result<()> {
    let sql = "DELETE FROM secret WHERE endpoint = $1 AND expires <= $2";
    execute!(&mut tx.conn, sql, endpoint.0, now.as_micros())?;
    Ok(())
}

/// Erases all secrets of an endpoint.
pub(crate) async fn delete_all(tx: &mut Tx, endpoint: EndpointKey) -> Result<()> {
    execute!(&mut tx.conn, "DELETE FROM secret WHERE endpoint = $1", endpoint.0)?;
    Ok(())
}

/// The secrets of the endpoints whose keys lie in `first..=last`, opened, newest first within an endpoint.
pub(crate) async fn load(
    conn: &mut Conn,
    keyring: &Keyring,
    first: EndpointKey,
    last: EndpointKey,
) -> Result<Vec<(EndpointKey, Secret)>> {
    let sql = "SELECT key, tenant, endpoint, sealed, created, expires FROM secret \
               WHERE endpoint BETWEEN $1 AND $2 ORDER BY endpoint, key DESC";
    type Row = (i64, i64, i64, Vec<u8>, i64, Option<i64>);
    let rows: Vec<Row> = fetch_all!(conn, sql, first.0, last.0)?;
    rows.into_iter()
        .map(|(key, tenant, endpoint, sealed, created, expires)| {
            let secret = Secret {
                key: SecretKey(key),
                value: Arc::new(open(keyring, TenantKey(tenant), SecretKey(key), &sealed)?),
                created: Timestamp::from_micros(created),
                expires: expires.map(Timestamp::from_micros),
            };
            Ok((EndpointKey(endpoint), secret))
        })
        .collect()
}

fn open(keyring: &Keyring, tenant: TenantKey, key: SecretKey, sealed: &[u8]) -> Result<signing::Secret> {
    let opened = keyring.open(place(tenant, key), sealed).map_err(|error| Error::Key(error.to_string()))?;
    let unreadable = || Error::Corrupt(format!("secret {}", key.0));
    let text = std::str::from_utf8(&opened).map_err(|_| unreadable())?;
    signing::Secret::parse(text, signing::KeyForm::Base64).map_err(|_| unreadable())
}

fn place(tenant: TenantKey, key: SecretKey) -> Place<'static> {
    Place { table: "secret", tenant: tenant.0, row: key.0, column: "sealed" }
}
