//! Ending what must not be attempted any more: deliveries whose event has expired or was expunged.

use crate::{
    model::{DeliveryKey, DeliveryState, EndpointKey, EventKey, Timestamp},
    store::{
        Conn, Error, Result, Tx,
        sql::{MultiRow, column, pieces},
    },
};

/// Expired is failure 11.
const END_OVERDUE: MultiRow = MultiRow {
    head: "WITH v (event, endpoint) AS (",
    tail: ") UPDATE delivery SET state = CASE WHEN t.expunged IS NULL THEN 4 ELSE 5 END, \
            kind = CASE WHEN t.expunged IS NULL THEN 11 ELSE delivery.kind END, \
            dead_at = CASE WHEN t.expunged IS NULL THEN CAST($1 AS BIGINT) END, ready_at = NULL, \
            updated = CAST($1 AS BIGINT) FROM v CROSS JOIN event_time t \
            WHERE {t.event = v.event} AND (t.expunged IS NOT NULL OR t.expires <= CAST($1 AS BIGINT)) \
            AND {delivery.event = v.event} AND {delivery.endpoint = v.endpoint} AND delivery.state = 1 \
            RETURNING delivery.event, delivery.endpoint, delivery.state, delivery.attempt",
    columns: &["bigint", "bigint"],
};

/// A delivery that was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// The delivery.
    pub key: DeliveryKey,
    /// Dead if its event has expired, cancelled if it was expunged.
    pub state: DeliveryState,
    /// The latest attempt's number.
    pub attempt: u32,
}

/// Ends those of `deliveries` that are pending although their events have expired by `now` or were expunged.
pub(crate) async fn end_overdue(tx: &mut Tx, now: Timestamp, deliveries: &[DeliveryKey]) -> Result<Vec<Overdue>> {
    type Row = (i64, i64, i64, i64);
    let mut rows: Vec<Row> = Vec::new();
    match &mut tx.conn {
        Conn::Sqlite(conn) => {
            for piece in pieces(deliveries) {
                let query = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.get(&END_OVERDUE, piece.len())));
                let query = piece.iter().fold(query, |query, key| query.bind(key.event.0).bind(key.endpoint.0));
                rows.append(&mut query.bind(now.as_micros()).fetch_all(&mut **conn).await?);
            }
        }
        Conn::Postgres(_) if deliveries.is_empty() => {}
        Conn::Postgres(conn) => {
            rows = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.of_arrays(&END_OVERDUE)))
                .bind(now.as_micros())
                .bind(column(deliveries, |key| key.event.0))
                .bind(column(deliveries, |key| key.endpoint.0))
                .fetch_all(&mut **conn)
                .await?;
        }
    }
    let read = |(event, endpoint, state, attempt): Row| {
        Ok(Overdue {
            key: DeliveryKey { event: EventKey(event), endpoint: EndpointKey(endpoint) },
            state: DeliveryState::from_i64(state).ok_or_else(|| Error::Corrupt(format!("delivery state {state}")))?,
            attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        })
    };
    rows.into_iter().map(read).collect()
}
