//! The tail: reads each new row of the log once, for everyone who watches.
//!
//! It wakes when a commit is announced, and now and then by itself, should an announcement have been missed. While nobody
//! watches it reads nothing and holds nothing. No failure of the database ends it.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{live::Live, table::page_after};
use crate::{
    signal::Head,
    store::{Db, Result, log},
};

/// After a failure of the database the tail waits this long, twice as long after the next, …
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// … and at most this long.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// From the beginning of one look to that of the next, at least. One that comes after a pause is read at once; while commit
/// follows commit, each look takes what has gathered, and streams are woken for all of that together.
const PACE: Duration = Duration::from_millis(5);

/// Reads the log for the streams of [`super::Watch`]. Spawn [`Tail::run`] once per server.
#[derive(Clone, Debug)]
pub struct Tail {
    pub(super) db: Db,
    pub(super) head: Head,
    pub(super) live: Arc<watch::Sender<Live>>,
    /// Told when somebody begins to watch.
    pub(super) demand: Arc<Notify>,
    /// How often to look without being woken.
    pub(super) poll: Duration,
}

impl Tail {
    /// Works until `shutdown` is cancelled.
    pub async fn run(self, shutdown: CancellationToken) {
        // The units of database work run in tasks of their own, so nothing is torn when this is dropped.
        shutdown.run_until_cancelled(self.follow_on_demand()).await;
    }

    async fn follow_on_demand(&self) {
        let mut backoff = BACKOFF_MIN;
        loop {
            if self.live.receiver_count() == 0 {
                self.live.send_modify(|live| live.restart(None));
                self.demand.notified().await;
                continue;
            }
            tokio::select! {
                () = self.live.closed() => {}
                error = self.follow(&mut backoff) => {
                    tracing::warn!(%error, retry_in = ?backoff, "reading the log failed");
                    sleep(jittered(backoff)).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    /// Fills the ring from where it ends, or from the present end of the log if nobody filled it, until the database
    /// fails.
    async fn follow(&self, backoff: &mut Duration) -> crate::store::Error {
        loop {
            // Subscribed before the look, so that a commit after it ends the wait.
            let (mut announced, began) = (self.head.subscribe(), Instant::now());
            let read = match self.read_on().await {
                Ok(read) => read,
                Err(error) => return error,
            };
            *backoff = BACKOFF_MIN;
            // A page may have been cut short by its size. Where it looks as if more followed, look again at once.
            let more = read > 1 || (read == 1 && self.live.borrow().head() < Some(*announced.borrow()));
            if !more {
                tokio::select! {
                    _ = announced.changed() => {}
                    () = sleep(jittered(self.poll)) => {}
                }
            }
            sleep_until(began + PACE).await;
        }
    }

    /// Reads a page into the ring; returns how many rows it had.
    async fn read_on(&self) -> Result<usize> {
        let known = self.live.borrow().head();
        let Some(known) = known else {
            let (head, ..) = self.db.read(|conn| log::head(conn).boxed()).await?;
            self.live.send_modify(|live| live.restart(Some(head)));
            return Ok(0);
        };
        let rows = self.db.read(move |conn| page_after(conn, known).boxed()).await?;
        let read = rows.len();
        if read > 0 {
            self.live.send_modify(|live| rows.into_iter().map(Arc::new).for_each(|row| live.push(row)));
        }
        Ok(read)
    }
}

/// Up to a quarter more or less, so that servers of one database do not look in step.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(0.75..1.25))
}
