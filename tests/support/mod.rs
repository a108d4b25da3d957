//! A server's API over a temporary database, on a port of its own.

use std::{future::Future, path::PathBuf, sync::Arc};

use sqlx::{Connection as _, Row as _, SqliteConnection};
use tidings::{
    api::{Limits, WebhookApi},
    model::{AddressPolicy, Clock, UrlPolicy},
    proto::webhook_service_client::WebhookServiceClient,
    publish::Publisher,
    shared::Shared,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Response, Status,
    transport::{Channel, Endpoint, Server},
};
use tonic_types::StatusExt as _;

/// A tenant beside `default`.
pub(crate) const OTHER_TENANT: &str = "other";

/// What must not change when a call is refused.
const WRITTEN: &str = "SELECT (SELECT cfg FROM gate), (SELECT count(*) FROM log), (SELECT count(*) FROM endpoint), \
                       (SELECT count(*) FROM secret), (SELECT count(*) FROM event), (SELECT count(*) FROM delivery), \
                       (SELECT total(value) FROM counter)";

/// The API, served until it is dropped.
pub(crate) struct Api {
    pub(crate) client: WebhookServiceClient<Channel>,
    database: PathBuf,
    shutdown: CancellationToken,
    _directory: tempfile::TempDir,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Api {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("tidings.db");
        let key_file = directory.path().join("tidings.key");
        let open = || Shared::open(&database, &key_file, Clock::system());
        open().await.unwrap().db.close().await;
        add_tenant(&database).await;
        let shared = Arc::new(open().await.unwrap());

        let urls = UrlPolicy { allow_http: false, ports: vec![443, 8443], addresses: AddressPolicy::default() };
        let service = WebhookApi::new(shared, Publisher {}, urls, Limits::default()).into_service();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let stopped = shutdown.clone().cancelled_owned();
        let server = Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped));
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { client: WebhookServiceClient::new(channel), database, shutdown, _directory: directory }
    }

    /// Numbers that change with whatever is written.
    pub(crate) async fn written(&self) -> Vec<i64> {
        let mut conn = connect(&self.database).await;
        let row = sqlx::query(WRITTEN).fetch_one(&mut conn).await.unwrap();
        let numbers = (0..row.len()).map(|column| row.get_unchecked::<i64, _>(column)).collect();
        conn.close().await.unwrap();
        numbers
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
