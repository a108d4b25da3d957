//! Accepting connections, whatever becomes of single ones. The loop never ends by itself.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::Sender,
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use super::{Config, Connection, Places, places::Place};

/// A pause after the system could not give us a connection: for want of file descriptors, say, which others have to give
/// back first.
const PAUSE: Duration = Duration::from_millis(100);

/// How often it is said that connections are refused.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// Accepts connections and sends them on once they are encrypted.
pub(super) async fn accept(listener: TcpListener, config: Config, made: Sender<io::Result<Connection>>) {
    let places = Arc::new(Places::new(config.connections_max, config.connections_per_address_max));
    let config = Arc::new(config);
    let mut warnings = Warnings::default();
    // Each has a place, so they are bounded. They end with this set.
    let mut greetings = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => match places.take(address.ip()) {
                    Some(place) => {
                        greetings.spawn(greet(stream, address, place, config.clone(), made.clone()));
                    }
                    // It is closed.
                    None => warnings.refused(address),
                },
                Err(error) => {
                    warnings.failed(&error);
                    // One that the client gave up meanwhile cost nothing.
                    if error.kind() != io::ErrorKind::ConnectionAborted {
                        sleep(PAUSE).await;
                    }
                }
            },
            Some(_) = greetings.join_next() => {}
        }
    }
}

/// Makes a connection of a stream, unless it takes too long or its handshake fails.
async fn greet(
    stream: TcpStream,
    address: SocketAddr,
    place: Place,
    config: Arc<Config>,
    made: Sender<io::Result<Connection>>,
) {
    let until = Instant::now() + config.greeting_max;
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let connection = match &config.tls {
        None => Connection::plain(stream, address, place, until, config.http1_max),
        Some(tls) => match timeout_at(until, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => Connection::encrypted(stream, address, place, until, config.http1_max),
            Ok(Err(error)) => {
                tracing::debug!(%address, %error, "a TLS handshake failed");
                return;
            }
            Err(_late) => return,
        },
    };
    // Nobody takes it: the server stops.
    drop(made.send(Ok(connection)).await);
}

/// Says now and then that connections are refused, rather than for each of them.
#[derive(Debug, Default)]
struct Warnings {
    said: Option<Instant>,
    untold: u64,
}

impl Warnings {
    fn refused(&mut self, address: SocketAddr) {
        self.untold += 1;
        if self.is_time() {
            let refused = std::mem::take(&mut self.untold);
            tracing::warn!(refused, last = %address.ip(), "connections are refused: there are too many");
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if self.is_time() {
            tracing::warn!(%error, "connections cannot be accepted");
        }
    }

    fn is_time(&mut self) -> bool {
        let now = Instant::now();
        let is_time = self.said.is_none_or(|said| now >= said + WARNING_INTERVAL);
        if is_time {
            self.said = Some(now);
        }
        is_time
    }
}
