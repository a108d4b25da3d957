//! Endpoints: where a tenant's events go, and on what terms.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Backlog, CredentialsSummary, EndpointKey, EndpointUrl, RetrySchedule, Standing, Style, TenantKey, Timestamp,
    TypeFilter,
};

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
    /// What becomes of deliveries that wait behind it; shared by endpoints that were loaded and have nothing of the kind.
    pub backlog: Arc<Backlog>,
    /// Raised at each activation; outcomes of attempts begun under an earlier one do not disable the endpoint.
    pub generation: i64,
    /// The configuration version that last changed it; its etag.
    pub version: i64,
    /// When it was created.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

/// An endpoint that has failed for so long without one success is disabled.
pub const FAILING_MAX: Duration = Duration::from_secs(5 * 24 * 3600);

/// After so long its owner is warned.
pub const FAILING_WARNED: Duration = Duration::from_secs(4 * 24 * 3600);

impl Endpoint {
    /// Takes a status in which what is pending is held: since now, or since the endpoint was last enabled. A drain ends.
    pub fn hold(&mut self, status: EndpointStatus, now: Timestamp) {
        self.status = status;
        let backlog = Arc::make_mut(&mut self.backlog);
        backlog.held_since.get_or_insert(now);
        backlog.drain = None;
    }

    /// What the shown states of its deliveries depend on.
    pub fn standing(&self) -> Standing {
        Standing { status: self.status, skipped: self.backlog.skipped }
    }

    /// When a delivery that is due at `due` is to be looked at: then or, while it is held, when it has been for too long.
    pub fn looks_at(&self, due: Timestamp) -> Timestamp {
        if self.status.holds() { self.backlog.end_of_hold(due, self.settings.policy.hold_duration) } else { due }
    }
}

/// What a tenant sets of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointSettings {
    /// A name for people.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Labels of the tenant's own.
    pub labels: BTreeMap<String, String>,
    /// Where to POST; canonical, checked when it was written.
    pub url: EndpointUrl,
    /// Which event types it wants.
    pub filter: TypeFilter,
    /// How its webhooks look on the wire.
    pub style: Style,
    /// The names of its own headers, whose values are sealed.
    pub header_names: Vec<String>,
    /// By what the server is known to it; the credentials themselves are sealed.
    pub credentials: CredentialsSummary,
    /// Retries, timeout and limits; shared by endpoints that were loaded with the same.
    pub policy: Arc<DeliveryPolicy>,
}

impl EndpointSettings {
    /// When failed attempts are repeated.
    pub fn retry(&self) -> &RetrySchedule {
        self.policy.retry.as_ref().unwrap_or_else(|| self.style.preset().retry())
    }

    /// The limit over one whole exchange.
    pub fn timeout(&self) -> Duration {
        self.policy.timeout.unwrap_or_else(|| self.style.preset().timeout())
    }

    /// After how many dead deliveries in a row the endpoint is disabled; 0 for never.
    pub fn disable_after_dead(&self) -> u32 {
        self.policy.disable_after_dead.unwrap_or_else(|| self.style.preset().disable_after_dead())
    }
}

/// Retries, timeout and limits of an endpoint. What is `None` is as its style has it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryPolicy {
    /// When failed attempts are repeated.
    pub retry: Option<RetrySchedule>,
    /// The limit over one whole exchange.
    pub timeout: Option<Duration>,
    /// Requests in flight at once.
    pub max_in_flight: u32,
    /// How long a delivery may be held.
    pub hold_duration: Duration,
    /// After how many dead deliveries in a row the endpoint is disabled; 0 for never.
    pub disable_after_dead: Option<u32>,
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self {
            retry: None,
            timeout: None,
            max_in_flight: 8,
            hold_duration: Duration::from_secs(7 * 24 * 3600),
            disable_after_dead: None,
        }
    }
}

/// Whether an endpoint receives events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointStatus {
    /// It does.
    Enabled,
    /// It does, but nothing is sent: its deliveries are held.
    Paused {
        /// Since when.
        since: Timestamp,
    },
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

impl EndpointStatus {
    /// Whether events are routed to the endpoint.
    pub fn is_routed(self) -> bool {
        matches!(self, Self::Enabled | Self::Paused { .. })
    }

    /// Whether what is pending is held.
    pub fn holds(self) -> bool {
        matches!(self, Self::Paused { .. } | Self::Disabled { .. })
    }
}

/// Why an endpoint is disabled, or is about to be. The numbers are those of the protocol and of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum DisableReason {
    /// Somebody asked for it.
    Requested = 1,
    /// It answered 410.
    Gone = 2,
    /// It failed for five days without a success.
    Failing = 3,
    /// Too many of its deliveries in a row ended dead.
    DeadInARow = 4,
}

impl DisableReason {
    /// Reads the number; `None` if there is no such reason.
    pub fn from_i64(number: i64) -> Option<Self> {
        [Self::Requested, Self::Gone, Self::Failing, Self::DeadInARow]
            .into_iter()
            .find(|reason| *reason as i64 == number)
    }
}
