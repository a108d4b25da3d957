//! `tidings serve`: runs a server until it is told to stop.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, builder::NonEmptyStringValueParser};
use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, getrlimit, setrlimit, umask},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use zeroize::Zeroizing;

use super::{key_source::key_source, listen_args::ListenArgs, roots};
use crate::{
    access::AdminConfig,
    api::Limits,
    dispatch::Room,
    egress::EgressConfig,
    model::{AddressPolicy, Cidr, Clock, HeldKey, UrlPolicy},
    server::{Config, Server},
    store::{self, Location},
    watch,
};

/// Holds an operator's key. Not an argument: what is on a command line others can read.
const ADMIN_KEY_VARIABLE: &str = "TIDINGS_ADMIN_KEY";

/// What `tidings serve` is told.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address to listen on. Beyond loopback only with --tls-cert, or with --allow-plaintext.
    #[arg(long, env = "TIDINGS_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    #[command(flatten)]
    connections: ListenArgs,
    /// SQLite database, made if it is not there; or the URL of a Postgres database, `postgres://USER:PASSWORD@HOST/NAME`.
    #[arg(
        long,
        env = "TIDINGS_DATABASE",
        hide_env_values = true,
        value_name = "FILE|URL",
        default_value = "tidings.db"
    )]
    database: Location,
    /// File with the key that seals the database's secrets. For SQLite it is made together with the database, and is by
    /// default called by the database's name and `.key`. For Postgres it has to be there, unless the variable TIDINGS_KEY
    /// holds the key: 32 random bytes in base64. There may be several, one a line in the file, with commas between them in the
    /// variable: the first seals, all of them open. Keep a copy apart from the database's.
    #[arg(long, env = "TIDINGS_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// File that an operator's API key is written to if no operator can get in yet, readable by its owner alone. For SQLite it is
    /// by default called by the database's name and `.admin-key`. For Postgres there is no default. No file is needed if the
    /// variable TIDINGS_ADMIN_KEY holds a key, which `tidings keys generate` makes: it is an operator's for as long as the
    /// server runs with it.
    #[arg(long, env = "TIDINGS_ADMIN_KEY_FILE", value_name = "FILE")]
    admin_key_file: Option<PathBuf>,
    /// Listen beyond loopback although what is said there is not encrypted, API keys among it.
    #[arg(long, env = "TIDINGS_ALLOW_PLAINTEXT")]
    allow_plaintext: bool,
    /// Name that this server keeps over restarts; on Postgres a server that starts takes over at once from the one that had
    /// its name. Default: the machine's name.
    #[arg(long, env = "TIDINGS_REPLICA_NAME", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    replica_name: Option<String>,
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
    /// PEM file with root certificates that endpoints are trusted by besides those of the system. Read at the start.
    #[arg(long, env = "TIDINGS_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// Runs a server until SIGTERM or SIGINT.
///
/// # Errors
/// The server cannot start, or cannot go on.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    // What the server writes, its database above all, is nobody else's to read.
    umask(Mode::RWXG | Mode::RWXO);
    let listen = args.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    #[expect(clippy::disallowed_methods, reason = "an argument would show the key to whoever lists processes")]
    let variable = |name| std::env::var(name).ok();
    let config = args.config(variable(ADMIN_KEY_VARIABLE))?;
    raise_open_files();
    let replica = config.database.replica.clone();
    let server = Server::start(config, listener).await?;
    super::terminal::say(&format!("listening on {}", server.address()));
    let failed = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        () = server.failed() => true,
    };
    if server.is_fenced() {
        anyhow::bail!("another server has started as replica `{replica}` and taken over; this one has stopped");
    }
    tracing::info!("stopping");
    server.stop().await;
    anyhow::ensure!(!failed, "the server could not go on; its log says why");
    Ok(())
}

impl ServeArgs {
    fn config(self, admin_key: Option<String>) -> anyhow::Result<Config> {
        let key = key_source(&self.database, self.key_file)?;
        let admin = admin_config(&self.database, self.admin_key_file, admin_key)?;
        let replica = self.replica_name.unwrap_or_else(machine_name);
        let addresses = AddressPolicy { allowed: self.allow_cidr, ..AddressPolicy::default() };
        let mut ports = UrlPolicy::default().ports;
        ports.extend(self.allow_port.iter().flat_map(|&(first, last)| first..=last));
        let extra_roots = self.ca_file.as_deref().map_or(Ok(Vec::new()), roots::read)?;
        let listen = self.connections.config()?;
        Ok(Config {
            listen,
            database: store::Config { location: self.database, key, replica },
            urls: UrlPolicy { allow_http: self.allow_http, ports: ports.clone(), addresses: addresses.clone() },
            egress: EgressConfig {
                allow_http: self.allow_http,
                ports,
                addresses,
                extra_roots,
                only_extra_roots: false,
            },
            room: Room { slots: self.in_flight_max, ..Room::default() },
            limits: Limits { payload_bytes_max: self.payload_bytes_max as usize, ..Limits::default() },
            watch: watch::Config::default(),
            clock: Clock::system(),
            admin,
            allow_plaintext: self.allow_plaintext,
        })
    }
}

/// Lets the server have as many connections open as the system allows it: the soft limit is made for programs that cannot
/// cope with more.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the limit on open files could not be raised");
    }
}

/// Where the first operator's key comes from, for this database. An empty variable is none.
fn admin_config(database: &Location, file: Option<PathBuf>, given: Option<String>) -> anyhow::Result<AdminConfig> {
    let given = given.map(Zeroizing::new).filter(|given| !given.trim().is_empty());
    let given = given.map(|text| {
        let key = HeldKey::parse(text.trim());
        key.with_context(|| format!("{ADMIN_KEY_VARIABLE} is not a key; `tidings keys generate` makes one"))
    });
    let file = file.or_else(|| match database {
        Location::Sqlite(path) => Some(admin_key_file(path)),
        Location::Postgres(_) => None,
    });
    Ok(AdminConfig { given: given.transpose()?, file })
}

/// Where the first operator's key is, for a SQLite database.
pub(super) fn admin_key_file(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".admin-key");
    name.into()
}

fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
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
