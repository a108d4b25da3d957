//! Writing events and their deliveries.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    model::{DeliveryKey, DeliveryState, EndpointKey, EventKey, Incarnation, TenantKey, Timestamp, debug_unshown},
    store::{
        Conn, Result, Tx,
        sql::{MultiRow, column, pieces},
    },
};

const INSERT_EVENTS: &str = "INSERT INTO event (key, tenant, id, type, time, created, cfg, content_type, ping_of, fanout, \
                             labels, fingerprint, payload)";

const EVENT_COLUMNS: &[&str] = &[
    "bigint", "bigint", "text", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bytea", "bytea",
    "bytea",
];

/// For events whose ids the server made: a conflict would be a fault.
pub(super) const INSERT_OWN: MultiRow = MultiRow { head: INSERT_EVENTS, tail: "", columns: EVENT_COLUMNS };

/// For events whose ids the publisher chose, on SQLite: what is not counted was published before. Every row returned wakes
/// another thread.
const INSERT_CHOSEN_COUNTED: MultiRow =
    MultiRow { head: INSERT_EVENTS, tail: " ON CONFLICT (tenant, id) DO NOTHING", columns: EVENT_COLUMNS };

/// For events whose ids the publisher chose: what is not returned was published before.
const INSERT_CHOSEN: MultiRow = MultiRow {
    head: INSERT_EVENTS,
    tail: " ON CONFLICT (tenant, id) DO NOTHING RETURNING key",
    columns: EVENT_COLUMNS,
};

pub(super) const INSERT_DELIVERIES: MultiRow = MultiRow {
    head: "INSERT INTO delivery (event, endpoint, state, owner, attempt, base, ready_at, updated)",
    tail: "",
    columns: &["bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint"],
};

/// Binds one event's columns, in the order of [`INSERT_EVENTS`].
macro_rules! bind_event {
    ($query:expr, $event:expr) => {
        $query
            .bind($event.key.0)
            .bind($event.tenant.0)
            .bind($event.id.to_string())
            .bind($event.event_type)
            .bind($event.time.as_micros())
            .bind($event.created.as_micros())
            .bind($event.cfg)
            .bind($event.content_type)
            .bind($event.ping_of.map_or(0, |endpoint| endpoint.0))
            .bind($event.fanout)
            .bind($event.labels.clone())
            .bind($event.fingerprint.to_vec())
            .bind($event.payload.to_vec())
    };
}

/// Binds one delivery's columns, in the order of [`INSERT_DELIVERIES`].
macro_rules! bind_delivery {
    ($query:expr, $delivery:expr, $owner:expr, $now:expr) => {{
        let (state, owner, attempt, ready_at) = $delivery.lease($owner, $now);
        $query
            .bind($delivery.key.event.0)
            .bind($delivery.key.endpoint.0)
            .bind(state)
            .bind(owner)
            .bind(attempt)
            .bind(0_i64)
            .bind(ready_at)
            .bind($now.as_micros())
    }};
}

/// Binds the columns of many events, in the order of [`INSERT_EVENTS`].
macro_rules! bind_events {
    ($query:expr, $events:expr) => {
        $query
            .bind(column($events, |event| event.key.0))
            .bind(column($events, |event| event.tenant.0))
            .bind(column($events, |event| &*event.id))
            .bind(column($events, |event| event.event_type))
            .bind(column($events, |event| event.time.as_micros()))
            .bind(column($events, |event| event.created.as_micros()))
            .bind(column($events, |event| event.cfg))
            .bind(column($events, |event| event.content_type))
            .bind(column($events, |event| event.ping_of.map_or(0, |endpoint| endpoint.0)))
            .bind(column($events, |event| event.fanout))
            .bind(column($events, |event| event.labels.as_slice()))
            .bind(column($events, |event| event.fingerprint.as_slice()))
            .bind(column($events, |event| &event.payload[..]))
    };
}

/// Binds the columns of many deliveries, in the order of [`INSERT_DELIVERIES`].
macro_rules! bind_deliveries {
    ($query:expr, $deliveries:expr, $owner:expr, $now:expr) => {
        $query
            .bind(column($deliveries, |delivery| delivery.key.event.0))
            .bind(column($deliveries, |delivery| delivery.key.endpoint.0))
            .bind(column($deliveries, |delivery| delivery.lease($owner, $now).0))
            .bind(column($deliveries, |delivery| delivery.lease($owner, $now).1))
            .bind(column($deliveries, |delivery| delivery.lease($owner, $now).2))
            .bind(column($deliveries, |_| 0_i64))
            .bind(column($deliveries, |delivery| delivery.lease($owner, $now).3))
            .bind(column($deliveries, |_| $now.as_micros()))
    };
}

pub(super) use {bind_deliveries, bind_delivery, bind_event, bind_events};

/// An event to write.
#[derive(Clone)]
pub struct EventInsert {
    /// Its row.
    pub key: EventKey,
    /// Whose it is.
    pub tenant: TenantKey,
    /// Its public id.
    pub id: Arc<str>,
    /// Key of its type's name.
    pub event_type: i64,
    /// When it happened.
    pub time: Timestamp,
    /// When it is published.
    pub created: Timestamp,
    /// The configuration version it was routed under.
    pub cfg: i64,
    /// Key of its media type's name.
    pub content_type: i64,
    /// The endpoint it pings.
    pub ping_of: Option<EndpointKey>,
    /// How many endpoints it goes to.
    pub fanout: i64,
    /// Labels, as `event::write_labels` writes them.
    pub labels: Vec<u8>,
    /// The keyed fingerprint of what its publisher sent.
    pub fingerprint: [u8; 16],
    /// The body.
    pub payload: Bytes,
}

debug_unshown!(
    EventInsert {
        key, tenant, id, event_type, time, created, cfg, content_type, ping_of, fanout, fingerprint
    } but { labels, payload }
);

/// A delivery to write with its event.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryInsert {
    /// Its row.
    pub key: DeliveryKey,
    /// To be handed over by this turn; otherwise it waits in its lane.
    pub handed_over: bool,
    /// When it is due if it waits; `None` for now.
    pub due: Option<Timestamp>,
}

/// Writes events whose ids the server made.
pub(crate) async fn insert_own_events(tx: &mut Tx, events: &[EventInsert]) -> Result<()> {
    match &mut tx.conn {
        Conn::Sqlite(conn) => {
            for piece in pieces(events) {
                let query = sqlx::query(sqlx::AssertSqlSafe(tx.texts.get(&INSERT_OWN, piece.len())));
                piece.iter().fold(query, |query, event| bind_event!(query, event)).execute(&mut **conn).await?;
            }
        }
        Conn::Postgres(_) if events.is_empty() => {}
        Conn::Postgres(conn) => {
            let query = sqlx::query(sqlx::AssertSqlSafe(tx.texts.of_arrays(&INSERT_OWN)));
            bind_events!(query, events).execute(&mut **conn).await?;
        }
    }
    Ok(())
}

/// Writes events whose ids their publishers chose, and returns the keys of those that were not there yet. Sorted by id,
/// so that two servers cannot deadlock.
pub(crate) async fn insert_chosen_events(tx: &mut Tx, events: &[EventInsert]) -> Result<Vec<EventKey>> {
    let mut inserted: Vec<(i64,)> = Vec::with_capacity(events.len());
    match &mut tx.conn {
        Conn::Sqlite(conn) => {
            for piece in pieces(events) {
                let query = sqlx::query(sqlx::AssertSqlSafe(tx.texts.get(&INSERT_CHOSEN_COUNTED, piece.len())));
                let query = piece.iter().fold(query, |query, event| bind_event!(query, event));
                let keys = piece.iter().map(|event| event.key.0);
                if query.execute(&mut **conn).await?.rows_affected() == piece.len() as u64 {
                    inserted.extend(keys.map(|key| (key,)));
                } else {
                    // Their keys are new, so those that are there were inserted just now.
                    let sql = "SELECT e.key FROM json_each($1) k CROSS JOIN event e WHERE e.key = k.value";
                    let keys = serde_json::to_string(&keys.collect::<Vec<i64>>()).unwrap_or_default();
                    inserted.append(&mut sqlx::query_as(sql).bind(keys).fetch_all(&mut **conn).await?);
                }
            }
        }
        Conn::Postgres(_) if events.is_empty() => {}
        Conn::Postgres(conn) => {
            let query = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.of_arrays(&INSERT_CHOSEN)));
            inserted = bind_events!(query, events).fetch_all(&mut **conn).await?;
        }
    }
    Ok(inserted.into_iter().map(|(key,)| EventKey(key)).collect())
}

/// Writes deliveries: those handed over are leased to `owner` for their first attempt, the others due at their times.
pub(crate) async fn insert_deliveries(
    tx: &mut Tx,
    owner: Incarnation,
    now: Timestamp,
    deliveries: &[DeliveryInsert],
) -> Result<()> {
    match &mut tx.conn {
        Conn::Sqlite(conn) => {
            for piece in pieces(deliveries) {
                let query = sqlx::query(sqlx::AssertSqlSafe(tx.texts.get(&INSERT_DELIVERIES, piece.len())));
                let query = piece.iter().fold(query, |query, delivery| bind_delivery!(query, delivery, owner, now));
                query.execute(&mut **conn).await?;
            }
        }
        Conn::Postgres(_) if deliveries.is_empty() => {}
        Conn::Postgres(conn) => {
            let query = sqlx::query(sqlx::AssertSqlSafe(tx.texts.of_arrays(&INSERT_DELIVERIES)));
            bind_deliveries!(query, deliveries, owner, now).execute(&mut **conn).await?;
        }
    }
    Ok(())
}

impl DeliveryInsert {
    /// The columns that say whether it is leased: state, owner, attempt, and when it is due.
    pub(super) fn lease(&self, owner: Incarnation, now: Timestamp) -> (i64, i64, i64, Option<i64>) {
        if self.handed_over {
            (DeliveryState::InFlight as i64, owner.0, 1, None)
        } else {
            (DeliveryState::Pending as i64, 0, 0, Some(self.due.unwrap_or(now).as_micros()))
        }
    }
}
