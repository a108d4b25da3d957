//! The transaction of a turn.
//!
//! On Postgres most turns need none: what nearly every turn writes and how it ends are one statement, which is a transaction
//! by itself and costs one round trip instead of three. So the transaction begins once something else is asked for. On SQLite
//! it begins with the first rows, which saves two of the five times that its thread and ours wait for each other.

use std::sync::LazyLock;

use prost::Message as _;

use super::{
    end::{self, Handoff, TurnEnd},
    insert_chosen_events,
    publish::{EventInsert, bind_deliveries, bind_events},
    rows::{self, Rows, bind_rows},
    settle::{Settled, bind_settled},
};
use crate::{
    model::{DeliveryState, EventKey, Incarnation, LogBody, Timestamp},
    store::{Conn, Db, Error, Result, Tx, postgres::Crossed, sql::column},
};

/// What [`insert_chosen_events`] and [`rows::write`] write and what [`end::commit`] does, for events whose ids the server made.
static AT_ONCE: LazyLock<String> = LazyLock::new(|| at_once_text(""));

/// The same if there are events among them whose ids their publishers chose.
static AT_ONCE_CHOSEN: LazyLock<String> = LazyLock::new(|| at_once_text(" ON CONFLICT (tenant, id) DO NOTHING"));

/// The gate is passed once all parts have been run, since their rows are counted first.
fn at_once_text(conflict: &str) -> String {
    let (parts, end) = rows::parts(conflict);
    let [last_event, batch, owner, last, finished, incarnation, cfg, mark, body, expected] =
        std::array::from_fn(|index| format!("${}", end + index));
    format!(
        "{parts}, \
         counted AS (UPDATE counter SET value = {last_event} WHERE name = 'event' AND {last_event} IS NOT NULL RETURNING 1), \
         handed_over AS (INSERT INTO handoff (batch, owner, first, last) \
         SELECT {batch}::bigint, {owner}::bigint, {batch}::bigint, {last}::bigint WHERE {batch}::bigint IS NOT NULL RETURNING 1), \
         finished AS (DELETE FROM handoff WHERE batch = ANY ({finished}) RETURNING 1) \
         SELECT end_turn({incarnation}, {cfg}, $2, {mark}, {body}, e.written + s.written, {expected}) \
         FROM (SELECT count(*) AS written FROM events) e, (SELECT count(*) FROM deliveries) d, \
         (SELECT count(*) AS written FROM settled WHERE cancel <> 2) s, (SELECT count(*) FROM counted) c, \
         (SELECT count(*) FROM handed_over) h, (SELECT count(*) FROM finished) f"
    )
}

/// How a turn is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// As one statement on Postgres if nothing forbids it, and in few requests on SQLite.
    AtOnce,
    /// As a transaction of several statements.
    InSteps,
}

/// The transaction of a turn: the only one of this server, until it is dropped.
pub(crate) struct TurnTx {
    db: Db,
    tx: Tx,
    /// Who leases and settles.
    owner: Incarnation,
    /// What is to be written, always nothing on SQLite; `None` once the transaction has begun.
    kept: Option<Kept>,
}

/// What one statement can write.
#[derive(Default)]
struct Kept {
    chosen: Vec<EventInsert>,
    rows: Rows,
    now: Timestamp,
}

impl TurnTx {
    /// Waits for the connection that writes.
    pub(in crate::store) async fn open(db: Db, owner: Incarnation, writing: Writing) -> Result<Self> {
        let mut tx = db.writer().await?;
        // A statement would become part of what was left open.
        let at_once = writing == Writing::AtOnce && !tx.left_open.is_open();
        if !at_once {
            db.begin(&mut tx).await?;
        }
        Ok(Self { db, tx, owner, kept: at_once.then(Kept::default) })
    }

    /// The transaction, for whatever the other methods do not do. It begins now if it has not.
    ///
    /// # Errors
    /// [`Error::Unforeseen`] if something was taken for written that is not.
    pub(crate) async fn begun(&mut self) -> Result<&mut Tx> {
        if self.kept.is_some() {
            self.db.begin(&mut self.tx).await?;
        }
        if let Some(Kept { chosen, rows, now }) = self.kept.take() {
            let inserted = insert_chosen_events(&mut self.tx, &chosen).await?;
            let settled = rows::write(&mut self.tx, self.owner, now, &rows).await?;
            let effective = settled.iter().filter(|settled| !settled.expunged).count();
            if inserted.len() != chosen.len() || effective != rows.delivered.len() {
                return Err(Error::Unforeseen);
            }
        }
        Ok(&mut self.tx)
    }

    /// Writes events whose ids their publishers chose, sorted by them, and returns those that were not there. If nothing was
    /// asked for before, on Postgres they are written later, and taken for new; where that turns out to be wrong, the turn
    /// ends with [`Error::Unforeseen`]. To be called once, before [`Self::write`].
    pub(crate) async fn insert_chosen(&mut self, events: Vec<EventInsert>) -> Result<Vec<EventKey>> {
        match (&mut self.kept, &self.tx.conn) {
            _ if events.is_empty() => Ok(Vec::new()),
            (Some(kept), Conn::Postgres(_)) => {
                kept.chosen = events;
                Ok(kept.chosen.iter().map(|event| event.key).collect())
            }
            _ => insert_chosen_events(self.begun().await?, &events).await,
        }
    }

    /// Writes what nearly every turn writes, and returns what is settled by it. If nothing else was asked for before, on
    /// Postgres it is written later, and all of it is taken for settled; where that turns out to be wrong, the turn ends with
    /// [`Error::Unforeseen`]. To be called once.
    pub(crate) async fn write(&mut self, now: Timestamp, rows: Rows) -> Result<Vec<Settled>> {
        let Some(kept) = &mut self.kept else { return rows::write(&mut self.tx, self.owner, now, &rows).await };
        if let Conn::Sqlite(_) = self.tx.conn {
            self.kept = None;
            return rows::begin_and_write(&mut self.tx, self.owner, now, &rows).await;
        }
        let settled = rows.delivered.iter().map(|(settlement, _)| Settled {
            key: settlement.key,
            state: DeliveryState::Delivered,
            expunged: false,
        });
        let settled = settled.collect();
        (kept.now, kept.rows) = (now, rows);
        Ok(settled)
    }

    /// Writes the end of the turn and commits. Returns the number of the row that was appended to the log.
    ///
    /// If the commit fails and it took place all the same, which the row's mark tells, it has not failed.
    ///
    /// # Errors
    /// [`Error::Unforeseen`] if something was taken for written that is not; [`Error::Contended`] also if the connection
    /// broke and the turn certainly did not take place.
    pub(crate) async fn commit(&mut self, now: Timestamp, end: &TurnEnd) -> Result<Option<i64>> {
        let is_postgres = matches!(self.tx.conn, Conn::Postgres(_));
        match self.kept.take_if(|_| is_postgres) {
            Some(kept) => at_once(&mut self.tx, self.owner, kept, now, end).await,
            None => end::commit(self.begun().await?, now, end).await,
        }
    }

    /// Undoes what was written and not committed.
    pub(in crate::store) async fn abandon(&mut self) {
        self.tx.abandon().await;
    }
}

/// Writes a whole turn.
async fn at_once(tx: &mut Tx, owner: Incarnation, kept: Kept, now: Timestamp, end: &TurnEnd) -> Result<Option<i64>> {
    let (Conn::Postgres(conn), Some(pass)) = (&mut tx.conn, &mut tx.pass) else {
        return Err(Error::Corrupt("a turn without a pass".to_owned()));
    };
    let Kept { chosen: mut events, rows, .. } = kept;
    let text = if events.is_empty() { AT_ONCE.as_str() } else { AT_ONCE_CHOSEN.as_str() };
    events.extend(rows.events);
    let (events, deliveries, delivered) = (&events[..], &rows.deliveries[..], &rows.delivered[..]);
    let body = end.body.as_ref().map(LogBody::encode_to_vec);
    let mark: i64 = rand::random();
    let crossing = pass.cross(body.is_some().then_some(mark));
    let query = bind_rows!(sqlx::query(text), owner, now, events, deliveries, delivered)
        .bind(end.last_event.map(|event| event.0))
        .bind(end.handoff.map(|Handoff { first, .. }| first.0))
        .bind(end.handoff.map(|Handoff { owner, .. }| owner.0))
        .bind(end.handoff.map(|Handoff { last, .. }| last.0))
        .bind(&end.finished)
        .bind(crossing.incarnation)
        .bind(crossing.cfg)
        .bind(mark)
        .bind(body)
        .bind((events.len() + delivered.len()) as i64);
    tx.left_open.begun();
    // All rows are fetched: the commit is over only then.
    let answer = query.fetch_all(&mut **conn).await;
    let crossed = pass.crossed(crossing, answer).await?;
    // A connection that broke is not used again.
    if matches!(crossed, Crossed::Yes(_) | Crossed::Refused(_)) {
        tx.left_open.ended();
    }
    match crossed {
        Crossed::Yes(seq) => Ok(seq),
        Crossed::Found(seq) => Ok(Some(seq)),
        Crossed::Broken(error) => Err(Error::Contended(error)),
        Crossed::Refused(error) | Crossed::Unknown(error) => Err(error.into()),
    }
}
