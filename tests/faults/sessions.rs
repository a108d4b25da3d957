//! Postgres ends the server's sessions in the middle of whatever they do, commits included.

use http::StatusCode;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    endpoint,
    ledger::Load,
    postgres,
    process::Home,
    sink::{Sink, always},
};

/// How often all sessions are ended under load.
const ENDS: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn sessions_ended_under_load_lose_nothing_and_repeat_nothing() {
    let home = Home::on_postgres(90).await;
    let mut random = StdRng::seed_from_u64(home.seed);
    let sink = Sink::start(always(StatusCode::OK)).await;
    let process = home.start().await;
    endpoint(&process.client, &sink, "/a", None).await;
    endpoint(&process.client, &sink, "/b", None).await;
    let load = Load::new(home.seed);
    load.serve(&process);
    let publishers = load.publish(u64::MAX, 8);
    for _ in 0..ENDS {
        let enough = sink.received().len() + random.random_range(1..60);
        sink.until_count(enough).await;
        end_sessions(home.postgres()).await;
        // The same server; who was told that its database is not available may ask again.
        load.serve(&process);
    }
    load.finish();
    load.serve(&process);
    publishers.join_all().await;
    let figures = load.ledger.check(&home, process, &sink, &["/a", "/b"]).await;
    assert_eq!((figures.duplicates, figures.lost_attempts), (0, 0), "{figures:?}");
    // A turn whose session ended is written anew, or found to have taken place; other work is refused.
    let log = home.log();
    let at_work = ["a turn is written anew", "a commit failed but is in the log", "is not available"];
    assert!(at_work.iter().any(|told| log.contains(told)), "no session was ended at work: {figures:?}");
}

async fn end_sessions(database: &postgres::PostgresDatabase) {
    let sql = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", database.name);
    postgres::run(&database.cluster, sql).await;
}
