//! Calling a server: the connection, the key that calls bear, and what is said when a call fails.

use std::{
    convert::Infallible,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use tonic::{Code, Status, transport::Endpoint};
use tonic_types::StatusExt as _;
use zeroize::Zeroizing;

use super::{serve::admin_key_file, terminal::printable, trust_args::TrustArgs};
use crate::{
    access::{self, AdminKeyError},
    client::{Bearer, KeyedChannel},
    proto::{admin_service_client::AdminServiceClient, webhook_service_client::WebhookServiceClient},
};

/// A connection is made within this time or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A call is answered within this time or given up: a server whose disk is slow answers late.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How much of each thing that a server says is shown.
const MESSAGE_CHARS_MAX: usize = 500;

/// The database of a server that was started without options, in the folder that it was started in.
const DATABASE: &str = "tidings.db";

/// Which server is called, and with which key.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerArgs {
    /// The server.
    #[arg(long, env = "TIDINGS_SERVER", default_value = "http://127.0.0.1:7070", value_name = "URL")]
    pub server: String,
    /// The API key to call with. Others on this machine can read it on the command line; the variable they cannot. Default:
    /// that of --api-key-file.
    #[arg(long, env = "TIDINGS_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub api_key: Option<KeyText>,
    /// File that holds the API key. Default: `tidings.db.admin-key` in this folder if it is there and the server is on this
    /// machine.
    #[arg(long, env = "TIDINGS_API_KEY_FILE", value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// How the connection is made.
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// A key as it was given. Shows nothing of itself.
#[derive(Clone)]
pub struct KeyText(Zeroizing<String>);

impl FromStr for KeyText {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.trim().to_owned().into()))
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(…)")
    }
}

/// Why a call fails.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server's address is not a URL.
    #[error("`{0}` is not the URL of a server, such as http://127.0.0.1:7070")]
    Server(String),
    /// The key has characters that no key has.
    #[error("the API key has characters that no key has")]
    Key,
    /// The file with the key cannot be used.
    #[error(transparent)]
    KeyFile(#[from] AdminKeyError),
    /// A certificate or key cannot be used.
    #[error("no encrypted connection can be made: {0:#}")]
    Tls(anyhow::Error),
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
    pub(super) fn client(&self) -> Result<WebhookServiceClient<KeyedChannel>, CallError> {
        Ok(WebhookServiceClient::new(self.channel()?))
    }

    /// As [`ServerArgs::client`], for administration.
    pub(super) fn admin(&self) -> Result<AdminServiceClient<KeyedChannel>, CallError> {
        Ok(AdminServiceClient::new(self.channel()?))
    }

    fn channel(&self) -> Result<KeyedChannel, CallError> {
        let endpoint = self.endpoint()?.connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT);
        Ok(self.bearer()?.over(self.trust.open(&endpoint)?))
    }

    /// Where the server is.
    pub(super) fn endpoint(&self) -> Result<Endpoint, CallError> {
        Endpoint::from_shared(self.server.clone()).map_err(|_| CallError::Server(self.server.clone()))
    }

    /// What calls bear: a key if there is one. Without one the server says that it wants one.
    pub(super) fn bearer(&self) -> Result<Bearer, CallError> {
        let text = match (&self.api_key, &self.api_key_file) {
            (Some(KeyText(text)), _) if !text.is_empty() => Some(text.clone()),
            (_, Some(file)) => Some(access::read_key_file(file)?.text()),
            _ if self.is_here() => {
                access::read_key_file(&admin_key_file(Path::new(DATABASE))).ok().map(|key| key.text())
            }
            _ => None,
        };
        text.map_or(Ok(Bearer::default()), |text| Bearer::new(&text).map_err(|_| CallError::Key))
    }

    /// Whether the server is on this machine.
    fn is_here(&self) -> bool {
        let url = url::Url::parse(&self.server).ok();
        match url.as_ref().and_then(url::Url::host) {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// What a call that ended with `status` failed of.
    pub(super) fn failed(&self, status: Status) -> CallError {
        let said = status.get_details_error_info().is_some();
        match status.code() {
            // Codes that the connection itself ends calls with.
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Internal | Code::Unknown if !said => {
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

    fn args(server: &str) -> ServerArgs {
        ServerArgs { server: server.to_owned(), api_key: None, api_key_file: None, trust: TrustArgs::default() }
    }

    fn failed(status: Status) -> String {
        args("http://127.0.0.1:7070").failed(status).to_string()
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
        let other = failed(Status::internal("h2 protocol error"));
        assert!(other.starts_with("no answer from the server"), "{other}");
        let silent = failed(Status::unavailable("connection refused"));
        assert_eq!(silent, "no answer from the server at http://127.0.0.1:7070: connection refused");
    }

    #[test]
    fn address_that_is_no_url_is_refused() {
        let refused = args("not a url").client();
        assert!(matches!(refused, Err(CallError::Server(server)) if server == "not a url"));
    }

    #[test]
    fn only_this_machine_is_called_with_the_key_that_lies_here() {
        for server in ["http://127.0.0.1:7070", "http://localhost", "http://[::1]:1", "https://127.9.9.9"] {
            assert!(args(server).is_here(), "{server}");
        }
        for server in ["http://example.com", "http://localhost.example", "http://10.0.0.1:7070", "localhost:7070"] {
            assert!(!args(server).is_here(), "{server}");
        }
    }

    #[test]
    fn no_key_is_shown() {
        let shown = format!("{:?}", ServerArgs { api_key: "canary".parse().ok(), ..args("http://127.0.0.1") });
        assert!(!shown.contains("canary"), "{shown}");
    }
}
