use std::{path::Path, process::Output, time::Duration};

use http::StatusCode;
use tidings::{
    client::KeyedChannel,
    model::Clock,
    proto::{
        watch_deliveries_request::Start, watch_deliveries_response::Message,
        webhook_service_client::WebhookServiceClient, *,
    },
    receiver::{Answer, Receiver, Verifier, Webhook},
    signing::{KeyForm, Secret},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    process::Command,
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    postgres::PostgresDatabase,
    process::{Running, client, refused, run, tidings},
};

const DEADLINE: Duration = Duration::from_secs(60);

type Client = WebhookServiceClient<KeyedChannel>;

/// Starts a server on the database, which may send to this machine.
async fn serve(directory: &Path, database: &str, more: &[&str]) -> (Running, Client) {
    let allowed = ["--allow-http", "--allow-cidr", "127.0.0.0/8", "--allow-port", "1024-65535"];
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database", database];
    let mut serving = Running::start(directory, &[&serve[..], &allowed, more].concat());
    let line = serving.line("listening on ").await;
    (serving, client(line.replace("listening on ", "http://")))
}

async fn serve_copy(directory: &Path, database: &PostgresDatabase) -> (Running, Client) {
    serve(directory, database.url().as_str(), &["--key-file", "tidings.db.key"]).await
}

fn copying(directory: &Path, database: &PostgresDatabase) -> Command {
    tidings(directory, &["copy", "--from", "tidings.db", "--to", database.url().as_str()])
}

/// Copies to the database; returns what was said.
async fn copy(directory: &Path, database: &PostgresDatabase) -> (String, String) {
    let Output { status, stdout, stderr } = copying(directory, database).output().await.unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{stderr}");
    let password = database.url().password().map(str::to_owned).expect("the tests' cluster asks for one");
    assert!(!stdout.contains(&password) && !stderr.contains(&password), "{stdout}{stderr}");
    (stdout, stderr)
}

/// Receives on the listener: what arrives, each answered as `answer` says.
fn receive<F>(
    listener: TcpListener,
    answer: impl Fn(usize) -> F + Copy + Send + Sync + 'static,
) -> mpsc::Receiver<Webhook>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let (received, arrivals) = mpsc::channel(16);
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let handler = move |webhook: Webhook| {
        let (received, count) = (received.clone(), count.clone());
        async move {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            received.send(webhook).await.unwrap();
            answer(number).await
        }
    };
    tokio::spawn(Receiver::new(listener).run(handler, CancellationToken::new()));
    arrivals
}

async fn accepted(_number: usize) -> Answer {
    StatusCode::OK.into()
}

async fn arrival(arrivals: &mut mpsc::Receiver<Webhook>) -> Webhook {
    timeout(DEADLINE, arrivals.recv()).await.expect("it arrives").unwrap()
}

/// Creates an endpoint for events of one type, whose deliveries are retried after this time, again and again.
async fn create(client: &mut Client, url: String, event_type: &str, retry: Duration) -> CreateEndpointResponse {
    let delays = RetryDelays { delays: vec![retry.try_into().unwrap(); 10] };
    let retry = RetrySchedule { schedule: Some(retry_schedule::Schedule::Delays(delays)) };
    let policy = Some(DeliveryPolicy { retry: Some(retry), ..Default::default() });
    let endpoint = Endpoint { url, event_types: vec![event_type.to_owned()], policy, ..Default::default() };
    let request = CreateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
    client.create_endpoint(request).await.unwrap().into_inner()
}

async fn publish(client: &mut Client, id: &str, event_type: &str, payload: &'static [u8], content_type: &str) {
    let event = Event {
        id: id.to_owned(),
        r#type: event_type.to_owned(),
        payload: payload.into(),
        content_type: content_type.to_owned(),
        labels: [("colour".to_owned(), "größer\u{1F600}".to_owned())].into(),
        ..Default::default()
    };
    client.publish_event(PublishEventRequest { event: Some(event), ..Default::default() }).await.unwrap();
}

/// Watches from `start` until each of these events has had such a transition; returns the last token.
async fn watch_until(client: &mut Client, start: Start, awaited: &[(&str, DeliveryTransitionKind)]) -> String {
    let request = WatchDeliveriesRequest { start: Some(start), ..Default::default() };
    let mut stream = client.watch_deliveries(request).await.unwrap().into_inner();
    let mut awaited = awaited.to_vec();
    let watching = async {
        loop {
            let response = stream.message().await.unwrap().unwrap();
            if let Some(Message::Delivery(delivery)) = &response.message {
                awaited.retain(|(id, kind)| (*id, *kind) != (&delivery.event_id, delivery.kind()));
            }
            if awaited.is_empty() {
                return response.resume_token;
            }
        }
    };
    timeout(DEADLINE, watching).await.expect("it happens")
}

/// All that a server tells of what must not change.
#[derive(Debug, PartialEq)]
struct Told {
    endpoints: ListEndpointsResponse,
    secrets: Vec<ListEndpointSecretsResponse>,
    types: ListEventTypesResponse,
    events: Vec<GetEventResponse>,
    deliveries: Vec<GetDeliveryResponse>,
    attempts: Vec<ListAttemptsResponse>,
}

impl Told {
    async fn of(client: &mut Client, events: &[&str]) -> Self {
        let endpoints = client.list_endpoints(ListEndpointsRequest::default()).await.unwrap().into_inner();
        let types = client.list_event_types(ListEventTypesRequest::default()).await.unwrap().into_inner();
        let mut told = Self { endpoints, secrets: vec![], types, events: vec![], deliveries: vec![], attempts: vec![] };
        for endpoint in &told.endpoints.endpoints {
            let request = ListEndpointSecretsRequest { endpoint_id: endpoint.id.clone(), ..Default::default() };
            told.secrets.push(client.list_endpoint_secrets(request).await.unwrap().into_inner());
        }
        for id in events {
            let request = GetEventRequest { event_id: (*id).to_owned(), ..Default::default() };
            let event = client.get_event(request).await.unwrap().into_inner();
            for route in event.routes.iter().filter(|route| !route.delivery_id.is_empty()) {
                let delivery_id = route.delivery_id.clone();
                let request = GetDeliveryRequest { delivery_id: delivery_id.clone(), ..Default::default() };
                told.deliveries.push(client.get_delivery(request).await.unwrap().into_inner());
                let request = ListAttemptsRequest { delivery_id, ..Default::default() };
                told.attempts.push(client.list_attempts(request).await.unwrap().into_inner());
            }
            told.events.push(event);
        }
        told
    }
}

#[tokio::test]
async fn copied_installation_goes_on_where_it_stopped() {
    let (directory, database) = (tempfile::tempdir().unwrap(), PostgresDatabase::create().await);
    let directory = directory.path();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let open = listener.local_addr().unwrap();
    let mut para = receive(listener, accepted);
    // Bound and not listening: whoever connects is refused, and nobody else gets the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = socket.local_addr().unwrap();

    let (mut serving, mut client) = serve(directory, "tidings.db", &[]).await;
    let style =
        EndpointStyle { preset: StylePreset::ErudikaPara as i32, app_id: "myapp".to_owned(), ..Default::default() };
    let headers = vec![EndpointHeader { name: "x-own".to_owned(), value: Some("kept".to_owned()) }];
    let endpoint = Endpoint {
        url: format!("http://{open}/"),
        event_types: vec!["user.*".to_owned()],
        style: Some(style),
        headers,
        ..Default::default()
    };
    let request = CreateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
    client.create_endpoint(request).await.unwrap();
    create(&mut client, format!("http://{closed}/late"), "late", Duration::from_secs(3_600)).await;
    let soon = create(&mut client, format!("http://{closed}/soon"), "soon", Duration::from_secs(1)).await;
    let types = ["user.create", "späte"].map(|name| EventType {
        name: name.replace('ä', "a"),
        description: name.to_owned(),
        ..Default::default()
    });
    let request = ImportEventTypesRequest { event_types: types.to_vec(), ..Default::default() };
    client.import_event_types(request).await.unwrap();
    publish(&mut client, "user-1", "user.create", br#"{"id": "1"}"#, "").await;
    publish(&mut client, "late-1", "late", b"\x00\xff\x80\\x", "application/octet-stream").await;
    publish(&mut client, "soon-1", "soon", b"\x00\xff\x80\\x", "application/octet-stream").await;
    let awaited = [
        ("user-1", DeliveryTransitionKind::Delivered),
        ("late-1", DeliveryTransitionKind::RetryScheduled),
        ("soon-1", DeliveryTransitionKind::RetryScheduled),
    ];
    let token = watch_until(&mut client, Start::FromOldest(true), &awaited).await;
    arrival(&mut para).await;
    let told = Told::of(&mut client, &["user-1", "late-1"]).await;
    assert_eq!((told.endpoints.endpoints.len(), told.types.event_types.len(), told.deliveries.len()), (3, 2, 2));

    let running = refused(&mut copying(directory, &database)).await;
    assert!(running.contains("tidings.db cannot be copied from") && running.contains("another process"), "{running}");
    assert_eq!(serving.stop("TERM", DEADLINE).await, Some(0));
    let (stdout, stderr) = copy(directory, &database).await;
    for line in ["event                        3", "delivery                     3", "--key-file tidings.db.key"] {
        assert!(stdout.contains(line), "{stdout}");
    }
    assert!(stderr.contains("event_type: 2 rows copied and compared\n"), "{stderr}");

    let mut soon_arrivals = receive(socket.listen(16).unwrap(), accepted);
    let (mut serving, mut client) = serve_copy(directory, &database).await;
    assert_eq!(Told::of(&mut client, &["user-1", "late-1"]).await, told);
    let webhook = arrival(&mut soon_arrivals).await;
    assert_eq!((webhook.uri.path(), &webhook.body[..]), ("/soon", &b"\x00\xff\x80\\x"[..]));
    let secret = Secret::parse(&soon.secret, KeyForm::Base64).unwrap();
    Verifier::new(vec![secret], Clock::system()).verify(&webhook).expect("signed with the secret of before");
    let delivered = [("soon-1", DeliveryTransitionKind::Delivered)];
    watch_until(&mut client, Start::ResumeToken(token), &delivered).await;
    publish(&mut client, "user-2", "user.create", br#"{"id": "2"}"#, "").await;
    assert_eq!(arrival(&mut para).await.header("x-own"), Some("kept"));

    let used = refused(&mut copying(directory, &database)).await;
    assert!(used.contains("uses the target"), "{used}");
    assert_eq!(serving.stop("TERM", DEADLINE).await, Some(0));
    let filled = refused(&mut copying(directory, &database)).await;
    assert!(filled.contains("the target is not empty: its table `database_key` has rows"), "{filled}");
}

#[tokio::test]
async fn what_was_in_flight_when_the_server_was_killed_is_sent_again_from_the_copy() {
    let (directory, database) = (tempfile::tempdir().unwrap(), PostgresDatabase::create().await);
    let directory = directory.path();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut arrivals = receive(listener, async |number| match number {
        0 => std::future::pending().await,
        _ => accepted(number).await,
    });
    let (mut serving, mut client) = serve(directory, "tidings.db", &[]).await;
    create(&mut client, format!("http://{address}/"), "a", Duration::from_secs(3_600)).await;
    publish(&mut client, "a-1", "a", b"{}", "").await;
    let first = arrival(&mut arrivals).await;
    assert_eq!(serving.stop("KILL", DEADLINE).await, None);

    copy(directory, &database).await;
    let (_serving, mut client) = serve_copy(directory, &database).await;
    let second = arrival(&mut arrivals).await;
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    let delivered = [("a-1", DeliveryTransitionKind::Delivered)];
    watch_until(&mut client, Start::FromOldest(true), &delivered).await;
    let attempts = Told::of(&mut client, &["a-1"]).await.attempts.remove(0).attempts;
    let results: Vec<_> = attempts.iter().map(|attempt| (attempt.number, attempt.outcome())).collect();
    assert_eq!(results, [(1, AttemptOutcome::Lost), (2, AttemptOutcome::Succeeded)]);
}

#[tokio::test]
async fn other_ways_are_refused_without_a_password() {
    let directory = tempfile::tempdir().unwrap();
    let to = "postgres://u:canary@127.0.0.1:1/x";
    for arguments in [["--from", to, "--to", "tidings.db"], ["--from", to, "--to", to], ["--from", "a", "--to", "b"]] {
        let said = refused(&mut tidings(directory.path(), &[&["copy"][..], &arguments].concat())).await;
        assert!(said.contains("only a SQLite database can be copied") && !said.contains("canary"), "{said}");
    }
    let missing = refused(&mut tidings(directory.path(), &["copy", "--from", "tidings.db", "--to", to])).await;
    assert_eq!(missing, "tidings: there is no database tidings.db\n");
    let (mut serving, _) = Running::serve(directory.path(), "tidings.db").await;
    assert_eq!(serving.stop("TERM", DEADLINE).await, Some(0));
    let unreachable = refused(&mut tidings(directory.path(), &["copy", "--from", "tidings.db", "--to", to])).await;
    assert!(unreachable.contains("postgres://127.0.0.1:1/x cannot be copied to"), "{unreachable}");
    assert!(!unreachable.contains("canary"), "{unreachable}");
    let help = run(directory.path(), &["copy", "--help"]).await;
    assert!(help.status.success());
}
