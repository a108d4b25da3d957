//! A webhook receiver: an HTTP/1.1 and HTTP/2 server, with or without TLS, that gathers each request and calls a handler.
//!
//! It serves `tidings receive`, `tidings demo` and the tests; the server proper does not use it. Bodies, connections,
//! requests at once and the time that each may take are bounded, and stopping is graceful with a deadline behind it.
//! [`Verifier`] checks the signatures of what arrived.

mod certificate;
mod connection;
#[cfg(test)]
mod tests;
mod verify;

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    certificate::{Certificate, CertificateError},
    verify::{Expected, Refusal, Verifier},
};

/// The largest body that is accepted; a larger one is answered with 413.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Connections at once; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 256;
/// Requests at once over all connections, which bounds the memory that bodies take.
const REQUESTS_MAX: usize = 256;
/// How long requests under way may take when the receiver is stopped.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait when a connection cannot be accepted, for want of file descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A request as it arrived, its body read to the end. Has no Debug output: it may hold what belongs in no log.
#[derive(Clone)]
pub struct Webhook {
    /// The method; webhooks are sent by POST.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl Webhook {
    /// A header's value, if it stands there once and is plain ASCII. A header that stands there twice has no value: which
    /// of the two was signed, or meant, cannot be known.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }
}

/// What the sender is answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Headers besides those of the connection.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// An answer with a line of text.
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
        Self { status, headers: HeaderMap::from_iter([(header::CONTENT_TYPE, plain)]), body: text.into() }
    }
}

impl From<StatusCode> for Answer {
    fn from(status: StatusCode) -> Self {
        Self { status, ..Self::default() }
    }
}

/// A receiver on a bound listener. Serves once [`Receiver::run`] is awaited.
pub struct Receiver {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Receiver {
    /// A receiver of plain HTTP.
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, tls: None }
    }

    /// A receiver of HTTPS that shows `certificate`.
    ///
    /// # Errors
    /// The certificate and its key do not fit together.
    pub fn with_tls(listener: TcpListener, certificate: &Certificate) -> Result<Self, CertificateError> {
        let acceptor = TlsAcceptor::from(Arc::new(certificate.server_config()?));
        Ok(Self { listener, tls: Some(acceptor) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The listener's socket does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`; then lets the requests under way end, for at most five seconds.
    pub async fn run<H, F>(self, handler: H, shutdown: CancellationToken)
    where
        H: Fn(Webhook) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let requests = Arc::new(Semaphore::new(REQUESTS_MAX));
        let tracker = TaskTracker::new();
        let abandon = CancellationToken::new();
        while let Some((stream, permit)) = accept(&self.listener, &connections, &shutdown).await {
            let serving = connection::serve(
                stream,
                self.tls.clone(),
                connection::Service { handler: handler.clone(), requests: Arc::clone(&requests) },
                shutdown.clone(),
            );
            let abandon = abandon.clone();
            tracker.spawn(async move {
                abandon.run_until_cancelled(serving).await;
                drop(permit);
            });
        }
        drop(self.listener);
        tracker.close();
        if timeout(STOP_TIMEOUT, tracker.wait()).await.is_err() {
            abandon.cancel();
            tracker.wait().await;
        }
    }
}

/// The next connection, or `None` once it is time to stop.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let next = async {
        let permit = Arc::clone(connections).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _peer)) => return Some((stream, permit)),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    shutdown.run_until_cancelled(next).await.flatten()
}
