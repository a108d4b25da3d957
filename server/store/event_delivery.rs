//! All deliveries of one event, in ranges of endpoints: cancelling them, and erasing what was answered to them.
//!
//! A range holds a bounded number of deliveries, so that no unit of work over an event with very many holds the write lock
//! for long.

use super::{
    Conn, Error, Result, Tx,
    sql::{execute, fetch_all, fetch_optional},
};
use crate::model::{DeliveryKey, DeliveryState, EndpointKey, EventKey, Timestamp};

/// Some of an event's deliveries: those to endpoints after the one, up to and including the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointRange {
    /// The event.
    pub event: EventKey,
    /// Before the first.
    pub after: EndpointKey,
    /// The last.
    pub last: EndpointKey,
}

/// A delivery that was cancelled, or is to end with its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelledRow {
    /// The delivery.
    pub key: DeliveryKey,
    /// Cancelled, or in flight.
    pub state: DeliveryState,
    /// The latest attempt's number.
    pub attempt: u32,
}

pub(super) const NEXT_RANGE: &str = "SELECT max(endpoint) FROM (SELECT endpoint FROM delivery WHERE event = $1 \
     AND endpoint > $2 ORDER BY endpoint LIMIT $3) AS page";

pub(super) const ENDPOINTS: &str =
    "SELECT endpoint FROM delivery WHERE event = $1 AND endpoint > $2 AND endpoint <= $3 ORDER BY endpoint";

/// The next `limit` deliveries of an event after an endpoint; `None` if there are no more.
pub(crate) async fn next_range(
    conn: &mut Conn,
    event: EventKey,
    after: EndpointKey,
    limit: i64,
) -> Result<Option<EndpointRange>> {
    let row: Option<(Option<i64>,)> = fetch_optional!(conn, NEXT_RANGE, event.0, after.0, limit)?;
    let last = row.and_then(|(last,)| last);
    Ok(last.map(|last| EndpointRange { event, after, last: EndpointKey(last) }))
}

/// To which endpoints of a range the event goes.
pub(crate) async fn endpoints(conn: &mut Conn, range: EndpointRange) -> Result<Vec<EndpointKey>> {
    let rows: Vec<(i64,)> = fetch_all!(conn, ENDPOINTS, range.event.0, range.after.0, range.last.0)?;
    Ok(rows.into_iter().map(|(endpoint,)| EndpointKey(endpoint)).collect())
}

/// The deliveries of a range that are pending, and when each last changed.
pub(crate) async fn pending(conn: &mut Conn, range: EndpointRange) -> Result<Vec<(EndpointKey, Timestamp)>> {
    let sql = "SELECT endpoint, updated FROM delivery \
               WHERE event = $1 AND endpoint > $2 AND endpoint <= $3 AND state = 1 ORDER BY endpoint";
    let rows: Vec<(i64, i64)> = fetch_all!(conn, sql, range.event.0, range.after.0, range.last.0)?;
    Ok(rows.into_iter().map(|(endpoint, updated)| (EndpointKey(endpoint), Timestamp::from_micros(updated))).collect())
}

/// Cancels the deliveries of a range that are pending, and marks those in flight to end with their attempts. Returns what
/// this has changed, in no order.
pub(crate) async fn cancel(tx: &mut Tx, range: EndpointRange, now: Timestamp) -> Result<Vec<CancelledRow>> {
    let sql = "UPDATE delivery SET cancel = CASE WHEN state = 2 THEN 1 ELSE 0 END, \
               state = CASE WHEN state = 1 THEN 5 ELSE state END, ready_at = NULL, updated = $4 \
               WHERE event = $1 AND endpoint > $2 AND endpoint <= $3 AND (state = 1 OR (state = 2 AND cancel = 0)) \
               RETURNING endpoint, state, attempt";
    let EndpointRange { event, after, last } = range;
    let rows: Vec<(i64, i64, i64)> = fetch_all!(&mut tx.conn, sql, event.0, after.0, last.0, now.as_micros())?;
    let read = |(endpoint, state, attempt)| {
        Ok(CancelledRow {
            key: DeliveryKey { event, endpoint: EndpointKey(endpoint) },
            state: DeliveryState::from_i64(state).ok_or_else(|| Error::Corrupt(format!("delivery state {state}")))?,
            attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        })
    };
    rows.into_iter().map(read).collect()
}

/// Erases what was answered to the deliveries of a range. What will be answered to those in flight is not kept either:
/// that is what a `cancel` of 2 says.
pub(crate) async fn erase_answers(tx: &mut Tx, range: EndpointRange) -> Result<()> {
    let EndpointRange { event, after, last } = range;
    let nothing: &[u8] = &[];
    let sql = "UPDATE delivery SET cancel = CASE WHEN state = 2 THEN 2 ELSE cancel END, response = $4 \
               WHERE event = $1 AND endpoint > $2 AND endpoint <= $3 AND (state = 2 OR length(response) > 0)";
    execute!(&mut tx.conn, sql, event.0, after.0, last.0, nothing)?;
    let sql = "UPDATE attempt SET response = $4 \
               WHERE event = $1 AND endpoint > $2 AND endpoint <= $3 AND length(response) > 0";
    execute!(&mut tx.conn, sql, event.0, after.0, last.0, nothing)?;
    Ok(())
}
