//! Egress: one signed request goes out, one [`Outcome`] comes back.
//!
//! Five layers keep requests away from addresses that are not meant for them: the URL was checked when the endpoint was
//! written; its literal host, scheme and port are checked again before each attempt; names resolve only if **every**
//! address is permitted; there are no proxies, redirects or automatic retries; and the peer of each new connection is
//! checked before the first HTTP byte. The last four live here.
//!
//! Everything is bounded: the time to connect, the time of the whole exchange, and what is read and kept of an answer.
//! Nothing here knows endpoints, deliveries or the database.

mod answer;
mod authorization;
mod clients;
mod exchange;
mod failure;
mod grant;
mod guard;
mod identity;
mod phase;
mod recent;
mod resolve;
#[cfg(test)]
mod tests;
mod token;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use reqwest::dns::Resolve;
use rustls_pki_types::CertificateDer;
use url::Url;

pub use self::identity::{CHAIN_BYTES_MAX, IdentityError, KEY_BYTES_MAX, read_identity};
use self::{
    answer::Answer,
    authorization::{Authorization, authorize},
    clients::Clients,
    exchange::Line,
    failure::Failure,
    guard::UrlGuard,
    resolve::{GuardedResolver, SystemResolver},
    token::Tokens,
};
use crate::model::{AddressPolicy, Credentials, FailureKind, Outcome};

/// The longest that resolving, connecting and the TLS handshake may take together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer's body is read. Beyond it the connection is dropped rather than drained.
pub const RESPONSE_READ_BYTES_MAX: usize = 64 * 1024;
/// How much of an answer's body is kept.
pub const RESPONSE_KEPT_BYTES_MAX: usize = 16 * 1024;

/// Where requests may go and whom they trust.
#[derive(Clone, Debug, Default)]
pub struct EgressConfig {
    /// Plain `http:` is allowed too. For development.
    pub allow_http: bool,
    /// The ports allowed; with `allow_http` port 80 as well.
    pub ports: Vec<u16>,
    /// The addresses allowed.
    pub addresses: AddressPolicy,
    /// Root certificates that are trusted besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Trust `extra_roots` alone and leave the system's certificates aside.
    pub only_extra_roots: bool,
}

/// Why the client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// A root certificate could not be read, or there is none to trust.
    #[error("no usable root certificates: {0}")]
    Roots(#[source] rustls::Error),
    /// The HTTP client refused its configuration.
    #[error("the HTTP client could not be made")]
    Client(#[source] reqwest::Error),
}

/// One POST to be made.
#[derive(Clone)]
pub struct Request {
    /// Where to. Checked again here, whatever was checked before.
    pub url: Url,
    /// All headers but `host`, `content-length`, `accept`, `user-agent` and what the credentials add.
    pub headers: HeaderMap,
    /// The body, sent as it is.
    pub body: Bytes,
    /// How long the exchange may take: fetching an access token, connecting, headers and body together.
    pub timeout: Duration,
    /// By what the server is known to the peer.
    pub credentials: Option<Arc<Credentials>>,
}

/// One POST, with all that stands in it.
struct Post {
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    timeout: Duration,
}

/// What makes exchanges. Cheap to clone; clones share their connections and access tokens.
#[derive(Clone)]
pub struct Egress(Arc<Inner>);

struct Inner {
    clients: Clients,
    tokens: Tokens,
    urls: Arc<UrlGuard>,
}

impl Egress {
    /// Makes the client. Reads the system's root certificates, so it may block for some milliseconds; call it once.
    ///
    /// # Errors
    /// No root certificate can be read, or the HTTP client cannot be set up.
    pub fn new(config: EgressConfig) -> Result<Self, EgressError> {
        let names = GuardedResolver::new(SystemResolver::default(), config.addresses.clone());
        Self::with_resolver(config, names)
    }

    fn with_resolver(mut config: EgressConfig, names: impl Resolve + 'static) -> Result<Self, EgressError> {
        let clients = Clients::new(&mut config, Arc::new(names))?;
        let EgressConfig { allow_http, mut ports, addresses, .. } = config;
        ports.sort_unstable();
        let urls = Arc::new(UrlGuard { allow_http, ports, addresses });
        Ok(Self(Arc::new(Inner { clients, tokens: Tokens::default(), urls })))
    }

    /// Makes one exchange. Never fails as `Err`: what went wrong is in the outcome.
    ///
    /// A 2xx is a success once its body has ended or its first [`RESPONSE_READ_BYTES_MAX`] were read. A body that does
    /// not end in time is a timeout, and one that breaks off a lost connection; the status is recorded with both.
    ///
    /// A 401 to an access token makes that one forgotten, so that the next exchange fetches another. This one is not
    /// repeated: it is one request, whatever comes of it.
    pub async fn post(&self, request: Request) -> Outcome {
        let begun = Instant::now();
        let Request { url, mut headers, body, timeout, credentials } = request;
        let certificate = credentials.as_ref().and_then(|credentials| credentials.certificate.as_ref());
        let unsent = |failure| Answer::default().into_outcome(Some(failure), begun.elapsed());
        let client = match self.0.clients.of(certificate) {
            Ok(client) => client,
            Err(failure) => return unsent(failure),
        };
        let line = Line { client, urls: Arc::clone(&self.0.urls) };
        let mut authorization = None;
        if let Some(credentials) = &credentials {
            // Before a token is fetched for nothing.
            if let Err(blocked) = self.0.urls.check(&url) {
                return unsent(Failure::blocked(&blocked));
            }
            match tokio::time::timeout(timeout, authorize(credentials, &self.0.tokens, &line)).await {
                Ok(Ok(made)) => authorization = made,
                Ok(Err(failure)) => return unsent(failure),
                Err(_elapsed) => {
                    let detail = format!("there was no access token within {timeout:?}");
                    return unsent(Failure::new(FailureKind::Authorization, &detail));
                }
            }
        }
        if let Some(authorization) = &authorization {
            headers.insert(header::AUTHORIZATION, authorization.header());
        }
        let outcome = line.post(Post { url, headers, body, timeout }, begun).await;
        let unauthorized = outcome.http_status == Some(StatusCode::UNAUTHORIZED.as_u16());
        if let (true, Some(Authorization::Token(key, token))) = (unauthorized, authorization) {
            self.0.tokens.forget(&key, &token);
        }
        outcome
    }
}
