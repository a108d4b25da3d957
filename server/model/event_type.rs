//! Event types: what their names say, and how a tenant's catalogue describes them.

use std::sync::Arc;

use super::{Timestamp, schema::Schema};

/// What happened, by the type's name: its last segment.
pub(crate) fn operation(event_type: &str) -> &str {
    event_type.rsplit('.').next().unwrap_or(event_type)
}

/// What a tenant says of an event type.
#[derive(Clone, Debug)]
pub struct EventTypeSettings {
    /// The type as events bear it, valid.
    pub name: String,
    /// What an event of this type says.
    pub description: String,
    /// What its payloads are to look like, compiled; `None` if they may be anything.
    pub schema: Option<Arc<Schema>>,
    /// It should no longer be published.
    pub deprecated: bool,
}

impl EventTypeSettings {
    /// The schema as it was given; empty if there is none.
    pub fn schema_text(&self) -> &str {
        self.schema.as_ref().map_or("", |schema| schema.text())
    }
}

/// Which event types of a catalogue are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventTypeFilter {
    /// Those whose names begin with this.
    pub name_prefix: String,
    /// Only those that are deprecated, or only those that are not.
    pub deprecated: Option<bool>,
}

/// An event type in a catalogue, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType {
    /// The type as events bear it.
    pub name: String,
    /// What an event of this type says.
    pub description: String,
    /// What its payloads are to look like, as it was given; empty if they may be anything.
    pub schema: String,
    /// It should no longer be published.
    pub deprecated: bool,
    /// The configuration version that last changed it; its etag.
    pub version: i64,
    /// When it came into the catalogue.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::operation;

    #[test]
    fn operation_is_the_last_segment() {
        for (event_type, expected) in [("user.created", "created"), ("a.b.c", "c"), ("ping", "ping"), ("a.", "")] {
            assert_eq!(operation(event_type), expected);
        }
    }
}
