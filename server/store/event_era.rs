//! Eras of events: ranges of keys within which the time of publication never falls.
//!
//! The time of one life of a server never goes back, but the clock may be set back between two lives. So a life that begins
//! before the newest event was published begins an era. There are as many as the clock was set back, and publishing knows
//! nothing of them.

use super::{
    Conn, Result, Tx,
    sql::{execute, fetch_optional},
};
use crate::model::{EventKey, Timestamp};

pub(super) const FIRST_OF: &str = "SELECT first FROM event_era WHERE first <= $1 ORDER BY first DESC LIMIT 1";

pub(super) const FIRST_FROM: &str = "SELECT key, created FROM event WHERE key >= $1 AND key < $2 ORDER BY key LIMIT 1";

/// Notes that an era begins with the first event from `first` on, unless the newest event was published by `now`.
pub(crate) async fn begin(tx: &mut Tx, first: EventKey, now: Timestamp) -> Result<()> {
    let sql = "INSERT INTO event_era (first) SELECT CAST($1 AS BIGINT) FROM \
               (SELECT created FROM event ORDER BY key DESC LIMIT 1) AS newest WHERE newest.created > $2 \
               ON CONFLICT (first) DO NOTHING";
    execute!(&mut tx.conn, sql, first.0, now.as_micros())?;
    Ok(())
}

/// Where the era of the event `key` begins.
pub(crate) async fn first_of(conn: &mut Conn, key: EventKey) -> Result<EventKey> {
    let row: Option<(i64,)> = fetch_optional!(conn, FIRST_OF, key.0)?;
    Ok(EventKey(row.map_or(0, |(first,)| first)))
}

/// Where the events of `low..high`, all of one era, begin that were published at `time` or later; `high` if there are none.
/// By binary search: at most one look at the index for each bit of the range.
pub(crate) async fn first_since(conn: &mut Conn, low: EventKey, high: EventKey, time: Timestamp) -> Result<EventKey> {
    let (EventKey(mut low), EventKey(mut high)) = (low, high);
    // Invariant: events below `low` were published before `time`, those from `high` on were not.
    while low < high {
        let middle = low + (high - low) / 2;
        match first_from(conn, middle, high).await? {
            Some((key, created)) if created < time => low = key + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(EventKey(low))
}

/// The keys of the events of one era.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EraRange {
    /// Where the era begins; what is below is of others.
    pub first: EventKey,
    /// The first that is wanted.
    pub low: EventKey,
    /// Beyond the last that is wanted.
    pub high: EventKey,
}

/// The events up to `newest`, of the era which that one is of, that were published at `start` or later and before `end`.
pub(crate) async fn range(
    conn: &mut Conn,
    newest: EventKey,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
) -> Result<EraRange> {
    let first = first_of(conn, newest).await?;
    let (mut low, mut high) = (first, EventKey(newest.0.saturating_add(1)));
    if let Some(end) = end {
        high = first_since(conn, low, high, end).await?;
    }
    if let Some(start) = start {
        low = first_since(conn, low, high, start).await?;
    }
    Ok(EraRange { first, low, high })
}

/// The first event of `low..high`, and when it was published.
async fn first_from(conn: &mut Conn, low: i64, high: i64) -> Result<Option<(i64, Timestamp)>> {
    let row: Option<(i64, i64)> = fetch_optional!(conn, FIRST_FROM, low, high)?;
    Ok(row.map(|(key, created)| (key, Timestamp::from_micros(created))))
}
