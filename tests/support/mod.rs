//! A server's API over a temporary database, on a port of its own.

mod database;
pub(crate) mod key;
mod postgres;
mod which;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use rustls_pki_types::CertificateDer;
use tidings::{
    access::AdminConfig,
    api::Limits,
    client::{Bearer, KeyedChannel},
    configure::{Configurator, NewTenant, TenantPatch},
    dispatch::Room,
    egress::EgressConfig,
    listen,
    model::{AddressPolicy, Clock, HeldKey, TenantKey, UrlPolicy},
    proto::{admin_service_client::AdminServiceClient, webhook_service_client::WebhookServiceClient},
    receiver::{Answer, Certificate, Receiver, Webhook},
    server::{Config, Server},
    shared::Shared,
    watch,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Response, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

use self::{
    database::{Database, Hold},
    key::ADMIN_KEY,
};

/// A tenant beside `default`.
pub(crate) const OTHER_TENANT: &str = "other";

/// What must not change when a call is refused. Where there are deliveries the engine adds to the log by itself.
const WRITTEN: &str = "SELECT (SELECT cfg FROM gate), \
                       (SELECT count(*) FROM log WHERE NOT EXISTS (SELECT 1 FROM delivery)), (SELECT count(*) FROM endpoint), \
                       (SELECT count(*) FROM secret), (SELECT count(*) FROM event), (SELECT count(*) FROM delivery), \
                       (SELECT count(*) FROM event_type), (SELECT count(*) FROM endpoint_header), \
                       (SELECT count(*) FROM request), \
                       (SELECT count(*) FROM tenant), (SELECT count(*) FROM api_key), \
                       (SELECT CAST(sum(value) AS BIGINT) FROM counter)";

/// What only calls write, of that.
const KEPT: &str = "SELECT (SELECT count(*) FROM endpoint), (SELECT count(*) FROM endpoint_header), \
                    (SELECT count(*) FROM secret), (SELECT count(*) FROM event), (SELECT count(*) FROM event_type), \
                    (SELECT count(*) FROM audit_entry)";

/// A test that waits this long for an answer has failed.
const SOON: Duration = Duration::from_secs(60);

/// A server and its client.
pub(crate) struct Api {
    pub(crate) client: WebhookServiceClient<KeyedChannel>,
    pub(crate) admin: AdminServiceClient<KeyedChannel>,
    server: Server,
    config: Config,
    database: Database,
}

/// What is particular to a server.
struct Given {
    ports: Vec<u16>,
    addresses: AddressPolicy,
    listen: listen::Config,
    watch: watch::Config,
    limits: Limits,
    clock: Clock,
    roots: Vec<CertificateDer<'static>>,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            ports: vec![443, 8443],
            addresses: AddressPolicy::default(),
            listen: listen::Config::default(),
            watch: watch::Config::default(),
            limits: Limits::default(),
            clock: Clock::system(),
            roots: Vec::new(),
        }
    }
}

impl Api {
    /// A server that sends to public addresses only.
    pub(crate) async fn start() -> Self {
        Self::start_with(Given::default()).await
    }

    /// A server like that of [`Api::start`] with these limits.
    pub(crate) async fn start_limited(limits: Limits) -> Self {
        Self::start_with(Given { limits, ..Given::default() }).await
    }

    /// A server like that of [`Api::start`] that goes by this clock.
    pub(crate) async fn start_by(clock: Clock) -> Self {
        Self::start_with(Given { clock, ..Given::default() }).await
    }

    /// A server like that of [`Api::start`] that watches in this way.
    pub(crate) async fn start_watching(watch: watch::Config) -> Self {
        Self::start_with(Given { watch, ..Given::default() }).await
    }

    /// A server with other bounds on connections.
    pub(crate) async fn start_listening(listen: listen::Config) -> Self {
        Self::start_with(Given { listen, ..Given::default() }).await
    }

    /// A server that sends to this machine only, and the URL of a port on it that refuses connections.
    pub(crate) async fn start_local() -> (Self, String) {
        let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let addresses = AddressPolicy { allowed: vec!["127.0.0.0/8".parse().unwrap()], ..AddressPolicy::default() };
        let api = Self::start_with(Given { ports: vec![refusing.port()], addresses, ..Given::default() }).await;
        (api, format!("https://{refusing}/hook"))
    }

    /// A server like that of [`Api::start_local`], and the URL of a receiver that answers 200, but for what comes to
    /// `/silent`: that has no answer.
    pub(crate) async fn start_received() -> (Self, String) {
        let certificate = Certificate::self_signed(["127.0.0.1"]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Receiver::with_tls(listener, &certificate).unwrap();
        let address = receiver.address().unwrap();
        let answer = |webhook: Webhook| async move {
            if webhook.uri.path() == "/silent" {
                std::future::pending::<()>().await;
            }
            Answer::text(http::StatusCode::OK, "thanks")
        };
        // It ends with the test's runtime.
        tokio::spawn(receiver.run(answer, CancellationToken::new()));
        let addresses = AddressPolicy { allowed: vec!["127.0.0.0/8".parse().unwrap()], ..AddressPolicy::default() };
        let roots = vec![certificate.der().clone()];
        let api = Self::start_with(Given { ports: vec![address.port()], addresses, roots, ..Given::default() }).await;
        (api, format!("https://{address}"))
    }

    async fn start_with(given: Given) -> Self {
        let Given { ports, addresses, listen, watch, limits, clock, roots } = given;
        let database = Database::create().await;
        // A life before, in which a tenant is added.
        let before = Arc::new(Shared::open(&database.config(), Clock::system()).await.unwrap());
        let other = NewTenant { id: OTHER_TENANT.to_owned(), settings: TenantPatch::default() };
        Configurator::new(before.clone()).create_tenant(TenantKey::OPERATORS, other).await.unwrap();
        before.db.close().await;
        drop(before);

        let urls = UrlPolicy { allow_http: false, ports: ports.clone(), addresses: addresses.clone() };
        let egress = EgressConfig { allow_http: false, ports, addresses, extra_roots: roots, only_extra_roots: false };
        let config = Config {
            database: database.config(),
            listen,
            urls,
            egress,
            room: Room::default(),
            limits,
            watch,
            clock,
            admin: AdminConfig { given: HeldKey::parse(ADMIN_KEY), file: None },
            allow_plaintext: false,
        };
        Self::run(config, database).await
    }

    async fn run(config: Config, database: Database) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::start(config.clone(), listener).await.unwrap();
        let channel = channel(server.address()).await;
        let client = WebhookServiceClient::new(channel.clone());
        Self { client, admin: AdminServiceClient::new(channel), server, config, database }
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What the server's parts share.
    pub(crate) fn shared(&self) -> &Shared {
        self.server.shared()
    }

    /// Stops the server.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }

    /// Stops the server and starts another on the same database.
    pub(crate) async fn restart(self) -> Self {
        self.server.stop().await;
        Self::run(self.config, self.database).await
    }

    /// Numbers that change with whatever is written.
    pub(crate) async fn written(&self) -> Vec<i64> {
        self.database.numbers(WRITTEN).await
    }

    /// Numbers of rows that change with what calls write, and not with what the engine does meanwhile.
    pub(crate) async fn kept(&self) -> Vec<i64> {
        self.database.numbers(KEPT).await
    }

    /// Keeps the server from committing anything for as long as this is held.
    pub(crate) async fn hold_writes(&self) -> Hold {
        self.database.hold_writes().await
    }

    /// Whether this text stands in the database as it is.
    pub(crate) async fn database_holds(&self, text: &str) -> bool {
        self.database.holds(text).await
    }

    /// Writes rows behind the server's back. `$1` is `bytes`.
    pub(crate) async fn execute(&self, sql: &'static str, bytes: &[u8]) {
        self.database.execute(sql, bytes).await;
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

/// A connection of its own to a server, whose calls bear an operator's key.
pub(crate) async fn channel(address: SocketAddr) -> KeyedChannel {
    Bearer::new(ADMIN_KEY).unwrap().over(plain_channel(address).await)
}

/// A connection of its own to a server, without a key.
pub(crate) async fn plain_channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// Everything that an answer shows, for looking for what it must not.
pub(crate) fn shown(status: &Status) -> String {
    format!("{} {:?}", status.message(), status.get_error_details())
}
