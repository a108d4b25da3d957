//! Erasing answers that nobody can ask for any more: every hour, in short transactions.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::expired;
use crate::{shared::Shared, store};

/// How often it is done.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Rows of one transaction, at most: it holds publishing up for as long as it lasts.
const ROWS_PER_UNIT: u64 = 256;

/// Erases what has expired, now and every hour, until `shutdown`.
pub(crate) async fn erase(shared: Arc<Shared>, shutdown: CancellationToken) {
    loop {
        match shutdown.run_until_cancelled(erase_expired(&shared)).await {
            None => return,
            Some(Ok(0)) => {}
            Some(Ok(erased)) => tracing::debug!(erased, "erased the answers of calls that were made a day ago"),
            Some(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "answers that have expired are erased later");
            }
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
            return;
        }
    }
}

/// Erases all that has expired, unit by unit. Returns how many rows that were.
pub(super) async fn erase_expired(shared: &Arc<Shared>) -> store::Result<u64> {
    let until = expired(shared.clock.now());
    let mut erased = 0;
    loop {
        let unit = shared.db.write(move |tx| {
            Box::pin(async move {
                let count = store::request::delete_expired(tx, until, ROWS_PER_UNIT).await?;
                match count {
                    0 => tx.abandon().await,
                    _ => tx.commit().await?,
                }
                Ok(count)
            })
        });
        let count = unit.await?;
        erased += count;
        if count < ROWS_PER_UNIT {
            return Ok(erased);
        }
    }
}
