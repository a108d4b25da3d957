//! Deliveries: where each stands, and which of them a filter selects.

use std::{sync::Arc, time::Duration};

use super::{DeliveryKey, EndpointKey, EndpointStatus, TenantKey, Timestamp, TypeFilter, attempt::FailureKind};

/// A delivery's state as it is stored. The numbers are those of the database and of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum DeliveryState {
    /// Waits for its next attempt (shown as held while its endpoint is paused or disabled).
    Pending = 1,
    /// Leased to a server for an attempt.
    InFlight = 2,
    /// Accepted by the endpoint.
    Delivered = 3,
    /// Given up.
    Dead = 4,
    /// Cancelled.
    Cancelled = 5,
}

impl DeliveryState {
    const ALL: [Self; 5] = [Self::Pending, Self::InFlight, Self::Delivered, Self::Dead, Self::Cancelled];

    /// Reads the number; `None` if there is no such state.
    pub fn from_i64(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as i64 == number)
    }

    /// Whether nothing more happens to the delivery by itself.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Delivered | Self::Dead | Self::Cancelled)
    }
}

/// A delivery's state as it is shown: what is stored, seen with its endpoint's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ShownState {
    /// As stored.
    Pending = 1,
    /// As stored.
    InFlight = 2,
    /// As stored.
    Delivered = 3,
    /// As stored.
    Dead = 4,
    /// As stored, or pending and skipped, or pending at a deleted endpoint.
    Cancelled = 5,
    /// Pending at a paused or disabled endpoint.
    Held = 6,
}

/// A delivery as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Its row.
    pub key: DeliveryKey,
    /// Whose it is.
    pub tenant: TenantKey,
    /// The event's public id.
    pub event_id: Arc<str>,
    /// The event's type.
    pub event_type: Arc<str>,
    /// Where it stands.
    pub state: ShownState,
    /// The latest attempt's number; 0 if none has begun.
    pub attempt: u32,
    /// When the next attempt is due, while pending.
    pub next_attempt: Option<Timestamp>,
    /// Whether it ends with the attempt in flight.
    pub cancel_requested: bool,
    /// The latest attempt's HTTP status.
    pub http_status: Option<u16>,
    /// Why the latest attempt failed.
    pub failure: Option<FailureKind>,
    /// How long the latest attempt took.
    pub latency: Option<Duration>,
    /// When its event was published.
    pub created: Timestamp,
    /// When it last changed its state.
    pub updated: Timestamp,
}

/// Selects deliveries: conditions are combined with AND, the values of one with OR; an empty one selects all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeliveryFilter {
    /// To one of these endpoints.
    pub endpoints: Vec<EndpointKey>,
    /// Of a type that one of these patterns matches.
    pub event_types: TypeFilter,
    /// In one of these states.
    pub states: Vec<ShownState>,
    /// Of one of these events, by public id.
    pub event_ids: Vec<String>,
    /// Whose latest attempt failed for one of these reasons.
    pub failures: Vec<FailureKind>,
    /// Of events that were published then or later.
    pub start: Option<Timestamp>,
    /// Of events that were published before.
    pub end: Option<Timestamp>,
}

impl DeliveryState {
    /// How the state of a delivery that was not skipped is shown, seen with the endpoint's status.
    pub fn shown(self, endpoint: EndpointStatus) -> ShownState {
        match (self, endpoint) {
            (Self::Pending, EndpointStatus::Enabled) => ShownState::Pending,
            (Self::Pending, EndpointStatus::Paused { .. } | EndpointStatus::Disabled { .. }) => ShownState::Held,
            (Self::Pending, EndpointStatus::Deleted) | (Self::Cancelled, _) => ShownState::Cancelled,
            (Self::InFlight, _) => ShownState::InFlight,
            (Self::Delivered, _) => ShownState::Delivered,
            (Self::Dead, _) => ShownState::Dead,
        }
    }
}
