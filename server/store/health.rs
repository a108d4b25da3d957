//! How endpoints fare. Only endpoints that fail have a row, so the happy path writes nothing here.

use super::{
    Conn, Result, Tx,
    sql::{execute, fetch_all},
};
use crate::model::{DisableReason, EndpointKey, Timestamp};

/// An endpoint that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The activation under which it fails.
    pub generation: i64,
    /// When the first of the failures since the last success ended.
    pub failing_since: Timestamp,
    /// How many of its deliveries have ended dead since then, one after the other.
    pub dead_in_row: u32,
    /// It was warned since then that the endpoint will be disabled.
    pub warning: Option<Warning>,
}

/// A warning that an endpoint will be disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning {
    /// For which reason.
    pub reason: DisableReason,
    /// When it was given.
    pub at: Timestamp,
}

/// Records that an endpoint fails.
pub(crate) async fn set_failing(tx: &mut Tx, endpoint: EndpointKey, health: Health) -> Result<()> {
    let sql = "INSERT INTO endpoint_health (endpoint, generation, failing_since, dead_in_row, warned, warn_reason) \
               VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (endpoint) DO UPDATE SET generation = excluded.generation, \
               failing_since = excluded.failing_since, dead_in_row = excluded.dead_in_row, \
               warned = excluded.warned, warn_reason = excluded.warn_reason";
    let (since, dead) = (health.failing_since.as_micros(), i64::from(health.dead_in_row));
    let (warned, reason) = health.warning.map_or((0, 0), |it| (it.at.as_micros(), it.reason as i64));
    execute!(&mut tx.conn, sql, endpoint.0, health.generation, since, dead, warned, reason)?;
    Ok(())
}

/// Records that an endpoint fares well again.
pub(crate) async fn clear(tx: &mut Tx, endpoint: EndpointKey) -> Result<()> {
    execute!(&mut tx.conn, "DELETE FROM endpoint_health WHERE endpoint = $1", endpoint.0)?;
    Ok(())
}

/// All endpoints that fail.
pub(crate) async fn all(conn: &mut Conn) -> Result<Vec<(EndpointKey, Health)>> {
    let sql = "SELECT endpoint, generation, failing_since, dead_in_row, warned, warn_reason FROM endpoint_health \
               WHERE failing_since IS NOT NULL";
    let rows: Vec<(i64, i64, i64, i64, i64, i64)> = fetch_all!(conn, sql)?;
    let read = |(endpoint, generation, since, dead, warned, reason)| {
        let (failing_since, dead_in_row) = (Timestamp::from_micros(since), u32::try_from(dead).unwrap_or(u32::MAX));
        let warning =
            DisableReason::from_i64(reason).map(|reason| Warning { reason, at: Timestamp::from_micros(warned) });
        (EndpointKey(endpoint), Health { generation, failing_since, dead_in_row, warning })
    };
    Ok(rows.into_iter().map(read).collect())
}
