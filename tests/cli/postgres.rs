use std::time::Duration;

use tidings::proto::{Event, GetEventRequest, PublishEventRequest};
use tokio::process::Command;

use super::process::{Running, client, refused, tidings};

#[path = "../support/postgres.rs"]
mod database;

pub(crate) use database::{PostgresDatabase, run as run_sql};

const STOP_DEADLINE: Duration = Duration::from_secs(10);
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const OTHER_KEY: &str = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// What would start a server on the database.
fn serve(directory: &std::path::Path, database: &PostgresDatabase, name: &str) -> Command {
    let mut command = tidings(directory, &["serve", "--listen", "127.0.0.1:0", "--replica-name", name]);
    command.args(["--database", database.url().as_str()]);
    command
}

fn publish(id: &str) -> PublishEventRequest {
    let (id, r#type) = (id.to_owned(), "a.b".to_owned());
    let event = Event { id, r#type, payload: "{}".into(), ..Default::default() };
    PublishEventRequest { event: Some(event), ..Default::default() }
}

#[tokio::test]
async fn server_that_starts_ends_the_one_that_had_its_name_and_goes_on() {
    let (directory, database) = (tempfile::tempdir().unwrap(), PostgresDatabase::create().await);
    let start = || Running::of(serve(directory.path(), &database, "one").env("TIDINGS_KEY", KEY));
    let mut first = start();
    let address = first.line("listening on ").await.replace("listening on ", "http://");
    client(address).publish_event(publish("kept")).await.unwrap();

    let mut second = start();
    let address = second.line("listening on ").await.replace("listening on ", "http://");
    let (status, said) = first.ended(STOP_DEADLINE).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("another server has started as replica `one`"), "{said}");
    let request = GetEventRequest { event_id: "kept".to_owned(), ..Default::default() };
    client(address).get_event(request).await.unwrap();
    assert_eq!(second.stop("TERM", STOP_DEADLINE).await, Some(0));
    let password = database.url().password().map(str::to_owned).expect("the tests' cluster asks for one");
    assert!(!said.contains(&password) && !said.contains(KEY), "{said}");
}

#[tokio::test]
async fn server_of_another_name_is_refused_until_the_first_has_stopped() {
    let (directory, database) = (tempfile::tempdir().unwrap(), PostgresDatabase::create().await);
    let mut first = Running::of(serve(directory.path(), &database, "one").env("TIDINGS_KEY", KEY));
    first.line("listening on ").await;
    let said = refused(serve(directory.path(), &database, "two").env("TIDINGS_KEY", KEY)).await;
    assert!(said.contains("the server `one` uses it"), "{said}");
    assert_eq!(first.stop("TERM", STOP_DEADLINE).await, Some(0));
    let mut second = Running::of(serve(directory.path(), &database, "two").env("TIDINGS_KEY", KEY));
    second.line("listening on ").await;
    assert_eq!(second.stop("TERM", STOP_DEADLINE).await, Some(0));
}

#[tokio::test]
async fn serve_refuses_a_postgres_database_without_its_key() {
    let (directory, database) = (tempfile::tempdir().unwrap(), PostgresDatabase::create().await);
    let missing = refused(&mut serve(directory.path(), &database, "one")).await;
    assert!(missing.contains("TIDINGS_KEY") && missing.contains("--key-file"), "{missing}");
    let malformed = refused(serve(directory.path(), &database, "one").env("TIDINGS_KEY", "canary")).await;
    assert!(malformed.contains("TIDINGS_KEY") && !malformed.contains("canary"), "{malformed}");
    let file = directory.path().join("not-there.key");
    let absent = refused(serve(directory.path(), &database, "one").arg("--key-file").arg(&file)).await;
    assert!(absent.contains("not-there.key") && !file.exists(), "{absent}");

    let mut serving = Running::of(serve(directory.path(), &database, "one").env("TIDINGS_KEY", KEY));
    serving.line("listening on ").await;
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
    let other = refused(serve(directory.path(), &database, "one").env("TIDINGS_KEY", OTHER_KEY)).await;
    assert!(other.contains("does not open this database"), "{other}");
}

#[tokio::test]
async fn database_that_cannot_be_reached_is_told_of_without_its_password() {
    let directory = tempfile::tempdir().unwrap();
    for url in ["postgres://u:canary@127.0.0.1:1/x", "postgres://u:canary@[::1/x"] {
        let mut command = tidings(directory.path(), &["serve", "--listen", "127.0.0.1:0", "--database", url]);
        let said = refused(command.env("TIDINGS_KEY", KEY)).await;
        assert!(!said.contains("canary"), "{said}");
    }
}
