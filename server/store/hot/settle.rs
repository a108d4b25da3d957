//! Settling what was leased, and ending what is pending.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    model::{Activation, DeliveryKey, DeliveryState, EndpointKey, EventKey, FailureKind, Incarnation, Timestamp},
    store::{
        Conn, Error, Result, Tx,
        attempt::micros,
        sql::{MultiRow, column, fetch_all, pieces},
    },
};

/// A `cancel` of 2 says that the event was expunged: what was answered is not kept, and that stays so.
pub(super) const SETTLE_DELIVERED: MultiRow = MultiRow {
    head: "WITH v (event, endpoint, attempt, status, latency, response) AS (",
    tail: ") UPDATE delivery SET state = 3, owner = 0, lease = NULL, \
            cancel = CASE WHEN delivery.cancel = 2 THEN 2 ELSE 0 END, updated = $2, status = v.status, \
            latency = v.latency, kind = 0, \
            response = CASE WHEN delivery.cancel = 2 THEN substr(v.response, 1, 0) ELSE v.response END FROM v \
            WHERE {delivery.event = v.event} AND {delivery.endpoint = v.endpoint} AND delivery.state = 2 \
            AND delivery.owner = $1 AND delivery.attempt = v.attempt \
            RETURNING delivery.event, delivery.endpoint, delivery.state, delivery.cancel",
    columns: &["bigint", "bigint", "bigint", "bigint", "bigint", "bytea"],
};

/// On SQLite every row that is returned wakes another thread, so what took effect is counted instead, but for what was
/// expunged. Only if something was left out is it asked what was not: what bears the time of this turn, of which there is
/// only one. Then the rest is settled.
const SETTLE_DELIVERED_COUNTED: MultiRow = MultiRow {
    head: SETTLE_DELIVERED.head,
    tail: ") UPDATE delivery SET state = 3, owner = 0, lease = NULL, cancel = 0, updated = $2, status = v.status, \
            latency = v.latency, kind = 0, response = v.response FROM v \
            WHERE {delivery.event = v.event} AND {delivery.endpoint = v.endpoint} AND delivery.state = 2 \
            AND delivery.owner = $1 AND delivery.attempt = v.attempt AND delivery.cancel <> 2",
    columns: SETTLE_DELIVERED.columns,
};

const SETTLED_NOW: MultiRow = MultiRow {
    head: "WITH v (event, endpoint, attempt) AS (",
    tail: ") SELECT delivery.event, delivery.endpoint, delivery.state, delivery.cancel FROM v CROSS JOIN delivery \
            WHERE {delivery.event = v.event} AND {delivery.endpoint = v.endpoint} AND delivery.state = 3 \
            AND delivery.attempt = v.attempt AND delivery.updated = $1",
    columns: &["bigint", "bigint", "bigint"],
};

/// A delivery that was to wait but whose cancellation has been asked for ends here.
const SETTLE_OTHERS: MultiRow = MultiRow {
    head: "WITH v (event, endpoint, attempt, state, ready_at, dead_at, uncounted, status, latency, kind) AS (",
    tail: ") UPDATE delivery SET \
            state = CASE WHEN v.state = 1 AND delivery.cancel <> 0 THEN 5 ELSE v.state END, \
            ready_at = CASE WHEN delivery.cancel <> 0 THEN NULL ELSE v.ready_at END, \
            dead_at = v.dead_at, owner = 0, lease = NULL, \
            cancel = CASE WHEN delivery.cancel = 2 THEN 2 ELSE 0 END, base = delivery.base + v.uncounted, \
            updated = $2, status = coalesce(v.status, delivery.status), \
            latency = coalesce(v.latency, delivery.latency), kind = coalesce(v.kind, delivery.kind) FROM v \
            WHERE {delivery.event = v.event} AND {delivery.endpoint = v.endpoint} AND delivery.state = 2 \
            AND delivery.owner = $1 AND delivery.attempt = v.attempt \
            RETURNING delivery.event, delivery.endpoint, delivery.state, delivery.cancel",
    columns: &["bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint"],
};

/// Binds the columns of [`SETTLE_DELIVERED`] on SQLite.
macro_rules! bind_delivered {
    ($query:expr, $piece:expr, $owner:expr, $now:expr) => {
        $piece
            .iter()
            .fold($query, |query, (settlement, response)| {
                query
                    .bind(settlement.key.event.0)
                    .bind(settlement.key.endpoint.0)
                    .bind(i64::from(settlement.attempt))
                    .bind(settlement.status().unwrap_or(0))
                    .bind(settlement.latency().unwrap_or(0))
                    .bind(response.to_vec())
            })
            .bind($owner.0)
            .bind($now.as_micros())
    };
}

/// Binds the columns of [`SETTLE_DELIVERED`] on Postgres.
macro_rules! bind_settled {
    ($query:expr, $settlements:expr) => {
        $query
            .bind(column($settlements, |(settlement, _)| settlement.key.event.0))
            .bind(column($settlements, |(settlement, _)| settlement.key.endpoint.0))
            .bind(column($settlements, |(settlement, _)| i64::from(settlement.attempt)))
            .bind(column($settlements, |(settlement, _)| settlement.status().unwrap_or(0)))
            .bind(column($settlements, |(settlement, _)| settlement.latency().unwrap_or(0)))
            .bind(column($settlements, |(_, response)| &response[..]))
    };
}

pub(super) use bind_settled;

/// What settling returns: event, endpoint, state, cancel.
pub(super) type Row = (i64, i64, i64, i64);

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
    pub shown: Option<(u16, Duration, Option<FailureKind>)>,
}

/// A settlement that took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The delivery.
    pub key: DeliveryKey,
    /// Its state now.
    pub state: DeliveryState,
    /// Its event was expunged: what was answered is not kept.
    pub expunged: bool,
}

/// Which pending deliveries end, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The state they go to.
    pub to: DeliveryState,
    /// Why, if they are dead.
    pub kind: Option<FailureKind>,
    /// Those that were due by this time.
    pub due_by: Timestamp,
    /// Of them, those that last changed before this time.
    pub changed_before: Timestamp,
    /// Of them, those of events up to this one.
    pub last_event: EventKey,
}

impl Ending {
    /// All of them end so.
    pub fn all(to: DeliveryState) -> Self {
        let ever = Timestamp::from_micros(i64::MAX);
        Self { to, kind: None, due_by: ever, changed_before: ever, last_event: EventKey(i64::MAX) }
    }

    /// Those that were held at an activation and have not changed since end so.
    pub fn held_at(activation: Activation, to: DeliveryState) -> Self {
        Self { changed_before: activation.at, last_event: activation.last_event, ..Self::all(to) }
    }
}

/// Ends up to `limit` deliveries of an endpoint that are pending, the longest due first, and returns their events and
/// latest attempts. They are found in the order of due times; `changed_before` is not in that index, so with it the last call,
/// which finds less than `limit`, has looked at everything that waits in the lane.
pub(crate) async fn end_pending(
    tx: &mut Tx,
    endpoint: EndpointKey,
    ending: &Ending,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(EventKey, u32)>> {
    let sql = "UPDATE delivery SET state = $3, ready_at = NULL, dead_at = $4, kind = coalesce($5, kind), updated = $2 \
               WHERE (event, endpoint) IN (SELECT event, endpoint FROM delivery \
               WHERE endpoint = $1 AND ready_at <= $6 AND updated < $7 AND event <= $8 ORDER BY ready_at, event LIMIT $9) \
               RETURNING event, attempt";
    let Ending { to, kind, due_by, changed_before, last_event } = *ending;
    let (due_by, changed_before) = (due_by.as_micros(), changed_before.as_micros());
    let dead_at = (to == DeliveryState::Dead).then_some(now.as_micros());
    let kind = kind.map(|kind| kind as i64);
    let rows: Vec<(i64, i64)> = fetch_all!(
        &mut tx.conn,
        sql,
        endpoint.0,
        now.as_micros(),
        to as i64,
        dead_at,
        kind,
        due_by,
        changed_before,
        last_event.0,
        limit,
    )?;
    let read = |(event, attempt)| (EventKey(event), u32::try_from(attempt).unwrap_or(u32::MAX));
    Ok(rows.into_iter().map(read).collect())
}

/// Settles attempts that succeeded, with the small answers to be kept in the deliveries' rows. What does not come back is
/// stale. No two units of work that settle may have the same `now`.
pub(crate) async fn settle_delivered(
    tx: &mut Tx,
    owner: Incarnation,
    now: Timestamp,
    settlements: &[(Settlement, Bytes)],
) -> Result<Vec<Settled>> {
    let mut rows: Vec<Row> = Vec::with_capacity(settlements.len());
    match &mut tx.conn {
        Conn::Sqlite(conn) => {
            for piece in pieces(settlements) {
                let text = tx.texts.get(&SETTLE_DELIVERED_COUNTED, piece.len());
                let query = bind_delivered!(sqlx::query(sqlx::AssertSqlSafe(text)), piece, owner, now);
                if query.execute(&mut **conn).await?.rows_affected() == piece.len() as u64 {
                    let delivered = DeliveryState::Delivered as i64;
                    rows.extend(piece.iter().map(|(one, _)| (one.key.event.0, one.key.endpoint.0, delivered, 0)));
                    continue;
                }
                let query = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.get(&SETTLED_NOW, piece.len())));
                let query = piece.iter().fold(query, |query, (one, _)| {
                    query.bind(one.key.event.0).bind(one.key.endpoint.0).bind(i64::from(one.attempt))
                });
                rows.append(&mut query.bind(now.as_micros()).fetch_all(&mut **conn).await?);
                let text = tx.texts.get(&SETTLE_DELIVERED, piece.len());
                let query = bind_delivered!(sqlx::query_as(sqlx::AssertSqlSafe(text)), piece, owner, now);
                rows.append(&mut query.fetch_all(&mut **conn).await?);
            }
        }
        Conn::Postgres(_) if settlements.is_empty() => {}
        Conn::Postgres(conn) => {
            let query = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.of_arrays(&SETTLE_DELIVERED)));
            rows = bind_settled!(query.bind(owner.0).bind(now.as_micros()), settlements).fetch_all(&mut **conn).await?;
        }
    }
    rows.into_iter().map(read_settled).collect()
}

/// Settles everything else: retries, deaths, cancellations, releases. What does not come back is stale.
pub(crate) async fn settle_others(
    tx: &mut Tx,
    owner: Incarnation,
    now: Timestamp,
    settlements: &[Settlement],
) -> Result<Vec<Settled>> {
    let mut rows: Vec<Row> = Vec::with_capacity(settlements.len());
    match &mut tx.conn {
        Conn::Sqlite(conn) => {
            for piece in pieces(settlements) {
                let mut query = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.get(&SETTLE_OTHERS, piece.len())));
                for settlement in piece {
                    query = query
                        .bind(settlement.key.event.0)
                        .bind(settlement.key.endpoint.0)
                        .bind(i64::from(settlement.attempt))
                        .bind(settlement.to as i64)
                        .bind(settlement.ready_at.map(Timestamp::as_micros))
                        .bind(settlement.dead_at(now))
                        .bind(i64::from(settlement.uncounted))
                        .bind(settlement.status())
                        .bind(settlement.latency())
                        .bind(settlement.kind());
                }
                rows.append(&mut query.bind(owner.0).bind(now.as_micros()).fetch_all(&mut **conn).await?);
            }
        }
        Conn::Postgres(_) if settlements.is_empty() => {}
        Conn::Postgres(conn) => {
            rows = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.of_arrays(&SETTLE_OTHERS)))
                .bind(owner.0)
                .bind(now.as_micros())
                .bind(column(settlements, |settlement| settlement.key.event.0))
                .bind(column(settlements, |settlement| settlement.key.endpoint.0))
                .bind(column(settlements, |settlement| i64::from(settlement.attempt)))
                .bind(column(settlements, |settlement| settlement.to as i64))
                .bind(column(settlements, |settlement| settlement.ready_at.map(Timestamp::as_micros)))
                .bind(column(settlements, |settlement| settlement.dead_at(now)))
                .bind(column(settlements, |settlement| i64::from(settlement.uncounted)))
                .bind(column(settlements, Settlement::status))
                .bind(column(settlements, Settlement::latency))
                .bind(column(settlements, Settlement::kind))
                .fetch_all(&mut **conn)
                .await?;
        }
    }
    rows.into_iter().map(read_settled).collect()
}

/// The columns of what is shown of an attempt.
impl Settlement {
    pub(super) fn status(&self) -> Option<i64> {
        self.shown.map(|(status, ..)| i64::from(status))
    }

    pub(super) fn latency(&self) -> Option<i64> {
        self.shown.map(|(_, latency, _)| micros(latency))
    }

    fn kind(&self) -> Option<i64> {
        self.shown.map(|(.., kind)| kind.map_or(0, |kind| kind as i64))
    }

    fn dead_at(&self, now: Timestamp) -> Option<i64> {
        (self.to == DeliveryState::Dead).then_some(now.as_micros())
    }
}

pub(super) fn read_settled((event, endpoint, state, cancel): Row) -> Result<Settled> {
    let key = DeliveryKey { event: EventKey(event), endpoint: EndpointKey(endpoint) };
    let state = DeliveryState::from_i64(state).ok_or_else(|| Error::Corrupt(format!("delivery state {state}")))?;
    Ok(Settled { key, state, expunged: cancel == 2 })
}
