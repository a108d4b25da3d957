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
mod failure;
mod guard;
mod resolve;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderMap;
use reqwest::dns::Resolve;
use rustls_pki_types::CertificateDer;
use url::Url;

use self::{
    answer::Answer,
    failure::Failure,
    guard::{PeerLayer, UrlGuard},
    resolve::{GuardedResolver, SystemResolver},
};
use crate::model::{AddressPolicy, Outcome};

/// The longest that resolving, connecting and the TLS handshake may take together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer's body is read. Beyond it the connection is dropped rather than drained.
pub const RESPONSE_READ_BYTES_MAX: usize = 64 * 1024;
/// How much of an answer's body is kept.
pub const RESPONSE_KEPT_BYTES_MAX: usize = 16 * 1024;

/// How long an unused connection is kept: shorter than the 60 s after which many servers close it themselves, so that a
/// request seldom meets a connection that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Unused connections kept for each host: 32 endpoints at their default concurrency of 8. Deliveries begin in bursts, turn by
/// turn, so between two nearly all connections of a busy host are unused; what is beyond this is closed, and made anew, with
/// a handshake, for the next.
const IDLE_CONNECTIONS_PER_HOST_MAX: usize = 256;
/// How often an HTTP/2 connection with open requests is pinged, and how long the answer may take. Many requests share
/// one connection, so a dead one would fail them all until the kernel notices.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(10);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// What a peer may send over HTTP/2 before it is read: for one request what is read of it at most, and for a connection
/// as much for each of 16 requests.
const HTTP2_STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 16 * HTTP2_STREAM_WINDOW_BYTES;
const HTTP2_HEADER_BYTES_MAX: u32 = 16 * 1024;

const USER_AGENT: &str = concat!("tidings/", env!("CARGO_PKG_VERSION"));

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
    /// All headers but `host`, `content-length`, `accept` and `user-agent`.
    pub headers: HeaderMap,
    /// The body, sent as it is.
    pub body: Bytes,
    /// How long the exchange may take: connecting, headers and body together.
    pub timeout: Duration,
}

/// The HTTP client. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Egress {
    client: reqwest::Client,
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

    fn with_resolver(config: EgressConfig, names: impl Resolve + 'static) -> Result<Self, EgressError> {
        let tls = tls_config(config.extra_roots, config.only_extra_roots).map_err(EgressError::Roots)?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(!config.allow_http)
            .user_agent(USER_AGENT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .dns_resolver(names)
            .connector_layer(PeerLayer::new(config.addresses.clone()))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST_MAX)
            .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
            .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
            .http2_max_header_list_size(HTTP2_HEADER_BYTES_MAX)
            .build()
            .map_err(EgressError::Client)?;
        let mut ports = config.ports;
        ports.sort_unstable();
        let urls = UrlGuard { allow_http: config.allow_http, ports, addresses: config.addresses };
        Ok(Self { client, urls: Arc::new(urls) })
    }

    /// Makes one exchange. Never fails as `Err`: what went wrong is in the outcome.
    ///
    /// A 2xx is a success once its body has ended or its first [`RESPONSE_READ_BYTES_MAX`] were read. A body that does
    /// not end in time is a timeout, and one that breaks off a protocol failure; the status is recorded with both.
    pub async fn post(&self, request: Request) -> Outcome {
        let started = Instant::now();
        let mut answer = Answer::default();
        let timeout = request.timeout;
        let failure = match self.urls.check(&request.url) {
            Err(blocked) => Some(Failure::blocked(&blocked)),
            Ok(()) => match tokio::time::timeout(timeout, exchange(&self.client, request, &mut answer)).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(Failure::of(&error)),
                Err(_elapsed) => Some(answer.timed_out(timeout)),
            },
        };
        answer.into_outcome(failure, started.elapsed())
    }
}

async fn exchange(client: &reqwest::Client, request: Request, answer: &mut Answer) -> Result<(), reqwest::Error> {
    let Request { url, headers, body, timeout: _ } = request;
    let mut response = client.post(url).headers(headers).body(body).send().await?;
    answer.begin(&response, std::time::SystemTime::now());
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if answer.take(&chunk) => {}
            // Returning drops the response, and with it a connection that has more to say.
            Ok(_) => return Ok(()),
            Err(error) if answer.is_whole_despite(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Built here rather than by the HTTP client, which would take its cryptography from a global of the process.
fn tls_config(
    extra_roots: Vec<CertificateDer<'static>>,
    only_extra_roots: bool,
) -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        rustls::ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let mut config = if only_extra_roots {
        let mut roots = rustls::RootCertStore::empty();
        for root in extra_roots {
            roots.add(root)?;
        }
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra_roots, provider)?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
