//! How large SQLite's write-ahead log becomes.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::database::Database;

const INTERVAL: Duration = Duration::from_millis(100);

/// Looks now and then how large the write-ahead log is.
pub(super) struct WalPeak {
    task: Option<tokio::task::JoinHandle<()>>,
    bytes: Arc<AtomicU64>,
}

impl WalPeak {
    pub(super) fn watch(database: &Database<'_>) -> Self {
        let bytes = Arc::new(AtomicU64::new(0));
        let task = database.wal_path().map(|path| tokio::spawn(look(path, bytes.clone())));
        Self { task, bytes }
    }

    /// The largest that it has been since the last time, in MiB. No number for a database that has none.
    pub(super) fn mib(&self) -> f64 {
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        if self.task.is_some() { bytes as f64 / f64::from(1 << 20) } else { f64::NAN }
    }
}

async fn look(path: PathBuf, bytes: Arc<AtomicU64>) {
    loop {
        let now = std::fs::metadata(&path).map_or(0, |file| file.len());
        bytes.fetch_max(now, Ordering::Relaxed);
        tokio::time::sleep(INTERVAL).await;
    }
}

impl Drop for WalPeak {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
