//! The statements of every turn: publish and settle. Multi-row, so that a turn costs a handful of them
//! whatever its size.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Conn, Error, Result, Tx,
    attempt::micros,
    sql::{MultiRow, fetch_all, pieces},
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

/// Ends up to `limit` deliveries of an endpoint that are pending, the longest due first, and returns their events and
/// latest attempts.
pub(crate) async fn end_pending(
    tx: &mut Tx,
    endpoint: EndpointKey,
    to: DeliveryState,
    kind: Option<FailureKind>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(EventKey, u32)>> {
    let sql = "UPDATE delivery SET state = $3, ready_at = NULL, dead_at = $4, kind = coalesce($5, kind), updated = $2 \
               WHERE (event, endpoint) IN (SELECT event, endpoint FROM delivery \
               WHERE endpoint = $1 AND ready_at IS NOT NULL ORDER BY ready_at, event LIMIT $6) RETURNING event, attempt";
    let dead_at = (to == DeliveryState::Dead).then_some(now.as_micros());
    let kind = kind.map(|kind| kind as i64);
    let rows: Vec<(i64, i64)> =
        fetch_all!(&mut tx.conn, sql, endpoint.0, now.as_micros(), to as i64, dead_at, kind, limit)?;
    let read = |(event, attempt)| (EventKey(event), u32::try_from(attempt).unwrap_or(u32::MAX));
    Ok(rows.into_iter().map(read).collect())
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

fn read_settled(rows: &[(i64, i64, i64)], settled: &mut Vec<Settled>) -> Result<()> {
    for &(event, endpoint, state) in rows {
        let key = DeliveryKey { event: EventKey(event), endpoint: EndpointKey(endpoint) };
        let state = DeliveryState::from_i64(state).ok_or_else(|| Error::Corrupt(format!("delivery state {state}")))?;
        settled.push(Settled { key, state });
    }
    Ok(())
}
