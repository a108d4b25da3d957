//! Tenants.

use super::{Conn, Result, sql::fetch_all};
use crate::model::TenantKey;

/// All tenants: public id and key.
pub(crate) async fn all(conn: &mut Conn) -> Result<Vec<(String, TenantKey)>> {
    let rows: Vec<(String, i64)> = fetch_all!(conn, "SELECT id, key FROM tenant ORDER BY key")?;
    Ok(rows.into_iter().map(|(id, key)| (id, TenantKey(key))).collect())
}
