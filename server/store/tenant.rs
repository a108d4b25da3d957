//! Tenants.

use super::{
    Conn, Error, Result, Tx,
    sql::{execute, fetch_all, fetch_optional},
};
use crate::model::{Quotas, SchemaCheck, Tenant, TenantKey, Timestamp};

type Row =
    (i64, String, i64, String, i64, i64, Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>);

/// All tenants, by key.
pub(crate) async fn all(conn: &mut Conn) -> Result<Vec<Tenant>> {
    list(conn, 0, i64::MAX).await
}

/// Up to `limit` tenants after the one with key `after`, by key.
pub(crate) async fn list(conn: &mut Conn, after: i64, limit: i64) -> Result<Vec<Tenant>> {
    let sql = "SELECT key, id, created, display_name, schema_check, version, updated, \
               endpoints_max, pending_max, events_rate, events_burst, bytes_rate \
               FROM tenant WHERE key > $1 ORDER BY key LIMIT $2";
    fetch_all!(conn, sql, after, limit)?.into_iter().map(read).collect()
}

/// A tenant.
pub(crate) async fn get(conn: &mut Conn, key: TenantKey) -> Result<Option<Tenant>> {
    let sql = "SELECT key, id, created, display_name, schema_check, version, updated, \
               endpoints_max, pending_max, events_rate, events_burst, bytes_rate FROM tenant WHERE key = $1";
    fetch_optional!(conn, sql, key.0)?.map(read).transpose()
}

/// Writes a new tenant. Returns whether its id was free.
pub(crate) async fn insert(tx: &mut Tx, tenant: &Tenant) -> Result<bool> {
    let sql = "INSERT INTO tenant (key, id, created, schema_check, version) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (id) DO NOTHING";
    let created = tenant.created.map_or(0, Timestamp::as_micros);
    let check = tenant.schema_check as i64;
    let inserted = execute!(&mut tx.conn, sql, tenant.key.0, &tenant.id, created, check, tenant.version)? > 0;
    if inserted {
        update(tx, tenant).await?;
    }
    Ok(inserted)
}

/// Writes all that can change of a tenant.
pub(crate) async fn update(tx: &mut Tx, tenant: &Tenant) -> Result<()> {
    let sql = "UPDATE tenant SET display_name = $2, schema_check = $3, version = $4, updated = $5, endpoints_max = $6, \
               pending_max = $7, events_rate = $8, events_burst = $9, bytes_rate = $10 WHERE key = $1";
    let (check, updated) = (tenant.schema_check as i64, tenant.updated.map(Timestamp::as_micros));
    let Quotas { endpoints, pending_deliveries, events_per_second, events_burst, bytes_per_second } = tenant.quotas;
    execute!(
        &mut tx.conn,
        sql,
        tenant.key.0,
        &tenant.display_name,
        check,
        tenant.version,
        updated,
        endpoints,
        pending_deliveries,
        events_per_second,
        events_burst,
        bytes_per_second,
    )?;
    Ok(())
}

/// Erases a tenant.
pub(crate) async fn delete(tx: &mut Tx, key: TenantKey) -> Result<()> {
    execute!(&mut tx.conn, "DELETE FROM tenant WHERE key = $1", key.0)?;
    Ok(())
}

fn read(row: Row) -> Result<Tenant> {
    let (key, id, created, display_name, check, version, updated, endpoints, pending, events, burst, bytes) = row;
    let schema_check =
        SchemaCheck::from_i64(check).ok_or_else(|| Error::Corrupt(format!("schema check {check} of a tenant")))?;
    Ok(Tenant {
        key: TenantKey(key),
        id,
        display_name,
        schema_check,
        quotas: Quotas {
            endpoints,
            pending_deliveries: pending,
            events_per_second: events,
            events_burst: burst,
            bytes_per_second: bytes,
        },
        version,
        // The tenant that comes with the database is of no time.
        created: (created != 0).then(|| Timestamp::from_micros(created)),
        updated: updated.map(Timestamp::from_micros),
    })
}
