//! Whatever cuts a stream, its pieces joined are what the database says: in order, no gap, no repeat.
//!
//! Everything follows from the seeds; a failure names its own.

use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tokio::{sync::watch::Receiver, task::JoinSet};

use super::*;
use crate::model::TypeFilter;

const SEEDS: [u64; 2] = [1, 2];
const TRANSITIONS_MIN: u32 = 10_000;
/// Lives of the server; the last one goes on until every watcher has seen everything.
const LIVES: u32 = 4;
const WATCHERS: u64 = 6;
const TYPES: [&str; 4] = ["user.created", "user.deleted", "order.paid", "a.b.c"];
const PATTERNS: [&str; 5] = ["user.*", "order.paid", "*", "a.**", "nothing"];
const STATES: [ShownState; 6] = [
    ShownState::Pending,
    ShownState::InFlight,
    ShownState::Delivered,
    ShownState::Dead,
    ShownState::Cancelled,
    ShownState::Held,
];

/// Someone who watches, over cuts and restarts.
struct Watcher {
    rng: StdRng,
    tenant: TenantKey,
    filter: DeliveryFilter,
    token: Option<String>,
    seen: Vec<(Timestamp, WatchMessage)>,
    /// How many messages it reads before it hangs up, at most; `None`: it never does.
    cut_max: Option<usize>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_of_a_stream_join_to_what_the_database_says() {
    for seed in SEEDS {
        run(seed).await;
    }
}

async fn run(seed: u64) {
    let database = TestDatabase::create().await;
    let config = Config {
        heartbeat: Duration::from_millis(20),
        poll: Duration::from_millis(5),
        ring_rows_max: 12,
        ..Config::default()
    };
    let mut rng = StdRng::seed_from_u64(seed);
    let mut watchers: Vec<Watcher> = (0..WATCHERS).map(|_| Watcher::new(rng.next_u64())).collect();
    let mut written = 0;
    for life in 1..=LIVES {
        let house = House::open(&database, &config).await;
        let (done, end) = tokio::sync::watch::channel(None);
        let mut tasks = JoinSet::new();
        for watcher in watchers.drain(..) {
            tasks.spawn(watcher.follow(house.watch.clone(), end.clone()));
        }
        // Takes its first message and then nothing more, while the log grows.
        let stalled = house.stream(Start::Oldest).await;
        while written < TRANSITIONS_MIN * life / LIVES {
            written += write_turn(&house, &mut rng, written).await;
        }
        if life == LIVES {
            let (_, time, _) = house.db.read(|conn| log::head(conn).boxed()).await.unwrap();
            done.send_replace(Some(time));
            catch_up(stalled, &house, time, seed).await;
        } else {
            drop(stalled);
            house.shutdown.cancel();
        }
        watchers = tasks.join_all().await;
        if life == LIVES {
            for (index, watcher) in watchers.iter().enumerate() {
                let expected = expected(&house, watcher.tenant, &watcher.filter).await;
                assert!(
                    watcher.seen == expected,
                    "seed {seed}, watcher {index}: {}",
                    difference(&watcher.seen, &expected)
                );
            }
        }
        house.close().await;
    }
    assert!(written >= TRANSITIONS_MIN);
}

/// Commits a turn of random size; every fourth one is announced to nobody. Returns how many transitions it had.
async fn write_turn(house: &House, rng: &mut StdRng, written: u32) -> u32 {
    let size = match rng.random_range(0..10) {
        0 => 0,
        1 => rng.random_range(100..400),
        _ => rng.random_range(1..40),
    };
    let events: Vec<LogEvent> = (0..rng.random_range(1..5))
        .map(|key| LogEvent { key, id: format!("e{key}"), event_type: (*TYPES.choose(rng).unwrap()).to_owned() })
        .collect();
    let entries = (0..size).map(|n| entry(rng, u32::try_from(events.len()).unwrap(), written + n)).collect();
    let now = i64::from(written) * 7;
    let body = LogBody { events, entries };
    if rng.random_range(0..4) == 0 {
        house.append_silently(now, body).await;
    } else {
        house.append(now, body).await;
    }
    size
}

/// A random transition, told from all others by its attempt number.
fn entry(rng: &mut StdRng, events: u32, attempt: u32) -> LogEntry {
    let entry =
        LogEntry { tenant: rng.random_range(1..=2), endpoint: rng.random_range(1..=5), attempt, ..LogEntry::default() };
    if rng.random_range(0..8) == 0 {
        return LogEntry { kind: rng.random_range(101..=106), ..entry };
    }
    let state = *STATES.choose(rng).unwrap() as i32;
    LogEntry { kind: rng.random_range(1..=8), event: rng.random_range(0..events), state, ..entry }
}

impl Watcher {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let few = |rng: &mut StdRng, max: usize| if rng.random() { 0 } else { rng.random_range(1..=max) };
        let (endpoints, patterns, states) = (few(&mut rng, 3), few(&mut rng, 2), few(&mut rng, 3));
        let patterns: Vec<String> = PATTERNS.sample(&mut rng, patterns).map(|&pattern| pattern.to_owned()).collect();
        let filter = DeliveryFilter {
            endpoints: (0..endpoints).map(|_| EndpointKey(rng.random_range(1..=5))).collect(),
            event_types: TypeFilter::parse(&patterns).unwrap(),
            states: STATES.sample(&mut rng, states).copied().collect(),
            ..DeliveryFilter::default()
        };
        let cut_max = (!rng.random_bool(0.2)).then(|| rng.random_range(10..200));
        let tenant = TenantKey(rng.random_range(1..=2));
        Self { rng, tenant, filter, token: None, seen: Vec::new(), cut_max }
    }

    /// Watches, cut again and again, until the server stops or everything up to `end` has been passed.
    async fn follow(mut self, watch: Watch, end: Receiver<Option<Timestamp>>) -> Self {
        loop {
            let start = self.token.clone().map_or(Start::Oldest, Start::Token);
            let mut items = match watch.subscribe(self.tenant, &self.filter, start).await {
                Ok(items) => items.boxed(),
                Err(WatchError::ShuttingDown) => return self,
                Err(error) => panic!("{error:?}"),
            };
            let cut = self.cut_max.map_or(usize::MAX, |max| self.rng.random_range(3..max));
            for count in 1..=cut {
                let item = match next_result(&mut items).await {
                    Ok(item) => item,
                    Err(WatchError::ShuttingDown) => return self,
                    Err(error) => panic!("{error:?}"),
                };
                self.token = Some(item.resume_token);
                if item.message != WatchMessage::Heartbeat {
                    self.seen.push((item.time, item.message));
                } else if count > 1 && Some(item.time) == *end.borrow() {
                    // Not the first heartbeat, which may stand within a row: all up to here was passed.
                    return self;
                }
            }
        }
    }
}

/// Reads the stream that stood still until it has everything.
async fn catch_up(mut items: Items, house: &House, end: Timestamp, seed: u64) {
    let expected = expected(house, TENANT, &DeliveryFilter::default()).await;
    let mut seen = Vec::new();
    loop {
        let item = next(&mut items).await;
        if item.message != WatchMessage::Heartbeat {
            seen.push((item.time, item.message));
        } else if item.time == end {
            break;
        }
    }
    assert!(seen == expected, "seed {seed}, stalled: {}", difference(&seen, &expected));
}

/// What the database says a watcher must have seen, by the words of the protocol.
async fn expected(house: &House, tenant: TenantKey, filter: &DeliveryFilter) -> Vec<(Timestamp, WatchMessage)> {
    let rows = house.db.read(|conn| log::after(conn, 0, i64::MAX, i64::MAX).boxed()).await.unwrap();
    let mut expected = Vec::new();
    for row in rows {
        for entry in row.body.entries {
            let of_endpoint = filter.endpoints.is_empty() || filter.endpoints.iter().any(|key| key.0 == entry.endpoint);
            if entry.tenant != tenant.0 || !of_endpoint {
                continue;
            }
            if entry.kind > 100 {
                if filter.event_types.patterns().is_empty() && filter.states.is_empty() {
                    expected.push((row.time, WatchMessage::Endpoint(entry)));
                }
                continue;
            }
            let event = row.body.events[entry.event as usize].clone();
            let in_state = filter.states.is_empty() || filter.states.iter().any(|state| *state as i32 == entry.state);
            if in_state && filter.event_types.matches(&event.event_type) {
                expected.push((row.time, WatchMessage::Delivery { event, entry }));
            }
        }
    }
    expected
}

fn difference<T: PartialEq + std::fmt::Debug>(seen: &[T], expected: &[T]) -> String {
    let at = seen.iter().zip(expected).position(|(one, other)| one != other).unwrap_or(seen.len().min(expected.len()));
    let (lengths, one, other) = ((seen.len(), expected.len()), seen.get(at), expected.get(at));
    format!("lengths {lengths:?}, first difference at {at}: saw {one:?}, expected {other:?}")
}

twins!("resume.rs", [pieces_of_a_stream_join_to_what_the_database_says,]);
