//! The pacer: asks the committer for a claim whenever there may be work that was not handed over.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::Committer;
use crate::{model::Timestamp, shared::Shared};

/// How long the pacer waits at most before it looks, whatever it was told.
const POLL: Duration = Duration::from_secs(5);

/// Asks for claims until `shutdown`. Each claim says when the next work is due; between them a wake-up may say that there
/// is some earlier.
pub(crate) async fn pace(shared: Arc<Shared>, committer: Committer, shutdown: CancellationToken) {
    loop {
        // Taken before the claim looks, so that what is announced meanwhile is seen by the next round.
        shared.wake.take_due();
        let mut next = committer.claim().await;
        loop {
            let now = shared.clock.now();
            let wait = next.map_or(POLL, |at| at.since(now)).min(jittered(POLL));
            let woken = tokio::select! {
                () = shutdown.cancelled() => return,
                () = shared.wake.woken() => true,
                () = tokio::time::sleep(wait) => false,
            };
            match shared.wake.take_due() {
                // Only a later time was announced: wait for it rather than look now.
                Some(at) if woken && at > shared.clock.now() => next = earlier(next, at),
                _ => break,
            }
        }
    }
}

fn earlier(known: Option<Timestamp>, at: Timestamp) -> Option<Timestamp> {
    Some(known.map_or(at, |known| known.min(at)))
}

/// Up to a fifth shorter, so that many servers do not look at once.
fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(1.0 - 0.2 * rand::random::<f64>())
}
