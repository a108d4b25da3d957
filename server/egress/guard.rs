//! The address guards: the URL before each attempt, the peer of each connection.
//!
//! The guard of resolved names is in [`super::resolve`]. Each guard stands by itself; none relies on another having run.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use tower::{BoxError, Layer, Service, ServiceExt as _};
use url::{Host, Url};

use super::phase::{Phase, Progress};
use crate::model::AddressPolicy;

/// Why nothing was sent. Repeats no part of the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Blocked {
    #[error("the URL's scheme is not allowed")]
    Scheme,
    #[error("the URL's port is not allowed")]
    Port,
    #[error("the URL names no host")]
    NoHost,
    #[error("the URL names an address that this server does not send to")]
    Literal,
    #[error("the host name resolves to an address that this server does not send to")]
    Resolved,
    #[error("the connection led to an address that this server does not send to")]
    Peer,
}

/// Checks what a URL says by itself. Needed although names are checked when they are resolved: the HTTP client does not
/// ask the resolver about literal addresses.
pub(super) struct UrlGuard {
    pub(super) allow_http: bool,
    /// Sorted: there may be tens of thousands, and every attempt looks.
    pub(super) ports: Vec<u16>,
    pub(super) addresses: AddressPolicy,
}

impl UrlGuard {
    pub(super) fn check(&self, url: &Url) -> Result<(), Blocked> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err(Blocked::Scheme),
        }
        let port = url.port_or_known_default().ok_or(Blocked::Port)?;
        let allowed = self.ports.binary_search(&port).is_ok() || (self.allow_http && port == 80);
        if !allowed {
            return Err(Blocked::Port);
        }
        match url.host().ok_or(Blocked::NoHost)? {
            Host::Domain(_) => Ok(()),
            Host::Ipv4(address) => self.check_literal((address, port).into()),
            Host::Ipv6(address) => self.check_literal((address, port).into()),
        }
    }

    fn check_literal(&self, target: SocketAddr) -> Result<(), Blocked> {
        if self.addresses.permits_target(target) { Ok(()) } else { Err(Blocked::Literal) }
    }
}

/// Puts a [`PeerGuard`] around the HTTP client's connector.
#[derive(Clone)]
pub(super) struct PeerLayer {
    addresses: Arc<AddressPolicy>,
}

impl PeerLayer {
    pub(super) fn new(addresses: AddressPolicy) -> Self {
        Self { addresses: Arc::new(addresses) }
    }
}

impl<S> Layer<S> for PeerLayer {
    type Service = PeerGuard<S>;

    fn layer(&self, connector: S) -> Self::Service {
        PeerGuard { connector: Arc::new(connector), addresses: Arc::clone(&self.addresses) }
    }
}

/// A connector that hands out a connection only if its peer is permitted; others are closed unused.
#[derive(Clone)]
pub(super) struct PeerGuard<S> {
    /// Shared, for the HTTP client clones the whole for every request, and most requests find a connection.
    connector: Arc<S>,
    addresses: Arc<AddressPolicy>,
}

// Generic over target and connection, because the HTTP client does not let its own types be named.
impl<S, Target> Service<Target> for PeerGuard<S>
where
    S: Service<Target, Error = BoxError> + Clone + Send + 'static,
    S::Response: Connection,
    S::Future: Send + 'static,
    Target: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let progress = Progress::of_this_task();
        progress.enter(Phase::Connecting);
        let connecting = S::clone(&self.connector).oneshot(target);
        let addresses = Arc::clone(&self.addresses);
        Box::pin(async move {
            let connection = connecting.await?;
            progress.enter(Phase::Exchanging);
            // A connection that does not tell its peer is refused as well.
            match ends(&connection) {
                Some((peer, local)) if addresses.permits_peer(peer, local.ip()) => Ok(connection),
                Some(_) | None => Err(Blocked::Peer.into()),
            }
        })
    }
}

/// The peer's end of a connection, and this machine's.
fn ends(connection: &impl Connection) -> Option<(SocketAddr, SocketAddr)> {
    let mut extensions = http::Extensions::new();
    connection.connected().get_extras(&mut extensions);
    extensions.get::<HttpInfo>().map(|info| (info.remote_addr(), info.local_addr()))
}
