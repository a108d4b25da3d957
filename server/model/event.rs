//! Events as they are published and kept.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::{EndpointKey, EventKey, TenantKey, Timestamp};

/// An event as its publisher handed it over, checked.
#[derive(Clone, Debug, PartialEq)]
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
    /// Labels, sorted by key.
    pub labels: BTreeMap<String, String>,
}

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
#[derive(Clone, Debug, PartialEq)]
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
}

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What deliveries need of it.
    pub content: EventContent,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The configuration version it was routed under.
    pub cfg: i64,
}
