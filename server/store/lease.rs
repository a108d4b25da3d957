//! Leases: claiming what is due, remembering what was handed over, finding what is leased.
//!
//! A claim sets a lease in the delivery's row. A hand-over does not, so that the happy path touches no index: one row for
//! the whole turn names the range of its events instead.

use std::sync::Arc;

use super::{
    Conn, Result, Tx,
    sql::{MultiRow, column, execute, fetch_all, pieces},
};
use crate::model::{DeliveryKey, EndpointKey, EventKey, Incarnation, TenantKey, Timestamp};

const CLAIM: MultiRow = MultiRow {
    head: "WITH v (event, endpoint) AS (",
    tail: ") UPDATE delivery SET state = 2, owner = $1, lease = $2, attempt = delivery.attempt + 1, ready_at = NULL, \
            updated = $3 FROM v \
            WHERE {delivery.event = v.event} AND {delivery.endpoint = v.endpoint} AND delivery.state = 1 \
            RETURNING delivery.event, delivery.endpoint, delivery.attempt, delivery.base",
    columns: &["bigint", "bigint"],
};

/// A delivery that was leased by a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The delivery.
    pub key: DeliveryKey,
    /// The number of the attempt it was leased for.
    pub attempt: u32,
    /// The attempts before the present schedule began.
    pub base: u32,
}

/// A delivery that is leased, with what its release needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// Who leased it.
    pub owner: Incarnation,
    /// The delivery and the attempt.
    pub claimed: Claimed,
    /// Whose it is.
    pub tenant: TenantKey,
    /// The event's public id.
    pub event_id: Arc<str>,
    /// The event's type.
    pub event_type: Arc<str>,
    /// Whether it is a ping's.
    pub ping: bool,
}

/// Forgets all batches of incarnations that do not live any more, whose leases have been released; nobody lives but
/// `present` on SQLite.
pub(crate) async fn delete_handoffs_of_dead(tx: &mut Tx, present: Incarnation) -> Result<()> {
    let sql = match &tx.conn {
        Conn::Sqlite(_) => "DELETE FROM handoff WHERE owner <> $1",
        Conn::Postgres(_) => "DELETE FROM handoff WHERE owner <> $1 AND owner <> ALL (SELECT unnest(live) FROM gate)",
    };
    execute!(&mut tx.conn, sql, present.0)?;
    Ok(())
}

/// Leases deliveries for their next attempt. Those that are not pending any more are left out.
pub(crate) async fn claim(
    tx: &mut Tx,
    owner: Incarnation,
    lease: Timestamp,
    now: Timestamp,
    deliveries: &[DeliveryKey],
) -> Result<Vec<Claimed>> {
    type Row = (i64, i64, i64, i64);
    let mut rows: Vec<Row> = Vec::with_capacity(deliveries.len());
    match &mut tx.conn {
        Conn::Sqlite(conn) => {
            for piece in pieces(deliveries) {
                let mut query = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.get(&CLAIM, piece.len())));
                for key in piece {
                    query = query.bind(key.event.0).bind(key.endpoint.0);
                }
                let query = query.bind(owner.0).bind(lease.as_micros()).bind(now.as_micros());
                rows.append(&mut query.fetch_all(&mut **conn).await?);
            }
        }
        Conn::Postgres(_) if deliveries.is_empty() => {}
        Conn::Postgres(conn) => {
            rows = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.of_arrays(&CLAIM)))
                .bind(owner.0)
                .bind(lease.as_micros())
                .bind(now.as_micros())
                .bind(column(deliveries, |key| key.event.0))
                .bind(column(deliveries, |key| key.endpoint.0))
                .fetch_all(&mut **conn)
                .await?;
        }
    }
    let read = |(event, endpoint, attempt, base): Row| Claimed {
        key: DeliveryKey { event: EventKey(event), endpoint: EndpointKey(endpoint) },
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        base: u32::try_from(base).unwrap_or(u32::MAX),
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Up to `limit` deliveries of an endpoint that are due by `now`, the longest due first, with the sizes of their payloads.
pub(crate) async fn due(
    conn: &mut Conn,
    endpoint: EndpointKey,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(DeliveryKey, u64)>> {
    let sql = "SELECT d.event, CAST(coalesce((SELECT length(e.payload) FROM event e WHERE e.key = d.event), 0) AS BIGINT) \
               FROM delivery d WHERE d.endpoint = $1 AND d.ready_at <= $2 ORDER BY d.ready_at, d.event LIMIT $3";
    let rows: Vec<(i64, i64)> = fetch_all!(conn, sql, endpoint.0, now.as_micros(), limit)?;
    let read = |(event, size)| (DeliveryKey { event: EventKey(event), endpoint }, u64::try_from(size).unwrap_or(0));
    Ok(rows.into_iter().map(read).collect())
}

/// What is leased of the owners that a condition over `owner` picks: those claimed stand in the index of leases, those
/// handed over in the ranges of their turns. A range of times bounds what is read of the index, whichever database it is.
macro_rules! leased {
    ($owners:literal) => {
        concat!(
            "WITH l (event, endpoint, owner, attempt, base) AS (",
            "SELECT d.event, d.endpoint, d.owner, d.attempt, d.base \
             FROM handoff h CROSS JOIN delivery d WHERE d.event BETWEEN h.first AND h.last AND h.owner ",
            $owners,
            " AND d.state = 2 AND d.lease IS NULL AND d.owner = h.owner \
             UNION SELECT event, endpoint, owner, attempt, base FROM delivery \
             WHERE lease >= 0 AND state = 2 AND owner ",
            $owners,
            ") SELECT l.event, l.endpoint, l.owner, l.attempt, l.base, e.tenant, e.id, t.text, e.ping_of \
             FROM l CROSS JOIN event e CROSS JOIN name t WHERE e.key = l.event AND t.key = e.type"
        )
    };
}

/// The deliveries leased by incarnations that do not live any more; nobody lives but `present` on SQLite.
pub(crate) async fn leased_by_dead(conn: &mut Conn, present: Incarnation) -> Result<Vec<Leased>> {
    let sql = match conn {
        Conn::Sqlite(_) => leased!("<> $1"),
        Conn::Postgres(_) => leased!("NOT IN (SELECT unnest(live) FROM gate UNION SELECT $1)"),
    };
    leased(conn, sql, present).await
}

/// The deliveries leased by `incarnation`.
pub(crate) async fn leased_by(conn: &mut Conn, incarnation: Incarnation) -> Result<Vec<Leased>> {
    leased(conn, leased!("= $1"), incarnation).await
}

async fn leased(conn: &mut Conn, sql: &'static str, incarnation: Incarnation) -> Result<Vec<Leased>> {
    type Row = (i64, i64, i64, i64, i64, i64, String, String, i64);
    let rows: Vec<Row> = fetch_all!(conn, sql, incarnation.0)?;
    let read = |(event, endpoint, owner, attempt, base, tenant, event_id, event_type, ping_of): Row| {
        let key = DeliveryKey { event: EventKey(event), endpoint: EndpointKey(endpoint) };
        let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
        Leased {
            owner: Incarnation(owner),
            claimed: Claimed { key, attempt, base: u32::try_from(base).unwrap_or(u32::MAX) },
            tenant: TenantKey(tenant),
            event_id: event_id.into(),
            event_type: event_type.into(),
            ping: ping_of != 0,
        }
    };
    Ok(rows.into_iter().map(read).collect())
}
