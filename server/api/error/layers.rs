//! Statuses of the layers around the handlers, which know no errors of the domain: for keys, deadlines, panics, and what the
//! gRPC library says by itself.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::statuses::{details, internal, status};
use crate::{model::Scope, proto::ErrorReason};

/// A status for a call that met a panic, in a layer or in its handler. The panic itself is in the log already.
pub(in crate::api) fn panicked() -> Status {
    internal(&"a call met a panic")
}

/// A status for a call that bears no key, or not as it should.
pub(in crate::api) fn key_missing() -> Status {
    let message = "an API key is required, as one value `authorization: Bearer tdk_…`";
    status(Code::Unauthenticated, ErrorReason::KeyMissing, message)
}

/// A status for a call whose key is malformed, unknown, expired or revoked: nobody is told which.
pub(in crate::api) fn key_invalid() -> Status {
    let message = "the API key is not valid: it is malformed or unknown, has expired or was revoked";
    status(Code::Unauthenticated, ErrorReason::KeyInvalid, message)
}

/// A status for a call whose key does not have the scope that the method asks for.
pub(in crate::api) fn scope_missing(scope: Scope) -> Status {
    let metadata = HashMap::from([("scope".to_owned(), scope.to_string())]);
    let message = format!("the API key does not have the scope `{scope}`, which this method asks for");
    Status::with_error_details(Code::PermissionDenied, message, details(ErrorReason::ScopeMissing, metadata))
}

/// A status for a call whose time is over.
pub(in crate::api) fn deadline_exceeded(message: &str) -> Status {
    status(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded, message)
}

/// The same status with the details that every status carries, for one that the gRPC library, its health service, or a layer
/// before all services made by itself.
pub(in crate::api) fn explained(made: &Status) -> Option<Status> {
    let mut metadata = HashMap::new();
    let (reason, default) = match made.code() {
        Code::Internal => (ErrorReason::MalformedMessage, "the message cannot be read"),
        Code::OutOfRange | Code::ResourceExhausted => (ErrorReason::MessageTooLarge, "the message is too large"),
        Code::Unimplemented => (ErrorReason::Unimplemented, "the server has no such service or method"),
        Code::PermissionDenied => (ErrorReason::CallerRefused, "the call comes from where none is taken from"),
        Code::NotFound => {
            // All else that may not be there is ours.
            metadata.insert("resource".to_owned(), "service".to_owned());
            (ErrorReason::NotFound, "the server has no such service")
        }
        _ => return None,
    };
    let message = if made.message().is_empty() { default } else { made.message() };
    Some(Status::with_error_details(made.code(), message, details(reason, metadata)))
}
