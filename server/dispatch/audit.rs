//! The audit: every second, compares what the database says this server holds with what it knows of, and has the rest
//! released. A panic, a dropped task or an ambiguous commit can leave such leases behind; nothing stays leased to a living
//! server that does not know of it. Lanes whose endpoints were deleted while they failed are forgotten here too.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Committer, InFlight};
use crate::{
    model::{DeliveryKey, EndpointStatus},
    shared::Shared,
    store,
};

const INTERVAL: Duration = Duration::from_secs(1);

/// Audits until `shutdown`.
pub(crate) async fn audit(
    shared: Arc<Shared>,
    in_flight: Arc<InFlight>,
    committer: Committer,
    shutdown: CancellationToken,
) {
    // What was unknown a second ago and still is has not merely been settled between the reading and the comparison.
    let mut suspects: HashSet<(DeliveryKey, u32)> = HashSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        in_flight.lanes().forget_failing(|endpoint| shared.routes.status(endpoint) == EndpointStatus::Deleted);
        let incarnation = shared.incarnation;
        let leased = shared.db.read(move |conn| Box::pin(store::lease::leased_by(conn, incarnation))).await;
        let leased = match leased {
            Ok(leased) => leased,
            Err(error) => {
                tracing::warn!(%error, "the audit of leases could not read the database");
                continue;
            }
        };
        let unknown = unknown_of(leased, &in_flight);
        let identity = |lease: &store::Leased| (lease.claimed.key, lease.claimed.attempt);
        let (lost, new): (Vec<_>, Vec<_>) = unknown.into_iter().partition(|lease| suspects.contains(&identity(lease)));
        suspects = new.iter().map(identity).collect();
        if !lost.is_empty() {
            tracing::warn!(count = lost.len(), "leases that no attempt knows of are released");
            committer.release(lost).await;
        }
    }
}

fn unknown_of(mut leased: Vec<store::Leased>, in_flight: &InFlight) -> Vec<store::Leased> {
    let held = in_flight.held();
    leased.retain(|lease| !held.holds(lease.claimed.key, lease.claimed.attempt));
    leased
}
