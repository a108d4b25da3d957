//! Migrating where several may want to at once.

use std::sync::Arc;

use sqlx::migrate::Migrate as _;
use tokio::sync::mpsc;

use super::*;
use crate::{
    fixture::PostgresDatabase,
    model::{Clock, Timestamp},
    shared::Shared,
    store::{Config, KeySource, replica::LAPSE_MICROS},
};

async fn create() -> (PostgresDatabase, Location) {
    let database = PostgresDatabase::create().await;
    let location = database.url().as_str().parse().unwrap();
    (database, location)
}

#[tokio::test]
async fn two_at_once_take_turns_and_apply_each_step_once() {
    let (database, location) = create().await;
    let mut first = PgConnection::connect(database.url().as_str()).await.unwrap();
    first.lock().await.unwrap();
    let (told, mut heard) = mpsc::unbounded_channel();
    let start = || {
        let (location, told) = (location.clone(), told.clone());
        tokio::spawn(async move { apply(&location, &move |progress| told.send(progress).unwrap()).await })
    };
    let both = [start(), start()];
    for _ in &both {
        assert_eq!(heard.recv().await, Some(Progress::Waiting));
    }
    assert_eq!(inspect(&location).await.unwrap().version(), 0, "nothing happens before its turn");
    first.unlock().await.unwrap();
    let mut applied = Vec::new();
    for one in both {
        applied.push(one.await.unwrap().unwrap().len());
    }
    applied.sort_unstable();
    assert_eq!(applied, [0, STEPS.len()]);
    inspect(&location).await.unwrap().check().unwrap();
    first.close().await.unwrap();
}

#[tokio::test]
async fn step_whose_session_ends_in_the_middle_is_undone_and_resumed() {
    let (_database, location) = create().await;
    let broken = later(&location, "CREATE TABLE more (a BIGINT); SELECT pg_terminate_backend(pg_backend_pid())");
    let failed = apply_from(&location, &broken, &silent).await.unwrap_err();
    assert!(matches!(&failed, MigrateError::Schema { source: SchemaError::Step { .. }, .. }), "{failed:?}");
    let more = later(&location, "CREATE TABLE more (a BIGINT)");
    let applied = apply_from(&location, &more, &silent).await.unwrap();
    assert_eq!(applied.iter().map(|step| step.number).collect::<Vec<_>>(), [NEWEST + 1]);
}

#[tokio::test]
async fn database_of_a_living_server_is_not_migrated() {
    let (database, location) = create().await;
    let key = KeySource::Given([7; 32].into());
    let config = Config { location: location.clone(), key, replica: "one".to_owned() };
    let start = async || Arc::new(Shared::open(&config, Clock::manual(Timestamp::from_micros(1))).await.unwrap());
    let server = start().await;
    let more = later(&location, "CREATE TABLE more (a BIGINT)");
    let refused = apply_from(&location, &more, &silent).await;
    assert!(matches!(&refused, Err(MigrateError::Serving { servers, .. }) if servers == &["one"]), "{refused:?}");
    assert_eq!(inspect_beside(&location, &more).await.unwrap().pending().count(), 1);
    server.close().await;
    assert_eq!(apply_from(&location, &more, &silent).await.unwrap().len(), 1);

    // One that has not been heard of for long has stopped.
    let (other, location) = create().await;
    let config = Config { location: location.clone(), ..config };
    let _killed = Shared::open(&config, Clock::manual(Timestamp::from_micros(1))).await.unwrap();
    other.run(format!("UPDATE replica SET beat = beat - {LAPSE_MICROS}")).await;
    let more = later(&location, "CREATE TABLE more (a BIGINT)");
    assert_eq!(apply_from(&location, &more, &silent).await.unwrap().len(), 1);
    drop(database);
}

#[tokio::test]
async fn database_that_does_not_exist_is_not_made() {
    let (database, _) = create().await;
    let mut url = database.url();
    url.set_path("tidings_test_of_nobody");
    let location: Location = url.as_str().parse().unwrap();
    let missing = [inspect(&location).await.map(drop), apply(&location, &silent).await.map(drop)];
    assert!(missing.iter().all(|missing| matches!(missing, Err(MigrateError::Missing(_)))), "{missing:?}");
}
