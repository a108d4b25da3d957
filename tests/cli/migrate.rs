use std::{
    collections::BTreeSet,
    path::Path,
    process::{ExitStatus, Output},
    time::Duration,
};

use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tokio::process::Command;

use super::{
    postgres::{PostgresDatabase, run_sql},
    process::{Running, refusal, refused, run, tidings},
};

const DEADLINE: Duration = Duration::from_secs(60);
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// As if a newer version had migrated the database.
const NEWER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES (9001, 'from afar', true, '', 0)";
/// As if this version had a step more.
const FORGET: &str = "DELETE FROM _sqlx_migrations WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)";

const APPLY: [&str; 4] = ["migrate", "--database", "tidings.db", "--apply"];
const CHECK: [&str; 4] = ["migrate", "--database", "tidings.db", "--check"];

fn files(directory: &Path) -> BTreeSet<String> {
    std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

/// Runs SQL on the file behind everyone's back.
async fn alter(directory: &Path, sql: &'static str) {
    let path = directory.join("tidings.db");
    let mut conn = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    conn.execute(sql).await.unwrap();
    conn.close().await.unwrap();
}

fn said(Output { status, stdout, stderr }: Output) -> (ExitStatus, String) {
    (status, String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

fn on_postgres(directory: &Path, database: &PostgresDatabase, arguments: &[&str]) -> Command {
    let mut command = tidings(directory, &[&["migrate"][..], arguments].concat());
    command.env("TIDINGS_DATABASE", database.url().as_str());
    command
}

#[tokio::test]
async fn database_that_does_not_exist_is_told_of_and_not_made() {
    let directory = tempfile::tempdir().unwrap();
    for more in [&[][..], &["--apply"], &["--check"]] {
        let missing = refusal(directory.path(), &[&["migrate"][..], more].concat()).await;
        assert_eq!(missing, "tidings: there is no database tidings.db\n");
    }
    assert_eq!(files(directory.path()), BTreeSet::new());
    let both = run(directory.path(), &["migrate", "--apply", "--check"]).await;
    assert_eq!(both.status.code(), Some(2), "{both:?}");
}

#[tokio::test]
async fn pending_steps_are_shown_and_checked_and_applied() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    std::fs::write(directory.join("tidings.db"), "").unwrap();
    let (status, shown) = said(run(directory, &["migrate"]).await);
    assert!(status.success() && shown.contains("tidings.db: SQLite, empty"), "{shown}");
    assert!(shown.contains("   1  pending                first light\n") && shown.contains("\nPending: "), "{shown}");
    let (status, checked) = said(run(directory, &CHECK).await);
    assert_eq!((status.code(), &checked), (Some(1), &shown));
    assert_eq!(files(directory).len(), 1, "nothing is made");

    let (status, applied) = said(run(directory, &APPLY).await);
    assert!(status.success(), "{applied}");
    assert!(applied.starts_with("step 1 (first light): applying\nstep 1 (first light): applied in "), "{applied}");
    assert!(applied.lines().last().unwrap().contains("tidings.db is at version "), "{applied}");
    assert!(!files(directory).contains("tidings.db.key"), "a key is not needed");
    let (status, again) = said(run(directory, &APPLY).await);
    assert!(status.success() && again.starts_with("Nothing is pending: "), "{again}");

    let (mut serving, _) = Running::serve(directory, "tidings.db").await;
    let (status, served) = said(run(directory, &CHECK).await);
    assert!(status.success() && served.ends_with("\nNothing is pending.\n"), "{served}");
    alter(directory, FORGET).await;
    let used = refusal(directory, &APPLY).await;
    assert!(used.contains("in use by another process"), "{used}");
    assert_eq!(serving.stop("TERM", DEADLINE).await, Some(0));
}

#[tokio::test]
async fn newer_schema_is_refused_with_its_version_and_a_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    std::fs::write(directory.join("tidings.db"), "").unwrap();
    assert!(run(directory, &APPLY).await.status.success());
    alter(directory, NEWER).await;
    let shown = run(directory, &["migrate"]).await;
    let table = String::from_utf8(shown.stdout).unwrap();
    assert!(table.contains("schema version 9001;") && table.contains("from afar  (unknown to this"), "{table}");
    for arguments in [&["migrate"][..], &APPLY, &CHECK, &["serve", "--listen", "127.0.0.1:0"]] {
        let newer = refusal(directory, arguments).await;
        assert!(newer.contains("version 9001") && newer.contains("use a newer tidings"), "{newer}");
    }
}

#[tokio::test]
async fn postgres_is_migrated_once_by_two_at_once_and_not_under_a_server() {
    let (directory, database) = (tempfile::tempdir().unwrap(), PostgresDatabase::create().await);
    let directory = directory.path();
    let password = database.url().password().map(str::to_owned).expect("the tests' cluster asks for one");
    let (status, shown) = said(on_postgres(directory, &database, &[]).output().await.unwrap());
    assert!(status.success() && shown.contains(": Postgres, empty") && !shown.contains(&password), "{shown}");

    let (mut one, mut two) =
        (on_postgres(directory, &database, &["--apply"]), on_postgres(directory, &database, &["--apply"]));
    let (one, two) = tokio::join!(one.output(), two.output());
    let both = [said(one.unwrap()), said(two.unwrap())];
    assert!(both.iter().all(|(status, _)| status.success()), "{both:?}");
    let first_steps: usize = both.iter().map(|(_, said)| said.matches("step 1 (first light): applied").count()).sum();
    assert_eq!(first_steps, 1, "{both:?}");

    let serve = ["serve", "--listen", "127.0.0.1:0", "--replica-name", "one"];
    let mut serving = tidings(directory, &serve);
    serving.env("TIDINGS_DATABASE", database.url().as_str()).env("TIDINGS_KEY", KEY);
    let mut serving = Running::of(&mut serving);
    serving.line("listening on ").await;
    let (status, served) = said(on_postgres(directory, &database, &["--check"]).output().await.unwrap());
    assert!(status.success() && served.ends_with("\nNothing is pending.\n"), "{served}");
    run_sql(&database.url(), FORGET.to_owned()).await;
    let used = refused(&mut on_postgres(directory, &database, &["--apply"])).await;
    assert!(used.contains("in use by the server `one`") && !used.contains(&password), "{used}");
    assert_eq!(serving.stop("TERM", DEADLINE).await, Some(0));
}

#[tokio::test]
async fn database_that_cannot_be_looked_at_is_told_of_without_its_password() {
    let directory = tempfile::tempdir().unwrap();
    for url in ["postgres://u:canary@127.0.0.1:1/x", "postgres://u:canary@[::1/x"] {
        for more in [&[][..], &["--apply"]] {
            let said = refusal(directory.path(), &[&["migrate", "--database", url][..], more].concat()).await;
            assert!(said.contains("cannot be looked at") && !said.contains("canary"), "{said}");
        }
    }
}
