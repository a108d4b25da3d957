//! The heartbeat, where servers share a database: says every second that this one lives, and learns in return what time it
//! is, whether the configuration has changed, whether another server has stopped without a word, and whether another has
//! taken over from this one.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    shared::Shared,
    store::{self, Error},
    turn::{self, Engine},
};

const INTERVAL: Duration = Duration::from_secs(1);

/// Beats until `shutdown`, or until another server has taken over.
pub(crate) async fn beat(shared: Arc<Shared>, engine: Arc<Engine>, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
        match once(&shared, &engine).await {
            Ok(()) => {}
            Err(Error::Fenced) => {
                shared.fenced.cancel();
                return shutdown.cancelled().await;
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "a heartbeat failed"),
        }
    }
}

async fn once(shared: &Arc<Shared>, engine: &Arc<Engine>) -> store::Result<()> {
    let Some(pulse) = shared.db.beat(shared.incarnation).await? else { return Ok(()) };
    shared.clock.follow(pulse.now);
    if pulse.cfg > pulse.known {
        shared.catch_up().await?;
    }
    if pulse.lapsed {
        take_over(shared, engine).await?;
    }
    Ok(())
}

/// Goes on with what servers had leased whose hearts have stopped.
async fn take_over(shared: &Arc<Shared>, engine: &Arc<Engine>) -> store::Result<()> {
    let fenced = shared.db.write(|tx| {
        Box::pin(async move {
            let fenced = store::replica::fence_lapsed(tx).await?;
            tx.commit().await?;
            Ok(fenced)
        })
    });
    let (fenced, released) = (fenced.await?, turn::release_earlier(engine).await?);
    tracing::warn!(fenced, released, "took over from servers that have stopped");
    shared.wake.now();
    Ok(())
}
