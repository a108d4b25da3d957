//! Checkpoints: moving what was committed from SQLite's write-ahead log into the database file.
//!
//! They run beside the committer, so that a commit never waits for one. But beside a busy writer the log never starts over;
//! so when it has grown, the committer itself runs the last part between two turns, when little is left to move.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::store::Db;

/// How often it is looked whether there is something to move.
const INTERVAL: Duration = Duration::from_millis(250);

/// The log's size, in pages of 4 KiB, from which the committer is asked to let it start over: 32 MiB.
const PAGES_MAX: u64 = 8_192;

/// What the committer and the checkpoints tell each other. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checkpoints(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    written: AtomicBool,
    restart: AtomicBool,
}

impl Checkpoints {
    /// Something was committed.
    pub(super) fn written(&self) {
        self.0.written.store(true, Ordering::Relaxed);
    }

    /// Whether the log should start over now; says so once.
    pub(super) fn take_restart(&self) -> bool {
        self.0.restart.swap(false, Ordering::Relaxed)
    }
}

/// Runs checkpoints until `shutdown`.
pub(crate) async fn checkpoint(db: Db, checkpoints: Checkpoints, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        if !checkpoints.0.written.swap(false, Ordering::Relaxed) {
            continue;
        }
        match db.checkpoint(false).await {
            Ok(pages) if pages > PAGES_MAX => checkpoints.0.restart.store(true, Ordering::Relaxed),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a checkpoint failed"),
        }
    }
}
