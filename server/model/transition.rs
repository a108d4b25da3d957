//! Transitions: what the log records of every turn, in the packed form in which it is stored.
//!
//! A log row is self-contained: whoever reads it needs no other table. It is encoded as protobuf, so that fields can be
//! added without touching old rows.

/// The body of one log row: all transitions of one commit, in order.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LogBody {
    /// The events that `entries` refer to by index.
    #[prost(message, repeated, tag = "1")]
    pub events: Vec<LogEvent>,
    /// The transitions.
    #[prost(message, repeated, tag = "2")]
    pub entries: Vec<LogEntry>,
}

/// An event that transitions of one row refer to.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LogEvent {
    /// Its row.
    #[prost(int64, tag = "1")]
    pub key: i64,
    /// Its public id.
    #[prost(string, tag = "2")]
    pub id: String,
    /// Its type.
    #[prost(string, tag = "3")]
    pub event_type: String,
}

/// One transition of a delivery or of an endpoint.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LogEntry {
    /// Whose it is.
    #[prost(int64, tag = "1")]
    pub tenant: i64,
    /// The endpoint.
    #[prost(int64, tag = "2")]
    pub endpoint: i64,
    /// What happened: a [`TransitionKind`].
    #[prost(int32, tag = "3")]
    pub kind: i32,
    /// For deliveries: index into the row's events.
    #[prost(uint32, tag = "4")]
    pub event: u32,
    /// For deliveries: the state after the transition, a [`super::ShownState`].
    #[prost(int32, tag = "5")]
    pub state: i32,
    /// For deliveries: the latest attempt's number.
    #[prost(uint32, tag = "6")]
    pub attempt: u32,
    /// For deliveries: HTTP status of the attempt that ended; 0 if none.
    #[prost(uint32, tag = "7")]
    pub http_status: u32,
    /// For deliveries: a [`super::FailureKind`], 0 if none.
    #[prost(int32, tag = "8")]
    pub failure: i32,
    /// For deliveries: how long the attempt that ended took, in microseconds.
    #[prost(int64, optional, tag = "9")]
    pub latency_micros: Option<i64>,
    /// For deliveries: when the next attempt is due, in microseconds since the epoch.
    #[prost(int64, optional, tag = "10")]
    pub next_attempt_micros: Option<i64>,
    /// For endpoints that are disabled, or warned of it: a [`super::DisableReason`], 0 if none.
    #[prost(int32, tag = "11")]
    pub disable_reason: i32,
}

/// What happened. Numbers up to 99 concern deliveries and are those of the protocol's `DeliveryTransitionKind`; those
/// above concern endpoints and are 100 more than those of `EndpointTransitionKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TransitionKind {
    /// The delivery was created with its event.
    Queued = 1,
    /// An attempt succeeded.
    Delivered = 2,
    /// An attempt failed or was lost; the next is scheduled.
    RetryScheduled = 3,
    /// The delivery was given up.
    Dead = 4,
    /// The delivery was cancelled.
    Cancelled = 5,
    /// The delivery went back to waiting at a paused or disabled endpoint.
    Held = 6,
    /// A person made the delivery due again.
    RetryRequested = 7,
    /// Cancellation was asked for while an attempt was in flight.
    CancelRequested = 8,
    /// The endpoint was created.
    EndpointCreated = 101,
    /// The endpoint's configuration changed.
    EndpointUpdated = 102,
    /// The endpoint was disabled.
    EndpointDisabled = 103,
    /// The endpoint was activated.
    EndpointActivated = 104,
    /// The endpoint was deleted.
    EndpointDeleted = 105,
    /// A secret was rotated.
    SecretRotated = 106,
    /// A staged secret was activated.
    SecretActivated = 107,
    /// A secret was revoked.
    SecretRevoked = 108,
    /// The endpoint was paused.
    EndpointPaused = 109,
    /// The endpoint fails, and will be disabled if that goes on.
    EndpointWarned = 110,
}

impl TransitionKind {
    const ALL: [Self; 18] = [
        Self::Queued,
        Self::Delivered,
        Self::RetryScheduled,
        Self::Dead,
        Self::Cancelled,
        Self::Held,
        Self::RetryRequested,
        Self::CancelRequested,
        Self::EndpointCreated,
        Self::EndpointUpdated,
        Self::EndpointDisabled,
        Self::EndpointActivated,
        Self::EndpointDeleted,
        Self::SecretRotated,
        Self::SecretActivated,
        Self::SecretRevoked,
        Self::EndpointPaused,
        Self::EndpointWarned,
    ];

    /// Reads the number; `None` if there is no such kind.
    pub fn from_i32(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i32 == number)
    }

    /// Whether the transition is an endpoint's rather than a delivery's.
    pub fn concerns_endpoint(self) -> bool {
        self as i32 > 100
    }
}
