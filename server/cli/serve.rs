//! `tidings serve`: runs a server until it is told to stop.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    api::Limits,
    dispatch::Room,
    egress::EgressConfig,
    model::{AddressPolicy, Cidr, Clock, UrlPolicy},
    server::{Config, Server},
    watch,
};

/// What `tidings serve` is told.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address to listen on. Until there are API keys it must be a loopback address.
    #[arg(long, env = "TIDINGS_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    /// SQLite database; made if it is not there.
    #[arg(long, env = "TIDINGS_DATABASE", value_name = "FILE", default_value = "tidings.db")]
    database: PathBuf,
    /// File with the key that seals the database's secrets; made together with the database. Keep a copy of it apart from
    /// the database's. Default: the database's name and `.key`.
    #[arg(long, env = "TIDINGS_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Longest payload of an event, in bytes.
    #[arg(long, env = "TIDINGS_PAYLOAD_BYTES_MAX", value_name = "BYTES", default_value_t = 256 * 1024,
          value_parser = clap::value_parser!(u32).range(1..=16 * 1024 * 1024))]
    payload_bytes_max: u32,
    /// Requests in flight at once, over all endpoints.
    #[arg(long, env = "TIDINGS_IN_FLIGHT_MAX", value_name = "REQUESTS", default_value_t = 1_024,
          value_parser = clap::value_parser!(u32).range(2..=100_000))]
    in_flight_max: u32,
    /// Development: endpoints may have plain `http:` URLs, port 80 included.
    #[arg(long, env = "TIDINGS_ALLOW_HTTP")]
    allow_http: bool,
    /// Allow endpoints in this network although it is private or otherwise special. May be repeated.
    #[arg(long, env = "TIDINGS_ALLOW_CIDR", value_name = "CIDR", value_delimiter = ',')]
    allow_cidr: Vec<Cidr>,
    /// Allow endpoints on this port, or these ports (`8000-8999`), besides 443 and 8443. May be repeated.
    #[arg(long, env = "TIDINGS_ALLOW_PORT", value_name = "PORT[-PORT]", value_delimiter = ',', value_parser = ports)]
    allow_port: Vec<(u16, u16)>,
}

/// Runs a server until SIGTERM or SIGINT.
///
/// # Errors
/// The server cannot start, or cannot go on.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let listen = args.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let server = Server::start(args.config(), listener).await?;
    super::terminal::say(&format!("listening on {}", server.address()));
    let failed = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        () = server.failed() => true,
    };
    tracing::info!("stopping");
    server.stop().await;
    anyhow::ensure!(!failed, "the server could not go on; its log says why");
    Ok(())
}

impl ServeArgs {
    fn config(self) -> Config {
        let key_file = self.key_file.unwrap_or_else(|| {
            let mut name = self.database.clone().into_os_string();
            name.push(".key");
            name.into()
        });
        let addresses = AddressPolicy { allowed: self.allow_cidr };
        let mut ports = UrlPolicy::default().ports;
        ports.extend(self.allow_port.iter().flat_map(|&(first, last)| first..=last));
        Config {
            database: self.database,
            key_file,
            urls: UrlPolicy { allow_http: self.allow_http, ports: ports.clone(), addresses: addresses.clone() },
            egress: EgressConfig { allow_http: self.allow_http, ports, addresses, ..EgressConfig::default() },
            room: Room { slots: self.in_flight_max, ..Room::default() },
            limits: Limits { payload_bytes_max: self.payload_bytes_max as usize },
            watch: watch::Config::default(),
            clock: Clock::system(),
        }
    }
}

/// Reads `PORT` or `FIRST-LAST`.
fn ports(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        _ => Err("expected a port from 1 to 65535, or two of them as FIRST-LAST".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_one_or_a_range() {
        assert_eq!(ports("8080"), Ok((8080, 8080)));
        assert_eq!(ports("1-65535"), Ok((1, 65535)));
        for wrong in ["", "0", "0-5", "70000", "9-8", "a", "1-2-3", "-5"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }
}
