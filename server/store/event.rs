//! Events. Publishing writes them in `hot`; here they are read.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Conn, Error, Result, Tx,
    sql::{MultiRow, column, fetch_optional, pieces},
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
    tail: ") SELECT e.key, e.tenant, e.id, t.text, c.text, e.payload, e.created, e.ping_of, e.time \
            FROM k CROSS JOIN event e CROSS JOIN name t CROSS JOIN name c \
            WHERE e.key = k.key AND t.key = e.type AND c.key = e.content_type",
    columns: &["bigint"],
};

const HEADINGS: MultiRow = MultiRow {
    head: "WITH k (key) AS (",
    tail: ") SELECT e.key, e.tenant, e.id, t.text FROM k CROSS JOIN event e CROSS JOIN name t \
            WHERE e.key = k.key AND t.key = e.type",
    columns: &["bigint"],
};

/// The event a tenant published under `id`, as far as a repeat is compared with it.
pub(crate) async fn find_published(conn: &mut Conn, tenant: TenantKey, id: &str) -> Result<Option<StoredEvent>> {
    let sql = "SELECT key, fanout, fingerprint FROM event WHERE tenant = $1 AND id = $2";
    let row: Option<(i64, i64, Vec<u8>)> = fetch_optional!(conn, sql, tenant.0, id)?;
    Ok(row.map(|(key, fanout, fingerprint)| StoredEvent { key: EventKey(key), fanout, fingerprint }))
}

/// The event a tenant published under `id`.
pub(crate) async fn get(conn: &mut Conn, tenant: TenantKey, id: &str) -> Result<Option<Event>> {
    let sql = "SELECT e.key, e.tenant, e.id, t.text, c.text, e.payload, e.created, e.ping_of, e.time, e.labels, e.cfg \
               FROM event e JOIN name t ON t.key = e.type JOIN name c ON c.key = e.content_type \
               WHERE e.tenant = $1 AND e.id = $2";
    type Row = (i64, i64, String, String, String, Vec<u8>, i64, i64, i64, Vec<u8>, i64);
    let row: Option<Row> = fetch_optional!(conn, sql, tenant.0, id)?;
    let Some((key, tenant, id, event_type, content_type, payload, created, ping_of, time, labels, cfg)) = row else {
        return Ok(None);
    };
    let content = read_content((key, tenant, id, event_type, content_type, payload, created, ping_of, time));
    Ok(Some(Event { content, labels: read_labels(&labels)?, cfg }))
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

type ContentRow = (i64, i64, String, String, String, Vec<u8>, i64, i64, i64);

fn read_content(row: ContentRow) -> EventContent {
    let (key, tenant, id, event_type, content_type, payload, created, ping_of, time) = row;
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
