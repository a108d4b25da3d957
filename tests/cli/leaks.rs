//! Recognisable secrets of every kind, through the real binary at its most talkative: none may be in its log, in what calls
//! are answered, or plain in a file or a table. Payloads are plain in the database by design, so there they are not looked for.

use std::{fmt::Write as _, path::Path, process::Stdio, time::Duration};

use http::StatusCode;
use prost_types::FieldMask;
use sqlx::{Connection as _, PgConnection};
use tidings::{
    client::{Bearer, KeyedChannel},
    proto::{admin_service_client::AdminServiceClient, endpoint_http_credentials::Kind, *},
    receiver::{Answer, Certificate, Receiver},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, transport::Channel};

use super::{
    key::ADMIN_KEY,
    postgres::PostgresDatabase,
    process::{Running, client, client_with, tidings},
};

const STOP_DEADLINE: Duration = Duration::from_secs(10);

const SECRET: &str = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktc2VjcmV0LTE=";
const HEADER: &str = "canary-header-value";
const PASSWORD: &str = "canary-password";
const TOKEN: &str = "canary-bearer-token";
const CLIENT_SECRET: &str = "canary-client-secret";
const PAYLOAD: &str = "canary-payload";
const ANSWER: &str = "canary-answer";

/// The key that seals a Postgres database's secrets.
const SEALING_KEY: &str = "Y2FuYXJ5LWNhbmFyeS1jYW5hcnktc2VhbGluZy1rZXk=";

/// What must not be found, and what it is.
struct Planted(Vec<(&'static str, String)>);

impl Planted {
    /// In its own words, in base64 inside a text, as bytes that Debug lists, and in hexadecimal, as SQL has bytes.
    fn assert_absent(&self, place: &str, content: &[u8]) {
        for (kind, secret) in &self.0 {
            let listed = format!("{:?}", secret.as_bytes());
            let (lower, upper) = (hex(secret), hex(secret).to_uppercase());
            for form in [secret.as_str(), listed.trim_matches(['[', ']']), &lower, &upper] {
                let form = form.as_bytes();
                let found = content.windows(form.len()).any(|window| window == form);
                assert!(!found, "{place} holds the {kind}");
            }
        }
    }
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn refused<T: std::fmt::Debug>(planted: &Planted, call: Result<T, Status>, code: Code) {
    let status = call.unwrap_err();
    assert_eq!(status.code(), code, "{status:?}");
    let said = format!("{status:?} {}", status.message());
    planted.assert_absent("a status", said.as_bytes());
    planted.assert_absent("the details of a status", status.details());
}

fn http(kind: Kind) -> EndpointHttpCredentials {
    EndpointHttpCredentials { kind: Some(kind) }
}

fn oauth2(token_url: String) -> Kind {
    let (client_id, client_secret) = ("id".to_owned(), CLIENT_SECRET.to_owned());
    Kind::Oauth2(OAuth2ClientCredentials { token_url, client_id, client_secret, ..Default::default() })
}

/// An endpoint with every kind of secret.
fn endpoint(url: &str, kind: Kind, certificate: Option<&Certificate>) -> CreateEndpointRequest {
    let client_certificate = certificate.map(|certificate| EndpointClientCertificate {
        certificate_pem: certificate.pem(),
        private_key_pem: certificate.key_pem().to_string(),
    });
    let endpoint = Endpoint {
        url: url.to_owned(),
        headers: vec![EndpointHeader { name: "x-own".to_owned(), value: Some(HEADER.to_owned()) }],
        credentials: Some(EndpointCredentials { http: Some(http(kind)), client_certificate }),
        ..Default::default()
    };
    CreateEndpointRequest { endpoint: Some(endpoint), secret: Some(SECRET.to_owned()), ..Default::default() }
}

fn event(id: &str, content_type: &str) -> PublishEventRequest {
    let event = Event {
        id: id.to_owned(),
        r#type: "a.b".to_owned(),
        payload: format!("{PAYLOAD} is no JSON").into(),
        content_type: content_type.to_owned(),
        ..Default::default()
    };
    PublishEventRequest { event: Some(event), ..Default::default() }
}

/// A receiver over TLS, which says that it received, and its port.
async fn receive(certificate: &Certificate) -> (u16, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (receiver, stop) = (Receiver::with_tls(listener, certificate).unwrap(), CancellationToken::new());
    let handler = |_| async { Answer::text(StatusCode::UNAUTHORIZED, ANSWER) };
    tokio::spawn(receiver.run(handler, stop.clone()));
    (port, stop)
}

async fn admin(address: &str) -> AdminServiceClient<KeyedChannel> {
    let channel = Channel::from_shared(address.to_owned()).unwrap().connect_lazy();
    AdminServiceClient::new(Bearer::new(ADMIN_KEY).unwrap().over(channel))
}

fn assert_files_hold_nothing(directory: &Path, planted: &Planted) -> usize {
    let mut read = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path.extension().is_none_or(|extension| extension != "pem") {
            planted.assert_absent(&path.display().to_string(), &std::fs::read(&path).unwrap());
            read += 1;
        }
    }
    read
}

/// All rows of all tables, bytes in hexadecimal.
async fn dumped(database: &PostgresDatabase) -> String {
    let mut conn = PgConnection::connect(database.url().as_str()).await.unwrap();
    sqlx::query("SET xmlbinary = hex").execute(&mut conn).await.unwrap();
    let sql = "SELECT string_agg(query_to_xml(format('SELECT * FROM %I', tablename), true, false, '')::text, '') \
               FROM pg_tables WHERE schemaname = 'public'";
    let (rows,): (String,) = sqlx::query_as(sql).fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    rows
}

#[tokio::test]
async fn secrets_are_in_no_log_no_status_and_no_plain_file() {
    nothing_leaks(None).await;
}

#[tokio::test]
async fn secrets_are_in_no_log_no_status_and_no_plain_table_of_postgres() {
    nothing_leaks(Some(&PostgresDatabase::create().await)).await;
}

async fn nothing_leaks(postgres: Option<&PostgresDatabase>) {
    let directory = tempfile::tempdir().unwrap();
    let (server, own) =
        (Certificate::self_signed(["127.0.0.1"]).unwrap(), Certificate::self_signed(["sender.example"]).unwrap());
    let (port, stop) = receive(&server).await;
    std::fs::write(directory.path().join("roots.pem"), server.pem()).unwrap();
    let port_text = port.to_string();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--ca-file", "roots.pem", "--allow-cidr", "127.0.0.0/8"];
    let mut command = tidings(directory.path(), &[&serve[..], &["--allow-port", &port_text]].concat());
    if let Some(database) = postgres {
        command.args(["--database", database.url().as_str()]).env("TIDINGS_KEY", SEALING_KEY);
    }
    let log = std::fs::File::create(directory.path().join("server.log")).unwrap();
    let mut serving = Running::of(command.env("TIDINGS_LOG", "trace").stderr(Stdio::from(log)));
    let address = serving.line("listening on ").await.replace("listening on ", "http://");
    let (mut calls, mut admin) = (client(address.clone()), admin(&address).await);

    // Secrets that the server makes.
    let create = CreateKeyRequest { operator: true, scopes: vec!["admin".to_owned()], ..Default::default() };
    let key = admin.create_key(create).await.unwrap().into_inner().secret;
    let token = admin.create_dashboard_token(CreateDashboardTokenRequest::default()).await.unwrap().into_inner().token;
    let sealing_key = match postgres {
        Some(_) => SEALING_KEY.to_owned(),
        None => std::fs::read_to_string(directory.path().join("tidings.db.key")).unwrap(),
    };
    let mut planted = vec![
        ("endpoint's secret", SECRET.trim_start_matches("whsec_").to_owned()),
        ("endpoint's secret, decoded", "canary-canary-canary-secret-1".to_owned()),
        ("header's value", HEADER.to_owned()),
        ("password", PASSWORD.to_owned()),
        ("basic credentials", "dXNlcjpjYW5hcnktcGFzc3dvcmQ".to_owned()),
        ("bearer token", TOKEN.to_owned()),
        ("client secret", CLIENT_SECRET.to_owned()),
        ("client's private key", own.key_pem().lines().nth(1).unwrap().to_owned()),
        ("operator's key", ADMIN_KEY[31..].to_owned()),
        ("API key", key[31..].to_owned()),
        ("dashboard token", token[4..].to_owned()),
    ];
    if let Some(database) = postgres {
        let url = database.url();
        planted.push(("database's password", url.password().expect("the tests' cluster asks for one").to_owned()));
        planted.push(("sealing key", sealing_key.clone()));
    }

    let url = format!("https://127.0.0.1:{port}/canary-path");
    let basic = Kind::Basic(BasicCredentials { username: "user".to_owned(), password: PASSWORD.to_owned() });
    let bearer = Kind::Bearer(BearerCredentials { token: TOKEN.to_owned() });
    let mut ids = Vec::new();
    for kind in [basic, bearer.clone(), oauth2(url.clone())] {
        let mut request = endpoint(&url, kind, Some(&own));
        request.request_id = format!("00000000-0000-4000-8000-00000000000{}", ids.len());
        let made = calls.create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap();
        calls.ping_endpoint(PingEndpointRequest { endpoint_id: made.id.clone(), ..Default::default() }).await.unwrap();
        ids.push(made.id);
    }
    let rotate = RotateEndpointSecretRequest { endpoint_id: ids[0].clone(), ..Default::default() };
    let rotated = calls.rotate_endpoint_secret(rotate).await.unwrap().into_inner();
    planted.push(("new secret", rotated.secret.trim_start_matches("whsec_").to_owned()));
    calls.publish_event(event("kept", "text/plain")).await.unwrap();
    client_with(&key, address.clone()).list_endpoints(ListEndpointsRequest::default()).await.unwrap();
    client_with(&token, address.clone()).list_endpoints(ListEndpointsRequest::default()).await.unwrap();

    // Calls that are wrong with a secret in them.
    let everywhere = Planted(
        [&planted[..], &[("payload", PAYLOAD.to_owned()), ("sealing key", sealing_key.trim_end().to_owned())]].concat(),
    );
    refused(&everywhere, calls.publish_event(event("refused", "application/json")).await, Code::InvalidArgument);
    refused(&everywhere, calls.publish_event(event("kept", "text/html")).await, Code::AlreadyExists);
    let broken = |kind| endpoint(&url, kind, None);
    let (line, with_line) = (|text: &str| format!("{text}\n"), |text: &str| text.to_owned() + "\r\nx: y");
    for request in [
        broken(Kind::Basic(BasicCredentials { username: "a:b".to_owned(), password: line(PASSWORD) })),
        broken(Kind::Bearer(BearerCredentials { token: with_line(TOKEN) })),
        broken(oauth2(format!("https://user:{CLIENT_SECRET}@auth.example.com/"))),
        CreateEndpointRequest { secret: Some(line(SECRET)), ..broken(bearer.clone()) },
        endpoint(&format!("https://user:{PASSWORD}@127.0.0.1:{port}/"), bearer.clone(), None),
        {
            let mut request = endpoint(&url, bearer.clone(), Some(&own));
            request.endpoint.as_mut().unwrap().headers[0].value = Some(with_line(HEADER));
            let credentials = request.endpoint.as_mut().unwrap().credentials.as_mut().unwrap();
            credentials.client_certificate.as_mut().unwrap().certificate_pem = server.pem();
            request
        },
    ] {
        refused(&everywhere, calls.create_endpoint(request).await, Code::InvalidArgument);
    }
    let mut changed = broken(Kind::Basic(BasicCredentials { username: String::new(), password: line(PASSWORD) }));
    let changed = changed.endpoint.as_mut().unwrap();
    (changed.id, changed.headers[0].value) = (ids[0].clone(), Some(with_line(HEADER)));
    let update = UpdateEndpointRequest {
        endpoint: Some(changed.clone()),
        update_mask: Some(FieldMask { paths: vec!["headers".to_owned(), "credentials".to_owned()] }),
        ..Default::default()
    };
    refused(&everywhere, calls.update_endpoint(update).await, Code::InvalidArgument);
    for wrong in [format!("{key}x"), token[..token.len() - 1].to_owned(), SECRET.to_owned()] {
        let mut stranger = client_with(&wrong, address.clone());
        refused(&everywhere, stranger.list_endpoints(ListEndpointsRequest::default()).await, Code::Unauthenticated);
    }

    // While the server runs, and what it leaves: the log and the write-ahead log are among the files.
    let planted = Planted(planted);
    let running = assert_files_hold_nothing(directory.path(), &planted);
    match postgres {
        None => assert!(directory.path().join("tidings.db-wal").exists() && running >= 4, "{running} files"),
        Some(database) => {
            let rows = dumped(database).await;
            planted.assert_absent("the database", rows.as_bytes());
            assert!(rows.contains(&hex(PAYLOAD).to_uppercase()), "a payload is found where it stands");
        }
    }
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
    stop.cancel();
    assert_files_hold_nothing(directory.path(), &planted);
    let log = std::fs::read(directory.path().join("server.log")).unwrap();
    everywhere.assert_absent("the log", &log);
    Planted(vec![("answer", ANSWER.to_owned())]).assert_absent("the log", &log);
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("TRACE") && log.lines().count() > 100, "it was traced");
    if postgres.is_none() {
        let database = std::fs::read(directory.path().join("tidings.db")).unwrap();
        assert!(String::from_utf8_lossy(&database).contains(PAYLOAD), "a payload is found where it stands");
    }
}
