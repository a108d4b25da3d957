use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use tidings::proto::ListEndpointsRequest;
use tokio::process::Command;
use tonic::Code;

use super::{
    key::ADMIN_KEY,
    postgres::PostgresDatabase,
    process::{Running, client_with, refused, tidings},
};

const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// The binary as it is run by somebody who has said nothing of keys.
fn keyless(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = tidings(directory, arguments);
    command.env_remove("TIDINGS_ADMIN_KEY").env_remove("TIDINGS_API_KEY");
    command
}

fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[tokio::test]
async fn first_start_writes_a_key_and_the_command_line_finds_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tidings.db.admin-key");
    let mut serve = keyless(directory.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let log = std::fs::File::create(directory.path().join("server.log")).unwrap();
    let mut serving = Running::of(serve.env("TIDINGS_LOG", "trace").stderr(Stdio::from(log)));
    let address = serving.line("listening on ").await.replace("listening on ", "http://");
    for private in ["tidings.db", "tidings.db-wal", "tidings.db.key", "tidings.db.admin-key"] {
        let mode = std::fs::metadata(directory.path().join(private)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{private}");
    }
    let admin = std::fs::read_to_string(&file).unwrap().trim_end().to_owned();
    client_with(&admin, address.clone()).list_endpoints(ListEndpointsRequest::default()).await.unwrap();

    let run = async |arguments: &[&str]| {
        let mut command = keyless(directory.path(), arguments);
        stdout(command.env("TIDINGS_SERVER", &address).output().await.unwrap())
    };
    let quotas = ["--max-endpoints", "5", "--events-per-second", "10"];
    let create = [&["tenants", "create", "acme", "--name", "Acme"][..], &quotas].concat();
    assert_eq!(run(&create).await, "tenant acme is created");
    run(&["tenants", "update", "acme", "--events-per-second", "none", "--schema-check", "warn"]).await;
    let listed = run(&["tenants", "list"]).await;
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "SCHEMAS", "QUOTAS", "NAME"]);
    assert_eq!(lines[1], ["default", "off", "none"]);
    assert_eq!(lines[2], ["acme", "warn", "5", "endpoints", "Acme"]);

    let scopes = "--scope=endpoints:read,deliveries:read";
    let key = run(&["keys", "create", "--tenant", "acme", scopes, "--name", "for a test", "--expires-in", "1h"]).await;
    assert!(key.starts_with("tdk_") && key.lines().count() == 1, "the key alone goes to standard output");
    let mut client = client_with(&key, address.clone());
    client.list_endpoints(ListEndpointsRequest::default()).await.unwrap();
    let token = keyless(directory.path(), &["keys", "token", "--expires-in", "10m", "--api-key", &key])
        .env("TIDINGS_SERVER", &address)
        .output()
        .await
        .unwrap();
    let token = stdout(token);
    client_with(&token, address.clone()).list_endpoints(ListEndpointsRequest::default()).await.unwrap();
    let listed = run(&["keys", "list"]).await;
    let line = listed.lines().find(|line| line.contains("for a test")).unwrap();
    assert!(line.contains("tenant acme") && line.contains("endpoints:read,deliveries:read"), "{line}");
    let id = line.split_whitespace().next().unwrap().to_owned();
    assert_eq!(run(&["keys", "revoke", &id]).await, format!("{id} is revoked"));
    let refused = client.list_endpoints(ListEndpointsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(run(&["tenants", "delete", "acme"]).await, "tenant acme is deleted");

    let admin_id = format!("key_{}", &admin[4..30]);
    let told = run(&["audit"]).await;
    let lines: Vec<Vec<&str>> = told.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["TIME", "BY", "FROM", "TENANT", "WHAT"]);
    let methods: Vec<&str> = lines[1..].iter().map(|line| line[4]).collect();
    assert_eq!(methods, ["DeleteTenant", "RevokeKey", "CreateKey", "UpdateTenant", "CreateTenant", "CreateKey"]);
    assert!(lines[1..6].iter().all(|line| line[1] == admin_id && line[2].starts_with("127.0.0.1:")), "{told}");
    assert_eq!(lines[4][3..], ["acme", "UpdateTenant", "acme", "(quotas,", "schema_check)"]);
    assert_eq!(lines[6][1..], ["server", "-", "-", "CreateKey", &admin_id]);
    let of_acme = run(&["audit", "--json", "--tenant", "acme", "--method", "RevokeKey", "--since", "1h"]).await;
    let entry: serde_json::Value = serde_json::from_str(&of_acme).unwrap();
    assert_eq!((&entry["resources"][0], &entry["actor"]), (&id.into(), &"AUDIT_ACTOR_KEY".into()));
    assert_eq!(run(&["audit", "--json", "--limit", "2"]).await.lines().count(), 2);
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));

    // Neither log nor database has what lets anybody in.
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path == file {
            continue;
        }
        let content = std::fs::read(&path).unwrap();
        for secret in [&admin[31..], &key[31..], &token[4..]] {
            let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a secret", path.display());
        }
    }
    let log = std::fs::read_to_string(directory.path().join("server.log")).unwrap();
    assert!(log.contains("tidings.db.admin-key") && log.lines().count() > 100, "it was traced");
}

#[tokio::test]
async fn calls_without_a_key_are_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let (mut serving, address) = Running::serve(directory.path(), "elsewhere.db").await;
    let server = format!("http://{address}");
    for arguments in [&["event-types", "list"][..], &["keys", "list"], &["tenants", "list"], &["audit"], &["watch"]] {
        let said = refused(keyless(directory.path(), arguments).env("TIDINGS_SERVER", &server)).await;
        assert!(said.contains("an API key is required"), "{said}");
        let mut wrong = keyless(directory.path(), arguments);
        let said = refused(wrong.env("TIDINGS_SERVER", &server).env("TIDINGS_API_KEY", "tdk_canary")).await;
        assert!(said.contains("the API key is not valid") && !said.contains("canary"), "{said}");
    }
    let missing = ["keys", "list", "--api-key-file", "none.key", "--server", &server];
    let said = refused(&mut keyless(directory.path(), &missing)).await;
    assert!(said.contains("none.key"), "{said}");
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
    assert!(!directory.path().join("elsewhere.db.admin-key").exists(), "a key was given");
}

#[tokio::test]
async fn key_that_is_given_has_to_be_one() {
    let directory = tempfile::tempdir().unwrap();
    let generated = keyless(directory.path(), &["keys", "generate"]).output().await.unwrap();
    let key = stdout(generated);
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let mut serving = Running::of(keyless(directory.path(), &serve).env("TIDINGS_ADMIN_KEY", &key));
    let address = serving.line("listening on ").await.replace("listening on ", "http://");
    client_with(&key, address).list_endpoints(ListEndpointsRequest::default()).await.unwrap();
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
    let said = refused(keyless(directory.path(), &serve).env("TIDINGS_ADMIN_KEY", "canary")).await;
    assert!(said.contains("TIDINGS_ADMIN_KEY") && !said.contains("canary"), "{said}");
}

#[tokio::test]
async fn postgres_needs_to_be_told_where_the_first_key_comes_from() {
    let (directory, database) = (tempfile::tempdir().unwrap(), PostgresDatabase::create().await);
    let serve = |more: &[&str]| {
        let mut command = keyless(directory.path(), &["serve", "--listen", "127.0.0.1:0"]);
        command.args(["--database", database.url().as_str()]).args(more);
        command.env("TIDINGS_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        command
    };
    let said = refused(&mut serve(&[])).await;
    assert!(said.contains("TIDINGS_ADMIN_KEY") && said.contains("--admin-key-file"), "{said}");
    let mut serving = Running::of(&mut serve(&["--admin-key-file", "first.key"]));
    let address = serving.line("listening on ").await.replace("listening on ", "http://");
    let key = std::fs::read_to_string(directory.path().join("first.key")).unwrap();
    client_with(key.trim_end(), address).list_endpoints(ListEndpointsRequest::default()).await.unwrap();
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
    // From then on an operator can get in.
    let mut serving = Running::of(&mut serve(&[]));
    serving.line("listening on ").await;
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
}

#[tokio::test]
async fn server_listens_anywhere_once_it_is_told_that_keys_may_be_read_on_their_way() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--listen", "0.0.0.0:0", "--allow-plaintext"];
    let mut serving = Running::start(directory.path(), &arguments);
    let port = serving.line("listening on 0.0.0.0:").await.rsplit_once(':').unwrap().1.to_owned();
    let mut client = client_with(ADMIN_KEY, format!("http://127.0.0.1:{port}"));
    client.list_endpoints(ListEndpointsRequest::default()).await.unwrap();
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
}

#[tokio::test]
async fn refused_calls_are_told_in_the_log_together_and_without_what_they_bore() {
    let directory = tempfile::tempdir().unwrap();
    let log = std::fs::File::create(directory.path().join("server.log")).unwrap();
    let mut serve = tidings(directory.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let mut serving = Running::of(serve.stderr(Stdio::from(log)));
    let address = serving.line("listening on ").await.replace("listening on ", "http://");
    let mut stranger = client_with("tdk_canary", address);
    for _ in 0..3 {
        let refused = stranger.list_endpoints(ListEndpointsRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
    let log = std::fs::read_to_string(directory.path().join("server.log")).unwrap();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("calls were refused")).collect();
    assert_eq!(told.len(), 1, "the first at once, and the others together some seconds later: {log}");
    assert!(told[0].contains("WARN") && told[0].contains("127.0.0.1:") && !log.contains("canary"), "{log}");
}
