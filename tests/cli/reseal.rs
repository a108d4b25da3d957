use std::{path::Path, time::Duration};

use http::StatusCode;
use tidings::{
    client::KeyedChannel,
    model::Clock,
    proto::{webhook_service_client::WebhookServiceClient, *},
    receiver::{Receiver, Verifier, Webhook},
    signing::{KeyForm, Secret},
};
use tokio::{net::TcpListener, process::Command, sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    postgres::PostgresDatabase,
    process::{Running, client, refused, tidings},
};

const DEADLINE: Duration = Duration::from_secs(60);
const OLD_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const NEW_KEY: &str = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

type Client = WebhookServiceClient<KeyedChannel>;

/// A database of this test's, and how commands find it and its keys.
struct Site {
    directory: tempfile::TempDir,
    postgres: Option<PostgresDatabase>,
}

impl Site {
    async fn new(on_postgres: bool) -> Self {
        let postgres = if on_postgres { Some(PostgresDatabase::create().await) } else { None };
        Self { directory: tempfile::tempdir().unwrap(), postgres }
    }

    fn command(&self, arguments: &[&str], keys: &str) -> Command {
        let mut command = tidings(self.directory.path(), arguments);
        match &self.postgres {
            Some(postgres) => command.args(["--database", postgres.url().as_str()]).env("TIDINGS_KEY", keys),
            None => command.args(["--database", "tidings.db"]),
        };
        command
    }

    async fn serve(&self, keys: &str) -> (Running, Client) {
        let allowed = ["--allow-http", "--allow-cidr", "127.0.0.0/8", "--allow-port", "1024-65535"];
        let serve = ["serve", "--listen", "127.0.0.1:0"];
        let mut serving = Running::of(&mut self.command(&[&serve[..], &allowed].concat(), keys));
        let line = serving.line("listening on ").await;
        (serving, client(line.replace("listening on ", "http://")))
    }

    /// Runs `tidings reseal`; returns its status and what it said.
    async fn reseal(&self, arguments: &[&str], keys: &str) -> (Option<i32>, String) {
        let output = self.command(&[&["reseal"], arguments].concat(), keys).output().await.unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!said.contains(OLD_KEY) && !said.contains(NEW_KEY), "{said}");
        (output.status.code(), said)
    }
}

async fn receive() -> (String, mpsc::Receiver<Webhook>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (received, arrivals) = mpsc::channel(16);
    let handler = move |webhook: Webhook| {
        let received = received.clone();
        async move {
            received.send(webhook).await.unwrap();
            StatusCode::OK.into()
        }
    };
    tokio::spawn(Receiver::new(listener).run(handler, CancellationToken::new()));
    (url, arrivals)
}

async fn publish_and_verify(client: &mut Client, id: &str, secret: &str, arrivals: &mut mpsc::Receiver<Webhook>) {
    let event = Event { id: id.to_owned(), r#type: "a.b".to_owned(), payload: "{}".into(), ..Default::default() };
    client.publish_event(PublishEventRequest { event: Some(event), ..Default::default() }).await.unwrap();
    let webhook = timeout(DEADLINE, arrivals.recv()).await.expect("it arrives").unwrap();
    let secret = Secret::parse(secret, KeyForm::Base64).unwrap();
    Verifier::new(vec![secret], Clock::system()).verify(&webhook).expect("signed with the secret of before");
    assert_eq!(webhook.header("x-own"), Some("value"));
}

async fn keys_are_rotated(on_postgres: bool) {
    let site = Site::new(on_postgres).await;
    let (url, mut arrivals) = receive().await;
    let (mut serving, mut client) = site.serve(OLD_KEY).await;
    let headers = vec![EndpointHeader { name: "x-own".to_owned(), value: Some("value".to_owned()) }];
    let endpoint = Endpoint { url, headers, ..Default::default() };
    let create = CreateEndpointRequest {
        endpoint: Some(endpoint),
        request_id: "7a3f0a52-6d1c-4d0f-9f63-0f4f2f6f2b11".to_owned(),
        ..Default::default()
    };
    let secret = client.create_endpoint(create.clone()).await.unwrap().into_inner().secret;
    publish_and_verify(&mut client, "before", &secret, &mut arrivals).await;
    assert_eq!(serving.stop("TERM", DEADLINE).await, Some(0));

    // On Postgres the operator makes the new key, on SQLite the command does.
    let (arguments, keys) = match on_postgres {
        true => (&[][..], format!("{NEW_KEY},{OLD_KEY}")),
        false => (&["--new-key"][..], String::new()),
    };
    if on_postgres {
        let (status, said) = site.reseal(&["--check"], &keys).await;
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("Needed still"), "{said}");
    }
    let (status, said) = site.reseal(arguments, &keys).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("Not needed any more"), "{said}");
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    for line in [&["secret", "1", "1"][..], &["endpoint_header", "1", "1"], &["request", "1", "1"], &["all", "6", "6"]]
    {
        assert!(lines.contains(&line.to_vec()), "{line:?} of {said}");
    }

    // Without the old key.
    if !on_postgres {
        keep_first_line(&site.directory.path().join("tidings.db.key"));
    }
    let (status, said) = site.reseal(&["--check"], NEW_KEY).await;
    assert_eq!(status, Some(0), "{said}");
    let (mut serving, mut client) = site.serve(NEW_KEY).await;
    publish_and_verify(&mut client, "after", &secret, &mut arrivals).await;
    let repeated = client.create_endpoint(create).await.unwrap().into_inner();
    assert_eq!(repeated.secret, secret, "the answer that was kept opens too");
    let (status, said) = site.reseal(&[], NEW_KEY).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("in use by"), "{said}");
    assert_eq!(serving.stop("TERM", DEADLINE).await, Some(0));
}

fn keep_first_line(file: &Path) {
    let keys = std::fs::read_to_string(file).unwrap();
    assert_eq!(keys.lines().count(), 2, "the new key and the old one");
    std::fs::write(file, format!("{}\n", keys.lines().next().unwrap())).unwrap();
}

#[tokio::test]
async fn keys_of_a_sqlite_database_are_rotated_and_old_secrets_still_sign() {
    keys_are_rotated(false).await;
}

#[tokio::test]
async fn keys_of_a_postgres_database_are_rotated_and_old_secrets_still_sign() {
    keys_are_rotated(true).await;
}

#[tokio::test]
async fn reseal_without_the_right_key_says_so_and_changes_nothing() {
    let site = Site::new(false).await;
    let (mut serving, _) = site.serve("").await;
    assert_eq!(serving.stop("TERM", DEADLINE).await, Some(0));
    let (database, key) = (site.directory.path().join("tidings.db"), site.directory.path().join("tidings.db.key"));
    let (content, right) = (std::fs::read(&database).unwrap(), std::fs::read(&key).unwrap());
    std::fs::write(&key, format!("{OLD_KEY}\n")).unwrap();
    for arguments in [&["reseal"][..], &["reseal", "--new-key"], &["reseal", "--check"]] {
        let said = refused(&mut site.command(arguments, "")).await;
        assert!(said.contains("tidings.db.key does not open this database") && !said.contains(OLD_KEY), "{said}");
    }
    assert_eq!(std::fs::read(&key).unwrap(), format!("{OLD_KEY}\n").as_bytes());
    std::fs::remove_file(&key).unwrap();
    let said = refused(&mut site.command(&["reseal", "--new-key"], "")).await;
    assert!(said.contains("tidings.db.key") && said.contains("missing"), "{said}");
    assert!(!key.exists(), "it is not made anew");
    assert_eq!(std::fs::read(&database).unwrap(), content);
    std::fs::write(&key, right).unwrap();
}

#[tokio::test]
async fn key_file_is_made_with_a_warning_to_keep_a_copy() {
    let site = Site::new(false).await;
    let log = std::fs::File::create(site.directory.path().join("server.log")).unwrap();
    let mut serving = Running::of(site.command(&["serve", "--listen", "127.0.0.1:0"], "").stderr(log));
    serving.line("listening on ").await;
    assert_eq!(serving.stop("TERM", DEADLINE).await, Some(0));
    let log = std::fs::read_to_string(site.directory.path().join("server.log")).unwrap();
    let warning = log.lines().find(|line| line.contains("made the key file")).unwrap();
    assert!(
        warning.contains("WARN") && warning.contains("tidings.db.key") && warning.contains("keep a copy"),
        "{warning}"
    );
}
