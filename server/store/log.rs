//! The log: one row per commit, in the order of commits, with all its transitions packed.

use prost::Message as _;

use super::{
    Conn, Error, Result, Tx,
    hot::{self, TurnEnd},
    sql::{fetch_all, fetch_optional},
};
use crate::model::{LogBody, Timestamp};

/// The time of the row that every log begins with, which comes with the database rather than by a commit.
pub const LOG_BEGAN: Timestamp = Timestamp::from_micros(1);

/// One row of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRow {
    /// Gapless, rising by one.
    pub seq: i64,
    /// When it was committed; strictly rising.
    pub time: Timestamp,
    /// A random number, by which a row is known again after a restore.
    pub mark: i64,
    /// The transitions.
    pub body: LogBody,
}

/// Appends a row and commits: the last thing that a unit of work does which watchers are to see. Returns the row's number.
///
/// If the commit fails and it took place all the same, which the row's mark tells, it has not failed.
pub(crate) async fn commit(tx: &mut Tx, now: Timestamp, body: &LogBody) -> Result<i64> {
    let end = TurnEnd { body: Some(body.clone()), ..TurnEnd::default() };
    hot::commit(tx, now, &end).await?.ok_or_else(|| Error::Corrupt("the log gave no number".to_owned()))
}

/// The last row's number, time and mark.
pub(crate) async fn head(conn: &mut Conn) -> Result<(i64, Timestamp, i64)> {
    edge(conn, "SELECT seq, time, mark FROM log ORDER BY seq DESC LIMIT 1").await
}

/// The first row's number, time and mark.
pub(crate) async fn oldest(conn: &mut Conn) -> Result<(i64, Timestamp, i64)> {
    edge(conn, "SELECT seq, time, mark FROM log ORDER BY seq LIMIT 1").await
}

async fn edge(conn: &mut Conn, sql: &'static str) -> Result<(i64, Timestamp, i64)> {
    let row: Option<(i64, i64, i64)> = fetch_optional!(conn, sql)?;
    let (seq, time, mark) = row.ok_or_else(|| Error::Corrupt("the log is empty".to_owned()))?;
    Ok((seq, Timestamp::from_micros(time), mark))
}

/// The time and mark of row `seq`, if it is kept.
pub(crate) async fn stamp(conn: &mut Conn, seq: i64) -> Result<Option<(Timestamp, i64)>> {
    let row: Option<(i64, i64)> = fetch_optional!(conn, "SELECT time, mark FROM log WHERE seq = $1", seq)?;
    Ok(row.map(|(time, mark)| (Timestamp::from_micros(time), mark)))
}

/// Up to `rows_max` rows after `seq`, in order; fewer if their bodies come to more than `bytes_max` bytes, but one at
/// least if there is one.
pub(crate) async fn after(conn: &mut Conn, seq: i64, rows_max: i64, bytes_max: i64) -> Result<Vec<LogRow>> {
    // The sizes alone are summed up first, so that no body beyond the limit is read.
    let sql = "SELECT log.seq, log.time, log.mark, log.body FROM \
               (SELECT seq, sum(bytes) OVER (ORDER BY seq) - bytes AS bytes_before FROM \
               (SELECT seq, length(body) AS bytes FROM log WHERE seq > $1 ORDER BY seq LIMIT $2) AS sizes) AS page \
               JOIN log ON log.seq = page.seq WHERE page.bytes_before < $3 ORDER BY log.seq";
    let rows: Vec<(i64, i64, i64, Vec<u8>)> = fetch_all!(conn, sql, seq, rows_max, bytes_max)?;
    rows.into_iter()
        .map(|(seq, time, mark, body)| {
            let body = LogBody::decode(body.as_slice()).map_err(|_| Error::Corrupt(format!("log row {seq}")))?;
            Ok(LogRow { seq, time: Timestamp::from_micros(time), mark, body })
        })
        .collect()
}

/// The last row committed before `time`, by binary search over the strictly rising times; the row before the oldest kept
/// if there is none.
pub(crate) async fn last_before(conn: &mut Conn, time: Timestamp) -> Result<i64> {
    let (mut low, _, _) = oldest(conn).await?;
    low -= 1;
    let (mut high, _, _) = head(conn).await?;
    // Invariant: row `low` is before `time` (or before the log), everything after `high` is not.
    while low < high {
        let middle = low + (high - low + 1) / 2;
        match stamp(conn, middle).await? {
            Some((at, _)) if at >= time => high = middle - 1,
            _ => low = middle,
        }
    }
    Ok(low)
}
