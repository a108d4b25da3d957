//! Single calls of a server: the connection, and what is said when one fails.

use std::{fmt, time::Duration};

use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

use super::terminal::printable;
use crate::proto::webhook_service_client::WebhookServiceClient;

/// A connection is made within this time or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A call is answered within this time or given up: a server whose disk is slow answers late.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How much of each thing that a server says is shown.
const MESSAGE_CHARS_MAX: usize = 500;

/// Which server is called.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerArgs {
    /// The server.
    #[arg(long, env = "TIDINGS_SERVER", default_value = "http://127.0.0.1:7070", value_name = "URL")]
    pub server: String,
}

/// Why a call fails.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server's address is not a URL.
    #[error("`{0}` is not the URL of a server, such as http://127.0.0.1:7070")]
    Server(String),
    /// There is no such server, or it says nothing.
    #[error("no answer from the server at {server}: {message}")]
    NoAnswer {
        /// Its address.
        server: String,
        /// What went wrong.
        message: String,
    },
    /// The server refuses.
    #[error("{}", Refusal(.0))]
    Refused(Box<Status>),
}

impl ServerArgs {
    /// A client that connects when it is used.
    pub(super) fn client(&self) -> Result<WebhookServiceClient<Channel>, CallError> {
        let Ok(endpoint) = Endpoint::from_shared(self.server.clone()) else {
            return Err(CallError::Server(self.server.clone()));
        };
        let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT).connect_lazy();
        Ok(WebhookServiceClient::new(channel))
    }

    /// What a call that ended with `status` failed of.
    pub(super) fn failed(&self, status: Status) -> CallError {
        let said = status.get_details_error_info().is_some();
        match status.code() {
            // Codes that the connection itself ends calls with.
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Unknown if !said => {
                let message = printable(status.message(), MESSAGE_CHARS_MAX);
                CallError::NoAnswer { server: self.server.clone(), message }
            }
            _ => CallError::Refused(Box::new(status)),
        }
    }
}

/// A server's refusal: every violation on a line of its own, or else the message.
struct Refusal<'a>(&'a Status);

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let violations = self.0.get_details_bad_request().map_or(Vec::new(), |bad| bad.field_violations);
        if violations.is_empty() {
            return write!(f, "{}: {}", self.0.code(), printable(self.0.message(), MESSAGE_CHARS_MAX));
        }
        f.write_str("the server refuses the request:")?;
        for violation in violations {
            let line = format!("{} {}", violation.field, violation.description);
            write!(f, "\n  {}", printable(&line, MESSAGE_CHARS_MAX))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::{ErrorDetails, FieldViolation};

    use super::*;

    fn failed(status: Status) -> String {
        let args = ServerArgs { server: "http://127.0.0.1:7070".to_owned() };
        args.failed(status).to_string()
    }

    #[test]
    fn every_violation_has_a_line_and_cannot_steer_the_terminal() {
        let mut details = ErrorDetails::with_error_info("INVALID_REQUEST", "tidings.v1", HashMap::new());
        details.set_bad_request(vec![FieldViolation::new("a", "is \x1b[31m"), FieldViolation::new("b", "is\nwrong")]);
        let status = Status::with_error_details(Code::InvalidArgument, "a is (and 1 more)", details);
        assert_eq!(failed(status), "the server refuses the request:\n  a is \u{fffd}[31m\n  b is\u{fffd}wrong");
    }

    #[test]
    fn refusal_without_violations_is_told_from_silence() {
        let details = ErrorDetails::with_error_info("STORAGE_FULL", "tidings.v1", HashMap::new());
        let said = failed(Status::with_error_details(Code::Unavailable, "the disk is full", details));
        assert!(said.ends_with(": the disk is full") && !said.contains("no answer"), "{said}");
        let silent = failed(Status::unavailable("connection refused"));
        assert_eq!(silent, "no answer from the server at http://127.0.0.1:7070: connection refused");
    }

    #[test]
    fn address_that_is_no_url_is_refused() {
        let refused = ServerArgs { server: "not a url".to_owned() }.client();
        assert!(matches!(refused, Err(CallError::Server(server)) if server == "not a url"));
    }
}
