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

use crate::shared::Shared;

/// How often it is looked whether there is something to move.
const INTERVAL: Duration = Duration::from_millis(250);

/// The log's size, in pages of 4 KiB, from which the committer is asked to let it start over: 24 MiB. Twice as much may be
/// written until it does, for moving pages takes as long as the disk does.
const PAGES_MAX: u64 = 6_144;

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

/// Runs checkpoints until `shutdown`. After something was erased the log is emptied, as soon as nobody reads.
pub(crate) async fn checkpoint(shared: Arc<Shared>, checkpoints: Checkpoints, shutdown: CancellationToken) {
    let mut failing = false;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        empty_log(&shared, &mut failing).await;
        if !checkpoints.0.written.swap(false, Ordering::Relaxed) {
            continue;
        }
        match shared.db.checkpoint(false).await {
            Ok(pages) if pages > PAGES_MAX => checkpoints.0.restart.store(true, Ordering::Relaxed),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a checkpoint failed"),
        }
    }
}

/// Empties the log if something was erased. What cannot be done now is tried again; that it fails is told once.
async fn empty_log(shared: &Shared, failing: &mut bool) {
    if !shared.erased.swap(false, Ordering::Relaxed) {
        return;
    }
    let emptied = shared.db.empty_log().await;
    if !matches!(emptied, Ok(true)) {
        shared.erased.store(true, Ordering::Relaxed);
    }
    match emptied {
        Ok(_) => *failing = false,
        Err(error) => {
            if !std::mem::replace(failing, true) {
                tracing::warn!(%error, "the write-ahead log could not be emptied after something was erased");
            }
        }
    }
}
