//! Lanes: one row per endpoint with unleased work.
//!
//! `next_at` is never later than the earliest of that work: inserting or retrying only lowers it, and only whoever has
//! adopted the lane raises it, from what the deliveries themselves say.

use super::{
    Conn, Result, Tx,
    sql::{MultiRow, column, execute, fetch_all, fetch_optional, pieces},
};
use crate::model::{EndpointKey, Incarnation, Timestamp};

const LOWER: MultiRow = MultiRow {
    head: "INSERT INTO lane (endpoint, next_at)",
    tail: " ON CONFLICT (endpoint) DO UPDATE SET next_at = \
            CASE WHEN excluded.next_at < lane.next_at THEN excluded.next_at ELSE lane.next_at END",
    columns: &["bigint", "bigint"],
};

/// A lane with work that may be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneRow {
    /// The endpoint.
    pub endpoint: EndpointKey,
    /// No work of its is due before.
    pub next_at: Timestamp,
}

/// Tells lanes of unleased work: each endpoint at most once.
pub(crate) async fn lower(tx: &mut Tx, lanes: &[LaneRow]) -> Result<()> {
    if lanes.is_empty() {
        return Ok(());
    }
    match &mut tx.conn {
        Conn::Sqlite(conn) => {
            for piece in pieces(lanes) {
                let mut query = sqlx::query(sqlx::AssertSqlSafe(tx.texts.get(&LOWER, piece.len())));
                for lane in piece {
                    query = query.bind(lane.endpoint.0).bind(lane.next_at.as_micros());
                }
                query.execute(&mut **conn).await?;
            }
        }
        Conn::Postgres(conn) => {
            sqlx::query(sqlx::AssertSqlSafe(tx.texts.of_arrays(&LOWER)))
                .bind(column(lanes, |lane| lane.endpoint.0))
                .bind(column(lanes, |lane| lane.next_at.as_micros()))
                .execute(&mut **conn)
                .await?;
        }
    }
    Ok(())
}

/// Adopts up to `limit` lanes that are due, the longest due first.
pub(crate) async fn adopt_due(tx: &mut Tx, owner: Incarnation, now: Timestamp, limit: i64) -> Result<Vec<EndpointKey>> {
    let sql = match &tx.conn {
        Conn::Sqlite(_) => {
            "UPDATE lane SET owner = $1 WHERE endpoint IN \
             (SELECT endpoint FROM lane WHERE owner = 0 AND next_at <= $2 ORDER BY next_at, endpoint LIMIT $3) \
             RETURNING endpoint"
        }
        // Lanes that another server is about to adopt are left to it.
        Conn::Postgres(_) => {
            "UPDATE lane SET owner = $1 WHERE endpoint IN \
             (SELECT endpoint FROM lane WHERE owner = 0 AND next_at <= $2 ORDER BY next_at, endpoint LIMIT $3 \
             FOR UPDATE SKIP LOCKED) RETURNING endpoint"
        }
    };
    let rows: Vec<(i64,)> = fetch_all!(&mut tx.conn, sql, owner.0, now.as_micros(), limit)?;
    Ok(rows.into_iter().map(|(endpoint,)| EndpointKey(endpoint)).collect())
}

/// Gives an adopted lane back, due at `next_at`; without that, when nothing of it is left, it goes.
pub(crate) async fn give_back(tx: &mut Tx, endpoint: EndpointKey, next_at: Option<Timestamp>) -> Result<()> {
    match next_at {
        Some(at) => {
            let sql = "UPDATE lane SET owner = 0, next_at = $2 WHERE endpoint = $1";
            execute!(&mut tx.conn, sql, endpoint.0, at.as_micros())?;
        }
        None => {
            execute!(&mut tx.conn, "DELETE FROM lane WHERE endpoint = $1", endpoint.0)?;
        }
    }
    Ok(())
}

/// When the earliest unleased work of an endpoint is due.
pub(crate) async fn earliest_work(conn: &mut Conn, endpoint: EndpointKey) -> Result<Option<Timestamp>> {
    let sql = "SELECT ready_at FROM delivery WHERE endpoint = $1 AND ready_at IS NOT NULL \
               ORDER BY ready_at, event LIMIT 1";
    let row: Option<(i64,)> = fetch_optional!(conn, sql, endpoint.0)?;
    Ok(row.map(|(at,)| Timestamp::from_micros(at)))
}

/// When the first lane that nobody has adopted is due.
pub(crate) async fn next_due(conn: &mut Conn) -> Result<Option<Timestamp>> {
    let sql = "SELECT next_at FROM lane WHERE owner = 0 ORDER BY next_at, endpoint LIMIT 1";
    let row: Option<(i64,)> = fetch_optional!(conn, sql)?;
    Ok(row.map(|(at,)| Timestamp::from_micros(at)))
}

/// Makes the lane of an endpoint due at `now`, if it has one.
pub(crate) async fn wake(tx: &mut Tx, endpoint: EndpointKey, now: Timestamp) -> Result<()> {
    let sql = "UPDATE lane SET next_at = $2, owner = 0 WHERE endpoint = $1";
    execute!(&mut tx.conn, sql, endpoint.0, now.as_micros())?;
    Ok(())
}

/// Takes the lanes of incarnations that do not live any more away from them; nobody lives but `present` on SQLite.
pub(crate) async fn disown_dead(tx: &mut Tx, present: Incarnation) -> Result<()> {
    let sql = match &tx.conn {
        Conn::Sqlite(_) => "UPDATE lane SET owner = 0 WHERE owner NOT IN (0, $1)",
        Conn::Postgres(_) => {
            "UPDATE lane SET owner = 0 WHERE owner NOT IN (0, $1) AND owner <> ALL (SELECT unnest(live) FROM gate)"
        }
    };
    execute!(&mut tx.conn, sql, present.0)?;
    Ok(())
}
