//! The committer: one task that gathers and writes turn after turn, and never exits before it is told to.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Checkpoints,
    batch::{Batch, PublishReply, Replies},
    drain::Drains,
    write::{Done, Engine, publish_error},
};
use crate::{
    dispatch::{Dispatcher, Finished, InFlight, Inbox},
    model::{DeliveryKey, EventKey},
    publish::Submission,
    shared::Shared,
    store::{self, Error},
};

/// What one turn takes at most.
const PUBLISHES_MAX: usize = 512;
const PAYLOAD_BYTES_MAX: usize = 8 << 20;
const DELIVERIES_MAX: usize = 4_096;
const FINISHED_MAX: usize = 2_048;

/// How long an outcome waits for company when nothing else calls for a turn.
const FINISHED_WAIT: Duration = Duration::from_millis(20);

/// How long the committer pauses after a turn failed: at first, and at most.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How often a batch is written anew at once that other work, or the end of a connection, had been in the way of.
const AGAIN_MAX: u32 = 5;

/// How long an outcome waits that the database refuses by itself.
const QUARANTINE: Duration = Duration::from_secs(30);

/// The committer's task.
pub(crate) struct CommitterTask {
    engine: Arc<Engine>,
    dispatcher: Dispatcher,
    checkpoints: Checkpoints,
    publishes: mpsc::Receiver<Submission>,
    inbox: Inbox,
    /// Outcomes to settle: what has come in, and what a failed turn could not write.
    finished: Vec<Arc<Finished>>,
    /// When the oldest outcome that waits for company has waited long enough.
    finished_due: Option<Instant>,
    /// Who waits for the end of a ping.
    pings: HashMap<DeliveryKey, oneshot::Sender<DeliveryKey>>,
    pause: Duration,
    /// Outcomes that the database refused by themselves, and when each is tried again.
    quarantine: Vec<(Instant, Arc<Finished>)>,
}

impl Engine {
    /// The engine over a database whose counters it reads. It begins an era of events if the clock was set back.
    pub(crate) async fn open(shared: Arc<Shared>, in_flight: Arc<InFlight>) -> store::Result<Arc<Self>> {
        let now = shared.clock.now();
        let unit = shared.db.write(move |tx| {
            Box::pin(async move {
                let last = store::meta::last_key(tx.conn(), "event").await?;
                store::event_era::begin(tx, EventKey(last + 1), now).await?;
                tx.commit().await?;
                Ok(last)
            })
        });
        let last = unit.await?;
        let names = store::name::Names::default();
        let (drains, last_event, last_turn) = (Drains::default(), AtomicI64::new(last), AtomicI64::new(i64::MIN));
        let wary = AtomicU32::new(0);
        Ok(Arc::new(Self { shared, in_flight, names, drains, last_event, last_turn, wary }))
    }
}

impl CommitterTask {
    pub(crate) fn new(
        engine: Arc<Engine>,
        dispatcher: Dispatcher,
        checkpoints: Checkpoints,
        publishes: mpsc::Receiver<Submission>,
        inbox: Inbox,
    ) -> Self {
        Self {
            engine,
            dispatcher,
            checkpoints,
            publishes,
            inbox,
            finished: Vec::new(),
            finished_due: None,
            pings: HashMap::new(),
            pause: PAUSE_MIN,
            quarantine: Vec::new(),
        }
    }

    /// Writes turns until `shutdown`, and then what is still waiting.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        while let Some((batch, replies)) = self.gather(&shutdown).await {
            self.write(batch, replies).await;
            if self.engine.shared.fenced.is_cancelled() {
                return;
            }
            if self.checkpoints.take_restart()
                && let Err(error) = self.engine.shared.db.checkpoint(true).await
            {
                tracing::warn!(%error, "a checkpoint between two turns failed");
            }
        }
    }

    /// Waits until something calls for a turn, and takes all that has gathered by then.
    async fn gather(&mut self, shutdown: &CancellationToken) -> Option<(Batch, Replies)> {
        let (mut batch, mut replies) = (Batch::default(), Replies::default());
        loop {
            self.take_all(&mut batch, &mut replies);
            let stopping = shutdown.is_cancelled();
            let due = self.finished.len() >= FINISHED_MAX
                || self.finished_due.is_some_and(|due| stopping || due <= Instant::now());
            if !batch.is_empty() || due {
                let rest = self.finished.split_off(self.finished.len().min(FINISHED_MAX));
                batch.finished = std::mem::replace(&mut self.finished, rest);
                self.finished_due = (!self.finished.is_empty()).then(Instant::now);
                return Some((batch, replies));
            }
            if stopping {
                return None;
            }
            let due = self.finished_due;
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(submission) = self.publishes.recv() => {
                    batch.submit(submission, &self.engine.shared.routes, &mut replies);
                }
                Some(order) = self.inbox.orders.recv() => batch.order(order, &mut replies),
                Some(finished) = self.inbox.finished.recv() => self.take_finished(finished),
                () = async { tokio::time::sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {}
            }
        }
    }

    /// Takes what has gathered, within the bounds of a turn.
    fn take_all(&mut self, batch: &mut Batch, replies: &mut Replies) {
        let (mut bytes, mut deliveries) = (0, 0);
        while batch.publishes.len() < PUBLISHES_MAX && bytes < PAYLOAD_BYTES_MAX && deliveries < DELIVERIES_MAX {
            let Ok(submission) = self.publishes.try_recv() else { break };
            bytes += submission.event.payload.len();
            batch.submit(submission, &self.engine.shared.routes, replies);
            deliveries += batch.publishes.last().map_or(0, |publish| publish.wanting.len());
        }
        while let Ok(order) = self.inbox.orders.try_recv() {
            batch.order(order, replies);
        }
        while let Ok(finished) = self.inbox.finished.try_recv() {
            self.take_finished(finished);
        }
        if self.quarantine.first().is_some_and(|(again, _)| *again <= Instant::now()) {
            let (_, finished) = self.quarantine.remove(0);
            self.finished.push(finished);
            self.finished_due = Some(Instant::now());
        }
    }

    fn take_finished(&mut self, finished: Finished) {
        self.finished.push(Arc::new(finished));
        self.finished_due.get_or_insert_with(|| Instant::now() + FINISHED_WAIT);
    }

    /// Writes a batch. If the data of one item is refused, the others are written without it.
    async fn write(&mut self, batch: Batch, replies: Replies) {
        let mut pieces = vec![(batch, replies)];
        let mut again = 0;
        while let Some((batch, mut replies)) = pieces.pop() {
            let batch = Arc::new(batch);
            match self.engine.write(&batch).await {
                Ok(done) => {
                    self.pause = PAUSE_MIN;
                    self.finish(done, replies);
                }
                Err(error @ (Error::Data(_) | Error::Poisoned | Error::Corrupt(_))) => {
                    let batch = Arc::unwrap_or_clone(batch);
                    match batch.halves() {
                        Ok((first, second)) => {
                            let rest = replies.publishes.split_off(first.publishes.len());
                            pieces.push((second, Replies { publishes: rest, ..Replies::default() }));
                            pieces.push((first, replies));
                        }
                        Err(batch) => self.refuse_one(batch, replies, &error),
                    }
                }
                Err(error @ (Error::Contended(_) | Error::Outdated)) if again < AGAIN_MAX => {
                    again += 1;
                    self.clear_the_way(&error).await;
                    pieces.push((Arc::unwrap_or_clone(batch), replies));
                }
                Err(error) => {
                    if matches!(error, Error::Fenced) {
                        self.engine.shared.fenced.cancel();
                    }
                    let batch = Arc::unwrap_or_clone(batch);
                    self.refuse(batch, replies, &error).await;
                }
            }
        }
    }

    /// Before a batch is written anew.
    async fn clear_the_way(&self, error: &Error) {
        tracing::info!(%error, "a turn is written anew");
        if matches!(error, Error::Outdated)
            && let Err(error) = self.engine.shared.catch_up().await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "the configuration could not be read anew");
        }
    }

    /// Answers the one item whose data is refused. An outcome is not dropped: it is tried again later, apart from others.
    fn refuse_one(&mut self, batch: Batch, replies: Replies, error: &Error) {
        let again = Instant::now() + QUARANTINE;
        self.quarantine.extend(batch.finished.iter().map(|finished| (again, finished.clone())));
        Self::answer_refused(replies, error);
    }

    /// Answers a batch that could not be written. Its outcomes wait for a later turn.
    async fn refuse(&mut self, batch: Batch, replies: Replies, error: &Error) {
        Self::answer_refused(replies, error);
        if !batch.finished.is_empty() {
            self.finished.splice(0..0, batch.finished);
            self.finished_due = Some(Instant::now());
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    fn answer_refused(replies: Replies, error: &Error) {
        tracing::error!(error = error as &dyn std::error::Error, "a turn could not be written");
        for PublishReply { reply, .. } in replies.publishes {
            let _ = reply.send(Err(publish_error(error)));
        }
        for reply in replies.begins {
            let _ = reply.send(false);
        }
        // The pacer asks again, after its poll at the latest.
        for reply in replies.claims {
            let _ = reply.send(None);
        }
    }

    /// After the commit: answer, hand over, wake.
    fn finish(&mut self, done: Done, replies: Replies) {
        for ((PublishReply { reply, ping, .. }, answer), delivery) in
            replies.publishes.into_iter().zip(done.answers).zip(done.pings)
        {
            if let (Some((_, end)), Some(delivery)) = (ping, delivery) {
                self.pings.insert(delivery, end);
            }
            let _ = reply.send(answer);
        }
        for reply in replies.begins {
            let _ = reply.send(true);
        }
        for reply in replies.releases {
            let _ = reply.send(());
        }
        self.dispatcher.start(done.jobs);
        for (delivery, _) in &done.over {
            if let Some(end) = self.pings.remove(delivery) {
                let _ = end.send(*delivery);
            }
        }
        let shared = &self.engine.shared;
        if let Some(at) = done.earliest {
            shared.wake.due(at);
        }
        for reply in replies.claims {
            let _ = reply.send(done.next_due);
        }
        if let Some(seq) = done.seq {
            shared.head.committed(seq);
            self.checkpoints.written();
        }
    }
}
