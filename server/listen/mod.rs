//! Edge: incoming connections, up to the first byte of HTTP. Who may connect, how many there may be, and for how long one may
//! stay without saying what it wants.
//!
//! A connection takes its place ([`Places`]), is encrypted if the server has a certificate ([`Tls`]), and has to say whether it
//! speaks HTTP/2 or HTTP/1 before a time is up ([`Connection`]). What then comes over it is `api`'s.

mod accept;
mod connection;
mod places;
mod tls;

use std::time::Duration;

use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

pub(crate) use self::connection::Connection;
use self::places::Places;
pub use self::tls::{Tls, TlsError, TlsFiles};

/// Connections that are made and wait to be served.
const MADE_MAX: usize = 64;

/// Which connections there may be.
#[derive(Clone, Debug)]
pub struct Config {
    /// The certificate and whom the server trusts; without it connections are not encrypted.
    pub tls: Option<Tls>,
    /// Connections in all; more are closed at once.
    pub connections_max: usize,
    /// Connections from one IPv4 address, or one /64 of IPv6; more are closed at once.
    pub connections_per_address_max: usize,
    /// How long a connection may take until it has said which version of HTTP it speaks, its TLS handshake included.
    pub greeting_max: Duration,
    /// How long a connection of HTTP/1 may last; its clients fetch a key set and go.
    pub http1_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tls: None,
            connections_max: 8_192,
            connections_per_address_max: 1_024,
            greeting_max: Duration::from_secs(10),
            http1_max: Duration::from_secs(60),
        }
    }
}

/// Accepts connections until `shutdown`, in a task of its own; the stream ends then.
pub(crate) fn incoming(
    listener: TcpListener,
    config: Config,
    shutdown: CancellationToken,
) -> ReceiverStream<std::io::Result<Connection>> {
    let (made, connections) = mpsc::channel(MADE_MAX);
    tokio::spawn(async move {
        shutdown.run_until_cancelled(accept::accept(listener, config, made)).await;
    });
    ReceiverStream::new(connections)
}

#[cfg(test)]
mod tests;
