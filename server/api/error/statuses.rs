//! How statuses are made: the reason and its metadata, what each kind of error carries besides, and the statuses that several
//! errors share.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, PreconditionViolation, QuotaViolation, StatusExt as _};

use crate::proto::ErrorReason;

/// The `domain` of every ErrorInfo.
const DOMAIN: &str = "tidings.v1";

/// The publish queue drains within a turn or two.
pub(super) const RETRY_OVERLOADED: Duration = Duration::from_millis(100);
/// A database that cannot be used, or a server that restarts, is back in about that.
pub(super) const RETRY_UNAVAILABLE: Duration = Duration::from_secs(1);
/// Streams last long.
const RETRY_STREAMS: Duration = Duration::from_secs(5);
/// Somebody has to make room on the disk.
const RETRY_FULL: Duration = Duration::from_secs(10);

pub(super) fn precondition(reason: ErrorReason, subject: &str, message: String, state: Option<&str>) -> Status {
    let metadata = state.map(|state| ("state".to_owned(), state.to_owned())).into_iter().collect();
    let mut details = details(reason, metadata);
    details.set_precondition_failure(vec![PreconditionViolation::new(reason_name(reason), subject, message.clone())]);
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

pub(super) fn storage_full() -> Status {
    let message = "the disk of the server's database is full; try again when there is space";
    retryable(Code::Unavailable, ErrorReason::StorageFull, message, RETRY_FULL)
}

pub(super) fn storage_unavailable() -> Status {
    let message = "the server's database is not available; try again";
    retryable(Code::Unavailable, ErrorReason::StorageUnavailable, message, RETRY_UNAVAILABLE)
}

pub(super) fn shutting_down() -> Status {
    let message = "the server is shutting down; try again";
    retryable(Code::Unavailable, ErrorReason::ShuttingDown, message, RETRY_UNAVAILABLE)
}

pub(super) fn retryable(code: Code, reason: ErrorReason, message: &str, delay: Duration) -> Status {
    let mut details = details(reason, HashMap::new());
    details.set_retry_info(Some(delay));
    Status::with_error_details(code, message, details)
}

pub(super) fn internal(error: &dyn std::fmt::Display) -> Status {
    let incident = format!("{:016x}", rand::random::<u64>());
    tracing::error!(%error, incident, "a call failed by a fault of the server's");
    let message = format!("the server failed; its log tells more under incident {incident}");
    let details = details(ErrorReason::Internal, HashMap::from([("incident".to_owned(), incident)]));
    Status::with_error_details(Code::Internal, message, details)
}

pub(super) fn status(code: Code, reason: ErrorReason, message: &str) -> Status {
    Status::with_error_details(code, message, details(reason, HashMap::new()))
}

pub(super) fn details(reason: ErrorReason, metadata: HashMap<String, String>) -> ErrorDetails {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason_name(reason), DOMAIN, metadata);
    details
}

pub(super) fn reason_name(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}

pub(super) fn too_many_streams() -> Status {
    let message = "as many streams are open as the server allows; close some, or try again later";
    retryable(Code::ResourceExhausted, ErrorReason::TooManyStreams, message, RETRY_STREAMS)
}

/// `quota` is the field of TenantQuotas.
pub(super) fn quota_exceeded(quota: &str, problem: &str, retry_after: Option<Duration>) -> Status {
    let metadata = HashMap::from([("quota".to_owned(), quota.to_owned())]);
    let mut details = details(ErrorReason::QuotaExceeded, metadata);
    details.set_quota_failure(vec![QuotaViolation::new(format!("quotas.{quota}"), problem)]);
    if let Some(after) = retry_after {
        details.set_retry_info(Some(after));
    }
    Status::with_error_details(Code::ResourceExhausted, problem, details)
}
