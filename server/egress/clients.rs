//! HTTP clients: one that shows no certificate, and one for each client certificate that was lately used. They share
//! what they trust and how names are resolved, but no connection and no TLS session: those belong to who shook hands.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::dns::Resolve;
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider, sign::SingleCertAndKey};
use rustls_platform_verifier::Verifier;

use super::{
    CONNECT_TIMEOUT, EgressConfig, EgressError,
    failure::Failure,
    guard::PeerLayer,
    identity::{self, IdentityError},
    recent::Recent,
};
use crate::model::{AddressPolicy, ClientCertificate, FailureKind};

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

/// Client certificates whose connections are kept. More endpoints with one of their own than this in one go shake hands
/// anew with every request.
const IDENTITIES_MAX: usize = 256;

/// All HTTP clients.
pub(super) struct Clients {
    nobody: reqwest::Client,
    identities: Mutex<Recent<reqwest::Client>>,
    recipe: Recipe,
}

/// What clients are made by.
struct Recipe {
    provider: Arc<CryptoProvider>,
    trust: Trust,
    names: Arc<dyn Resolve>,
    addresses: AddressPolicy,
    https_only: bool,
}

/// Whose certificates are taken. Read once: the system's roots are files.
enum Trust {
    Only(Arc<RootCertStore>),
    SystemAnd(Arc<Verifier>),
}

impl Clients {
    pub(super) fn new(config: &mut EgressConfig, names: Arc<dyn Resolve>) -> Result<Self, EgressError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = std::mem::take(&mut config.extra_roots);
        let trust = if config.only_extra_roots {
            let mut store = RootCertStore::empty();
            for root in roots {
                store.add(root).map_err(EgressError::Roots)?;
            }
            Trust::Only(Arc::new(store))
        } else {
            let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(EgressError::Roots)?;
            Trust::SystemAnd(Arc::new(verifier))
        };
        let addresses = config.addresses.clone();
        let recipe = Recipe { provider, trust, names, addresses, https_only: !config.allow_http };
        let nobody = recipe.client(recipe.tls().map_err(EgressError::Roots)?).map_err(EgressError::Client)?;
        Ok(Self { nobody, identities: Mutex::new(Recent::new(IDENTITIES_MAX)), recipe })
    }

    /// The client that shows this certificate, or none.
    pub(super) fn of(&self, certificate: Option<&ClientCertificate>) -> Result<reqwest::Client, Failure> {
        let Some(certificate) = certificate else { return Ok(self.nobody.clone()) };
        let key = certificate.digest();
        if let Some(client) = self.identities.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(client.clone());
        }
        // Made without the lock. Of two that are made at once the later stays; the other serves its one request.
        let client = self.recipe.client_showing(certificate)?;
        self.identities.lock().unwrap_or_else(PoisonError::into_inner).insert(key, client.clone());
        Ok(client)
    }
}

impl Recipe {
    fn client_showing(&self, certificate: &ClientCertificate) -> Result<reqwest::Client, Failure> {
        let unusable =
            |why: &str| Failure::new(FailureKind::Tls, &format!("the client certificate cannot be used: {why}"));
        let shown = identity::shown(certificate, &self.provider)
            .map_err(|error: IdentityError| unusable(&error.to_string()))?;
        let mut tls = self.tls().map_err(|error| unusable(&error.to_string()))?;
        tls.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(shown));
        self.client(tls).map_err(|_| unusable("the HTTP client could not be made"))
    }

    /// Built here rather than by the HTTP client, which would take its cryptography from a global of the process.
    fn tls(&self) -> Result<ClientConfig, rustls::Error> {
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&self.provider)).with_safe_default_protocol_versions()?;
        let builder = match &self.trust {
            Trust::Only(roots) => builder.with_root_certificates(Arc::clone(roots)),
            Trust::SystemAnd(verifier) => {
                builder.dangerous().with_custom_certificate_verifier(Arc::clone(verifier) as Arc<_>)
            }
        };
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn client(&self, tls: ClientConfig) -> reqwest::Result<reqwest::Client> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(self.https_only)
            .user_agent(USER_AGENT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .dns_resolver(Arc::clone(&self.names))
            .connector_layer(PeerLayer::new(self.addresses.clone()))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST_MAX)
            .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
            .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
            .http2_max_header_list_size(HTTP2_HEADER_BYTES_MAX)
            .build()
    }
}
