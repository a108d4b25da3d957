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
}

/// Records that an endpoint fails.
pub(crate) async fn set_failing(tx: &mut Tx, endpoint: EndpointKey, health: Health) -> Result<()> {
    let sql = "INSERT INTO endpoint_health (endpoint, generation, failing_since, dead_in_row) VALUES ($1, $2, $3, 0) \
               ON CONFLICT (endpoint) DO UPDATE SET generation = excluded.generation, \
               failing_since = excluded.failing_since";
    execute!(&mut tx.conn, sql, endpoint.0, health.generation, health.failing_since.as_micros())?;
    Ok(())
}

/// Records that an endpoint fares well again.
pub(crate) async fn clear(tx: &mut Tx, endpoint: EndpointKey) -> Result<()> {
    execute!(&mut tx.conn, "DELETE FROM endpoint_health WHERE endpoint = $1", endpoint.0)?;
    Ok(())
}

/// All endpoints that fail.
pub(crate) async fn all(conn: &mut Conn) -> Result<Vec<(EndpointKey, Health)>> {
    let sql = "SELECT endpoint, generation, failing_since FROM endpoint_health WHERE failing_since IS NOT NULL";
    let rows: Vec<(i64, i64, i64)> = fetch_all!(conn, sql)?;
    let read = |(endpoint, generation, since)| {
        (EndpointKey(endpoint), Health { generation, failing_since: Timestamp::from_micros(since) })
    };
    Ok(rows.into_iter().map(read).collect())
}
