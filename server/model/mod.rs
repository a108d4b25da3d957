//! The nouns: tenants, endpoints, events, deliveries, attempts, and the rules that need nothing but them.
//!
//! Pure: no I/O, no async, no database, no network library. Time and randomness are passed in.

mod address;
mod attempt;
mod delivery;
mod endpoint;
mod event;
mod event_type;
mod filter;
mod id;
mod key;
mod retry;
mod time;
mod transition;
mod url;

pub use self::{
    address::{AddressPolicy, Cidr},
    attempt::{Attempt, AttemptResult, FailureKind, Outcome},
    delivery::{Delivery, DeliveryFilter, DeliveryState, ShownState},
    endpoint::{DeliveryPolicy, DisableReason, Endpoint, EndpointSettings, EndpointStatus, Secret},
    event::{DEFAULT_CONTENT_TYPE, Event, EventContent, NewEvent},
    event_type::{EventType, EventTypeSettings},
    filter::{EVENT_TYPE_BYTES_MAX, PATTERNS_MAX, PatternError, TypeFilter, is_event_type},
    id::{AttemptId, IdCodec, IdError},
    key::{DeliveryKey, EndpointKey, EventKey, Incarnation, SecretKey, TenantKey},
    retry::{Decision, RetrySchedule, decide},
    time::{Clock, Timestamp},
    transition::{LogBody, LogEntry, LogEvent, TransitionKind},
    url::{UrlError, UrlPolicy},
};
