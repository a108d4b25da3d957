//! Attempts that have a row: those that failed or were lost, and those whose answer is too large for the delivery's row.

use std::time::Duration;

use super::{
    Conn, Error, Result, Tx,
    sql::{MultiRow, column, execute, fetch_all, fetch_optional, pieces},
};
use crate::model::{Attempt, AttemptResult, DeliveryKey, FailureKind, Timestamp, envelope::BodyNote};

const INSERT: MultiRow = MultiRow {
    head: "INSERT INTO attempt \
           (event, endpoint, n, result, status, latency, kind, ended, truncated, detail, response, note)",
    tail: " ON CONFLICT (event, endpoint, n) DO UPDATE SET result = excluded.result, status = excluded.status, \
            latency = excluded.latency, kind = excluded.kind, ended = excluded.ended, \
            truncated = excluded.truncated, detail = excluded.detail, response = excluded.response, \
            note = excluded.note",
    columns: &[
        "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "text", "bytea",
        "bigint",
    ],
};

/// Writes attempts; one that was begun and has now ended takes its row over.
pub(crate) async fn upsert(tx: &mut Tx, attempts: &[Attempt]) -> Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    match &mut tx.conn {
        Conn::Sqlite(conn) => {
            for piece in pieces(attempts) {
                let text = tx.texts.get(&INSERT, piece.len());
                let mut query = sqlx::query(sqlx::AssertSqlSafe(text));
                for attempt in piece {
                    query = query
                        .bind(attempt.delivery.event.0)
                        .bind(attempt.delivery.endpoint.0)
                        .bind(i64::from(attempt.number))
                        .bind(attempt.result as i64)
                        .bind(status(attempt))
                        .bind(latency(attempt))
                        .bind(kind(attempt))
                        .bind(ended(attempt))
                        .bind(i64::from(attempt.response_truncated))
                        .bind(attempt.detail.as_str())
                        .bind(attempt.response.to_vec())
                        .bind(note(attempt));
                }
                query.execute(&mut **conn).await?;
            }
        }
        Conn::Postgres(conn) => {
            sqlx::query(sqlx::AssertSqlSafe(tx.texts.of_arrays(&INSERT)))
                .bind(column(attempts, |attempt| attempt.delivery.event.0))
                .bind(column(attempts, |attempt| attempt.delivery.endpoint.0))
                .bind(column(attempts, |attempt| i64::from(attempt.number)))
                .bind(column(attempts, |attempt| attempt.result as i64))
                .bind(column(attempts, status))
                .bind(column(attempts, latency))
                .bind(column(attempts, kind))
                .bind(column(attempts, ended))
                .bind(column(attempts, |attempt| i64::from(attempt.response_truncated)))
                .bind(column(attempts, |attempt| attempt.detail.as_str()))
                .bind(column(attempts, |attempt| &attempt.response[..]))
                .bind(column(attempts, note))
                .execute(&mut **conn)
                .await?;
        }
    }
    Ok(())
}

fn status(attempt: &Attempt) -> i64 {
    i64::from(attempt.http_status.unwrap_or(0))
}

fn latency(attempt: &Attempt) -> i64 {
    attempt.latency.map_or(-1, micros)
}

fn kind(attempt: &Attempt) -> i64 {
    attempt.failure.map_or(0, |kind| kind as i64)
}

fn ended(attempt: &Attempt) -> i64 {
    attempt.ended.map_or(0, Timestamp::as_micros)
}

fn note(attempt: &Attempt) -> i64 {
    attempt.body_note.map_or(0, note_number)
}

/// Records that an attempt begins, before its request is sent.
pub(crate) async fn insert_begun(tx: &mut Tx, delivery: DeliveryKey, number: u32) -> Result<()> {
    let sql = "INSERT INTO attempt (event, endpoint, n, result, status, latency, kind, ended, truncated, detail, response) \
               VALUES ($1, $2, $3, 1, 0, -1, 0, 0, 0, '', $4) ON CONFLICT (event, endpoint, n) DO NOTHING";
    let response: &[u8] = &[];
    execute!(&mut tx.conn, sql, delivery.event.0, delivery.endpoint.0, i64::from(number), response)?;
    Ok(())
}

/// Forgets that an attempt begins: its request was not sent after all.
pub(crate) async fn delete_begun(tx: &mut Tx, delivery: DeliveryKey, number: u32) -> Result<()> {
    let sql = "DELETE FROM attempt WHERE event = $1 AND endpoint = $2 AND n = $3 AND result = 1";
    execute!(&mut tx.conn, sql, delivery.event.0, delivery.endpoint.0, i64::from(number))?;
    Ok(())
}

/// Whether an attempt has a row that says it was begun.
pub(crate) async fn was_begun(conn: &mut Conn, delivery: DeliveryKey, number: u32) -> Result<bool> {
    let sql = "SELECT n FROM attempt WHERE event = $1 AND endpoint = $2 AND n = $3 AND result = 1";
    let row: Option<(i64,)> = fetch_optional!(conn, sql, delivery.event.0, delivery.endpoint.0, i64::from(number))?;
    Ok(row.is_some())
}

pub(super) const LIST: &str = "SELECT n, result, status, latency, kind, ended, truncated, detail, response, note FROM attempt \
     WHERE event = $1 AND endpoint = $2 AND n > $3 ORDER BY n LIMIT $4";

/// The attempts of a delivery that have a row, after number `after`, in order.
pub(crate) async fn list(conn: &mut Conn, delivery: DeliveryKey, after: u32, limit: i64) -> Result<Vec<Attempt>> {
    type Row = (i64, i64, i64, i64, i64, i64, i64, String, Vec<u8>, i64);
    let (event, endpoint) = (delivery.event.0, delivery.endpoint.0);
    let rows: Vec<Row> = fetch_all!(conn, LIST, event, endpoint, i64::from(after), limit)?;
    rows.into_iter()
        .map(|(number, result, status, latency, kind, ended, truncated, detail, response, note)| {
            Ok(Attempt {
                delivery,
                number: u32::try_from(number).unwrap_or(u32::MAX),
                result: AttemptResult::from_i64(result)
                    .ok_or_else(|| Error::Corrupt(format!("attempt result {result}")))?,
                failure: FailureKind::from_i64(kind),
                http_status: u16::try_from(status).ok().filter(|status| *status != 0),
                latency: u64::try_from(latency).ok().map(Duration::from_micros),
                ended: (ended != 0).then_some(Timestamp::from_micros(ended)),
                response: response.into(),
                response_truncated: truncated != 0,
                detail,
                body_note: [BodyNote::NumberKept, BodyNote::RepeatedMemberKept]
                    .into_iter()
                    .find(|kind| note_number(*kind) == note),
            })
        })
        .collect()
}

/// Whole microseconds, as they are stored.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn note_number(note: BodyNote) -> i64 {
    match note {
        BodyNote::NumberKept => 1,
        BodyNote::RepeatedMemberKept => 2,
    }
}
