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

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::TaskTracker;

pub use self::lanes::Room;
pub(crate) use self::{
    audit::audit,
    committer::{Committer, Inbox, Order, inbox},
    held::Held,
    lanes::{Lanes, Origin, Pace},
    pacer::pace,
};
use crate::{
    egress::Egress,
    model::{Decision, DeliveryKey, EventContent, Outcome, Timestamp},
    shared::Shared,
};

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
    /// Why it holds its slot.
    pub(crate) origin: Origin,
    /// Its schedule ran out on a lost attempt: it gets this one more, recorded before its request.
    pub(crate) last_chance: bool,
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

    /// Starts an attempt for each job. Their slots are taken already.
    pub(crate) fn start(&self, jobs: Vec<Job>) {
        for job in jobs {
            self.attempts.spawn(attempt::run(self.clone(), job));
        }
    }

    /// Gives no slots any more and waits until what is in flight has ended.
    pub(crate) async fn drain(&self) {
        self.in_flight.lanes().close();
        // Turns that were planned before that end before this is answered, and have started what they leased.
        self.committer.claim().await;
        self.attempts.close();
        self.attempts.wait().await;
    }
}
