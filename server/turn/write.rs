//! Writing one turn: the transaction, its commit, and what follows from it in memory while the write lock is held.

use std::{
    collections::HashSet,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
};

use futures_util::FutureExt as _;

use super::{batch::Batch, drain::Drains, log::LogBuilder};
use crate::{
    dispatch::{InFlight, Job, Origin},
    faults::crash_point,
    model::{Backlog, DeliveryKey, EndpointKey, Timestamp},
    publish::{EndpointEntry, PublishError, Published},
    shared::Shared,
    store::{self, Error, Health, Result, TurnEnd, TurnTx, Writing},
};

/// A turn that was written in vain costs as much as one that was not, and where one event was repeated more are to be expected.
/// So after a turn in vain no id is taken for new in so many turns with ids that publishers chose.
pub(super) const WARY_TURNS: u32 = 64;

/// What a turn works with besides its batch.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(super) names: store::name::Names,
    pub(super) drains: Drains,
    /// The last event key taken; the counter in the database follows it.
    pub(super) last_event: AtomicI64,
    /// The time of the last turn.
    pub(super) last_turn: AtomicI64,
    /// How many of the next turns with ids that publishers chose are written in steps.
    pub(super) wary: AtomicU32,
}

/// One turn in the making.
pub(super) struct Turn<'tx> {
    pub(super) engine: &'tx Engine,
    pub(super) tx: &'tx mut TurnTx,
    pub(super) now: Timestamp,
    pub(super) log: LogBuilder,
    pub(super) end: TurnEnd,
    pub(super) done: Done,
    /// It is in the database, so what it did in memory stays.
    committed: bool,
}

/// What a turn has done.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// For each publish, its answer.
    pub(super) answers: Vec<std::result::Result<Published, PublishError>>,
    /// For each publish, the delivery made of it if it is a ping.
    pub(super) pings: Vec<Option<DeliveryKey>>,
    /// What is leased now and is to be started. Their slots are taken.
    pub(super) jobs: Vec<Job>,
    /// Attempts that are over, whether they took effect or were stale.
    pub(super) over: Vec<(DeliveryKey, u32)>,
    /// Lanes of which nothing is due any more.
    pub(super) drained: Vec<EndpointKey>,
    /// Lanes whose backlog is due.
    pub(super) adopted: Vec<EndpointKey>,
    /// Endpoints that the turn disabled.
    pub(super) disabled: Vec<EndpointEntry>,
    /// What has become of endpoints' backlogs.
    pub(super) backlogs: Vec<(EndpointKey, Backlog)>,
    /// Endpoints that fail now, or fare well again.
    pub(super) health: Vec<(EndpointKey, Option<Health>)>,
    /// When the earliest of the work that this turn left unleased is due.
    pub(super) earliest: Option<Timestamp>,
    /// When the next work is due, if the turn claimed.
    pub(super) next_due: Option<Timestamp>,
    /// The log row it appended.
    pub(super) seq: Option<i64>,
}

impl Engine {
    /// Writes one turn. On failure nothing has happened, neither in the database nor in memory.
    pub(super) async fn write(self: &Arc<Self>, batch: &Arc<Batch>) -> Result<Done> {
        let chosen = batch.publishes.iter().any(|publish| publish.event.id.is_some());
        let fewer = |turns: u32| turns.checked_sub(1);
        let wary = chosen && self.wary.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok();
        match self.write_as(batch, if wary { Writing::InSteps } else { Writing::AtOnce }).await {
            Err(Error::Unforeseen) => {
                self.wary.store(WARY_TURNS, Ordering::Relaxed);
                self.write_as(batch, Writing::InSteps).await
            }
            written => written,
        }
    }

    async fn write_as(self: &Arc<Self>, batch: &Arc<Batch>, writing: Writing) -> Result<Done> {
        let (engine, batch) = (self.clone(), batch.clone());
        let db = self.shared.db.clone();
        db.write_turn(self.shared.incarnation, writing, move |tx| {
            Box::pin(async move {
                let mut turn = Turn::new(&engine, tx);
                match AssertUnwindSafe(turn.write(&batch)).catch_unwind().await {
                    Ok(written) => written?,
                    Err(_) if !turn.committed => return Err(Error::Poisoned),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
                let done = std::mem::take(&mut turn.done);
                engine.apply(&done);
                Ok(done)
            })
        })
        .await
    }

    /// The time of a turn that begins: now, but later than that of any turn before.
    fn next_time(&self) -> Timestamp {
        let now = self.shared.clock.now().as_micros();
        let later = |last: i64| Some(now.max(last + 1));
        let last = self.last_turn.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later).unwrap_or(now);
        Timestamp::from_micros(now.max(last + 1))
    }

    /// What follows from a commit in memory, before any other write begins.
    fn apply(&self, done: &Done) {
        for entry in &done.disabled {
            self.shared.routes.apply(entry.clone());
        }
        for (endpoint, backlog) in &done.backlogs {
            self.shared.routes.set_backlog(*endpoint, *backlog);
            if backlog.drain.is_none() {
                self.drains.forget(*endpoint);
            }
        }
        for (endpoint, health) in &done.health {
            self.shared.routes.set_failing(*endpoint, *health);
        }
        let mut held = self.in_flight.held();
        done.over.iter().for_each(|(key, attempt)| held.remove(*key, *attempt));
        drop(held);
        let mut lanes = self.in_flight.lanes();
        done.adopted.iter().for_each(|endpoint| lanes.adopt(*endpoint));
        lanes.give_back(&done.drained);
    }

    /// Gives back what a turn that failed had taken.
    fn undo(&self, done: &Done) {
        self.names.forget();
        let mut held = self.in_flight.held();
        done.jobs.iter().for_each(|job| held.remove(job.key, job.attempt));
        drop(held);
        let mut lanes = self.in_flight.lanes();
        done.jobs.iter().for_each(|job| lanes.forgo(job));
    }
}

impl Drop for Turn<'_> {
    /// A turn that failed, or panicked, gives back what it had taken.
    fn drop(&mut self) {
        if !self.committed {
            self.engine.undo(&self.done);
        }
    }
}

impl<'tx> Turn<'tx> {
    /// A turn that has done nothing yet.
    pub(super) fn new(engine: &'tx Engine, tx: &'tx mut TurnTx) -> Self {
        let now = engine.next_time();
        Self {
            engine,
            tx,
            now,
            log: LogBuilder::default(),
            end: TurnEnd::default(),
            done: Done::default(),
            committed: false,
        }
    }

    async fn write(&mut self, batch: &Batch) -> Result<()> {
        let fresh = self.publish(&batch.publishes).await?;
        self.settle(fresh, &batch.finished).await?;
        crash_point!("turn-written");
        self.release(&batch.releases).await?;
        self.forget_batches();
        for (delivery, attempt) in &batch.begins {
            store::attempt::insert_begun(self.tx.begun().await?, *delivery, *attempt).await?;
        }
        if batch.claim {
            self.claim().await?;
        }
        self.commit().await?;
        if !batch.publishes.is_empty() {
            crash_point!("publishes-after-commit");
        }
        Ok(())
    }

    /// Appends the turn's log row and commits.
    pub(super) async fn commit(&mut self) -> Result<()> {
        let mut end = std::mem::take(&mut self.end);
        end.body = std::mem::take(&mut self.log).finish();
        crash_point!("turn-before-commit");
        let committed = self.tx.commit(self.now, &end).await;
        crash_point!("turn-after-commit");
        self.done.seq = committed?;
        self.committed = true;
        Ok(())
    }

    /// Forgets the hand-overs of which nothing is left in flight.
    fn forget_batches(&mut self) {
        let over: HashSet<_> = self.done.over.iter().copied().collect();
        self.end.finished = self.engine.in_flight.held().finished_by(over.into_iter());
    }

    /// Leases a delivery in memory; the caller writes it.
    pub(super) fn hold(&mut self, job: Job) {
        let batch = (job.origin == Origin::Fresh).then(|| self.batch_of(&job));
        self.engine.in_flight.held().insert(job.key, job.attempt, batch);
        self.done.jobs.push(job);
    }

    /// The number of the batch that a fresh delivery of this turn belongs to: the first event handed over.
    fn batch_of(&self, job: &Job) -> i64 {
        self.done.jobs.iter().find(|job| job.origin == Origin::Fresh).map_or(job.key.event.0, |first| first.key.event.0)
    }

    /// Notes that unleased work is due at `at`.
    pub(super) fn note_due(&mut self, at: Timestamp) {
        self.done.earliest = Some(self.done.earliest.map_or(at, |known| known.min(at)));
    }
}

/// The error of a batch that cannot be split any further.
pub(super) fn publish_error(error: &Error) -> PublishError {
    match error {
        Error::Full(_) => PublishError::StorageFull,
        Error::Unavailable(_)
        | Error::Contended(_)
        | Error::Outdated
        | Error::Unforeseen
        | Error::Fenced
        | Error::Panicked => PublishError::StorageUnavailable,
        Error::Data(_)
        | Error::Poisoned
        | Error::Corrupt(_)
        | Error::InUse(_)
        | Error::Key(_)
        | Error::Unsuitable(_)
        | Error::Migrate(_) => PublishError::Internal,
    }
}
