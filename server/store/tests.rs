//! Callers that stop waiting, and what every connection promises.

use std::{collections::HashSet, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::task::JoinSet;

use super::{Conn, Db, Error, Kind, Result, Tx, delivery::DeliveryRow, meta, sql::execute, sql::fetch_all};
use crate::{
    fixture::{TestDatabase, twins},
    model::{DeliveryKey, DeliveryState, EndpointKey, EventKey, TenantKey, Timestamp},
};

const SEED: u64 = 0x71d1;
const CALLERS: u64 = 8;
const WRITES: u64 = 100;

async fn open(database: &TestDatabase) -> Db {
    Db::open(&database.config().location).await.unwrap()
}

async fn insert(tx: &mut Tx, text: String) -> Result<()> {
    let key = meta::next_key(tx, "name").await?;
    execute!(&mut tx.conn, "INSERT INTO name (key, text) VALUES ($1, $2)", key, text.as_str())?;
    Ok(())
}

/// One write of two statements, so that it can be dropped between them.
async fn write(db: Db, text: String) -> Result<()> {
    db.write(move |tx| {
        Box::pin(async move {
            insert(tx, format!("{text}/first")).await?;
            insert(tx, format!("{text}/second")).await?;
            tx.commit().await
        })
    })
    .await
}

async fn names(db: &Db) -> HashSet<String> {
    let read = db.read(|conn| {
        Box::pin(async move {
            let rows: Vec<(String,)> = fetch_all!(conn, "SELECT text FROM name")?;
            Ok(rows.into_iter().map(|(text,)| text).collect())
        })
    });
    read.await.unwrap()
}

/// Writes whose callers stop waiting at random points; returns those that were answered all the same.
async fn impatient(db: Db, caller: u64) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(SEED ^ (caller << 32));
    let mut acknowledged = Vec::new();
    for number in 0..WRITES {
        let patience = Duration::from_micros(random.random_range(0..3_000));
        let text = format!("impatient/{caller}/{number}");
        if random.random_bool(0.2) {
            // Dropping a read must not disturb writes either.
            let _ = tokio::time::timeout(patience, names(&db)).await;
        }
        if let Ok(written) = tokio::time::timeout(patience, write(db.clone(), text.clone())).await {
            written.unwrap_or_else(|error| panic!("seed {SEED:#x}: {text}: {error:?}"));
            acknowledged.push(text);
        }
    }
    acknowledged
}

/// Writes whose callers wait; every one is answered.
async fn patient(db: Db, caller: u64) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0..WRITES {
        let text = format!("patient/{caller}/{number}");
        let written = write(db.clone(), text.clone()).await;
        written.unwrap_or_else(|error| panic!("seed {SEED:#x}: {text}: {error:?}"));
        acknowledged.push(text);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_stop_waiting_lose_no_acknowledged_write() {
    let database = TestDatabase::create().await;
    let db = open(&database).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(impatient(db.clone(), caller));
        if caller % 2 == 0 {
            callers.spawn(patient(db.clone(), caller));
        }
    }
    let acknowledged: Vec<String> = callers.join_all().await.into_iter().flatten().collect();
    let impatient = acknowledged.iter().filter(|text| text.starts_with("impatient")).count() as u64;
    assert!(impatient < CALLERS * WRITES, "seed {SEED:#x}: nobody stopped waiting");
    db.close().await;
    drop(db);

    let stored = names(&open(&database).await).await;
    for text in acknowledged {
        let whole = ["first", "second"].map(|part| stored.contains(&format!("{text}/{part}")));
        assert_eq!(whole, [true, true], "seed {SEED:#x}: {text} was acknowledged");
    }
    // What was not acknowledged is there as a whole or not at all.
    let halves = stored.iter().filter_map(|text| text.rsplit_once('/')).fold(
        std::collections::HashMap::<_, usize>::new(),
        |mut halves, (text, _)| {
            *halves.entry(text).or_default() += 1;
            halves
        },
    );
    let torn: Vec<_> = halves.iter().filter(|(_, count)| **count != 2).collect();
    assert!(torn.is_empty(), "seed {SEED:#x}: {torn:?}");
}

#[tokio::test]
async fn unit_that_panics_changes_nothing_and_leaves_the_writer_usable() {
    let database = TestDatabase::create().await;
    let db = open(&database).await;
    let panicked: Result<()> = db
        .write(|tx| {
            Box::pin(async move {
                insert(tx, "half".to_owned()).await?;
                panic!("on purpose")
            })
        })
        .await;
    assert!(matches!(panicked, Err(Error::Panicked)));
    write(db.clone(), "after".to_owned()).await.unwrap();
    let expected = ["after/first", "after/second"].map(str::to_owned);
    assert_eq!(names(&db).await, HashSet::from(expected));
}

#[tokio::test]
async fn every_connection_is_durable_and_readers_only_read() {
    let database = TestDatabase::create().await;
    let db = open(&database).await;
    let Kind::Sqlite(sqlite) = &*db.0 else { unreachable!("it was opened above") };
    let mut conns = vec![Conn::Sqlite(sqlite.writer().await.unwrap())];
    // All at once, so that the pool gives each of its connections.
    for _ in 0..super::sqlite::READERS_MAX {
        conns.push(Conn::Sqlite(sqlite.reader().await.unwrap()));
    }
    for (index, conn) in conns.iter_mut().enumerate() {
        let synchronous: Vec<(i64,)> = fetch_all!(&mut *conn, "PRAGMA synchronous").unwrap();
        let journal: Vec<(String,)> = fetch_all!(&mut *conn, "PRAGMA journal_mode").unwrap();
        let query_only: Vec<(i64,)> = fetch_all!(&mut *conn, "PRAGMA query_only").unwrap();
        assert_eq!((synchronous[0].0, journal[0].0.as_str()), (2, "wal"), "connection {index}");
        assert_eq!(query_only[0].0 == 1, index > 0, "connection {index}");
    }
}

twins!(
    "tests.rs",
    [
        callers_that_stop_waiting_lose_no_acknowledged_write,
        unit_that_panics_changes_nothing_and_leaves_the_writer_usable,
    ],
    only[every_connection_is_durable_and_readers_only_read]
);

#[test]
fn debug_tells_sizes_of_what_publishers_and_receivers_sent_and_nothing_else_of_it() {
    let mut event = super::conformance::an_event(1, "shown");
    (event.payload, event.labels) = ("canary".into(), b"canary".to_vec());
    let delivery = DeliveryRow {
        key: DeliveryKey { event: EventKey(1), endpoint: EndpointKey(1) },
        tenant: TenantKey::DEFAULT,
        event_id: "shown".into(),
        event_type: "a.b".into(),
        state: DeliveryState::Delivered,
        attempt: 1,
        base: 0,
        cancel: false,
        ready_at: None,
        created: Timestamp::from_micros(0),
        updated: Timestamp::from_micros(0),
        status: 200,
        latency: Duration::ZERO,
        kind: None,
        response: b"canary".to_vec(),
    };
    let listed = format!("{:?}", b"canary");
    for (shown, sizes) in [(format!("{event:?}"), 2), (format!("{delivery:?}"), 1)] {
        assert!(shown.contains("shown") && !shown.contains("canary"), "{shown}");
        assert!(!shown.contains(listed.trim_matches(['[', ']'])), "{shown}");
        assert_eq!(shown.matches("<6 bytes>").count(), sizes, "{shown}");
    }
}
