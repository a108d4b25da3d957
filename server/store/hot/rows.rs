//! What nearly every turn writes: new events, their deliveries, and attempts that succeeded. On Postgres they are one
//! statement, hence one round trip instead of three. On SQLite the first two go along with the beginning of the transaction,
//! for every request there wakes another thread and waits for it.

use std::sync::LazyLock;

use bytes::Bytes;

use super::{
    insert_deliveries, insert_own_events,
    publish::{
        DeliveryInsert, EventInsert, INSERT_DELIVERIES, INSERT_OWN, bind_deliveries, bind_delivery, bind_event,
        bind_events,
    },
    settle::{Row, SETTLE_DELIVERED, Settled, Settlement, bind_settled, read_settled},
    settle_delivered,
};
use crate::{
    model::{Incarnation, Timestamp},
    store::{
        Conn, Error, Result, Tx,
        sql::{column, pieces},
    },
};

/// All in one on Postgres.
static WRITE: LazyLock<String> =
    LazyLock::new(|| format!("{} SELECT event, endpoint, state, cancel FROM settled", parts("").0));

/// The parts of a statement that writes everything on Postgres, as far as its own SELECT: `events` and `deliveries`, a row for
/// each that is inserted, and `settled`. An event that meets a conflict is dealt with as `conflict` says. Returns the number of
/// the next placeholder too: `$1` and `$2` are the settling's own, then come the arrays, as [`bind_rows`] binds them.
///
/// All parts see the database as it was before the statement; what is settled was written by earlier turns.
pub(super) fn parts(conflict: &str) -> (String, usize) {
    let events = 3;
    let deliveries = events + INSERT_OWN.columns.len();
    let settled = deliveries + INSERT_DELIVERIES.columns.len();
    let text = format!(
        "WITH events AS ({}{}{conflict} RETURNING 1), deliveries AS ({}{} RETURNING 1), settled AS ({}{}{})",
        INSERT_OWN.head,
        INSERT_OWN.arrays(events),
        INSERT_DELIVERIES.head,
        INSERT_DELIVERIES.arrays(deliveries),
        SETTLE_DELIVERED.head,
        SETTLE_DELIVERED.arrays(settled),
        SETTLE_DELIVERED.after_arrays(),
    );
    (text, settled + SETTLE_DELIVERED.columns.len())
}

/// Binds what [`parts`] asks for.
macro_rules! bind_rows {
    ($query:expr, $owner:expr, $now:expr, $events:expr, $deliveries:expr, $delivered:expr) => {{
        let query = bind_events!($query.bind($owner.0).bind($now.as_micros()), $events);
        bind_settled!(bind_deliveries!(query, $deliveries, $owner, $now), $delivered)
    }};
}

pub(super) use bind_rows;

/// How a transaction begins on SQLite.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// What nearly every turn writes.
#[derive(Default)]
pub(crate) struct Rows {
    /// Events whose ids the server made.
    pub(crate) events: Vec<EventInsert>,
    /// Deliveries of these and other new events.
    pub(crate) deliveries: Vec<DeliveryInsert>,
    /// Attempts that succeeded, with the small answers to be kept.
    pub(crate) delivered: Vec<(Settlement, Bytes)>,
}

/// Does what [`insert_own_events`], [`insert_deliveries`] and [`settle_delivered`] do, and returns what the last returns. None
/// of the deliveries may be among the settled.
pub(crate) async fn write(tx: &mut Tx, owner: Incarnation, now: Timestamp, rows: &Rows) -> Result<Vec<Settled>> {
    let Rows { events, deliveries, delivered } = rows;
    match &mut tx.conn {
        Conn::Postgres(conn) if !events.is_empty() || !deliveries.is_empty() => {
            let query = bind_rows!(sqlx::query_as(WRITE.as_str()), owner, now, events, deliveries, delivered);
            let rows: Vec<Row> = query.fetch_all(&mut **conn).await?;
            rows.into_iter().map(read_settled).collect()
        }
        Conn::Postgres(_) | Conn::Sqlite(_) => {
            insert_own_events(tx, events).await?;
            insert_deliveries(tx, owner, now, deliveries).await?;
            settle_delivered(tx, owner, now, delivered).await
        }
    }
}

/// Begins the transaction on SQLite, and does what [`write`] does.
pub(super) async fn begin_and_write(
    tx: &mut Tx,
    owner: Incarnation,
    now: Timestamp,
    rows: &Rows,
) -> Result<Vec<Settled>> {
    let Conn::Sqlite(conn) = &mut tx.conn else {
        return Err(Error::Corrupt("a transaction of SQLite's on Postgres".to_owned()));
    };
    let events = pieces(&rows.events).next().unwrap_or_default();
    // As many deliveries as there are events, or none: of all pairs of numbers there would be too many texts.
    let deliveries = pieces(&rows.deliveries).next().filter(|piece| piece.len() == events.len()).unwrap_or_default();
    let text =
        tx.texts.made((BEGIN, if deliveries.is_empty() { "" } else { INSERT_DELIVERIES.head }, events.len()), || {
            let inserts = [(&INSERT_OWN, events.len()), (&INSERT_DELIVERIES, deliveries.len())];
            let inserts = inserts.iter().filter(|(_, rows)| *rows > 0).map(|(insert, rows)| insert.text(*rows));
            std::iter::once(BEGIN.to_owned()).chain(inserts).collect::<Vec<_>>().join("; ")
        });
    let query = events.iter().fold(sqlx::query(sqlx::AssertSqlSafe(text)), |query, event| bind_event!(query, event));
    let query = deliveries.iter().fold(query, |query, delivery| bind_delivery!(query, delivery, owner, now));
    tx.left_open.begun();
    query.execute(&mut **conn).await?;
    insert_own_events(tx, &rows.events[events.len()..]).await?;
    insert_deliveries(tx, owner, now, &rows.deliveries[deliveries.len()..]).await?;
    settle_delivered(tx, owner, now, &rows.delivered).await
}
