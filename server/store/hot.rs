//! The statements of every turn: publish, hand over, settle, claim. Multi-row, so that a turn costs a handful of them
//! whatever its size.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Conn, Error, Result, Tx,
    attempt::micros,
    sql::{MultiRow, execute, fetch_all, pieces},
};
use crate::model::{DeliveryKey, DeliveryState, EndpointKey, EventKey, FailureKind, Incarnation, TenantKey, Timestamp};

const INSERT_EVENTS: &str = "INSERT INTO event (key, tenant, id, type, time, created, cfg, content_type, ping_of, fanout, \
                             labels, fingerprint, payload) VALUES";

/// For events whose ids the server made: a conflict would be a fault.
const INSERT_OWN: MultiRow = MultiRow { head: INSERT_EVENTS, tail: "", columns: 13 };

/// For events whose ids the publisher chose: what is not returned was published before.
const INSERT_CHOSEN: MultiRow =
    MultiRow { head: INSERT_EVENTS, tail: " ON CONFLICT (tenant, id) DO NOTHING RETURNING key", columns: 13 };

const INSERT_DELIVERIES: MultiRow = MultiRow {
    head: "INSERT INTO delivery (event, endpoint, state, owner, attempt, base, ready_at, updated) VALUES",
    tail: "",
    columns: 8,
};

const SETTLE_DELIVERED: MultiRow = MultiRow {
    head: "WITH v (event, endpoint, attempt, status, latency, response) AS (VALUES",
    tail: ") UPDATE delivery SET state = 3, owner = 0, lease = NULL, cancel = 0, updated = $2, status = v.status, \
            latency = v.latency, kind = 0, response = v.response FROM v \
            WHERE delivery.event = v.event AND delivery.endpoint = v.endpoint AND delivery.state = 2 \
            AND delivery.owner = $1 AND delivery.attempt = v.attempt \
            RETURNING delivery.event, delivery.endpoint, delivery.state",
    columns: 6,
};

/// A delivery that was to wait but whose cancellation has been asked for ends here.
const SETTLE_OTHERS: MultiRow = MultiRow {
    head: "WITH v (event, endpoint, attempt, state, ready_at, dead_at, uncounted, status, latency, kind) AS (VALUES",
    tail: ") UPDATE delivery SET \
            state = CASE WHEN v.state = 1 AND delivery.cancel = 1 THEN 5 ELSE v.state END, \
            ready_at = CASE WHEN delivery.cancel = 1 THEN NULL ELSE v.ready_at END, \
            dead_at = v.dead_at, owner = 0, lease = NULL, cancel = 0, base = delivery.base + v.uncounted, \
            updated = $2, status = coalesce(v.status, delivery.status), \
            latency = coalesce(v.latency, delivery.latency), kind = coalesce(v.kind, delivery.kind) FROM v \
            WHERE delivery.event = v.event AND delivery.endpoint = v.endpoint AND delivery.state = 2 \
            AND delivery.owner = $1 AND delivery.attempt = v.attempt \
            RETURNING delivery.event, delivery.endpoint, delivery.state",
    columns: 10,
};

const CLAIM: MultiRow = MultiRow {
    head: "WITH v (event, endpoint) AS (VALUES",
    tail: ") UPDATE delivery SET state = 2, owner = $1, lease = $2, attempt = delivery.attempt + 1, ready_at = NULL, \
            updated = $3 FROM v \
            WHERE delivery.event = v.event AND delivery.endpoint = v.endpoint AND delivery.state = 1 \
            RETURNING delivery.event, delivery.endpoint, delivery.attempt, delivery.base",
    columns: 2,
};

/// Binds one event's columns, in the order of [`INSERT_EVENTS`].
macro_rules! bind_event {
    ($query:expr, $event:expr) => {
        $query
            .bind($event.key.0)
            .bind($event.tenant.0)
            .bind($event.id.to_string())
            .bind($event.event_type)
            .bind($event.time.as_micros())
            .bind($event.created.as_micros())
            .bind($event.cfg)
            .bind($event.content_type)
            .bind($event.ping_of.map_or(0, |endpoint| endpoint.0))
            .bind($event.fanout)
            .bind($event.labels.clone())
            .bind($event.fingerprint.to_vec())
            .bind($event.payload.to_vec())
    };
}

const DELETE_HANDOFFS: MultiRow =
    MultiRow { head: "DELETE FROM handoff WHERE batch IN (VALUES", tail: ")", columns: 1 };

/// An event to write.
#[derive(Clone, Debug)]
pub struct EventInsert {
    /// Its row.
    pub key: EventKey,
    /// Whose it is.
    pub tenant: TenantKey,
    /// Its public id.
    pub id: Arc<str>,
    /// Key of its type's name.
    pub event_type: i64,
    /// When it happened.
    pub time: Timestamp,
    /// When it is published.
    pub created: Timestamp,
    /// The configuration version it was routed under.
    pub cfg: i64,
    /// Key of its media type's name.
    pub content_type: i64,
    /// The endpoint it pings.
    pub ping_of: Option<EndpointKey>,
    /// How many endpoints it goes to.
    pub fanout: i64,
    /// Labels, as `event::write_labels` writes them.
    pub labels: Vec<u8>,
    /// The keyed fingerprint of what its publisher sent.
    pub fingerprint: [u8; 16],
    /// The body.
    pub payload: Bytes,
}

/// A delivery to write with its event.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryInsert {
    /// Its row.
    pub key: DeliveryKey,
    /// To be handed over by this turn; otherwise it waits in its lane.
    pub handed_over: bool,
}

/// The end of an attempt, or the release of a lease without one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settlement {
    /// The delivery.
    pub key: DeliveryKey,
    /// The attempt's number: with the owner, the fence.
    pub attempt: u32,
    /// The state it goes to, and when it is due if that is pending.
    pub to: DeliveryState,
    /// When it is due again; only while pending.
    pub ready_at: Option<Timestamp>,
    /// The attempt does not count, because its request was never begun.
    pub uncounted: bool,
    /// What is to be shown of the attempt: HTTP status, microseconds, failure. `None` leaves what is shown as it is.
    pub shown: Option<(u16, std::time::Duration, Option<FailureKind>)>,
}

/// A settlement that took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The delivery.
    pub key: DeliveryKey,
    /// Its state now.
    pub state: DeliveryState,
}

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

/// Writes events whose ids the server made.
pub(crate) async fn insert_own_events(tx: &mut Tx, events: &[EventInsert]) -> Result<()> {
    for piece in pieces(events) {
        let text = tx.texts.get(&INSERT_OWN, piece.len());
        match &mut tx.conn {
            Conn::Sqlite(conn) => {
                let query = sqlx::query(sqlx::AssertSqlSafe(text));
                piece.iter().fold(query, |query, event| bind_event!(query, event)).execute(&mut **conn).await?;
            }
        }
    }
    Ok(())
}

/// Writes events whose ids their publishers chose, and returns the keys of those that were not there yet. Sorted by id,
/// so that two servers cannot deadlock.
pub(crate) async fn insert_chosen_events(tx: &mut Tx, events: &[EventInsert]) -> Result<Vec<EventKey>> {
    let mut inserted = Vec::with_capacity(events.len());
    for piece in pieces(events) {
        let text = tx.texts.get(&INSERT_CHOSEN, piece.len());
        let rows: Vec<(i64,)> = match &mut tx.conn {
            Conn::Sqlite(conn) => {
                let query = sqlx::query_as(sqlx::AssertSqlSafe(text));
                piece.iter().fold(query, |query, event| bind_event!(query, event)).fetch_all(&mut **conn).await?
            }
        };
        inserted.extend(rows.into_iter().map(|(key,)| EventKey(key)));
    }
    Ok(inserted)
}

/// Writes deliveries: those handed over are leased to `owner` for their first attempt, the others due at `now`.
pub(crate) async fn insert_deliveries(
    tx: &mut Tx,
    owner: Incarnation,
    now: Timestamp,
    deliveries: &[DeliveryInsert],
) -> Result<()> {
    for piece in pieces(deliveries) {
        let text = tx.texts.get(&INSERT_DELIVERIES, piece.len());
        match &mut tx.conn {
            Conn::Sqlite(conn) => {
                let mut query = sqlx::query(sqlx::AssertSqlSafe(text));
                for delivery in piece {
                    let (state, owner, attempt, ready_at) = if delivery.handed_over {
                        (DeliveryState::InFlight, owner.0, 1, None)
                    } else {
                        (DeliveryState::Pending, 0, 0, Some(now.as_micros()))
                    };
                    query = query
                        .bind(delivery.key.event.0)
                        .bind(delivery.key.endpoint.0)
                        .bind(state as i64)
                        .bind(owner)
                        .bind(attempt)
                        .bind(0_i64)
                        .bind(ready_at)
                        .bind(now.as_micros());
                }
                query.execute(&mut **conn).await?;
            }
        }
    }
    Ok(())
}

/// Remembers that a turn handed over deliveries of the events `first..=last`.
pub(crate) async fn insert_handoff(
    tx: &mut Tx,
    batch: i64,
    owner: Incarnation,
    first: EventKey,
    last: EventKey,
) -> Result<()> {
    let sql = "INSERT INTO handoff (batch, owner, first, last) VALUES ($1, $2, $3, $4)";
    execute!(&mut tx.conn, sql, batch, owner.0, first.0, last.0)?;
    Ok(())
}

/// Forgets batches of which every delivery has settled.
pub(crate) async fn delete_handoffs(tx: &mut Tx, batches: &[i64]) -> Result<()> {
    for piece in pieces(batches) {
        let text = tx.texts.get(&DELETE_HANDOFFS, piece.len());
        match &mut tx.conn {
            Conn::Sqlite(conn) => {
                let query = sqlx::query(sqlx::AssertSqlSafe(text));
                piece.iter().fold(query, |query, batch| query.bind(*batch)).execute(&mut **conn).await?;
            }
        }
    }
    Ok(())
}

/// Forgets all batches of incarnations before `incarnation`, whose leases have been released.
pub(crate) async fn delete_handoffs_before(tx: &mut Tx, incarnation: Incarnation) -> Result<()> {
    execute!(&mut tx.conn, "DELETE FROM handoff WHERE owner < $1", incarnation.0)?;
    Ok(())
}

/// Ends up to `limit` deliveries of an endpoint that are pending, the longest due first, and returns their events.
pub(crate) async fn end_pending(
    tx: &mut Tx,
    endpoint: EndpointKey,
    to: DeliveryState,
    kind: Option<FailureKind>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<EventKey>> {
    let sql = "UPDATE delivery SET state = $3, ready_at = NULL, dead_at = $4, kind = coalesce($5, kind), updated = $2 \
               WHERE (event, endpoint) IN (SELECT event, endpoint FROM delivery \
               WHERE endpoint = $1 AND ready_at IS NOT NULL ORDER BY ready_at, event LIMIT $6) RETURNING event";
    let dead_at = (to == DeliveryState::Dead).then_some(now.as_micros());
    let kind = kind.map(|kind| kind as i64);
    let rows: Vec<(i64,)> =
        fetch_all!(&mut tx.conn, sql, endpoint.0, now.as_micros(), to as i64, dead_at, kind, limit)?;
    Ok(rows.into_iter().map(|(event,)| EventKey(event)).collect())
}

/// Settles attempts that succeeded, with the small answers to be kept in the deliveries' rows. What does not come back is
/// stale.
pub(crate) async fn settle_delivered(
    tx: &mut Tx,
    owner: Incarnation,
    now: Timestamp,
    settlements: &[(Settlement, Bytes)],
) -> Result<Vec<Settled>> {
    let mut settled = Vec::with_capacity(settlements.len());
    for piece in pieces(settlements) {
        let text = tx.texts.get(&SETTLE_DELIVERED, piece.len());
        let rows: Vec<(i64, i64, i64)> = match &mut tx.conn {
            Conn::Sqlite(conn) => {
                let mut query = sqlx::query_as(sqlx::AssertSqlSafe(text));
                for (settlement, response) in piece {
                    let (status, latency, _) = settlement.shown.unwrap_or_default();
                    query = query
                        .bind(settlement.key.event.0)
                        .bind(settlement.key.endpoint.0)
                        .bind(i64::from(settlement.attempt))
                        .bind(i64::from(status))
                        .bind(micros(latency))
                        .bind(response.to_vec());
                }
                query.bind(owner.0).bind(now.as_micros()).fetch_all(&mut **conn).await?
            }
        };
        read_settled(&rows, &mut settled)?;
    }
    Ok(settled)
}

/// Settles everything else: retries, deaths, cancellations, releases. What does not come back is stale.
pub(crate) async fn settle_others(
    tx: &mut Tx,
    owner: Incarnation,
    now: Timestamp,
    settlements: &[Settlement],
) -> Result<Vec<Settled>> {
    let mut settled = Vec::with_capacity(settlements.len());
    for piece in pieces(settlements) {
        let text = tx.texts.get(&SETTLE_OTHERS, piece.len());
        let rows: Vec<(i64, i64, i64)> = match &mut tx.conn {
            Conn::Sqlite(conn) => {
                let mut query = sqlx::query_as(sqlx::AssertSqlSafe(text));
                for settlement in piece {
                    let dead_at = (settlement.to == DeliveryState::Dead).then_some(now.as_micros());
                    query = query
                        .bind(settlement.key.event.0)
                        .bind(settlement.key.endpoint.0)
                        .bind(i64::from(settlement.attempt))
                        .bind(settlement.to as i64)
                        .bind(settlement.ready_at.map(Timestamp::as_micros))
                        .bind(dead_at)
                        .bind(i64::from(settlement.uncounted))
                        .bind(settlement.shown.map(|(status, ..)| i64::from(status)))
                        .bind(settlement.shown.map(|(_, latency, _)| micros(latency)))
                        .bind(settlement.shown.map(|(.., kind)| kind.map_or(0, |kind| kind as i64)));
                }
                query.bind(owner.0).bind(now.as_micros()).fetch_all(&mut **conn).await?
            }
        };
        read_settled(&rows, &mut settled)?;
    }
    Ok(settled)
}

/// Leases deliveries for their next attempt. Those that are not pending any more are left out.
pub(crate) async fn claim(
    tx: &mut Tx,
    owner: Incarnation,
    lease: Timestamp,
    now: Timestamp,
    deliveries: &[DeliveryKey],
) -> Result<Vec<Claimed>> {
    let mut claimed = Vec::with_capacity(deliveries.len());
    for piece in pieces(deliveries) {
        let text = tx.texts.get(&CLAIM, piece.len());
        let rows: Vec<(i64, i64, i64, i64)> = match &mut tx.conn {
            Conn::Sqlite(conn) => {
                let mut query = sqlx::query_as(sqlx::AssertSqlSafe(text));
                for key in piece {
                    query = query.bind(key.event.0).bind(key.endpoint.0);
                }
                let query = query.bind(owner.0).bind(lease.as_micros()).bind(now.as_micros());
                query.fetch_all(&mut **conn).await?
            }
        };
        claimed.extend(rows.into_iter().map(|(event, endpoint, attempt, base)| Claimed {
            key: DeliveryKey { event: EventKey(event), endpoint: EndpointKey(endpoint) },
            attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
            base: u32::try_from(base).unwrap_or(u32::MAX),
        }));
    }
    Ok(claimed)
}

/// Up to `limit` deliveries of an endpoint that are due by `now`, the longest due first, with the sizes of their payloads.
pub(crate) async fn due(
    conn: &mut Conn,
    endpoint: EndpointKey,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(DeliveryKey, u64)>> {
    let sql = "SELECT d.event, length(e.payload) FROM delivery d CROSS JOIN event e \
               WHERE e.key = d.event AND d.endpoint = $1 AND d.ready_at <= $2 ORDER BY d.ready_at, d.event LIMIT $3";
    let rows: Vec<(i64, i64)> = fetch_all!(conn, sql, endpoint.0, now.as_micros(), limit)?;
    let read = |(event, size)| (DeliveryKey { event: EventKey(event), endpoint }, u64::try_from(size).unwrap_or(0));
    Ok(rows.into_iter().map(read).collect())
}

/// The deliveries leased by incarnations before `incarnation`.
pub(crate) async fn leased_before(conn: &mut Conn, incarnation: Incarnation) -> Result<Vec<Leased>> {
    leased(conn, 0, incarnation.0 - 1).await
}

/// The deliveries leased by `incarnation`.
pub(crate) async fn leased_by(conn: &mut Conn, incarnation: Incarnation) -> Result<Vec<Leased>> {
    leased(conn, incarnation.0, incarnation.0).await
}

/// Those claimed stand in the index of leases, those handed over in the ranges of their turns.
async fn leased(conn: &mut Conn, first: i64, last: i64) -> Result<Vec<Leased>> {
    let sql = "WITH l (event, endpoint, owner, attempt, base) AS ( \
               SELECT d.event, d.endpoint, d.owner, d.attempt, d.base FROM handoff h CROSS JOIN delivery d \
               WHERE d.event BETWEEN h.first AND h.last AND h.owner BETWEEN $1 AND $2 AND d.state = 2 AND d.lease IS NULL AND d.owner = h.owner \
               UNION SELECT event, endpoint, owner, attempt, base FROM delivery \
               WHERE lease IS NOT NULL AND state = 2 AND owner BETWEEN $1 AND $2) \
               SELECT l.event, l.endpoint, l.owner, l.attempt, l.base, e.tenant, e.id, t.text, e.ping_of \
               FROM l CROSS JOIN event e CROSS JOIN name t WHERE e.key = l.event AND t.key = e.type";
    type Row = (i64, i64, i64, i64, i64, i64, String, String, i64);
    let rows: Vec<Row> = fetch_all!(conn, sql, first, last)?;
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

fn read_settled(rows: &[(i64, i64, i64)], settled: &mut Vec<Settled>) -> Result<()> {
    for &(event, endpoint, state) in rows {
        let key = DeliveryKey { event: EventKey(event), endpoint: EndpointKey(endpoint) };
        let state = DeliveryState::from_i64(state).ok_or_else(|| Error::Corrupt(format!("delivery state {state}")))?;
        settled.push(Settled { key, state });
    }
    Ok(())
}
