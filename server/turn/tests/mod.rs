//! The engine over a real database and a clock that the tests move: what turns write, and what they never do.

mod claiming;
mod draining;
mod holding;
mod publishing;
mod releasing;
mod settling;
mod timing;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;

use super::{
    batch::{Batch, Publish},
    write::{Done, Engine},
};
use crate::{
    configure::{Configurator, NewEndpoint},
    dispatch::{Finished, InFlight, Job, Room},
    fixture::{TestDatabase, settings, twins},
    model::{
        Clock, Decision, DeliveryKey, DeliveryPolicy, DeliveryState, EndpointKey, EndpointSettings, FailureKind,
        LogEntry, NewEvent, Outcome, RetrySchedule, TenantKey, Timestamp, TransitionKind, TypeFilter,
    },
    shared::Shared,
    store::{self, DeliveryRow},
};

const TENANT: TenantKey = TenantKey::DEFAULT;

/// An engine without a dispatcher: the tests are what makes the attempts.
struct Fixture {
    shared: Arc<Shared>,
    engine: Arc<Engine>,
    database: TestDatabase,
}

impl Fixture {
    async fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
        Self::open(TestDatabase::create().await, clock).await
    }

    async fn open(database: TestDatabase, clock: Clock) -> Self {
        let shared = Arc::new(Shared::open(&database.config(), clock).await.unwrap());
        let in_flight = Arc::new(InFlight::new(Room { slots: 800, ahead: 400, bytes: 1 << 20 }));
        let engine = Engine::open(shared.clone(), in_flight).await.unwrap();
        Self { shared, engine, database }
    }

    /// The next life of the server after a crash: nothing that was in memory is left.
    async fn crashed(self) -> Self {
        let Self { shared, engine, database } = self;
        let clock = shared.clock.clone();
        shared.db.close().await;
        drop((shared, engine));
        let fixture = Self::open(database, clock).await;
        super::release_earlier(&fixture.engine).await.unwrap();
        fixture
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Moves the clock on to `time`.
    fn reach(&self, time: Timestamp) {
        self.shared.clock.advance(time.since(self.now()));
    }

    async fn endpoint(&self, policy: DeliveryPolicy) -> EndpointKey {
        self.endpoint_with(policy, |_| {}).await
    }

    async fn endpoint_with(&self, policy: DeliveryPolicy, change: impl FnOnce(&mut EndpointSettings)) -> EndpointKey {
        let mut settings = EndpointSettings { policy: Arc::new(policy), ..settings() };
        change(&mut settings);
        let new = NewEndpoint {
            settings,
            disabled: false,
            secrets: Vec::new(),
            headers: Vec::new(),
            credentials: Default::default(),
        };
        Configurator::new(self.shared.clone()).create_endpoint(TENANT, new).await.unwrap().0.key
    }

    /// Writes a turn. The clock goes on to its time, which is later than that of the turn before.
    async fn turn(&self, batch: Batch) -> store::Result<Done> {
        let done = self.engine.write(&Arc::new(batch)).await;
        let time = Timestamp::from_micros(self.engine.last_turn.load(Ordering::Relaxed));
        self.reach(time);
        done
    }

    async fn publish(&self, events: Vec<NewEvent>) -> Done {
        self.turn(Batch { publishes: events.into_iter().map(publish).collect(), ..Batch::default() }).await.unwrap()
    }

    async fn claim(&self) -> Done {
        self.turn(Batch { claim: true, ..Batch::default() }).await.unwrap()
    }

    /// Ends an attempt: its slot is given back, and a turn settles it.
    async fn settle(&self, job: &Job, result: Option<(Outcome, Decision)>) -> Done {
        self.settle_all(vec![(job.clone(), result)]).await
    }

    async fn settle_all(&self, results: Vec<(Job, Option<(Outcome, Decision)>)>) -> Done {
        let finished = results.into_iter().map(|(job, result)| {
            let generation = self.shared.routes.endpoint(job.key.endpoint).map_or(0, |entry| entry.endpoint.generation);
            self.engine.in_flight.lanes().forgo(&job);
            Arc::new(Finished { job, ended: self.now(), generation, result })
        });
        self.turn(Batch { finished: finished.collect(), ..Batch::default() }).await.unwrap()
    }

    async fn row(&self, key: DeliveryKey) -> DeliveryRow {
        let read = self.shared.db.read(move |conn| Box::pin(store::delivery::get(conn, TENANT, key)));
        read.await.unwrap().expect("the delivery is there")
    }

    async fn attempts(&self, key: DeliveryKey) -> Vec<crate::model::Attempt> {
        self.shared.db.read(move |conn| Box::pin(store::attempt::list(conn, key, 0, 100))).await.unwrap()
    }

    /// All transitions so far, in order.
    async fn log(&self) -> Vec<LogEntry> {
        let rows = self.shared.db.read(|conn| Box::pin(store::log::after(conn, 1, 10_000, i64::MAX))).await.unwrap();
        rows.into_iter().flat_map(|row| row.body.entries).collect()
    }

    async fn kinds(&self) -> Vec<TransitionKind> {
        self.log().await.iter().map(|entry| TransitionKind::from_i32(entry.kind).unwrap()).collect()
    }

    /// Asks the database for one number.
    async fn number(&self, sql: &'static str) -> i64 {
        let read = self.shared.db.read(move |conn| {
            Box::pin(async move {
                let row: Option<(i64,)> = store::fetch_optional!(conn, sql)?;
                Ok(row.expect("one number").0)
            })
        });
        read.await.unwrap()
    }
}

fn publish(event: NewEvent) -> Publish {
    // Of no configuration version: it is routed by the turn.
    Publish { event: Arc::new(event), ping_of: None, wanting: Vec::new(), cfg: 0 }
}

fn event(id: Option<&str>, payload: &'static str) -> NewEvent {
    NewEvent {
        tenant: TENANT,
        id: id.map(str::to_owned),
        event_type: "user.created".into(),
        content_type: None,
        payload: Bytes::from_static(payload.as_bytes()),
        time: None,
        deliver_at: None,
        expires: None,
        labels: Default::default(),
    }
}

fn events(count: usize) -> Vec<NewEvent> {
    (0..count).map(|_| event(None, "{}")).collect()
}

fn delivered() -> Option<(Outcome, Decision)> {
    let outcome = Outcome {
        failure: None,
        detail: String::new(),
        http_status: Some(200),
        retry_after: None,
        latency: Duration::from_millis(3),
        response: Bytes::from_static(b"ok"),
        response_truncated: false,
        body_note: None,
    };
    Some((outcome, Decision::Delivered))
}

fn failed(decision: Decision) -> Option<(Outcome, Decision)> {
    let (outcome, _) = delivered().unwrap();
    let detail = "status 500".to_owned();
    Some((Outcome { failure: Some(FailureKind::HttpStatus), http_status: Some(500), detail, ..outcome }, decision))
}

fn policy(requests: usize, max_in_flight: u32) -> DeliveryPolicy {
    let retry = RetrySchedule::Delays(vec![Duration::from_secs(10); requests - 1]);
    DeliveryPolicy { retry: Some(retry), max_in_flight, ..DeliveryPolicy::default() }
}
