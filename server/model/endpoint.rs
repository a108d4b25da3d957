//! Endpoints: where a tenant's events go, and on what terms.

use std::{sync::Arc, time::Duration};

use super::{EndpointKey, RetrySchedule, SecretKey, TenantKey, Timestamp, TypeFilter};

/// An endpoint as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its row.
    pub key: EndpointKey,
    /// Whose it is.
    pub tenant: TenantKey,
    /// What the tenant says of it.
    pub settings: EndpointSettings,
    /// Whether it receives events.
    pub status: EndpointStatus,
    /// Raised at each activation; outcomes of attempts begun under an earlier one do not disable the endpoint.
    pub generation: i64,
    /// The configuration version that last changed it; its etag.
    pub version: i64,
    /// When it was created.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

/// What a tenant sets of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointSettings {
    /// A name for people.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Where to POST; canonical, checked when it was written.
    pub url: url::Url,
    /// Which event types it wants.
    pub filter: TypeFilter,
    /// Retries, timeout and limits.
    pub policy: DeliveryPolicy,
}

/// Retries, timeout and limits of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryPolicy {
    /// When failed attempts are repeated.
    pub retry: RetrySchedule,
    /// The limit over one whole exchange.
    pub timeout: Duration,
    /// Requests in flight at once.
    pub max_in_flight: u32,
    /// How long a delivery may be held.
    pub hold_duration: Duration,
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self {
            retry: RetrySchedule::Standard,
            timeout: Duration::from_secs(15),
            max_in_flight: 8,
            hold_duration: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// Whether an endpoint receives events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointStatus {
    /// It does.
    Enabled,
    /// It does not; what is pending is held.
    Disabled {
        /// Why.
        reason: DisableReason,
        /// Since when.
        since: Timestamp,
    },
    /// It is gone; its row stays while deliveries refer to it.
    Deleted,
}

/// Why an endpoint is disabled. The numbers are those of the protocol and of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum DisableReason {
    /// Somebody asked for it.
    Requested = 1,
    /// It answered 410.
    Gone = 2,
    /// It failed for five days without a success.
    Failing = 3,
}

impl DisableReason {
    /// Reads the number; `None` if there is no such reason.
    pub fn from_i64(number: i64) -> Option<Self> {
        [Self::Requested, Self::Gone, Self::Failing].into_iter().find(|reason| *reason as i64 == number)
    }
}

/// A signing secret as it is stored, opened.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Its row.
    pub key: SecretKey,
    /// The secret itself, as its owner was shown it.
    pub value: Arc<crate::signing::Secret>,
    /// When it was created.
    pub created: Timestamp,
    /// When it stops signing; `None` for the newest.
    pub expires: Option<Timestamp>,
}
