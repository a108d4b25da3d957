//! How endpoints fare. Only endpoints that fail have a row, so the happy path writes nothing here.

use super::{
    Conn, Result, Tx,
    sql::{execute, fetch_all},
};
use crate::model::{EndpointKey, Timestamp};

/// An endpoint that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The activation under which it fails.
    pub generation: i64,
    /// When the first of the failures since the last success ended.
    pub failing_since: Timestamp,
    /// How many of its deliveries have ended dead since then, one after the other.
    pub dead_in_row: u32,
}

/// Records that an endpoint fails.
pub(crate) async fn set_failing(tx: &mut Tx, endpoint: EndpointKey, health: Health) -> Result<()> {
    let sql = "INSERT INTO endpoint_health (endpoint, generation, failing_since, dead_in_row) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (endpoint) DO UPDATE SET generation = excluded.generation, \
               failing_since = excluded.failing_since, dead_in_row = excluded.dead_in_row";
    let (since, dead) = (health.failing_since.as_micros(), i64::from(health.dead_in_row));
    execute!(&mut tx.conn, sql, endpoint.0, health.generation, since, dead)?;
    Ok(())
}

/// Records that an endpoint fares well again.
pub(crate) async fn clear(tx: &mut Tx, endpoint: EndpointKey) -> Result<()> {
    execute!(&mut tx.conn, "DELETE FROM endpoint_health WHERE endpoint = $1", endpoint.0)?;
    Ok(())
}

/// All endpoints that fail.
pub(crate) async fn all(conn: &mut Conn) -> Result<Vec<(EndpointKey, Health)>> {
    let sql = "SELECT endpoint, generation, failing_since, dead_in_row FROM endpoint_health \
               WHERE failing_since IS NOT NULL";
    let rows: Vec<(i64, i64, i64, i64)> = fetch_all!(conn, sql)?;
    let read = |(endpoint, generation, since, dead)| {
        let (failing_since, dead_in_row) = (Timestamp::from_micros(since), u32::try_from(dead).unwrap_or(u32::MAX));
        (EndpointKey(endpoint), Health { generation, failing_since, dead_in_row })
    };
    Ok(rows.into_iter().map(read).collect())
}
