//! What of a lane became due later than something else: the part that a drain at a rate does not slow down.

use super::{
    Conn, Result,
    sql::{fetch_all, fetch_optional},
};
use crate::model::{DeliveryKey, EndpointKey, EventKey, Timestamp};

/// Up to `limit` deliveries of an endpoint that became due after `after`, by `now`, the longest due first, with the sizes of
/// their payloads.
pub(crate) async fn due_after(
    conn: &mut Conn,
    endpoint: EndpointKey,
    after: Timestamp,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(DeliveryKey, u64)>> {
    let sql = match conn {
        Conn::Sqlite(_) => {
            "SELECT d.event, length(e.payload) FROM delivery d CROSS JOIN event e WHERE e.key = d.event \
             AND d.endpoint = $1 AND d.ready_at > $2 AND d.ready_at <= $3 ORDER BY d.ready_at, d.event LIMIT $4"
        }
        Conn::Postgres(_) => {
            "SELECT d.event, length(e.payload)::bigint FROM delivery d CROSS JOIN event e WHERE e.key = d.event \
             AND d.endpoint = $1 AND d.ready_at > $2 AND d.ready_at <= $3 ORDER BY d.ready_at, d.event LIMIT $4"
        }
    };
    let rows: Vec<(i64, i64)> = fetch_all!(conn, sql, endpoint.0, after.as_micros(), now.as_micros(), limit)?;
    let read = |(event, size)| (DeliveryKey { event: EventKey(event), endpoint }, u64::try_from(size).unwrap_or(0));
    Ok(rows.into_iter().map(read).collect())
}

/// When the earliest unleased work of an endpoint is due that is due after `after`.
pub(crate) async fn earliest_after(
    conn: &mut Conn,
    endpoint: EndpointKey,
    after: Timestamp,
) -> Result<Option<Timestamp>> {
    let sql = "SELECT ready_at FROM delivery WHERE endpoint = $1 AND ready_at > $2 ORDER BY ready_at, event LIMIT 1";
    let row: Option<(i64,)> = fetch_optional!(conn, sql, endpoint.0, after.as_micros())?;
    Ok(row.map(|(at,)| Timestamp::from_micros(at)))
}
