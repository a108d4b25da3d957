//! Events. Publishing writes them in `hot`; here they are read, one by one or in lists.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Conn, Error, Result, Tx, event_time,
    sql::{MultiRow, column, fetch_all, fetch_optional, pieces},
};
use crate::model::{EndpointKey, Event, EventContent, EventKey, TenantKey, Timestamp};

/// What is compared when an event id is published again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its row.
    pub key: EventKey,
    /// How many endpoints it went to.
    pub fanout: i64,
    /// The keyed fingerprint of what its publisher sent.
    pub fingerprint: Vec<u8>,
}

/// What transitions tell of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHeading {
    /// Its row.
    pub key: EventKey,
    /// Whose it is.
    pub tenant: TenantKey,
    /// Its public id.
    pub id: Arc<str>,
    /// Its type.
    pub event_type: Arc<str>,
}

const CONTENTS: MultiRow = MultiRow {
    head: "WITH k (key) AS (",
    tail: ") SELECT e.key, e.tenant, e.id, t.text, c.text, e.payload, e.created, e.ping_of, e.time, x.expires \
            FROM k CROSS JOIN event e CROSS JOIN name t CROSS JOIN name c LEFT JOIN event_time x \
            ON {x.event = e.key} WHERE {e.key = k.key} AND t.key = e.type AND c.key = e.content_type",
    columns: &["bigint"],
};

const HEADINGS: MultiRow = MultiRow {
    head: "WITH k (key) AS (",
    tail: ") SELECT e.key, e.tenant, e.id, t.text FROM k CROSS JOIN event e CROSS JOIN name t \
            WHERE {e.key = k.key} AND t.key = e.type",
    columns: &["bigint"],
};

/// Selects all of an event, with these for its payload and its labels.
macro_rules! select {
    ($payload:literal, $labels:literal, $tail:literal) => {
        concat!(
            "SELECT e.key, e.tenant, e.id, t.text, c.text, e.created, e.ping_of, e.time, e.cfg, ",
            "CAST(length(e.payload) AS BIGINT), ",
            $payload,
            ", ",
            $labels,
            ", x.deliver_at, x.expires, x.expunged \
             FROM event e CROSS JOIN name t CROSS JOIN name c LEFT JOIN event_time x ON x.event = e.key \
             WHERE t.key = e.type AND c.key = e.content_type AND ",
            $tail
        )
    };
}

pub(in crate::store) const GET: &str = select!("e.payload", "e.labels", "e.tenant = $1 AND e.id = $2");

pub(in crate::store) const FIND: &str = "SELECT key FROM event WHERE tenant = $1 AND id = $2";

pub(in crate::store) const NEWEST_BELOW: &str = "SELECT key FROM event WHERE key < $1 ORDER BY key DESC LIMIT 1";

pub(in crate::store) const PAGE: &str = select!(
    "NULL",
    "CASE WHEN e.tenant = $1 THEN e.labels END",
    "e.key >= $2 AND e.key < $3 ORDER BY e.key DESC LIMIT $4"
);

/// The event a tenant published under `id`, as far as a repeat is compared with it.
pub(crate) async fn find_published(conn: &mut Conn, tenant: TenantKey, id: &str) -> Result<Option<StoredEvent>> {
    let sql = "SELECT key, fanout, fingerprint FROM event WHERE tenant = $1 AND id = $2";
    let row: Option<(i64, i64, Vec<u8>)> = fetch_optional!(conn, sql, tenant.0, id)?;
    Ok(row.map(|(key, fanout, fingerprint)| StoredEvent { key: EventKey(key), fanout, fingerprint }))
}

/// The event a tenant published under `id`.
pub(crate) async fn get(conn: &mut Conn, tenant: TenantKey, id: &str) -> Result<Option<Event>> {
    fetch_optional!(conn, GET, tenant.0, id)?.map(read_event).transpose()
}

/// The newest `limit` events of `low..high`, newest first, without payloads. They are of every tenant, so that one with few
/// among many is served in bounded steps, but those that are not of `tenant` are without labels too.
pub(crate) async fn page(
    conn: &mut Conn,
    tenant: TenantKey,
    low: EventKey,
    high: EventKey,
    limit: i64,
) -> Result<Vec<Event>> {
    fetch_all!(conn, PAGE, tenant.0, low.0, high.0, limit)?.into_iter().map(read_event).collect()
}

/// The key of the event a tenant published under `id`.
pub(crate) async fn find(conn: &mut Conn, tenant: TenantKey, id: &str) -> Result<Option<EventKey>> {
    let row: Option<(i64,)> = fetch_optional!(conn, FIND, tenant.0, id)?;
    Ok(row.map(|(key,)| EventKey(key)))
}

/// The newest event before `below`, of any tenant.
pub(crate) async fn newest_below(conn: &mut Conn, below: EventKey) -> Result<Option<EventKey>> {
    let row: Option<(i64,)> = fetch_optional!(conn, NEWEST_BELOW, below.0)?;
    Ok(row.map(|(key,)| EventKey(key)))
}

/// What deliveries need of the events `keys`, in no order.
pub(crate) async fn contents(tx: &mut Tx, keys: &[EventKey]) -> Result<Vec<Arc<EventContent>>> {
    let mut rows: Vec<ContentRow> = Vec::with_capacity(keys.len());
    match &mut tx.conn {
        Conn::Sqlite(conn) => {
            for piece in pieces(keys) {
                let query = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.get(&CONTENTS, piece.len())));
                let query = piece.iter().fold(query, |query, key| query.bind(key.0));
                rows.append(&mut query.fetch_all(&mut **conn).await?);
            }
        }
        Conn::Postgres(_) if keys.is_empty() => {}
        Conn::Postgres(conn) => {
            let query = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.of_arrays(&CONTENTS)));
            rows = query.bind(column(keys, |key| key.0)).fetch_all(&mut **conn).await?;
        }
    }
    Ok(rows.into_iter().map(|row| Arc::new(read_content(row))).collect())
}

/// What transitions tell of the events `keys`, in no order.
pub(crate) async fn headings(tx: &mut Tx, keys: &[EventKey]) -> Result<Vec<EventHeading>> {
    type Row = (i64, i64, String, String);
    let mut rows: Vec<Row> = Vec::with_capacity(keys.len());
    match &mut tx.conn {
        Conn::Sqlite(conn) => {
            for piece in pieces(keys) {
                let query = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.get(&HEADINGS, piece.len())));
                let query = piece.iter().fold(query, |query, key| query.bind(key.0));
                rows.append(&mut query.fetch_all(&mut **conn).await?);
            }
        }
        Conn::Postgres(_) if keys.is_empty() => {}
        Conn::Postgres(conn) => {
            let query = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.of_arrays(&HEADINGS)));
            rows = query.bind(column(keys, |key| key.0)).fetch_all(&mut **conn).await?;
        }
    }
    let read = |(key, tenant, id, event_type): Row| EventHeading {
        key: EventKey(key),
        tenant: TenantKey(tenant),
        id: id.into(),
        event_type: event_type.into(),
    };
    Ok(rows.into_iter().map(read).collect())
}

type EventRow = (
    i64,
    i64,
    String,
    String,
    String,
    i64,
    i64,
    i64,
    i64,
    i64,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

fn read_event(row: EventRow) -> Result<Event> {
    let (key, tenant, id, event_type, content_type, created, ping_of, time, cfg, payload_bytes, payload, labels, ..) =
        row;
    let payload = payload.unwrap_or_default();
    Ok(Event {
        content: read_content((key, tenant, id, event_type, content_type, payload, created, ping_of, time, row.13)),
        payload_bytes: u64::try_from(payload_bytes).unwrap_or(0),
        times: event_time::read((row.12, row.13, row.14)),
        labels: read_labels(&labels.unwrap_or_default())?,
        cfg,
    })
}

type ContentRow = (i64, i64, String, String, String, Vec<u8>, i64, i64, i64, Option<i64>);

fn read_content(row: ContentRow) -> EventContent {
    let (key, tenant, id, event_type, content_type, payload, created, ping_of, time, expires) = row;
    EventContent {
        key: EventKey(key),
        tenant: TenantKey(tenant),
        id: id.into(),
        event_type: event_type.into(),
        content_type: content_type.into(),
        payload: payload.into(),
        time: Timestamp::from_micros(time),
        created: Timestamp::from_micros(created),
        ping_of: (ping_of != 0).then_some(EndpointKey(ping_of)),
        expires: expires.map(Timestamp::from_micros),
    }
}

/// Labels as they are kept: JSON, empty if there are none.
pub(crate) fn write_labels(labels: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    if labels.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::to_vec(labels).map_err(|error| Error::Corrupt(error.to_string()))
}

fn read_labels(stored: &[u8]) -> Result<BTreeMap<String, String>> {
    if stored.is_empty() {
        return Ok(BTreeMap::new());
    }
    serde_json::from_slice(stored).map_err(|_| Error::Corrupt("an event's labels".to_owned()))
}
