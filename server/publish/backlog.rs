//! Counting what waits, for quotas: now and then, early when much was published, and never so often that counting is what the
//! database is busy with.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    shared::Shared,
    store::{self, backlog},
};

/// A count is made at least this often where there is something to count, …
const INTERVAL: Duration = Duration::from_secs(1);
/// … and at most this often, …
const SPACING: Duration = Duration::from_millis(100);
/// … and takes this part of the time at most.
const SHARE: u32 = 10;

/// Counts until `shutdown`.
pub(crate) async fn count_backlogs(shared: Arc<Shared>, shutdown: CancellationToken) {
    // The units of database work run in tasks of their own, so nothing is torn when this is dropped.
    let counting = async {
        loop {
            let began = Instant::now();
            if let Err(error) = count(&shared).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "what waits could not be counted for quotas");
            }
            sleep(SPACING.max(began.elapsed() * SHARE)).await;
            // Whether it is wanted early or not, it is made.
            let _ = timeout(INTERVAL, shared.quotas.wants_count()).await;
        }
    };
    shutdown.run_until_cancelled(counting).await;
}

async fn count(shared: &Shared) -> store::Result<()> {
    for (tenant, max) in shared.quotas.to_count() {
        let waiting = shared.db.read(move |conn| Box::pin(backlog::count_waiting(conn, tenant, max))).await?;
        shared.quotas.counted(tenant, waiting);
    }
    Ok(())
}
