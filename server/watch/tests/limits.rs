//! What ends streams, and what they cost.

use super::*;
use crate::watch::ring::{Next, weight};

#[tokio::test]
async fn stream_beyond_the_limit_is_refused_until_one_is_dropped() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &Config { streams_max: 2, ..Config::default() }).await;
    let (first, _second) = (house.stream(Start::Now).await, house.stream(Start::Now).await);
    assert!(matches!(house.refusal(Start::Now).await, WatchError::TooManyStreams));
    drop(first);
    drop(house.watch.open.acquire().await.unwrap());
    drop(house.stream(Start::Now).await);
}

#[tokio::test]
async fn refused_start_leaves_no_stream_open() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &Config { streams_max: 1, ..Config::default() }).await;
    assert!(matches!(house.refusal(Start::Token("x".to_owned())).await, WatchError::InvalidToken));
    drop(house.stream(Start::Now).await);
}

#[tokio::test]
async fn shutdown_ends_streams_and_opens_no_more() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &Config::default()).await;
    let mut items = house.stream(Start::Now).await;
    house.shutdown.cancel();
    assert!(matches!(next_result(&mut items).await, Err(WatchError::ShuttingDown)));
    assert!(items.next().await.is_none());
    assert!(matches!(house.refusal(Start::Now).await, WatchError::ShuttingDown));
    house.close().await;
}

#[tokio::test]
async fn reader_that_stalls_is_ended_with_its_token_and_can_resume() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &Config { stall: Duration::from_millis(50), ..Config::default() }).await;
    house.append(100, turn(1..=100)).await;
    let mut items = house.subscribe(&DeliveryFilter::default(), Start::Oldest).await.unwrap();
    house.all_streams_ended().await;
    let (mut read, mut last) = (Vec::new(), None);
    let end = loop {
        match next_result(&mut items).await {
            Ok(item) => {
                last = Some(item.resume_token.clone());
                read.push(item);
            }
            Err(end) => break end,
        }
    };
    assert_eq!(read.len(), MESSAGES_MAX);
    let WatchError::SlowConsumer { resume_token } = end else { panic!("{end:?}") };
    assert_eq!(Some(&resume_token), last.as_ref());
    let mut resumed = house.stream(Start::Token(resume_token)).await;
    let first = u32::try_from(read.len()).unwrap();
    for expected in first..=100 {
        assert_eq!(number(&next(&mut resumed).await), expected);
    }
}

#[tokio::test]
async fn stalled_reader_keeps_no_row_in_memory_and_misses_none() {
    let database = TestDatabase::create().await;
    let config = Config { ring_rows_max: 4, ring_bytes_max: 100_000, ..Config::default() };
    let house = House::open(&database, &config).await;
    let mut items = house.stream(Start::Now).await;
    // Watches the ring without being a stream.
    let mut ring = house.watch.live.subscribe();
    ring.wait_for(|ring| ring.head().is_some()).await.unwrap();
    let seq = house.append(1, turn(0..100)).await;
    ring.wait_for(|ring| ring.head() == Some(seq)).await.unwrap();
    let row = match ring.borrow().row(seq) {
        Next::Row(row) => Arc::downgrade(&row),
        Next::Behind | Next::Wait => panic!("the ring lacks the newest row"),
    };
    for n in 1..=20 {
        let seq = house.append(i64::from(n) * 10, turn(n * 100..(n + 1) * 100)).await;
        let ring = ring.wait_for(|ring| ring.head() == Some(seq)).await.unwrap();
        let held: usize = (1..=seq)
            .filter_map(|seq| match ring.row(seq) {
                Next::Row(row) => Some(weight(&row)),
                Next::Behind | Next::Wait => None,
            })
            .sum();
        assert!(held <= config.ring_bytes_max, "{held}");
    }
    assert!(row.upgrade().is_none(), "a stalled stream holds on to a row");
    for expected in 0..2_100 {
        assert_eq!(number(&next_transition(&mut items).await), expected);
    }
}

#[tokio::test]
async fn stream_that_waits_for_its_reader_lets_go_of_its_page() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &Config::default()).await;
    let seq = house.append(10, turn(0..100)).await;
    let page = house.watch.table.page(seq).await.unwrap().into_iter().map(Arc::new).collect();
    let selector = Selector::new(TENANT, &DeliveryFilter::default());
    let (messages, mut received) = mpsc::channel(1);
    let mut feed = Feed {
        tokens: Tokens::new(&[7; 32], &selector),
        ear: Ear::new(&house.watch.live, &selector),
        selector,
        place: house.watch.table.locate(Origin::Now).await.unwrap(),
        table: house.watch.table.clone(),
        page,
        messages,
        heartbeat: Duration::from_secs(15),
        heartbeat_at: Instant::now(),
        stall: Duration::from_millis(1),
        shutdown: house.shutdown.clone(),
        _open: house.watch.open.clone().try_acquire_owned().unwrap(),
    };
    feed.room().await.unwrap();
    assert_eq!(feed.page.len(), 1, "a stream that need not wait keeps its page");
    let item = WatchItem { resume_token: String::new(), time: Timestamp::default(), message: WatchMessage::Heartbeat };
    feed.messages.try_send(item).unwrap();
    assert!(matches!(feed.room().await, Err(WatchError::SlowConsumer { .. })));
    assert_eq!(feed.page.capacity(), 0);
    received.recv().await.unwrap();
    feed.room().await.unwrap();
}

#[tokio::test]
async fn tail_reads_nothing_while_nobody_watches() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &brisk()).await;
    let first = house.append(10, turn([1])).await;
    assert_eq!(house.watch.live.borrow().head(), None);
    let items = house.stream(Start::Now).await;
    let mut ring = house.watch.live.subscribe();
    ring.wait_for(|ring| ring.head() == Some(first)).await.unwrap();
    drop(items);
    house.all_streams_ended().await;
    drop(ring);
    house.close().await;
}

#[tokio::test]
async fn tail_survives_a_database_that_fails_for_a_while() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &brisk()).await;
    let mut items = house.stream(Start::Now).await;
    let mut ring = house.watch.live.subscribe();
    ring.wait_for(|ring| ring.head().is_some()).await.unwrap();
    house.sql("ALTER TABLE log RENAME TO elsewhere").await;
    house.head.committed(1_000);
    // The tail shares the readers with these, so by their end it has had its turn.
    for _ in 0..50 {
        assert!(house.db.read(|conn| log::head(conn).boxed()).await.is_err());
    }
    house.sql("ALTER TABLE elsewhere RENAME TO log").await;
    house.append(10, turn([1])).await;
    assert_eq!(number(&next_transition(&mut items).await), 1);
}

twins!(
    "limits.rs",
    [
        stream_beyond_the_limit_is_refused_until_one_is_dropped,
        refused_start_leaves_no_stream_open,
        shutdown_ends_streams_and_opens_no_more,
        reader_that_stalls_is_ended_with_its_token_and_can_resume,
        stalled_reader_keeps_no_row_in_memory_and_misses_none,
        stream_that_waits_for_its_reader_lets_go_of_its_page,
        tail_reads_nothing_while_nobody_watches,
        tail_survives_a_database_that_fails_for_a_while,
    ]
);
