//! Dispatch: from a leased delivery to its outcome.
//!
//! One lane per endpoint bounds what is in flight ([`Lanes`]); a turn of the committer leases deliveries and hands them
//! over as [`Job`]s; each job is one task that makes one attempt and sends what came of it to the next turn. Nothing
//! here writes to the database, and no lock is held over an exchange.

mod attempt;
mod audit;
mod committer;
mod held;
mod lanes;
mod pacer;
mod request;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::lanes::Room;
pub(crate) use self::{
    audit::audit,
    committer::{Committer, Inbox, Order, inbox},
    held::Held,
    lanes::{Lanes, Origin, Pace, Place},
    pacer::pace,
};
use crate::{
    egress::Egress,
    model::{Decision, DeliveryKey, EndpointKey, EventContent, Outcome, Timestamp},
    shared::Shared,
};

/// How often it is looked whether something that was leased ahead has waited for too long.
const OVERDUE_INTERVAL: Duration = Duration::from_millis(250);

/// A delivery that is leased to this server for one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The delivery.
    pub(crate) key: DeliveryKey,
    /// Its event.
    pub(crate) event: Arc<EventContent>,
    /// The attempt's number.
    pub(crate) attempt: u32,
    /// The attempts before the present schedule began.
    pub(crate) base: u32,
    /// Why it is leased.
    pub(crate) origin: Origin,
    /// What it holds.
    pub(crate) place: Place,
    /// Its schedule ran out on a lost attempt: it gets this one more, recorded before its request.
    pub(crate) last_chance: bool,
}

impl Job {
    /// How much of the room for payloads it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.event.payload.len() as u64
    }
}

/// What came of a job.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    /// The job.
    pub(crate) job: Job,
    /// When it ended.
    pub(crate) ended: Timestamp,
    /// The endpoint's activation under which it was made.
    pub(crate) generation: i64,
    /// What came of the exchange and what follows; `None` if no request was begun.
    pub(crate) result: Option<(Outcome, Decision)>,
}

/// What is in flight, shared between the committer, which fills it, and the attempts, which empty it.
#[derive(Debug)]
pub(crate) struct InFlight {
    lanes: Mutex<Lanes>,
    held: Mutex<Held>,
}

/// Starts attempts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dispatcher {
    shared: Arc<Shared>,
    in_flight: Arc<InFlight>,
    egress: Egress,
    committer: Committer,
    attempts: TaskTracker,
}

impl InFlight {
    /// Nothing in flight, within `room`.
    pub(crate) fn new(room: Room) -> Self {
        Self { lanes: Mutex::new(Lanes::new(room)), held: Mutex::default() }
    }

    /// The lanes. Held for bookkeeping only, never across an await.
    pub(crate) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this server holds. Held for bookkeeping only, never across an await.
    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dispatcher {
    /// A dispatcher that sends through `egress` and reports to `committer`.
    pub(crate) fn new(shared: Arc<Shared>, in_flight: Arc<InFlight>, egress: Egress, committer: Committer) -> Self {
        Self { shared, in_flight, egress, committer, attempts: TaskTracker::new() }
    }

    /// Starts an attempt for each job that has a slot. The others, which are leased ahead, start as slots get free.
    pub(crate) fn start(&self, jobs: Vec<Job>) {
        let now = Instant::now();
        for job in jobs {
            let cap = self.cap(job.key.endpoint);
            let begun = self.in_flight.lanes().begin(job, cap, now);
            match begun {
                Ok(Some(job)) => self.spawn(job),
                Ok(None) => {}
                Err(job) => self.give_back(vec![job]),
            }
        }
    }

    /// Gives back, every second, what was leased ahead and has waited for too long. Until `shutdown`.
    pub(crate) async fn give_back_overdue(self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(OVERDUE_INTERVAL) => {}
            }
            let overdue = self.in_flight.lanes().overdue(Instant::now());
            self.give_back(overdue);
        }
    }

    /// Gives no slots any more, gives back what waits for one, and waits until what is in flight has ended.
    pub(crate) async fn drain(&self) {
        let waiting = self.in_flight.lanes().close();
        self.give_back(waiting);
        // Turns that were planned before that end before this is answered, and have started what they leased.
        self.committer.claim().await;
        self.attempts.close();
        self.attempts.wait().await;
    }

    fn spawn(&self, job: Job) {
        self.attempts.spawn(attempt::run(self.clone(), job));
    }

    /// Gives back the slot of an attempt that has ended. Returns the job that has it now, if one waited.
    fn free_slot(&self, job: &Job, pace: Pace) -> Option<Job> {
        let released = self.in_flight.lanes().release(job, pace, Instant::now(), |endpoint| self.cap(endpoint));
        match released.wanted {
            Some(Duration::ZERO) => self.shared.wake.now(),
            Some(wait) => self.shared.wake.due(self.shared.clock.now().plus(wait)),
            None => {}
        }
        self.give_back(released.given_back);
        released.next
    }

    /// How many requests an endpoint allows at once. One that is gone has one slot, through which what was leased for it
    /// passes and turns out to be unwanted.
    fn cap(&self, endpoint: EndpointKey) -> u32 {
        self.shared.routes.endpoint(endpoint).map_or(1, |entry| entry.endpoint.settings.policy.max_in_flight)
    }

    /// Leases of which no attempt was begun end without counting.
    fn give_back(&self, jobs: Vec<Job>) {
        let ended = self.shared.clock.now();
        for job in jobs {
            self.committer.settle(Finished { job, ended, generation: 0, result: None });
        }
    }
}
