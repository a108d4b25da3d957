//! The end of a turn: what every turn writes last, in one message with its commit, so that it costs one round trip rather
//! than five.

use std::fmt::Write as _;

use prost::Message as _;

use crate::{
    model::{EventKey, Incarnation, LogBody, Timestamp},
    store::{Conn, Error, Result, Tx, log},
};

/// A log that is empty, or to which nothing is to be added, gives no row.
const SQLITE: &str = "UPDATE counter SET value = $1 WHERE name = 'event' AND $1 IS NOT NULL; \
                      INSERT INTO handoff (batch, owner, first, last) SELECT $2, $3, $4, $5 WHERE $2 IS NOT NULL; \
                      DELETE FROM handoff WHERE batch IN (SELECT value FROM json_each($6)); \
                      INSERT INTO log (seq, time, mark, body) \
                      SELECT seq + 1, CASE WHEN time >= $7 THEN time + 1 ELSE $7 END, $8, $9 FROM log \
                      WHERE $9 IS NOT NULL ORDER BY seq DESC LIMIT 1 RETURNING seq; \
                      COMMIT";

/// What a turn writes last. Empty, it is a commit without a row in the log.
#[derive(Clone, Debug, Default)]
pub struct TurnEnd {
    /// The last event key taken, if any was.
    pub last_event: Option<EventKey>,
    /// What was handed over.
    pub handoff: Option<Handoff>,
    /// Batches of hand-overs of which every delivery has settled.
    pub finished: Vec<i64>,
    /// The transitions, if there are any.
    pub body: Option<LogBody>,
}

/// That a turn handed over deliveries of the events `first..=last`; the batch has the number of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handoff {
    /// Who leased them.
    pub owner: Incarnation,
    /// The first event.
    pub first: EventKey,
    /// The last event.
    pub last: EventKey,
}

/// Writes the end of a turn and commits. Returns the number of the row that was appended to the log.
///
/// If the commit fails and it took place all the same, which the row's mark tells, it has not failed.
pub(crate) async fn commit(tx: &mut Tx, now: Timestamp, end: &TurnEnd) -> Result<Option<i64>> {
    let (mark, body): (i64, _) = (rand::random(), end.body.as_ref().map(LogBody::encode_to_vec));
    if let (Conn::Postgres(conn), Some(pass)) = (&mut tx.conn, &mut tx.pass) {
        let seq = match body {
            Some(body) => Some(pass.append(conn, &postgres(end), now, mark, &body).await?),
            None => {
                pass.commit(conn, &postgres(end)).await?;
                None
            }
        };
        tx.left_open.ended();
        return Ok(seq);
    }
    let logged = body.is_some();
    match commit_sqlite(&mut tx.conn, now, end, mark, body).await {
        Ok(seq) if logged && seq.is_none() => Err(Error::Corrupt("the log is empty".to_owned())),
        Ok(seq) => {
            tx.left_open.ended();
            Ok(seq)
        }
        Err(error) => {
            tx.abandon().await;
            // Nobody else writes, so if it took place its row is the last.
            match log::head(&mut tx.conn).await {
                Ok((seq, _, found)) if logged && found == mark => {
                    tracing::warn!(%error, seq, "a commit failed but is in the log");
                    Ok(Some(seq))
                }
                _ => Err(error),
            }
        }
    }
}

async fn commit_sqlite(
    conn: &mut Conn,
    now: Timestamp,
    end: &TurnEnd,
    mark: i64,
    body: Option<Vec<u8>>,
) -> Result<Option<i64>> {
    let Conn::Sqlite(conn) = conn else { return Err(Error::Corrupt("a commit without a pass".to_owned())) };
    let handoff = end.handoff;
    let finished = serde_json::to_string(&end.finished).unwrap_or_default();
    // All rows are fetched: to stop at the first one would leave the COMMIT out.
    let rows: Vec<(i64,)> = sqlx::query_as(SQLITE)
        .bind(end.last_event.map(|event| event.0))
        .bind(handoff.map(|handoff| handoff.first.0))
        .bind(handoff.map(|handoff| handoff.owner.0))
        .bind(handoff.map(|handoff| handoff.first.0))
        .bind(handoff.map(|handoff| handoff.last.0))
        .bind(finished)
        .bind(now.as_micros())
        .bind(mark)
        .bind(body)
        .fetch_all(&mut **conn)
        .await?;
    Ok(rows.first().map(|(seq,)| *seq))
}

/// The statements that precede the passing of the gate. Numbers only, so they need no binds.
fn postgres(end: &TurnEnd) -> String {
    let mut text = String::new();
    let written = (|| {
        if let Some(EventKey(last)) = end.last_event {
            write!(text, "UPDATE counter SET value = {last} WHERE name = 'event'; ")?;
        }
        if let Some(Handoff { owner, first, last }) = end.handoff {
            let (owner, first, last) = (owner.0, first.0, last.0);
            write!(text, "INSERT INTO handoff VALUES ({first}, {owner}, {first}, {last}); ")?;
        }
        if let Some((first, others)) = end.finished.split_first() {
            write!(text, "DELETE FROM handoff WHERE batch IN ({first}")?;
            others.iter().try_for_each(|batch| write!(text, ", {batch}"))?;
            text.push_str("); ");
        }
        std::fmt::Result::Ok(())
    })();
    written.expect("writing to a String cannot fail");
    text
}
