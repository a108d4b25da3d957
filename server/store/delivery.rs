//! Deliveries as they are shown, listed, retried and cancelled. What the engine does to them is in `hot`.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use super::{
    Conn, Error, Result, Tx,
    sql::{execute, fetch_all, fetch_optional},
};
use crate::model::{
    Delivery, DeliveryKey, DeliveryState, EndpointKey, EventKey, FailureKind, ShownState, Standing, TenantKey,
    Timestamp, debug_unshown,
};

/// A delivery as it is stored, with what is shown of its event.
#[derive(Clone, PartialEq)]
pub struct DeliveryRow {
    /// Its row.
    pub key: DeliveryKey,
    /// Whose it is.
    pub tenant: TenantKey,
    /// The event's public id.
    pub event_id: Arc<str>,
    /// The event's type.
    pub event_type: Arc<str>,
    /// Its state.
    pub state: DeliveryState,
    /// The latest attempt's number.
    pub attempt: u32,
    /// The attempts before the present schedule began.
    pub base: u32,
    /// Whether it ends with the attempt in flight.
    pub cancel: bool,
    /// When the next attempt is due.
    pub ready_at: Option<Timestamp>,
    /// When its event was published.
    pub created: Timestamp,
    /// When it last changed its state.
    pub updated: Timestamp,
    /// The latest attempt's HTTP status, 0 if none.
    pub status: u16,
    /// How long the latest attempt took.
    pub latency: Duration,
    /// Why the latest attempt failed.
    pub kind: Option<FailureKind>,
    /// A small answer to the successful attempt.
    pub response: Vec<u8>,
}

debug_unshown!(
    DeliveryRow {
        key, tenant, event_id, event_type, state, attempt, base, cancel, ready_at, created, updated, status, latency, kind
    } but { response }
);

/// A place in the order of deliveries: newest event first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position(pub DeliveryKey);

impl Position {
    /// Before the first delivery.
    pub const START: Self = Self(DeliveryKey { event: EventKey(i64::MAX), endpoint: EndpointKey(i64::MAX) });
}

impl DeliveryRow {
    /// Whether the delivery is pending and was skipped.
    pub fn is_skipped(&self, endpoint: Standing) -> bool {
        self.state == DeliveryState::Pending && endpoint.skips(self.key.event, self.updated)
    }

    /// The state that is shown, seen with where its endpoint stands.
    pub fn shown_state(&self, endpoint: Standing) -> ShownState {
        if self.is_skipped(endpoint) { ShownState::Cancelled } else { self.state.shown(endpoint.status) }
    }

    /// The delivery as it is shown, seen with where its endpoint stands.
    pub fn shown(&self, endpoint: Standing) -> Delivery {
        let state = self.shown_state(endpoint);
        let tried = self.status != 0 || !self.latency.is_zero();
        Delivery {
            key: self.key,
            tenant: self.tenant,
            event_id: self.event_id.clone(),
            event_type: self.event_type.clone(),
            state,
            attempt: self.attempt,
            next_attempt: self.ready_at.filter(|_| state == ShownState::Pending),
            cancel_requested: self.cancel,
            http_status: (self.status != 0).then_some(self.status),
            failure: self.kind,
            latency: tried.then_some(self.latency),
            created: self.created,
            updated: self.updated,
        }
    }
}

/// Selects deliveries, `$deliveries d`, with what they need of their events.
macro_rules! select {
    ($deliveries:expr) => {
        concat!(
            "SELECT d.event, d.endpoint, e.tenant, e.id, t.text, d.state, d.attempt, d.base, d.cancel, d.ready_at, \
             e.created, d.updated, d.status, d.latency, d.kind, d.response FROM ",
            $deliveries,
            " d CROSS JOIN event e CROSS JOIN name t WHERE e.key = d.event AND t.key = e.type"
        )
    };
}

/// Selects a page of deliveries. It is cut out before their events are looked at: joined first, Postgres may go by the events
/// instead, all of them that are newer than the page, for they have the same order.
macro_rules! select_page {
    ($page:literal) => {
        select!(concat!("(SELECT * FROM delivery WHERE ", $page, ")"))
    };
}

type Row = (i64, i64, i64, String, String, i64, i64, i64, i64, Option<i64>, i64, i64, i64, i64, i64, Vec<u8>);

pub(super) const GET: &str = concat!(select!("delivery"), " AND d.event = $1 AND d.endpoint = $2 AND e.tenant = $3");

pub(super) const PAGE: &str =
    select_page!("(event, endpoint) < ($1, $2) AND event >= $3 ORDER BY event DESC, endpoint DESC LIMIT $4");

/// Compared as rows, for which the one index alone is of use: by `event` alone Postgres may go by the primary key instead, over
/// the deliveries of all endpoints.
pub(super) const PAGE_OF_ENDPOINT: &str = select_page!(
    "(endpoint, event) < ($1, $2) AND (endpoint, event) >= ($1, $3) ORDER BY endpoint DESC, event DESC LIMIT $4"
);

pub(super) const PAGE_OF_EVENT: &str = select_page!("event = $1 AND endpoint < $2 ORDER BY endpoint DESC LIMIT $3");

/// A delivery of a tenant's.
pub(crate) async fn get(conn: &mut Conn, tenant: TenantKey, key: DeliveryKey) -> Result<Option<DeliveryRow>> {
    fetch_optional!(conn, GET, key.event.0, key.endpoint.0, tenant.0)?.map(read).transpose()
}

/// The next `limit` deliveries after `after` of the events from `oldest` on, newest event first, of every tenant: the caller
/// picks its own, so that a tenant with few among many is served in bounded steps.
pub(crate) async fn page(conn: &mut Conn, after: Position, oldest: EventKey, limit: i64) -> Result<Vec<DeliveryRow>> {
    let Position(DeliveryKey { event, endpoint }) = after;
    read_page(fetch_all!(conn, PAGE, event.0, endpoint.0, oldest.0, limit)?)
}

/// The next `limit` deliveries to one endpoint after `after` of the events from `oldest` on, newest event first.
pub(crate) async fn page_of_endpoint(
    conn: &mut Conn,
    endpoint: EndpointKey,
    after: Position,
    oldest: EventKey,
    limit: i64,
) -> Result<Vec<DeliveryRow>> {
    // Within one event deliveries go by falling endpoint, so whether this one comes after `after` depends on both.
    let Position(after) = after;
    let below = if endpoint < after.endpoint { after.event.0.saturating_add(1) } else { after.event.0 };
    read_page(fetch_all!(conn, PAGE_OF_ENDPOINT, endpoint.0, below, oldest.0, limit)?)
}

/// The next `limit` deliveries of one event after `after`, by falling endpoint.
pub(crate) async fn page_of_event(
    conn: &mut Conn,
    event: EventKey,
    after: Position,
    limit: i64,
) -> Result<Vec<DeliveryRow>> {
    let Position(after) = after;
    let below = match event.cmp(&after.event) {
        std::cmp::Ordering::Less => i64::MAX,
        std::cmp::Ordering::Equal => after.endpoint.0,
        std::cmp::Ordering::Greater => return Ok(Vec::new()),
    };
    read_page(fetch_all!(conn, PAGE_OF_EVENT, event.0, below, limit)?)
}

/// Makes a delivery due at `due`: one that had ended starts its schedule anew. The caller has checked its state.
pub(crate) async fn make_due(tx: &mut Tx, key: DeliveryKey, due: Timestamp, now: Timestamp) -> Result<()> {
    let sql = "UPDATE delivery SET base = CASE WHEN state = 1 THEN base ELSE attempt END, state = 1, owner = 0, \
               cancel = 0, ready_at = $3, dead_at = NULL, updated = $4 \
               WHERE event = $1 AND endpoint = $2 AND state IN (1, 4, 5)";
    execute!(&mut tx.conn, sql, key.event.0, key.endpoint.0, due.as_micros(), now.as_micros())?;
    Ok(())
}

/// Makes up to `limit` pending deliveries of an endpoint due at `now` that would be due later and have not changed since, but
/// for those whose event is not to be delivered yet. Returns how many.
pub(crate) async fn make_held_due(tx: &mut Tx, endpoint: EndpointKey, now: Timestamp, limit: u64) -> Result<u64> {
    let sql = "UPDATE delivery SET ready_at = $2 WHERE (event, endpoint) IN (SELECT event, endpoint FROM delivery \
               WHERE endpoint = $1 AND ready_at > $2 AND updated <= $2 \
               AND coalesce((SELECT t.deliver_at FROM event_time t WHERE t.event = delivery.event), $2) <= $2 \
               ORDER BY ready_at, event LIMIT $3)";
    execute!(&mut tx.conn, sql, endpoint.0, now.as_micros(), i64::try_from(limit).unwrap_or(i64::MAX))
}

/// Cancels a delivery that is pending, or marks one that is in flight to end with its attempt.
pub(crate) async fn cancel(tx: &mut Tx, key: DeliveryKey, now: Timestamp) -> Result<()> {
    let sql = "UPDATE delivery SET cancel = CASE WHEN state = 2 THEN 1 ELSE 0 END, \
               state = CASE WHEN state = 1 THEN 5 ELSE state END, ready_at = NULL, updated = $3 \
               WHERE event = $1 AND endpoint = $2 AND state IN (1, 2)";
    execute!(&mut tx.conn, sql, key.event.0, key.endpoint.0, now.as_micros())?;
    Ok(())
}

/// The rows of a page in its order, which joining them to their events need not keep.
fn read_page(rows: Vec<Row>) -> Result<Vec<DeliveryRow>> {
    let mut page: Vec<DeliveryRow> = rows.into_iter().map(read).collect::<Result<_>>()?;
    page.sort_unstable_by_key(|row| Reverse(row.key));
    Ok(page)
}

fn read(row: Row) -> Result<DeliveryRow> {
    let (event, endpoint, tenant, event_id, event_type, state, attempt, base, ..) = row;
    let state = DeliveryState::from_i64(state).ok_or_else(|| Error::Corrupt(format!("delivery state {state}")))?;
    Ok(DeliveryRow {
        key: DeliveryKey { event: EventKey(event), endpoint: EndpointKey(endpoint) },
        tenant: TenantKey(tenant),
        event_id: event_id.into(),
        event_type: event_type.into(),
        state,
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        base: u32::try_from(base).unwrap_or(u32::MAX),
        cancel: row.8 != 0,
        ready_at: row.9.map(Timestamp::from_micros),
        created: Timestamp::from_micros(row.10),
        updated: Timestamp::from_micros(row.11),
        status: u16::try_from(row.12).unwrap_or(0),
        latency: Duration::from_micros(u64::try_from(row.13).unwrap_or(0)),
        kind: FailureKind::from_i64(row.14),
        response: row.15,
    })
}
