//! A seeded publisher that writes down what it asked for and what it was told, and the checker that holds a server to it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tidings::proto::{
    DeliveryTransitionKind as Kind, Event, GetEventRequest, PublishEventRequest, WatchDeliveriesRequest,
    watch_deliveries_request::Start, watch_deliveries_response::Message,
};
use tokio::{sync::watch, time::timeout};
use tonic::Code;

use crate::{
    process::{Client, Home, PATIENCE, Process},
    sink::Sink,
};

/// What is known of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was acknowledged.
    Acknowledged,
    /// Its answer was lost: it may have been stored.
    Unknown,
}

/// What was asked for, by event id.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: Mutex<BTreeMap<String, (Vec<u8>, Fate)>>,
}

/// Figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) acknowledged: usize,
    pub(crate) unknown: usize,
    pub(crate) unknown_but_stored: usize,
    pub(crate) requests: usize,
    pub(crate) duplicates: usize,
    pub(crate) lost_attempts: usize,
}

/// The server that publishers talk to; each life of it has a number.
pub(crate) type Lives = watch::Sender<Option<(u64, Client)>>;

/// What publishers share.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) lives: Arc<Lives>,
    seed: u64,
    next: Arc<AtomicU64>,
    last: Arc<AtomicU64>,
}

impl Load {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            ledger: Arc::default(),
            lives: Arc::new(watch::Sender::new(None)),
            seed,
            next: Arc::default(),
            last: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// From now on publishers talk to this life of the server.
    pub(crate) fn serve(&self, process: &Process) {
        self.lives.send_modify(|life| {
            let number = life.as_ref().map_or(1, |(number, _)| number + 1);
            *life = Some((number, process.client.clone()));
        });
    }

    /// Publishes up to `events` events by `workers` publishers at once, each over lives of the server as they come.
    pub(crate) fn publish(&self, events: u64, workers: u64) -> tokio::task::JoinSet<()> {
        self.last.store(self.next.load(Ordering::SeqCst).saturating_add(events), Ordering::SeqCst);
        (0..workers).map(|worker| self.clone().work(worker)).collect()
    }

    /// Lets the publishers end after the events that they are publishing.
    pub(crate) fn finish(&self) {
        self.last.store(0, Ordering::SeqCst);
    }

    async fn work(self, worker: u64) {
        let mut lives = self.lives.subscribe();
        let mut random = StdRng::seed_from_u64(self.seed ^ (worker << 32));
        loop {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            if number >= self.last.load(Ordering::SeqCst) {
                return;
            }
            let id = format!("evt-{}-{number}", self.seed);
            let padding = "x".repeat(random.random_range(0..400));
            let payload = format!(r#"{{"number": {number}, "random": {}, "p": "{padding}"}}"#, random.random::<u32>());
            self.until_settled(&mut lives, &mut random, id, payload.into_bytes()).await;
        }
    }

    /// Publishes one event; when the answer is lost, half of the time again.
    async fn until_settled(
        &self,
        lives: &mut watch::Receiver<Option<(u64, Client)>>,
        random: &mut StdRng,
        id: String,
        payload: Vec<u8>,
    ) {
        let mut failed = 0;
        loop {
            let life = lives.wait_for(|life| life.as_ref().is_some_and(|(number, _)| *number > failed));
            let (number, mut client) = timeout(PATIENCE, life).await.expect("no server").unwrap().clone().unwrap();
            // Before asking: whatever comes of it, it has been asked for.
            self.ledger.enter(&id, &payload, Fate::Unknown);
            match client.publish_event(event(&id, &payload)).await {
                Ok(answer) => {
                    assert_eq!(answer.into_inner().event_id, id);
                    return self.ledger.enter(&id, &payload, Fate::Acknowledged);
                }
                Err(status) => {
                    let lost = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal];
                    assert!(lost.contains(&status.code()), "{id}: {status:?}");
                    eprintln!("life {number}: the answer to {id} was lost: {status:?}");
                    failed = number;
                    if random.random_bool(0.5) || self.last.load(Ordering::SeqCst) == 0 {
                        return;
                    }
                }
            }
        }
    }
}

/// The request that publishes an event of type `test.load`.
pub(crate) fn event(id: &str, payload: &[u8]) -> PublishEventRequest {
    let event = Event {
        id: id.to_owned(),
        r#type: "test.load".to_owned(),
        payload: payload.to_vec().into(),
        ..Default::default()
    };
    PublishEventRequest { event: Some(event), ..Default::default() }
}

impl Ledger {
    pub(crate) fn enter(&self, id: &str, payload: &[u8], fate: Fate) {
        self.entries.lock().unwrap().insert(id.to_owned(), (payload.to_vec(), fate));
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.entries.lock().unwrap().values().filter(|(_, fate)| *fate == Fate::Acknowledged).count()
    }

    /// Waits until everything that is stored has ended, stops the server, and holds the database and what arrived to the
    /// ledger. Every endpoint of `paths` wants every event and answers with success in the end.
    pub(crate) async fn check(&self, home: &Home, process: Process, sink: &Sink, paths: &[&str]) -> Figures {
        let entries = self.entries.lock().unwrap().clone();
        let mut stored = HashSet::new();
        for (id, (_, fate)) in &entries {
            let request = GetEventRequest { event_id: id.clone(), ..Default::default() };
            match process.client.clone().get_event(request).await {
                Ok(_) => drop(stored.insert(id.clone())),
                Err(status) => {
                    assert_eq!(status.code(), Code::NotFound, "{id}: {status:?}");
                    assert_eq!(*fate, Fate::Unknown, "LOST: {id} was acknowledged and is not stored");
                }
            }
        }
        ended(&process, stored.len() * paths.len()).await;
        process.stop().await;
        let figures = self.compare(home, sink, &stored, paths).await;
        sink.check();
        figures
    }

    async fn compare(&self, home: &Home, sink: &Sink, stored: &HashSet<String>, paths: &[&str]) -> Figures {
        let database = Database::read(home).await;
        assert_eq!(database.events, stored.iter().map(|id| (id.clone(), 1)).collect(), "one row per event");
        assert_eq!(database.deliveries.len(), stored.len() * paths.len());
        let open: Vec<_> = database.deliveries.iter().filter(|(_, (state, _))| *state != 3).collect();
        assert!(open.is_empty(), "every endpoint answers with success, so all is delivered: {open:?}");
        assert_eq!(database.left, 0, "nothing stays in a lane or handed over");
        assert!(!home.log().contains("leases that no attempt knows of"), "the audit found a lease that leaked");

        let received = sink.received();
        let entries = self.entries.lock().unwrap();
        let mut requests: HashMap<(&str, &str), usize> = HashMap::new();
        let mut attempts = HashSet::new();
        for one in &received {
            let (payload, _) = entries.get(&one.id).unwrap_or_else(|| panic!("PHANTOM: {}", one.id));
            assert!(stored.contains(&one.id), "{} was sent and is not stored", one.id);
            assert_eq!(one.body, payload, "{}: the body is the published bytes", one.id);
            assert!(attempts.insert(&one.attempt), "{}: attempt {} was sent twice", one.id, one.attempt);
            *requests.entry((&one.id, &one.path)).or_default() += 1;
        }
        let mut figures = Figures { requests: received.len(), ..Figures::default() };
        for id in stored {
            for path in paths {
                let made = requests.get(&(id.as_str(), *path)).copied().unwrap_or(0);
                let lost = database.lost.get(&(id.clone(), sink.url(path))).copied().unwrap_or(0);
                assert!(made > 0, "LOST: {id} never arrived at {path}");
                assert!(made - 1 <= lost, "{id} arrived {made} times at {path}, with {lost} attempts lost in crashes");
                figures.duplicates += made - 1;
            }
        }
        figures.lost_attempts = database.lost.values().sum();
        figures.acknowledged = entries.values().filter(|(_, fate)| *fate == Fate::Acknowledged).count();
        figures.unknown = entries.len() - figures.acknowledged;
        figures.unknown_but_stored = stored.len() - figures.acknowledged;
        figures
    }
}

/// Reads the log of transitions from its beginning until `deliveries` have ended.
pub(crate) async fn ended(process: &Process, deliveries: usize) -> HashMap<(String, String), Kind> {
    let mut ends = HashMap::new();
    if deliveries == 0 {
        return ends;
    }
    let request = WatchDeliveriesRequest { start: Some(Start::FromOldest(true)), ..Default::default() };
    let mut stream = process.client.clone().watch_deliveries(request).await.unwrap().into_inner();
    let reading = async {
        while ends.len() < deliveries {
            let message = stream.message().await.unwrap().expect("the stream ended").message;
            let Some(Message::Delivery(transition)) = message else { continue };
            let kind = transition.kind();
            let key = (transition.event_id, transition.endpoint_id);
            match kind {
                Kind::Delivered | Kind::Dead | Kind::Cancelled => {
                    let before = ends.insert(key, kind);
                    assert_eq!(before, None, "a terminal state absorbs");
                }
                Kind::RetryRequested => drop(ends.remove(&key)),
                _ => assert!(!ends.contains_key(&key), "{kind:?} after the end of {key:?}"),
            }
        }
    };
    let waited = timeout(PATIENCE, reading).await;
    assert!(waited.is_ok(), "only {} of {deliveries} deliveries ended", ends.len());
    ends
}

/// What a stopped server left behind.
struct Database {
    events: HashMap<String, i64>,
    /// State and attempts, by event id and endpoint.
    deliveries: HashMap<(String, i64), (i64, i64)>,
    /// Lost attempts, by event id and the endpoint's URL.
    lost: HashMap<(String, String), usize>,
    /// Lanes and hand-overs.
    left: i64,
}

impl Database {
    async fn read(home: &Home) -> Self {
        let events: Vec<(String, i64)> = home.ask("SELECT id, count(*) FROM event GROUP BY tenant, id").await;
        let sql = "SELECT event.id, endpoint, state, attempt FROM delivery JOIN event ON event.key = delivery.event";
        let deliveries: Vec<(String, i64, i64, i64)> = home.ask(sql).await;
        let sql = "SELECT event.id, url, count(*) FROM attempt JOIN event ON event.key = attempt.event \
                   JOIN endpoint ON endpoint.key = attempt.endpoint WHERE result = 4 GROUP BY 1, 2";
        let lost: Vec<(String, String, i64)> = home.ask(sql).await;
        let left: Vec<(i64,)> = home.ask("SELECT (SELECT count(*) FROM lane) + (SELECT count(*) FROM handoff)").await;
        Self {
            events: events.into_iter().collect(),
            deliveries: deliveries.into_iter().map(|(id, to, state, n)| ((id, to), (state, n))).collect(),
            lost: lost.into_iter().map(|(id, url, count)| ((id, url), count as usize)).collect(),
            left: left[0].0,
        }
    }
}
