//! Events as they are published and kept.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::{EndpointKey, EventKey, TenantKey, Timestamp, TypeFilter, debug_unshown};

/// An event as its publisher handed it over, checked.
#[derive(Clone, PartialEq)]
pub struct NewEvent {
    /// Whose it is.
    pub tenant: TenantKey,
    /// The publisher's own id, if it gave one.
    pub id: Option<String>,
    /// The event type, valid.
    pub event_type: Arc<str>,
    /// The media type as given; `None` stands for the default.
    pub content_type: Option<Arc<str>>,
    /// The body, byte for byte.
    pub payload: Bytes,
    /// When it happened, if the publisher said so.
    pub time: Option<Timestamp>,
    /// No attempt is made before.
    pub deliver_at: Option<Timestamp>,
    /// No attempt begins then or later.
    pub expires: Option<Timestamp>,
    /// Labels, sorted by key.
    pub labels: BTreeMap<String, String>,
}

debug_unshown!(NewEvent { tenant, id, event_type, content_type, time, deliver_at, expires } but { payload, labels });

impl NewEvent {
    /// What it takes of memory as far as its publisher decides it: payload and labels.
    pub fn bytes(&self) -> usize {
        let labels: usize = self.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.payload.len() + labels
    }
}

/// The media type of an event that was published without one.
pub const DEFAULT_CONTENT_TYPE: &str = "application/json";

/// What a delivery needs of its event; shared by all deliveries of one event.
#[derive(Clone, PartialEq)]
pub struct EventContent {
    /// Its row.
    pub key: EventKey,
    /// Whose it is.
    pub tenant: TenantKey,
    /// Its public id.
    pub id: Arc<str>,
    /// Its type.
    pub event_type: Arc<str>,
    /// Its media type.
    pub content_type: Arc<str>,
    /// Its body.
    pub payload: Bytes,
    /// When it happened.
    pub time: Timestamp,
    /// When it was published.
    pub created: Timestamp,
    /// The one endpoint it is for, if it is a ping.
    pub ping_of: Option<EndpointKey>,
    /// No attempt begins then or later.
    pub expires: Option<Timestamp>,
}

debug_unshown!(
    EventContent { key, tenant, id, event_type, content_type, time, created, ping_of, expires } but { payload }
);

impl EventContent {
    /// Whether no attempt may begin at `now` any more.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// The times of an event that few have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventTimes {
    /// No attempt is made before.
    pub deliver_at: Option<Timestamp>,
    /// No attempt begins then or later.
    pub expires: Option<Timestamp>,
    /// When its payload and labels were erased.
    pub expunged: Option<Timestamp>,
}

/// Which events a list holds; conditions are combined with AND, an empty one selects all.
#[derive(Clone, Default, PartialEq)]
pub struct EventFilter {
    /// Of a type that one of these patterns matches.
    pub event_types: TypeFilter,
    /// With all of these labels.
    pub labels: BTreeMap<String, String>,
    /// Published then or later.
    pub start: Option<Timestamp>,
    /// Published before.
    pub end: Option<Timestamp>,
}

debug_unshown!(EventFilter { event_types, start, end } but { labels });

impl EventFilter {
    /// Whether it selects an event.
    pub fn selects(&self, event: &Event) -> bool {
        let created = event.content.created;
        self.start.is_none_or(|start| created >= start)
            && self.end.is_none_or(|end| created < end)
            && self.event_types.matches(&event.content.event_type)
            && self.labels.iter().all(|(name, value)| event.labels.get(name) == Some(value))
    }
}

/// An event as it is kept.
#[derive(Clone, PartialEq)]
pub struct Event {
    /// What deliveries need of it; in lists without the payload.
    pub content: EventContent,
    /// The payload's size in bytes.
    pub payload_bytes: u64,
    /// The times that few events have.
    pub times: EventTimes,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The configuration version it was routed under.
    pub cfg: i64,
}

debug_unshown!(Event { content, payload_bytes, times, cfg } but { labels });
