//! The times that few events have. An event without any has no row, so that publishing writes nothing more for it.

use super::{
    Conn, Result, Tx,
    sql::{MultiRow, column, execute, fetch_optional, pieces},
};
use crate::model::{EventKey, EventTimes, Timestamp};

const INSERT: MultiRow = MultiRow {
    head: "INSERT INTO event_time (event, deliver_at, expires)",
    tail: "",
    columns: &["bigint", "bigint", "bigint"],
};

/// Columns as they come from the table.
pub(super) type TimesRow = (Option<i64>, Option<i64>, Option<i64>);

/// Writes the times of events that are published; when they are expunged is not among them.
pub(crate) async fn insert(tx: &mut Tx, times: &[(EventKey, EventTimes)]) -> Result<()> {
    let deliver_at = |times: &EventTimes| times.deliver_at.map(Timestamp::as_micros);
    let expires = |times: &EventTimes| times.expires.map(Timestamp::as_micros);
    match &mut tx.conn {
        Conn::Sqlite(conn) => {
            for piece in pieces(times) {
                let mut query = sqlx::query(sqlx::AssertSqlSafe(tx.texts.get(&INSERT, piece.len())));
                for (event, times) in piece {
                    query = query.bind(event.0).bind(deliver_at(times)).bind(expires(times));
                }
                query.execute(&mut **conn).await?;
            }
        }
        Conn::Postgres(_) if times.is_empty() => {}
        Conn::Postgres(conn) => {
            sqlx::query(sqlx::AssertSqlSafe(tx.texts.of_arrays(&INSERT)))
                .bind(column(times, |(event, _)| event.0))
                .bind(column(times, |(_, times)| deliver_at(times)))
                .bind(column(times, |(_, times)| expires(times)))
                .execute(&mut **conn)
                .await?;
        }
    }
    Ok(())
}

/// The times of an event.
pub(crate) async fn get(conn: &mut Conn, event: EventKey) -> Result<EventTimes> {
    let sql = "SELECT deliver_at, expires, expunged FROM event_time WHERE event = $1";
    let row: Option<TimesRow> = fetch_optional!(conn, sql, event.0)?;
    Ok(row.map(read).unwrap_or_default())
}

/// Erases an event's payload and labels, and notes when; one that was expunged before keeps its time.
pub(crate) async fn expunge(tx: &mut Tx, event: EventKey, now: Timestamp) -> Result<()> {
    let sql = "INSERT INTO event_time (event, expunged) VALUES ($1, $2) \
               ON CONFLICT (event) DO UPDATE SET expunged = coalesce(event_time.expunged, excluded.expunged)";
    execute!(&mut tx.conn, sql, event.0, now.as_micros())?;
    let nothing: &[u8] = &[];
    execute!(&mut tx.conn, "UPDATE event SET payload = $2, labels = $2 WHERE key = $1", event.0, nothing)?;
    Ok(())
}

pub(super) fn read((deliver_at, expires, expunged): TimesRow) -> EventTimes {
    EventTimes {
        deliver_at: deliver_at.map(Timestamp::from_micros),
        expires: expires.map(Timestamp::from_micros),
        expunged: expunged.map(Timestamp::from_micros),
    }
}
