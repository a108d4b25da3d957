//! Entries of the audit log: who changed what, when, and from where.

use super::{ApiKeyId, Timestamp};

/// Who makes a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The holder of a stored key.
    Key(ApiKeyId),
    /// The operator who holds the key that the server was given at its start.
    EnvironmentKey(ApiKeyId),
    /// The server itself.
    Server,
}

impl Actor {
    /// The key that was shown, if one was.
    pub fn key(self) -> Option<ApiKeyId> {
        match self {
            Self::Key(id) | Self::EnvironmentKey(id) => Some(id),
            Self::Server => None,
        }
    }
}

/// An entry as it is stored. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its row.
    pub key: i64,
    /// When it was written.
    pub time: Timestamp,
    /// Who made the change.
    pub actor: Actor,
    /// The public id of the tenant that it concerns, which may be gone; empty if it concerns none.
    pub tenant: String,
    /// The method that was called.
    pub method: String,
    /// Ids and names of what was changed, as far as they are kept.
    pub resources: Vec<String>,
    /// How many there were.
    pub resource_count: usize,
    /// Which fields an update named.
    pub fields: Vec<String>,
    /// Where the call came from; empty if from nowhere.
    pub remote: String,
    /// The call's request id; empty if it had none.
    pub request_id: String,
}

/// Which entries to list: those that match all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of the tenant with this public id.
    pub tenant: Option<String>,
    /// By the holder of this key.
    pub key: Option<ApiKeyId>,
    /// Of this method.
    pub method: Option<String>,
    /// From this time on.
    pub start: Option<Timestamp>,
    /// Before this time.
    pub end: Option<Timestamp>,
}

impl AuditFilter {
    /// Whether it selects `entry`.
    pub fn selects(&self, entry: &AuditEntry) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == entry.tenant)
            && self.key.is_none_or(|key| entry.actor.key() == Some(key))
            && self.method.as_ref().is_none_or(|method| *method == entry.method)
            && self.start.is_none_or(|start| entry.time >= start)
            && self.end.is_none_or(|end| entry.time < end)
    }
}
