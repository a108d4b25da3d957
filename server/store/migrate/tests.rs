//! Steps that are pending, applied, changed, unknown, or interrupted, on both databases.

mod postgres;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::Path,
    sync::Mutex,
};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqlSafeStr as _, SqliteConnection};

use super::{
    by_hand::{apply_from, inspect_beside},
    *,
};
use crate::{
    fixture::{TestDatabase, twins},
    store::{Db, Error, Location},
};

const NEWEST: i64 = STEPS.len() as i64;

fn steps(location: &Location) -> Migrator {
    match location {
        Location::Sqlite(_) => sqlite(),
        Location::Postgres(_) => super::postgres(),
    }
}

/// Those of an earlier binary.
fn earlier(location: &Location, newest: i64) -> Migrator {
    Migrator::with_migrations(steps(location).iter().filter(|step| step.version <= newest).cloned().collect())
}

/// Those of a later binary, which has one more.
fn later(location: &Location, sql: impl Into<String>) -> Migrator {
    let sql = AssertSqlSafe(sql.into()).into_sql_str();
    let more = Migration::new(NEWEST + 1, "one more".into(), MigrationType::Simple, sql, false);
    Migrator::with_migrations(steps(location).iter().cloned().chain([more]).collect())
}

fn silent(_: Progress) {}

/// A database that exists and is empty.
async fn empty() -> (TestDatabase, Location) {
    let database = TestDatabase::create().await;
    let location = database.config().location;
    if let Location::Sqlite(path) = &location {
        File::create_new(path).unwrap();
    }
    (database, location)
}

/// A database with every step.
async fn migrated() -> (TestDatabase, Location) {
    let (database, location) = empty().await;
    apply(&location, &silent).await.unwrap();
    (database, location)
}

/// Runs SQL behind everyone's back.
async fn run(location: &Location, sql: &'static str) {
    match location {
        Location::Sqlite(path) => {
            let mut conn = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
            conn.execute(sql).await.unwrap();
            conn.close().await.unwrap();
        }
        Location::Postgres(url) => {
            let mut conn = PgConnection::connect(url).await.unwrap();
            conn.execute(sql).await.unwrap();
            conn.close().await.unwrap();
        }
    }
}

fn states(schema: &Schema) -> Vec<StepState> {
    schema.steps.iter().map(|step| step.state).collect()
}

/// What looking, applying and a server that starts say of a schema that is not to be worked with.
async fn refusals(location: &Location) -> [SchemaError; 3] {
    let looked = inspect(location).await.unwrap().check().unwrap_err();
    let Err(MigrateError::Schema { source: applied, .. }) = apply(location, &silent).await else {
        panic!("it is applied to");
    };
    let Err(Error::Migrate(served)) = Db::open(location).await else { panic!("it is opened") };
    [looked, applied, served]
}

#[test]
fn every_step_that_is_written_is_taken_on_both_databases() {
    for (folder, migrator) in [("sqlite", sqlite()), ("postgres", super::postgres())] {
        let folder = format!("{}/server/store/migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
        let written: BTreeSet<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        let taken: BTreeSet<String> = migrator.iter().map(|step| step.sql.as_str().to_owned()).collect();
        assert_eq!(written, taken, "{folder}");
    }
}

#[tokio::test]
async fn empty_database_has_every_step_pending_until_they_are_applied() {
    let (_database, location) = empty().await;
    let before = inspect(&location).await.unwrap();
    assert_eq!((before.version(), before.known, before.pending().count()), (0, NEWEST, STEPS.len()));
    assert_eq!(inspect(&location).await.unwrap(), before, "looking applies nothing");

    let told = Mutex::new(Vec::new());
    let applied = apply(&location, &|progress| told.lock().unwrap().push(progress)).await.unwrap();
    let numbers: Vec<i64> = applied.iter().map(|step| step.number).collect();
    assert_eq!(numbers, (1..=NEWEST).collect::<Vec<_>>());
    let each = applied.into_iter().flat_map(|step| {
        let (number, description) = (step.number, step.description.clone());
        [Progress::Applying { number, description }, Progress::Applied(step)]
    });
    assert_eq!(told.into_inner().unwrap(), each.collect::<Vec<_>>());

    let after = inspect(&location).await.unwrap();
    after.check().unwrap();
    assert_eq!((after.version(), after.pending().count()), (NEWEST, 0));
    let now = crate::model::Clock::system().now();
    for step in &after.steps {
        let at = step.applied_at.expect("it was applied at a time");
        assert!(now.as_secs().abs_diff(at.as_secs()) < 600, "{at} is about {now}");
    }
    assert_eq!(apply(&location, &silent).await.unwrap(), []);
    Db::open(&location).await.unwrap().close().await;
    assert_eq!(inspect(&location).await.unwrap(), after, "a server applies nothing either");
}

#[tokio::test]
async fn database_of_an_earlier_version_gets_what_is_new_and_nothing_twice() {
    let (_database, location) = empty().await;
    apply_from(&location, &earlier(&location, 1), &silent).await.unwrap();
    let before = inspect(&location).await.unwrap();
    assert_eq!((before.version(), before.pending().next().unwrap().number), (1, 2));
    let applied = apply(&location, &silent).await.unwrap();
    assert_eq!(applied.iter().map(|step| step.number).collect::<Vec<_>>(), (2..=NEWEST).collect::<Vec<_>>());
    let after = inspect(&location).await.unwrap();
    assert_eq!(after.steps[0], before.steps[0]);
    assert_eq!(states(&after), vec![StepState::Applied; STEPS.len()]);
}

#[tokio::test]
async fn schema_of_a_newer_version_is_refused_with_both_versions() {
    let (_database, location) = empty().await;
    apply_from(&location, &later(&location, "CREATE TABLE more (a BIGINT)"), &silent).await.unwrap();
    let schema = inspect(&location).await.unwrap();
    let last = schema.steps.last().unwrap();
    assert_eq!((last.number, last.state, last.description.as_str()), (NEWEST + 1, StepState::Unknown, "one more"));
    for refusal in refusals(&location).await {
        assert!(
            matches!(refusal, SchemaError::Newer { found, known } if (found, known) == (NEWEST + 1, NEWEST)),
            "{refusal:?}"
        );
    }
}

#[tokio::test]
async fn steps_that_were_tampered_with_are_refused() {
    let (_database, location) = migrated().await;
    run(&location, "UPDATE _sqlx_migrations SET success = false WHERE version = 1").await;
    for refusal in refusals(&location).await {
        assert!(matches!(refusal, SchemaError::Unfinished(1)), "{refusal:?}");
    }
    run(&location, "UPDATE _sqlx_migrations SET success = true, checksum = '' WHERE version = 1").await;
    for refusal in refusals(&location).await {
        assert!(matches!(refusal, SchemaError::Changed(1)), "{refusal:?}");
    }
    run(&location, "DELETE FROM _sqlx_migrations WHERE version = 1").await;
    for refusal in refusals(&location).await {
        assert!(matches!(refusal, SchemaError::LeftOut(1)), "{refusal:?}");
    }
}

#[tokio::test]
async fn step_that_fails_half_way_is_undone_and_tried_again_as_a_whole() {
    let (_database, location) = empty().await;
    let failing = later(&location, "CREATE TABLE more (a BIGINT); INSERT INTO not_there VALUES (1)");
    let failed = apply_from(&location, &failing, &silent).await.unwrap_err();
    assert!(
        matches!(
            &failed,
            MigrateError::Schema { source: SchemaError::Step { number, .. }, .. } if *number == NEWEST + 1
        ),
        "{failed:?}"
    );
    let left = inspect_beside(&location, &failing).await.unwrap();
    assert_eq!((left.version(), left.pending().count()), (NEWEST, 1), "the steps before it are applied");

    // It would fail if the table were there.
    let repaired = later(&location, "CREATE TABLE more (a BIGINT)");
    let applied = apply_from(&location, &repaired, &silent).await.unwrap();
    assert_eq!(applied.iter().map(|step| step.number).collect::<Vec<_>>(), [NEWEST + 1]);
}

#[tokio::test]
async fn what_holds_other_tables_is_not_a_database_of_tidings() {
    let (_database, location) = empty().await;
    run(&location, "CREATE TABLE somebody_elses (a BIGINT)").await;
    for refused in [inspect(&location).await.map(drop), apply(&location, &silent).await.map(drop)] {
        assert!(matches!(refused, Err(MigrateError::Foreign(_))), "{refused:?}");
    }
    // Another program that keeps its history as we do.
    let (_database, location) = migrated().await;
    run(&location, "ALTER TABLE gate RENAME TO fence").await;
    let refused = inspect(&location).await;
    assert!(matches!(refused, Err(MigrateError::Foreign(_))), "{refused:?}");
}

/// The files of a folder and what they hold.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect()
}

#[tokio::test]
async fn looking_at_a_file_makes_and_changes_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a b%20?.db");
    let location = Location::Sqlite(path.clone());
    let missing = [inspect(&location).await.map(drop), apply(&location, &silent).await.map(drop)];
    assert!(missing.iter().all(|missing| matches!(missing, Err(MigrateError::Missing(_)))), "{missing:?}");
    assert_eq!(files(directory.path()), BTreeMap::new());

    std::fs::write(&path, "a letter to somebody, longer than the header of a database would be, and none".repeat(9))
        .unwrap();
    let letter = files(directory.path());
    let foreign = [inspect(&location).await.map(drop), apply(&location, &silent).await.map(drop)];
    assert!(foreign.iter().all(|foreign| matches!(foreign, Err(MigrateError::Foreign(_)))), "{foreign:?}");
    assert_eq!(files(directory.path()), letter);
    std::fs::remove_file(&path).unwrap();

    let db = Db::open(&location).await.unwrap();
    db.close().await;
    drop(db);
    let closed = files(directory.path());
    inspect(&location).await.unwrap().check().unwrap();
    assert_eq!(files(directory.path()), closed);

    let db = Db::open(&location).await.unwrap();
    let open = |mut files: BTreeMap<String, Vec<u8>>| {
        // Where readers note how far they read.
        assert!(files.remove("a b%20?.db-shm").is_some());
        files
    };
    let write = db.write(|tx| {
        Box::pin(async move {
            crate::store::meta::next_key(tx, "name").await?;
            tx.commit().await
        })
    });
    write.await.unwrap();
    let serving = open(files(directory.path()));
    inspect(&location).await.unwrap().check().unwrap();
    assert_eq!(open(files(directory.path())), serving);
    db.close().await;
}

#[tokio::test]
async fn file_that_a_server_has_is_not_migrated() {
    let (_database, location) = migrated().await;
    let db = Db::open(&location).await.unwrap();
    let more = later(&location, "CREATE TABLE more (a BIGINT)");
    let refused = apply_from(&location, &more, &silent).await;
    assert!(matches!(&refused, Err(MigrateError::Apply { source: Error::InUse(_), .. })), "{refused:?}");
    assert_eq!(inspect_beside(&location, &more).await.unwrap().pending().count(), 1);
    db.close().await;
    drop(db);
    assert_eq!(apply_from(&location, &more, &silent).await.unwrap().len(), 1);
}

twins!(
    "tests.rs",
    [
        empty_database_has_every_step_pending_until_they_are_applied,
        database_of_an_earlier_version_gets_what_is_new_and_nothing_twice,
        schema_of_a_newer_version_is_refused_with_both_versions,
        steps_that_were_tampered_with_are_refused,
        step_that_fails_half_way_is_undone_and_tried_again_as_a_whole,
        what_holds_other_tables_is_not_a_database_of_tidings,
    ],
    only[looking_at_a_file_makes_and_changes_none, file_that_a_server_has_is_not_migrated]
);
