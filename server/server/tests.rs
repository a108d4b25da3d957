//! A whole server in this process, whose database runs out of room, or is changed by another server.

use std::{collections::HashMap, sync::Mutex};

use http::StatusCode;
use tokio::net::TcpListener;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_types::StatusExt as _;

use super::*;
use crate::{
    client::{Bearer, KeyedChannel},
    configure::{Configurator, NewEndpoint},
    fixture::{PostgresDatabase, settings},
    listen,
    model::{AddressPolicy, Cidr, HeldKey, TenantKey},
    proto::{
        CreateEndpointRequest, Endpoint, Event, PublishEventRequest, webhook_service_client::WebhookServiceClient,
    },
    receiver::{Answer, Receiver, Webhook},
    store::{KeySource, Location},
};

/// Pages that the database may still grow by: a few events of the size published here.
const PAGES_LEFT: i64 = 40;

/// Counts how often each event arrives.
type Arrived = Arc<Mutex<HashMap<String, usize>>>;

async fn receiver(arrived: Arrived) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = move |webhook: Webhook| {
        let id = webhook.header("webhook-id").unwrap_or_default().to_owned();
        *arrived.lock().unwrap().entry(id).or_default() += 1;
        std::future::ready(Answer::from(StatusCode::OK))
    };
    tokio::spawn(Receiver::new(listener).run(handler, CancellationToken::new()));
    address
}

async fn start(directory: &tempfile::TempDir, port: u16) -> Server {
    let database = store::Config::sqlite(directory.path().join("t.db"), directory.path().join("t.key"));
    start_on(database, port).await
}

async fn start_on(database: store::Config, port: u16) -> Server {
    let addresses = AddressPolicy { allowed: vec!["127.0.0.0/8".parse::<Cidr>().unwrap()], ..AddressPolicy::default() };
    let config = Config {
        database,
        urls: UrlPolicy { allow_http: true, ports: vec![port], addresses: addresses.clone() },
        egress: EgressConfig { allow_http: true, ports: vec![port], addresses, ..EgressConfig::default() },
        room: Room::default(),
        limits: api::Limits { payload_bytes_max: 1 << 20, ..api::Limits::default() },
        listen: listen::Config::default(),
        watch: watch::Config::default(),
        clock: Clock::system(),
        admin: AdminConfig { given: Some(key()), file: None },
        allow_plaintext: false,
    };
    Server::start(config, TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap()
}

fn client(server: &Server) -> WebhookServiceClient<KeyedChannel> {
    WebhookServiceClient::new(Bearer::new(&key().text()).unwrap().over(channel(server)))
}

fn key() -> HeldKey {
    HeldKey::new(7, [7; 32].into())
}

fn channel(server: &Server) -> Channel {
    tonic::transport::Endpoint::from_shared(format!("http://{}", server.address())).unwrap().connect_lazy()
}

/// Asks the one connection that writes for a number.
async fn on_writer(server: &Server, sql: String) -> i64 {
    let unit = server.shared().db.write(move |tx| {
        Box::pin(async move {
            let row: Option<(i64,)> = store::fetch_optional!(tx.conn(), sqlx::AssertSqlSafe(sql.clone()))?;
            Ok(row.expect("one number").0)
        })
    });
    unit.await.unwrap()
}

/// Lets the database grow by so many pages and no more.
async fn leave_room(server: &Server, pages: i64) {
    let now = on_writer(server, "PRAGMA page_count".to_owned()).await;
    on_writer(server, format!("PRAGMA max_page_count = {}", now + pages)).await;
}

fn event(id: &str) -> PublishEventRequest {
    let payload = format!("\"{}\"", "x".repeat(20_000)).into();
    let event = Event { id: id.to_owned(), r#type: "test.full".to_owned(), payload, ..Default::default() };
    PublishEventRequest { event: Some(event), ..Default::default() }
}

#[tokio::test]
async fn event_goes_where_another_server_has_just_said() {
    let database = PostgresDatabase::create().await;
    let key = KeySource::Given([7; 32].into());
    let location: Location = database.url().as_str().parse().unwrap();
    let of =
        |replica: &str| store::Config { location: location.clone(), key: key.clone(), replica: replica.to_owned() };
    let server = start_on(of("one"), 443).await;
    let other = Shared::open_if(&of("two"), Clock::system(), |_| Ok(())).await.unwrap();
    let configurator = Configurator::new(Arc::new(other));
    let mut client = client(&server);
    for number in 0..3 {
        let new = NewEndpoint {
            settings: settings(),
            disabled: false,
            secrets: Vec::new(),
            headers: Vec::new(),
            credentials: Default::default(),
        };
        // Committed without the server's knowledge; what it publishes next is routed anew before it commits.
        configurator.create_endpoint(TenantKey::DEFAULT, new).await.unwrap();
        let answer = client.publish_event(event(&format!("evt-{number}"))).await.unwrap().into_inner();
        assert_eq!(answer.delivery_count, number + 1);
        assert_eq!(server.shared().routes.cfg(), i64::from(number) + 2);
    }
}

#[tokio::test]
async fn server_that_is_not_fit_says_so_until_it_is_again() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(&directory, 443).await;
    let mut health = HealthClient::new(channel(&server));
    for service in ["", "tidings.v1.WebhookService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let mut statuses = health.watch(request).await.unwrap().into_inner();
        for (fit, expected) in [(true, ServingStatus::Serving), (false, ServingStatus::NotServing)].repeat(2) {
            server.shared().fit.send_replace(fit);
            // A status may be told more than once.
            let told = async { while statuses.message().await.unwrap().unwrap().status() != expected {} };
            timeout(Duration::from_secs(30), told).await.expect("it is told");
        }
        server.shared().fit.send_replace(true);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_gives_no_false_answer_and_the_server_recovers_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let arrived = Arrived::default();
    let receiver = receiver(arrived.clone()).await;
    let server = start(&directory, receiver.port()).await;
    let mut client = client(&server);
    let endpoint = Endpoint { url: format!("http://{receiver}/"), ..Default::default() };
    let request = CreateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
    client.create_endpoint(request).await.unwrap();

    leave_room(&server, PAGES_LEFT).await;
    let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
    for number in 0..PAGES_LEFT {
        let id = format!("evt-{number}");
        match client.publish_event(event(&id)).await {
            Ok(_) => acknowledged.push(id),
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                let details = status.get_error_details();
                assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("STORAGE_FULL"));
                assert!(details.retry_info().is_some(), "{status:?}");
                refused.push(id);
            }
        }
        if refused.len() == 3 {
            break;
        }
    }
    assert!(!acknowledged.is_empty() && refused.len() == 3, "{} fitted", acknowledged.len());

    leave_room(&server, 1_000_000).await;
    for id in refused {
        let answer = client.publish_event(event(&id)).await.unwrap().into_inner();
        assert!(!answer.duplicate, "{id} was refused, and yet it is stored");
        acknowledged.push(id);
    }
    // Everything acknowledged is there, and the outcomes that could not be written are kept and written: nothing twice.
    let mut head = server.shared().head.subscribe();
    let open = || on_writer(&server, "SELECT count(*) FROM delivery WHERE state <> 3".to_owned());
    let settling = async {
        while open().await > 0 {
            head.changed().await.unwrap();
        }
    };
    timeout(Duration::from_secs(30), settling).await.expect("all is delivered in the end");
    assert_eq!(on_writer(&server, "SELECT count(*) FROM event".to_owned()).await, acknowledged.len() as i64);
    server.stop().await;
    let once: HashMap<String, usize> = acknowledged.into_iter().map(|id| (id, 1)).collect();
    assert_eq!(*arrived.lock().unwrap(), once);
}
