//! From domain errors to statuses: the one place.
//!
//! Every status carries google.rpc.ErrorInfo; refused input carries every violation, state errors the state, and what may
//! succeed later says when. What is a fault of the server's is logged here, once, under an incident id that the caller is
//! told; no message shows SQL, a type of the code or a path.

mod layers;
mod statuses;

use std::collections::HashMap;

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{FieldViolation, StatusExt as _};

pub(super) use self::layers::{deadline_exceeded, explained, key_invalid, key_missing, panicked, scope_missing};
use self::statuses::{
    RETRY_OVERLOADED, RETRY_UNAVAILABLE, details, internal, precondition, quota_exceeded, retryable, shutting_down,
    status, storage_full, storage_unavailable, too_many_streams,
};
use super::{events::EXPIRED, violation::Violations};
use crate::{
    configure,
    model::{EndpointStatus, ShownState},
    proto::{DeliveryState, ErrorReason},
    publish::{Exceeded, PublishError, StreamEnd},
    redrive,
    repeat::Reused,
    store,
    watch::WatchError,
};

/// Why a call fails.
#[derive(Debug)]
pub(super) enum Error {
    /// The request breaks rules.
    Invalid(Violations),
    /// The tenant has no such resource.
    NotFound(Resource),
    /// A change of the configuration failed.
    Configure(configure::Error),
    /// Retrying or cancelling a delivery failed.
    Redrive(redrive::Error),
    /// Publishing failed.
    Publish(PublishError),
    /// A stream of events is not opened, or ends.
    PublishStream(StreamEnd<Status>),
    /// A stream is not opened, or ends.
    Watch(WatchError),
    /// The request id was used for another call.
    Reused(Reused),
    /// It is not known who calls.
    NoCaller,
    /// A token is to make another.
    NoFurtherToken,
    /// Reading failed.
    Store(store::Error),
}

/// What may not be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Tenant,
    Endpoint,
    Secret,
    Event,
    Delivery,
    EventType,
    Key,
}

impl Resource {
    fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Endpoint => "endpoint",
            Self::Secret => "secret",
            Self::Event => "event",
            Self::Delivery => "delivery",
            Self::EventType => "event type",
            Self::Key => "key",
        }
    }
}

impl From<configure::Error> for Error {
    fn from(error: configure::Error) -> Self {
        Self::Configure(error)
    }
}

impl From<redrive::Error> for Error {
    fn from(error: redrive::Error) -> Self {
        Self::Redrive(error)
    }
}

impl From<PublishError> for Error {
    fn from(error: PublishError) -> Self {
        Self::Publish(error)
    }
}

impl From<StreamEnd<Status>> for Error {
    fn from(end: StreamEnd<Status>) -> Self {
        Self::PublishStream(end)
    }
}

impl From<WatchError> for Error {
    fn from(error: WatchError) -> Self {
        Self::Watch(error)
    }
}

impl From<Reused> for Error {
    fn from(error: Reused) -> Self {
        Self::Reused(error)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(violations) => invalid(violations),
            Error::NotFound(resource) => not_found(resource),
            Error::Configure(error) => configure_status(error),
            Error::Redrive(error) => redrive_status(error),
            Error::Publish(error) => publish_status(error),
            Error::PublishStream(end) => publish_stream_status(end),
            Error::Watch(error) => watch_status(error),
            Error::Reused(error) => reused(error),
            Error::NoCaller => key_missing(),
            Error::NoFurtherToken => status(
                Code::PermissionDenied,
                ErrorReason::KeyRequired,
                "a dashboard token makes no other tokens; call with an API key",
            ),
            Error::Store(error) => store_status(&error),
        }
    }
}

impl Error {
    /// The same status as a message, for what stands in an answer.
    pub(super) fn into_rpc_status(self) -> tonic_types::Status {
        let status = Status::from(self);
        // Statuses with details carry themselves as this very message.
        tonic_types::Status::decode(status.details()).ok().filter(|rpc| rpc.code != 0).unwrap_or_else(|| {
            tonic_types::Status {
                code: status.code() as i32,
                message: status.message().to_owned(),
                details: Vec::new(),
            }
        })
    }
}

fn configure_status(error: configure::Error) -> Status {
    match error {
        configure::Error::NotFound => not_found(Resource::Endpoint),
        configure::Error::Conflict => status(
            Code::Aborted,
            ErrorReason::EtagMismatch,
            "it changed since its etag was read; read it again and repeat the change",
        ),
        configure::Error::Refused(refusals) => {
            let mut violations = Violations::default();
            for refusal in refusals {
                violations.add(refusal.field, refusal.problem);
            }
            invalid(violations)
        }
        configure::Error::SchemeChanged => status(
            Code::Aborted,
            ErrorReason::SchemeChanged,
            "the endpoint's schemes changed during the call; read the endpoint again and repeat the call",
        ),
        configure::Error::NoSuchSecret => not_found(Resource::Secret),
        configure::Error::TooManySecrets => {
            let message = format!(
                "the scheme has {} live secrets, which is the limit; wait until one expires, revoke one, or rotate with \
                 overlap 0",
                configure::SECRETS_MAX
            );
            precondition(ErrorReason::TooManySecrets, "endpoint", message, None)
        }
        configure::Error::SecretStaged => {
            let message = "the scheme has a secret that does not sign yet; activate or revoke it first".to_owned();
            precondition(ErrorReason::SecretStaged, "secret", message, None)
        }
        configure::Error::LastSecret => {
            let message = "no other secret of the scheme signs; rotate or activate another first".to_owned();
            precondition(ErrorReason::LastSecret, "secret", message, None)
        }
        configure::Error::TooManyEventTypes { count } => {
            let message = format!(
                "the catalogue would hold {count} event types; the limit is {}, and nothing was written",
                configure::EVENT_TYPES_MAX
            );
            precondition(ErrorReason::TooManyEventTypes, "catalogue", message, None)
        }
        configure::Error::CatalogueTooLarge { bytes } => {
            let message = format!(
                "the schemas of the catalogue would take {bytes} bytes; the limit is {}, and nothing was written",
                configure::SCHEMAS_BYTES_MAX
            );
            precondition(ErrorReason::CatalogueTooLarge, "catalogue", message, None)
        }
        configure::Error::EventTypeExists => status(
            Code::AlreadyExists,
            ErrorReason::EventTypeExists,
            "the catalogue has an event type of this name already; update that one",
        ),
        configure::Error::NoSuchEventType => not_found(Resource::EventType),
        configure::Error::NoSuchTenant => not_found(Resource::Tenant),
        configure::Error::NoSuchKey => not_found(Resource::Key),
        configure::Error::TenantExists => status(
            Code::AlreadyExists,
            ErrorReason::TenantExists,
            "there is a tenant of this id already; update that one",
        ),
        configure::Error::TenantNotEmpty => {
            let message = "the tenant still has endpoints; delete them first".to_owned();
            precondition(ErrorReason::TenantNotEmpty, "tenant", message, None)
        }
        configure::Error::TooManyKeys => {
            let message = format!("there are {} keys already, which is the limit; revoke some", configure::KEYS_MAX);
            precondition(ErrorReason::TooManyKeys, "keys", message, None)
        }
        configure::Error::EndpointQuota { max } => {
            let problem = format!("the tenant has {max} endpoints, which is its quota");
            quota_exceeded("max_endpoints", &problem, None)
        }
        configure::Error::Reused(error) => reused(error),
        configure::Error::Store(error) => store_status(&error),
    }
}

fn redrive_status(error: redrive::Error) -> Status {
    match error {
        redrive::Error::NotFound => not_found(Resource::Delivery),
        redrive::Error::NoEvent => not_found(Resource::Event),
        redrive::Error::EventExpunged => {
            let message = "the event was expunged; there is nothing left to deliver".to_owned();
            precondition(ErrorReason::EventExpunged, "event", message, None)
        }
        redrive::Error::EventExpired => {
            let message = "the event's expire_time has passed; publish another to deliver it".to_owned();
            precondition(ErrorReason::EventExpired, "event", message, None)
        }
        redrive::Error::State(state) => {
            let name = state_name(state);
            let message = format!("the delivery is {name}, which does not allow this call");
            precondition(ErrorReason::DeliveryState, "delivery", message, Some(name))
        }
        redrive::Error::EndpointState(state) => {
            let (name, remedy) = match state {
                EndpointStatus::Enabled => ("ENABLED", ""),
                EndpointStatus::Paused { .. } => ("PAUSED", "; activate it first"),
                EndpointStatus::Disabled { .. } => ("DISABLED", "; activate it first"),
                EndpointStatus::Deleted => ("DELETED", ""),
            };
            let message = format!("the delivery's endpoint is {name}, which does not allow this call{remedy}");
            precondition(ErrorReason::EndpointState, "endpoint", message, Some(name))
        }
        redrive::Error::Reused(error) => reused(error),
        redrive::Error::Store(error) => store_status(&error),
    }
}

fn publish_status(error: PublishError) -> Status {
    match error {
        PublishError::Overloaded => {
            let message = "the publish queue is full; try again";
            retryable(Code::ResourceExhausted, ErrorReason::Overloaded, message, RETRY_OVERLOADED)
        }
        PublishError::Quota(exceeded) => over_quota(exceeded),
        PublishError::Expired => {
            let mut violations = Violations::default();
            violations.add("event.expire_time", EXPIRED);
            invalid(violations)
        }
        PublishError::IdReused => status(
            Code::AlreadyExists,
            ErrorReason::EventIdReused,
            "an event with this id and other content was published before; use a new id",
        ),
        PublishError::StorageFull => storage_full(),
        PublishError::StorageUnavailable => storage_unavailable(),
        PublishError::ShuttingDown => shutting_down(),
        PublishError::Internal => internal(&error),
    }
}

fn publish_stream_status(end: StreamEnd<Status>) -> Status {
    match end {
        StreamEnd::TooMany => too_many_streams(),
        StreamEnd::Requests(status) => status,
        StreamEnd::SlowConsumer => status(
            Code::Aborted,
            ErrorReason::SlowConsumer,
            "acknowledgements were not read for too long; send again what was not acknowledged, under the same event ids",
        ),
        StreamEnd::ShuttingDown => shutting_down(),
        StreamEnd::Panicked => internal(&"a stream of events panicked"),
    }
}

fn watch_status(error: WatchError) -> Status {
    match error {
        WatchError::InvalidToken => {
            let mut violations = Violations::default();
            let problem = "must be the token of a message of this stream, with the same tenant and filter";
            violations.add_for(ErrorReason::InvalidResumeToken, "resume_token", problem);
            invalid(violations)
        }
        WatchError::Expired => status(
            Code::OutOfRange,
            ErrorReason::ResumeTokenExpired,
            "what follows the resume token is no longer kept; start from the oldest, or from now",
        ),
        WatchError::Rewound => status(
            Code::OutOfRange,
            ErrorReason::LogRewound,
            "the database was restored to a state before the resume token; start from a time, or from the oldest",
        ),
        WatchError::TooManyStreams => too_many_streams(),
        WatchError::SlowConsumer { resume_token } => {
            let metadata = HashMap::from([("resume_token".to_owned(), resume_token)]);
            let message =
                "the stream's reader made no progress for too long; resume with the token of its last message";
            Status::with_error_details(Code::Aborted, message, details(ErrorReason::SlowConsumer, metadata))
        }
        WatchError::ShuttingDown => shutting_down(),
        WatchError::Storage(error) => store_status(&error),
        WatchError::Panicked => internal(&error),
    }
}

fn store_status(error: &store::Error) -> Status {
    match error {
        store::Error::Full(_) => storage_full(),
        store::Error::Unavailable(cause) => {
            tracing::warn!(%cause, "the database is not available");
            storage_unavailable()
        }
        store::Error::Contended(_) | store::Error::Outdated | store::Error::Unforeseen | store::Error::Fenced => {
            storage_unavailable()
        }
        store::Error::InUse(_)
        | store::Error::Key(_)
        | store::Error::Unsuitable(_)
        | store::Error::Data(_)
        | store::Error::Poisoned
        | store::Error::Corrupt(_)
        | store::Error::Migrate(_)
        | store::Error::Panicked => internal(error),
    }
}

fn over_quota(exceeded: Exceeded) -> Status {
    match exceeded {
        Exceeded::PendingDeliveries { max } => {
            let problem = format!("the tenant has {max} pending deliveries, which is its quota");
            quota_exceeded("max_pending_deliveries", &problem, Some(RETRY_UNAVAILABLE))
        }
        Exceeded::Events { per_second, after } => {
            let problem = format!("the tenant publishes more than {per_second} events a second, which is its quota");
            quota_exceeded("events_per_second", &problem, Some(after))
        }
        Exceeded::Bytes { per_second, after } => {
            let problem = format!("the tenant publishes more than {per_second} bytes a second, which is its quota");
            quota_exceeded("bytes_per_second", &problem, Some(after))
        }
    }
}

fn invalid(violations: Violations) -> Status {
    let reason = violations.reason();
    let shown = violations.into_shown();
    let message = match shown.as_slice() {
        [] => "the request is invalid".to_owned(),
        [(field, description)] => format!("{field} {description}"),
        [(field, description), rest @ ..] => format!("{field} {description} (and {} more)", rest.len()),
    };
    let shown: Vec<_> = shown.into_iter().map(|(field, description)| FieldViolation::new(field, description)).collect();
    let mut details = details(reason, HashMap::new());
    details.set_bad_request(shown);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The same text for what is not there and for what is another tenant's.
fn not_found(resource: Resource) -> Status {
    let name = resource.name();
    let metadata = HashMap::from([("resource".to_owned(), name.to_owned())]);
    Status::with_error_details(Code::NotFound, format!("no such {name}"), details(ErrorReason::NotFound, metadata))
}

fn reused(Reused: Reused) -> Status {
    status(
        Code::AlreadyExists,
        ErrorReason::RequestIdReused,
        "the request id was used within 24 h for another call, or for this one with other content or another key; use a new \
         id",
    )
}

fn state_name(state: ShownState) -> &'static str {
    DeliveryState::from(state).as_str_name().trim_start_matches("DELIVERY_STATE_")
}

#[cfg(test)]
mod tests;
