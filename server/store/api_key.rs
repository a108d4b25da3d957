//! API keys. All of them are in memory while a server runs; the table is read at its start and for lists.

use super::{
    Conn, Error, Result, Tx,
    sql::{execute, fetch_all, fetch_optional},
};
use crate::model::{ApiKey, ApiKeyId, Scopes, TenantKey, Timestamp};

type Row = (i64, String, Option<i64>, String, i64, Vec<u8>, i64, Option<i64>);

/// Writes a new key.
pub(crate) async fn insert(tx: &mut Tx, key: &ApiKey) -> Result<()> {
    let sql = "INSERT INTO api_key (key, id, tenant, display_name, scopes, hash, created, expires) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    execute!(
        &mut tx.conn,
        sql,
        key.key,
        key.id.text(),
        key.tenant.map(|tenant| tenant.0),
        &key.display_name,
        key.scopes.bits(),
        &key.hash[..],
        key.created.as_micros(),
        key.expires.map(Timestamp::as_micros),
    )?;
    Ok(())
}

/// Erases a key. Returns whose it was, the tenant's or operators' (`Some(None)`); `None` if it was not there.
pub(crate) async fn delete(tx: &mut Tx, id: ApiKeyId) -> Result<Option<Option<TenantKey>>> {
    let sql = "DELETE FROM api_key WHERE id = $1 RETURNING tenant";
    let row: Option<(Option<i64>,)> = fetch_optional!(&mut tx.conn, sql, id.text())?;
    Ok(row.map(|(tenant,)| tenant.map(TenantKey)))
}

/// Erases all keys of a tenant.
pub(crate) async fn delete_of(tx: &mut Tx, tenant: TenantKey) -> Result<()> {
    execute!(&mut tx.conn, "DELETE FROM api_key WHERE tenant = $1", tenant.0)?;
    Ok(())
}

/// How many keys a tenant has, or operators.
pub(crate) async fn count(conn: &mut Conn, tenant: Option<TenantKey>) -> Result<i64> {
    let row: Option<(i64,)> = match tenant {
        Some(tenant) => fetch_optional!(conn, "SELECT count(*) FROM api_key WHERE tenant = $1", tenant.0)?,
        None => fetch_optional!(conn, "SELECT count(*) FROM api_key WHERE tenant IS NULL")?,
    };
    Ok(row.map_or(0, |(count,)| count))
}

/// Up to `limit` keys after the one in row `after`, oldest first: a tenant's, or all if none is named.
pub(crate) async fn list(conn: &mut Conn, tenant: Option<TenantKey>, after: i64, limit: i64) -> Result<Vec<ApiKey>> {
    let rows: Vec<Row> = match tenant {
        Some(tenant) => {
            let sql = "SELECT key, id, tenant, display_name, scopes, hash, created, expires FROM api_key \
                       WHERE tenant = $1 AND key > $2 ORDER BY key LIMIT $3";
            fetch_all!(conn, sql, tenant.0, after, limit)?
        }
        None => {
            let sql = "SELECT key, id, tenant, display_name, scopes, hash, created, expires FROM api_key \
                       WHERE key > $1 ORDER BY key LIMIT $2";
            fetch_all!(conn, sql, after, limit)?
        }
    };
    rows.into_iter().map(read).collect()
}

fn read((key, id, tenant, display_name, scopes, hash, created, expires): Row) -> Result<ApiKey> {
    let corrupt = || Error::Corrupt(format!("API key {key}"));
    Ok(ApiKey {
        key,
        id: ApiKeyId::from_text(&id).ok_or_else(corrupt)?,
        tenant: tenant.map(TenantKey),
        display_name,
        scopes: Scopes::from_bits(scopes).ok_or_else(corrupt)?,
        hash: hash.try_into().map_err(|_| corrupt())?,
        created: Timestamp::from_micros(created),
        expires: expires.map(Timestamp::from_micros),
    })
}
