//! Event types: what their names say, and how a tenant's catalogue describes them.

use super::Timestamp;

/// What happened, by the type's name: its last segment.
pub(crate) fn operation(event_type: &str) -> &str {
    event_type.rsplit('.').next().unwrap_or(event_type)
}

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
