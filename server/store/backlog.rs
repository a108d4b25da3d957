//! What waits: what of a lane became due later than something else, the part that a drain at a rate does not slow down; and how
//! much there is of a tenant's.

use super::{
    Conn, Result,
    sql::{fetch_all, fetch_optional},
};
use crate::model::{DeliveryKey, EndpointKey, EventKey, TenantKey, Timestamp};

/// Up to `limit` deliveries of an endpoint that became due after `after`, by `now`, the longest due first, with the sizes of
/// their payloads.
pub(crate) async fn due_after(
    conn: &mut Conn,
    endpoint: EndpointKey,
    after: Timestamp,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(DeliveryKey, u64)>> {
    let sql = "SELECT d.event, CAST(coalesce((SELECT length(e.payload) FROM event e WHERE e.key = d.event), 0) AS BIGINT) \
               FROM delivery d WHERE d.endpoint = $1 AND d.ready_at > $2 AND d.ready_at <= $3 \
               ORDER BY d.ready_at, d.event LIMIT $4";
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

/// How many deliveries of a tenant's wait, for an attempt or their time; counted up to `limit`.
pub(crate) async fn count_waiting(conn: &mut Conn, tenant: TenantKey, limit: i64) -> Result<i64> {
    // From the endpoints to the index of what is ready, whose size may be anything. OFFSET 0 keeps Postgres from joining the
    // two in another way.
    let sql = match conn {
        Conn::Sqlite(_) => {
            "SELECT count(*) FROM (SELECT d.event FROM endpoint e CROSS JOIN delivery d \
             WHERE e.tenant = $1 AND e.state <> 3 AND d.endpoint = e.key AND d.ready_at IS NOT NULL LIMIT $2) AS waiting"
        }
        Conn::Postgres(_) => {
            "SELECT count(*) FROM (SELECT d.event FROM endpoint e CROSS JOIN LATERAL \
             (SELECT event FROM delivery WHERE endpoint = e.key AND ready_at IS NOT NULL OFFSET 0) AS d \
             WHERE e.tenant = $1 AND e.state <> 3 LIMIT $2) AS waiting"
        }
    };
    let row: Option<(i64,)> = fetch_optional!(conn, sql, tenant.0, limit)?;
    Ok(row.map_or(0, |(count,)| count))
}
