//! Signing secrets, sealed.

use std::{cmp::Reverse, sync::Arc};

use super::{
    Conn, Error, Result, Tx,
    packed::{fetch_packed, read_hex},
    seal::{Keyring, Place, SealedTable},
    sql::execute,
};
use crate::{
    model::{Begin, EndpointKey, Secret, SecretKey, TenantKey, Timestamp},
    signing::{self, KeyForm},
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
    let sql = "INSERT INTO secret (key, tenant, endpoint, sealed, created, expires, scheme, form, begins) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    execute!(
        &mut tx.conn,
        sql,
        secret.key.0,
        tenant.0,
        endpoint.0,
        sealed,
        secret.created.as_micros(),
        secret.expires.map(Timestamp::as_micros),
        &*secret.scheme,
        form_number(secret.value.form()),
        begins_column(secret.begins),
    )?;
    Ok(())
}

/// Sets when a secret stops signing.
pub(crate) async fn set_expiry(tx: &mut Tx, key: SecretKey, expires: Timestamp) -> Result<()> {
    execute!(&mut tx.conn, "UPDATE secret SET expires = $2 WHERE key = $1", key.0, expires.as_micros())?;
    Ok(())
}

/// Sets when a secret begins to sign.
pub(crate) async fn set_begin(tx: &mut Tx, key: SecretKey, begins: Begin) -> Result<()> {
    execute!(&mut tx.conn, "UPDATE secret SET begins = $2 WHERE key = $1", key.0, begins_column(begins))?;
    Ok(())
}

/// Lets a secret sign without end.
pub(crate) async fn clear_expiry(tx: &mut Tx, key: SecretKey) -> Result<()> {
    execute!(&mut tx.conn, "UPDATE secret SET expires = NULL WHERE key = $1", key.0)?;
    Ok(())
}

/// Erases a secret.
pub(crate) async fn delete(tx: &mut Tx, key: SecretKey) -> Result<()> {
    execute!(&mut tx.conn, "DELETE FROM secret WHERE key = $1", key.0)?;
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

/// A secret as it is stored.
#[derive(Clone, Debug)]
pub struct SealedSecret {
    tenant: TenantKey,
    endpoint: EndpointKey,
    form: KeyForm,
    sealed: Vec<u8>,
    key: SecretKey,
    scheme: String,
    begins: Begin,
    created: Timestamp,
    expires: Option<Timestamp>,
}

impl SealedSecret {
    /// Whose it is.
    pub fn endpoint(&self) -> EndpointKey {
        self.endpoint
    }

    /// The secret opened.
    pub fn open(self, keyring: &Keyring) -> Result<Secret> {
        Ok(Secret {
            key: self.key,
            scheme: self.scheme.into(),
            value: Arc::new(open(keyring, self.tenant, self.key, self.form, &self.sealed)?),
            begins: self.begins,
            created: self.created,
            expires: self.expires,
        })
    }
}

/// The secrets of the endpoints whose keys lie in `first..=last`, by endpoint, newest first within each.
pub(crate) async fn load(conn: &mut Conn, first: EndpointKey, last: EndpointKey) -> Result<Vec<SealedSecret>> {
    type Row = (i64, i64, i64, i64, Option<i64>, String, i64, Option<i64>, String);
    let mut rows: Vec<Row> = fetch_packed!(
        conn,
        sealed "key, tenant, endpoint, created, expires, scheme, form, begins",
        "secret WHERE endpoint BETWEEN $1 AND $2",
        first.0,
        last.0
    )?;
    rows.sort_unstable_by_key(|&(key, _, endpoint, ..)| (endpoint, Reverse(key)));
    rows.into_iter()
        .map(|(key, tenant, endpoint, created, expires, scheme, form, begins, sealed)| {
            Ok(SealedSecret {
                tenant: TenantKey(tenant),
                endpoint: EndpointKey(endpoint),
                form: read_form(form).ok_or_else(|| Error::Corrupt(format!("form of secret {key}")))?,
                sealed: read_hex(&sealed).ok_or_else(|| Error::Corrupt(format!("secret {key}")))?,
                key: SecretKey(key),
                scheme,
                begins: read_begins(begins),
                created: Timestamp::from_micros(created),
                expires: expires.map(Timestamp::from_micros),
            })
        })
        .collect()
}

fn open(keyring: &Keyring, tenant: TenantKey, key: SecretKey, form: KeyForm, sealed: &[u8]) -> Result<signing::Secret> {
    let opened = keyring.open(place(tenant, key), sealed).map_err(|error| Error::Key(error.to_string()))?;
    let unreadable = || Error::Corrupt(format!("secret {}", key.0));
    let text = std::str::from_utf8(&opened).map_err(|_| unreadable())?;
    signing::Secret::parse(text, form).map_err(|_| unreadable())
}

fn place(tenant: TenantKey, key: SecretKey) -> Place<'static> {
    SealedTable::Secret.numbered(tenant.0, key.0)
}

fn form_number(form: KeyForm) -> i64 {
    match form {
        KeyForm::Text => 1,
        KeyForm::Base64 => 2,
        KeyForm::Ed25519Seed => 3,
    }
}

fn read_form(number: i64) -> Option<KeyForm> {
    [KeyForm::Text, KeyForm::Base64, KeyForm::Ed25519Seed].into_iter().find(|form| form_number(*form) == number)
}

fn begins_column(begins: Begin) -> Option<i64> {
    match begins {
        Begin::Created => None,
        Begin::At(time) => Some(time.as_micros()),
        Begin::OnActivation => Some(i64::MAX),
    }
}

fn read_begins(column: Option<i64>) -> Begin {
    match column {
        None => Begin::Created,
        Some(i64::MAX) => Begin::OnActivation,
        Some(micros) => Begin::At(Timestamp::from_micros(micros)),
    }
}
