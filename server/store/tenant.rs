//! Tenants.

use super::{
    Conn, Error, Result, Tx,
    sql::{execute, fetch_all, fetch_optional},
};
use crate::model::{SchemaCheck, Tenant, TenantKey, Timestamp};

type Row = (i64, String, i64, i64, i64, Option<i64>);

/// All tenants, by key.
pub(crate) async fn all(conn: &mut Conn) -> Result<Vec<Tenant>> {
    let sql = "SELECT key, id, created, schema_check, version, updated FROM tenant ORDER BY key";
    fetch_all!(conn, sql)?.into_iter().map(read).collect()
}

/// A tenant.
pub(crate) async fn get(conn: &mut Conn, key: TenantKey) -> Result<Option<Tenant>> {
    let sql = "SELECT key, id, created, schema_check, version, updated FROM tenant WHERE key = $1";
    fetch_optional!(conn, sql, key.0)?.map(read).transpose()
}

/// Writes all that can change of a tenant.
pub(crate) async fn update(tx: &mut Tx, tenant: &Tenant) -> Result<()> {
    let sql = "UPDATE tenant SET schema_check = $2, version = $3, updated = $4 WHERE key = $1";
    let (check, updated) = (tenant.schema_check as i64, tenant.updated.map(Timestamp::as_micros));
    execute!(&mut tx.conn, sql, tenant.key.0, check, tenant.version, updated)?;
    Ok(())
}

fn read((key, id, created, check, version, updated): Row) -> Result<Tenant> {
    let schema_check =
        SchemaCheck::from_i64(check).ok_or_else(|| Error::Corrupt(format!("schema check {check} of a tenant")))?;
    Ok(Tenant {
        key: TenantKey(key),
        id,
        schema_check,
        version,
        // The tenant that comes with the database is of no time.
        created: (created != 0).then(|| Timestamp::from_micros(created)),
        updated: updated.map(Timestamp::from_micros),
    })
}
