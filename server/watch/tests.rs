//! Streams over a real database: where they start, what ends them, what they cost.

mod limits;
mod resume;
mod start;

use std::{pin::Pin, time::Duration};

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use tokio::task::JoinHandle;

use super::*;
use crate::{
    fixture::{TestDatabase, twins},
    model::{EndpointKey, LogBody, ShownState, TransitionKind},
    store::log,
};

const TENANT: TenantKey = TenantKey(1);

type Items = Pin<Box<dyn Stream<Item = Result<WatchItem, WatchError>> + Send>>;

/// A database with everything that watching it takes.
struct House {
    db: Db,
    head: Head,
    watch: Watch,
    tail: JoinHandle<()>,
    shutdown: CancellationToken,
    streams_max: u32,
}

impl House {
    async fn open(database: &TestDatabase, config: &Config) -> Self {
        let db = Db::open(&database.config().location).await.unwrap();
        let unit = async |tx: &mut store::Tx| {
            let incarnation = store::replica::begin(tx, "test").await?;
            let (cfg, (seq, ..)) = (store::meta::cfg(tx.conn()).await?, log::head(tx.conn()).await?);
            tx.commit().await.map(|()| (incarnation, cfg, seq))
        };
        let (incarnation, cfg, seq) = db.write(move |tx| async move { unit(tx).await }.boxed()).await.unwrap();
        db.enter(incarnation, cfg, seq);
        let (head, shutdown) = (Head::new(seq), CancellationToken::new());
        let key = Zeroizing::new([7; 32]);
        let (watch, tail) = Watch::new(config, db.clone(), head.clone(), key, shutdown.clone());
        let tail = tokio::spawn(tail.run(shutdown.clone()));
        let streams_max = u32::try_from(config.streams_max).unwrap();
        Self { db, head, watch, tail, shutdown, streams_max }
    }

    /// Commits a turn without telling anyone.
    async fn append_silently(&self, now: i64, body: LogBody) -> i64 {
        let unit = async move |tx: &mut store::Tx| log::commit(tx, Timestamp::from_micros(now), &body).await;
        self.db.write(move |tx| async move { unit(tx).await }.boxed()).await.unwrap()
    }

    async fn append(&self, now: i64, body: LogBody) -> i64 {
        let seq = self.append_silently(now, body).await;
        self.head.committed(seq);
        seq
    }

    /// Runs SQL against the database, behind everyone's back.
    async fn sql(&self, sql: &'static str) {
        let unit = async move |tx: &mut store::Tx| {
            store::execute!(tx.conn(), sql)?;
            tx.commit().await
        };
        self.db.write(move |tx| async move { unit(tx).await }.boxed()).await.unwrap();
    }

    async fn subscribe(&self, filter: &DeliveryFilter, start: Start) -> Result<Items, WatchError> {
        Ok(self.watch.subscribe(TENANT, filter, start).await?.boxed())
    }

    /// A stream of everything, after its first heartbeat.
    async fn stream(&self, start: Start) -> Items {
        let mut items = self.subscribe(&DeliveryFilter::default(), start).await.unwrap();
        assert_eq!(next(&mut items).await.message, WatchMessage::Heartbeat);
        items
    }

    async fn refusal(&self, start: Start) -> WatchError {
        self.subscribe(&DeliveryFilter::default(), start).await.map(|_| "a stream").unwrap_err()
    }

    /// Waits until no stream is open any more.
    async fn all_streams_ended(&self) {
        drop(self.watch.open.acquire_many(self.streams_max).await.unwrap());
    }

    /// Stops as a server does. The streams must have been dropped, or be read by others.
    async fn close(self) {
        self.shutdown.cancel();
        self.all_streams_ended().await;
        self.tail.await.unwrap();
        self.db.close().await;
    }
}

/// The next item; what does not come within ten seconds does not come.
async fn next(items: &mut Items) -> WatchItem {
    next_result(items).await.unwrap()
}

async fn next_result(items: &mut Items) -> Result<WatchItem, WatchError> {
    tokio::time::timeout(Duration::from_secs(10), items.next()).await.expect("nothing came").expect("just ended")
}

/// The next item that is no heartbeat.
async fn next_transition(items: &mut Items) -> WatchItem {
    loop {
        let item = next(items).await;
        if item.message != WatchMessage::Heartbeat {
            return item;
        }
    }
}

/// A turn with these deliveries queued, known by their attempt number.
fn turn(numbers: impl IntoIterator<Item = u32>) -> LogBody {
    let event = LogEvent { key: 1, id: "e1".to_owned(), event_type: "user.created".to_owned() };
    let entry = |attempt| LogEntry {
        tenant: TENANT.0,
        endpoint: 1,
        kind: TransitionKind::Queued as i32,
        state: ShownState::Pending as i32,
        attempt,
        ..LogEntry::default()
    };
    LogBody { events: vec![event], entries: numbers.into_iter().map(entry).collect() }
}

/// The number of the delivery that an item of [`turn`] is about.
fn number(item: &WatchItem) -> u32 {
    match &item.message {
        WatchMessage::Delivery { entry, .. } => entry.attempt,
        other => panic!("no delivery: {other:?}"),
    }
}

fn nothing_selected() -> DeliveryFilter {
    DeliveryFilter { endpoints: vec![EndpointKey(99)], ..DeliveryFilter::default() }
}

fn brisk() -> Config {
    Config { heartbeat: Duration::from_millis(10), poll: Duration::from_millis(5), ..Config::default() }
}
