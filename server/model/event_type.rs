//! Event types as a tenant's catalogue describes them.

use super::Timestamp;

/// What a tenant says of an event type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTypeSettings {
    /// The type as events bear it, valid.
    pub name: String,
    /// What an event of this type says.
    pub description: String,
}

/// An event type in a catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType {
    /// What its tenant says of it.
    pub settings: EventTypeSettings,
    /// When it came into the catalogue.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}
