//! Tenants: on whose behalf events are published, and what is set for all of a tenant's events.

use super::{TenantKey, Timestamp};

/// A tenant as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its row.
    pub key: TenantKey,
    /// Its public id.
    pub id: String,
    /// A name for people.
    pub display_name: String,
    /// Whether payloads are checked.
    pub schema_check: SchemaCheck,
    /// How much it may ask for.
    pub quotas: Quotas,
    /// The configuration version that last changed it; its etag.
    pub version: i64,
    /// When it was created; `None` for the one that comes with the database.
    pub created: Option<Timestamp>,
    /// When it last changed, if it has.
    pub updated: Option<Timestamp>,
}

/// What becomes of an event whose payload breaks its type's schema. The numbers are those of the protocol and of the
/// database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum SchemaCheck {
    /// Payloads are not checked.
    #[default]
    Off = 1,
    /// It is published with warnings.
    Warn = 2,
    /// It is refused.
    Reject = 3,
}

impl SchemaCheck {
    /// Reads the number; `None` if there is no such setting.
    pub fn from_i64(number: i64) -> Option<Self> {
        [Self::Off, Self::Warn, Self::Reject].into_iter().find(|check| *check as i64 == number)
    }
}

/// How much a tenant may ask for; `None` is as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Endpoints that are not deleted.
    pub endpoints: Option<i64>,
    /// Deliveries that have not ended.
    pub pending_deliveries: Option<i64>,
    /// Events published in a second, on average.
    pub events_per_second: Option<i64>,
    /// Events published at once after a pause; as many as in a second if it is not said.
    pub events_burst: Option<i64>,
    /// Bytes of payloads published in a second, on average.
    pub bytes_per_second: Option<i64>,
}

impl Quotas {
    /// Whether anything is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
