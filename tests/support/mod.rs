//! A server's API over a temporary database, on a port of its own.

use std::{future::Future, net::SocketAddr, path::PathBuf, time::Duration};

use sqlx::{Connection as _, Row as _, SqliteConnection};
use tidings::{
    api::Limits,
    dispatch::Room,
    egress::EgressConfig,
    model::{AddressPolicy, Clock, UrlPolicy},
    proto::webhook_service_client::WebhookServiceClient,
    server::{Config, Server},
    shared::Shared,
    watch,
};
use tokio::net::TcpListener;
use tonic::{
    Code, Response, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

/// A tenant beside `default`.
pub(crate) const OTHER_TENANT: &str = "other";

/// What must not change when a call is refused.
const WRITTEN: &str = "SELECT (SELECT cfg FROM gate), (SELECT count(*) FROM log), (SELECT count(*) FROM endpoint), \
                       (SELECT count(*) FROM secret), (SELECT count(*) FROM event), (SELECT count(*) FROM delivery), \
                       (SELECT count(*) FROM event_type), (SELECT count(*) FROM endpoint_header), \
                       (SELECT total(value) FROM counter)";

/// A test that waits this long for an answer has failed.
const SOON: Duration = Duration::from_secs(60);

/// A server and its client.
pub(crate) struct Api {
    pub(crate) client: WebhookServiceClient<Channel>,
    server: Server,
    config: Config,
    directory: tempfile::TempDir,
}

impl Api {
    /// A server that sends to public addresses only.
    pub(crate) async fn start() -> Self {
        Self::start_with(vec![443, 8443], AddressPolicy::default(), watch::Config::default()).await
    }

    /// A server like that of [`Api::start`] that watches in this way.
    pub(crate) async fn start_watching(watch: watch::Config) -> Self {
        Self::start_with(vec![443, 8443], AddressPolicy::default(), watch).await
    }

    /// A server that sends to this machine only, and the URL of a port on it that refuses connections.
    pub(crate) async fn start_local() -> (Self, String) {
        let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let addresses = AddressPolicy { allowed: vec!["127.0.0.0/8".parse().unwrap()] };
        let api = Self::start_with(vec![refusing.port()], addresses, watch::Config::default()).await;
        (api, format!("https://{refusing}/hook"))
    }

    async fn start_with(ports: Vec<u16>, addresses: AddressPolicy, watch: watch::Config) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("tidings.db");
        let key_file = directory.path().join("tidings.key");
        // A life before, so that there is a database to add a tenant to.
        Shared::open(&database, &key_file, Clock::system()).await.unwrap().db.close().await;
        add_tenant(&database).await;

        let urls = UrlPolicy { allow_http: false, ports: ports.clone(), addresses: addresses.clone() };
        let egress =
            EgressConfig { allow_http: false, ports, addresses, extra_roots: Vec::new(), only_extra_roots: false };
        let config = Config {
            database,
            key_file,
            urls,
            egress,
            room: Room::default(),
            limits: Limits::default(),
            watch,
            clock: Clock::system(),
        };
        Self::run(config, directory).await
    }

    async fn run(config: Config, directory: tempfile::TempDir) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::start(config.clone(), listener).await.unwrap();
        let client = WebhookServiceClient::new(channel(server.address()).await);
        Self { client, server, config, directory }
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Stops the server.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }

    /// Stops the server and starts another on the same database.
    pub(crate) async fn restart(self) -> Self {
        self.server.stop().await;
        Self::run(self.config, self.directory).await
    }

    /// Numbers that change with whatever is written.
    pub(crate) async fn written(&self) -> Vec<i64> {
        let mut conn = connect(&self.config.database).await;
        let row = sqlx::query(WRITTEN).fetch_one(&mut conn).await.unwrap();
        let numbers = (0..row.len()).map(|column| row.get_unchecked::<i64, _>(column)).collect();
        conn.close().await.unwrap();
        numbers
    }

    /// Whether these bytes stand in the database's files as they are.
    pub(crate) fn database_holds(&self, bytes: &[u8]) -> bool {
        let files = std::fs::read_dir(self.directory.path()).unwrap();
        let holds = |file: std::io::Result<std::fs::DirEntry>| {
            let content = std::fs::read(file.unwrap().path()).unwrap();
            content.windows(bytes.len()).any(|window| window == bytes)
        };
        files.into_iter().any(holds)
    }

    /// Asserts that a call is refused with this code, this reason and violations of these fields (in this order), and that
    /// nothing is written.
    pub(crate) async fn refuses<T: std::fmt::Debug>(
        &self,
        case: &str,
        call: impl Future<Output = Result<Response<T>, Status>>,
        code: Code,
        reason: &str,
        fields: &[&str],
    ) -> Status {
        let before = self.written().await;
        let status = call.await.expect_err(case);
        assert_eq!(status.code(), code, "{case}: {}", status.message());
        let details = status.get_error_details();
        let info = details.error_info().expect(case);
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "tidings.v1"), "{case}");
        let violations = details.bad_request().map_or(&[][..], |bad| bad.field_violations.as_slice());
        let violated: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(violated, fields, "{case}: {violations:?}");
        assert_eq!(self.written().await, before, "{case}");
        status
    }
}

/// What comes of `future`, which must come soon.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("an answer before long")
}

/// A connection of its own to a server.
pub(crate) async fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

async fn connect(database: &PathBuf) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn add_tenant(database: &PathBuf) {
    let mut conn = connect(database).await;
    sqlx::query("INSERT INTO tenant VALUES (2, $1, 0)").bind(OTHER_TENANT).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// Everything that an answer shows, for looking for what it must not.
pub(crate) fn shown(status: &Status) -> String {
    format!("{} {:?}", status.message(), status.get_error_details())
}
