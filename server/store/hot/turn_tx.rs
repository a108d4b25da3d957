//! The transaction of a turn.
//!
//! On Postgres most turns need none: what nearly every turn writes and how it ends are one statement, which is a transaction
//! by itself and costs one round trip instead of three. So the transaction begins once something else is asked for.

use std::{mem, sync::LazyLock};

use prost::Message as _;

use super::{
    end::{self, Handoff, TurnEnd},
    publish::{INSERT_DELIVERIES, INSERT_OWN, bind_deliveries, bind_events},
    rows::{self, Rows},
    settle::{SETTLE_DELIVERED, Settled, bind_settled},
};
use crate::{
    model::{DeliveryState, Incarnation, LogBody, Timestamp},
    store::{Conn, Db, Error, Result, Tx, postgres::Crossed, sql::column},
};

/// What [`rows::write`] writes and what [`end::commit`] does. The parts see the database as it was before the statement, and
/// the gate is passed once all of them have been run, since their rows are counted first. `$1` and `$2` are the settling's own.
static AT_ONCE: LazyLock<String> = LazyLock::new(|| {
    let events = 3;
    let deliveries = events + INSERT_OWN.columns.len();
    let settled = deliveries + INSERT_DELIVERIES.columns.len();
    let end = settled + SETTLE_DELIVERED.columns.len();
    let [last_event, batch, owner, last, finished, incarnation, cfg, mark, body, expected] =
        std::array::from_fn(|index| format!("${}", end + index));
    format!(
        "WITH events AS ({}{} RETURNING 1), deliveries AS ({}{} RETURNING 1), settled AS ({}{}{}), \
         counted AS (UPDATE counter SET value = {last_event} WHERE name = 'event' AND {last_event} IS NOT NULL RETURNING 1), \
         handed_over AS (INSERT INTO handoff (batch, owner, first, last) \
         SELECT {batch}::bigint, {owner}::bigint, {batch}::bigint, {last}::bigint WHERE {batch}::bigint IS NOT NULL RETURNING 1), \
         finished AS (DELETE FROM handoff WHERE batch = ANY ({finished}) RETURNING 1) \
         SELECT end_turn({incarnation}, {cfg}, $2, {mark}, {body}, s.effective, {expected}) \
         FROM (SELECT count(*) FROM events) e, (SELECT count(*) FROM deliveries) d, \
         (SELECT count(*) AS effective FROM settled WHERE cancel <> 2) s, (SELECT count(*) FROM counted) c, \
         (SELECT count(*) FROM handed_over) h, (SELECT count(*) FROM finished) f",
        INSERT_OWN.head,
        INSERT_OWN.arrays(events),
        INSERT_DELIVERIES.head,
        INSERT_DELIVERIES.arrays(deliveries),
        SETTLE_DELIVERED.head,
        SETTLE_DELIVERED.arrays(settled),
        SETTLE_DELIVERED.tail,
    )
});

/// How a turn is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// As one statement, if it comes to that and the database is Postgres.
    AtOnce,
    /// As a transaction of several statements.
    InSteps,
}

/// The transaction of a turn: the only one of this server, until it is dropped.
pub(crate) struct TurnTx {
    db: Db,
    tx: Tx,
    state: State,
}

enum State {
    /// Nothing has been asked for.
    Fresh,
    /// This is to be written, by whom and when, and nothing else has been asked for.
    Kept(Incarnation, Timestamp, Rows),
    /// The transaction has begun.
    Begun,
}

impl TurnTx {
    /// Waits for the connection that writes.
    pub(in crate::store) async fn open(db: Db, writing: Writing) -> Result<Self> {
        let mut tx = db.writer().await?;
        // A statement would become part of what was left open.
        let at_once = writing == Writing::AtOnce && tx.pass.is_some() && !tx.left_open.is_open();
        if !at_once {
            db.begin(&mut tx).await?;
        }
        Ok(Self { db, tx, state: if at_once { State::Fresh } else { State::Begun } })
    }

    /// The transaction, for everything else than [`Self::write`]. It begins now if it has not.
    ///
    /// # Errors
    /// [`Error::Stale`] if something was taken for settled that is not.
    pub(crate) async fn begun(&mut self) -> Result<&mut Tx> {
        if !matches!(self.state, State::Begun) {
            self.db.begin(&mut self.tx).await?;
            if let State::Kept(owner, now, rows) = mem::replace(&mut self.state, State::Begun) {
                let settled = rows::write(&mut self.tx, owner, now, &rows).await?;
                if settled.iter().filter(|settled| !settled.expunged).count() != rows.delivered.len() {
                    return Err(Error::Stale);
                }
            }
        }
        Ok(&mut self.tx)
    }

    /// Writes what nearly every turn writes, and returns what is settled by it. If nothing was asked for before, it is written
    /// later and all of it is taken for settled; where that turns out to be wrong, the turn ends with [`Error::Stale`].
    pub(crate) async fn write(&mut self, owner: Incarnation, now: Timestamp, rows: Rows) -> Result<Vec<Settled>> {
        if !matches!(self.state, State::Fresh) {
            return rows::write(self.begun().await?, owner, now, &rows).await;
        }
        let settled = rows.delivered.iter().map(|(settlement, _)| Settled {
            key: settlement.key,
            state: DeliveryState::Delivered,
            expunged: false,
        });
        let settled = settled.collect();
        self.state = State::Kept(owner, now, rows);
        Ok(settled)
    }

    /// Writes the end of the turn and commits. Returns the number of the row that was appended to the log.
    ///
    /// If the commit fails and it took place all the same, which the row's mark tells, it has not failed.
    ///
    /// # Errors
    /// [`Error::Stale`] if something was taken for settled that is not; [`Error::Contended`] also if the connection broke and
    /// the turn certainly did not take place.
    pub(crate) async fn commit(&mut self, now: Timestamp, end: &TurnEnd) -> Result<Option<i64>> {
        match mem::replace(&mut self.state, State::Begun) {
            State::Begun => end::commit(&mut self.tx, now, end).await,
            State::Fresh => at_once(&mut self.tx, Incarnation(0), now, &Rows::default(), end).await,
            State::Kept(owner, now, rows) => at_once(&mut self.tx, owner, now, &rows, end).await,
        }
    }

    /// Undoes what was written and not committed.
    pub(in crate::store) async fn abandon(&mut self) {
        self.tx.abandon().await;
    }
}

/// Writes a whole turn.
async fn at_once(tx: &mut Tx, owner: Incarnation, now: Timestamp, rows: &Rows, end: &TurnEnd) -> Result<Option<i64>> {
    let (Conn::Postgres(conn), Some(pass)) = (&mut tx.conn, &mut tx.pass) else {
        return Err(Error::Corrupt("a turn without a pass".to_owned()));
    };
    let Rows { events, deliveries, delivered } = rows;
    let body = end.body.as_ref().map(LogBody::encode_to_vec);
    let mark: i64 = rand::random();
    let crossing = pass.cross(body.is_some().then_some(mark));
    let query = sqlx::query(AT_ONCE.as_str()).bind(owner.0).bind(now.as_micros());
    let query = bind_settled!(bind_deliveries!(bind_events!(query, events), deliveries, owner, now), delivered)
        .bind(end.last_event.map(|event| event.0))
        .bind(end.handoff.map(|Handoff { first, .. }| first.0))
        .bind(end.handoff.map(|Handoff { owner, .. }| owner.0))
        .bind(end.handoff.map(|Handoff { last, .. }| last.0))
        .bind(&end.finished)
        .bind(crossing.incarnation)
        .bind(crossing.cfg)
        .bind(mark)
        .bind(body)
        .bind(delivered.len() as i64);
    tx.left_open.begun();
    // All rows are fetched: the commit is over only then.
    let answer = query.fetch_all(&mut **conn).await;
    let crossed = pass.crossed(crossing, answer).await?;
    if matches!(crossed, Crossed::Yes(_) | Crossed::Refused(_)) {
        tx.left_open.ended();
    }
    match crossed {
        Crossed::Yes(seq) => Ok(seq),
        Crossed::Broken(error) => Err(Error::Contended(error)),
        Crossed::Refused(error) | Crossed::Unknown(error) => Err(error.into()),
    }
}
