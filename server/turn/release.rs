//! Releasing leases whose attempts are lost: those of earlier lives of the server at its start, and those that the audit
//! finds later.
//!
//! A lost lease counts as an attempt, for its request may have arrived. But a delivery whose schedule would end on a lost
//! attempt gets one more, recorded as begun before its request, so that nothing is dead without a request.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    log::Transition,
    write::{Engine, Turn},
};
use crate::{
    model::{Attempt, AttemptResult, DeliveryState, EndpointStatus, FailureKind, Incarnation, TransitionKind},
    store::{self, LaneRow, Leased, Result, Settlement, Writing},
};

/// Leases released in one transaction at the start.
const CHUNK: usize = 1_024;

/// Releases what earlier lives of the server had leased, before anything is claimed.
pub(crate) async fn release_earlier(engine: &Arc<Engine>) -> Result<usize> {
    let incarnation = engine.shared.incarnation;
    let db = &engine.shared.db;
    let leased = db.read(move |conn| Box::pin(store::lease::leased_by_dead(conn, incarnation))).await?;
    for chunk in leased.chunks(CHUNK) {
        let (engine, chunk) = (engine.clone(), chunk.to_vec());
        db.write_turn(incarnation, Writing::InSteps, move |tx| {
            Box::pin(async move {
                let mut turn = Turn::new(&engine, tx);
                turn.release(&chunk).await?;
                turn.commit().await?;
                if let Some(seq) = turn.done.seq {
                    engine.shared.head.committed(seq);
                }
                Ok(())
            })
        })
        .await?;
    }
    db.write(move |tx| {
        Box::pin(async move {
            store::lease::delete_handoffs_of_dead(tx, incarnation).await?;
            store::lane::disown_dead(tx, incarnation).await?;
            tx.commit().await
        })
    })
    .await?;
    Ok(leased.len())
}

impl Turn<'_> {
    /// Releases leases as lost.
    pub(super) async fn release(&mut self, leases: &[Leased]) -> Result<()> {
        let mut by_owner: BTreeMap<i64, Vec<(Settlement, &Leased)>> = BTreeMap::new();
        for lease in leases {
            let settlement = self.settlement_of_lost(lease).await?;
            by_owner.entry(lease.owner.0).or_default().push((settlement, lease));
        }
        for (owner, pairs) in by_owner {
            let settlements: Vec<Settlement> = pairs.iter().map(|(settlement, _)| *settlement).collect();
            let settled =
                store::hot::settle_others(self.tx.begun().await?, Incarnation(owner), self.now, &settlements).await?;
            let mut attempts = Vec::new();
            for (settlement, lease) in &pairs {
                self.done.over.push((settlement.key, settlement.attempt));
                let Some(settled) = settled.iter().find(|settled| settled.key == settlement.key) else { continue };
                attempts.extend(self.lost_attempt(settlement));
                self.log_lost(lease, settlement, settled.state);
                if settled.state == DeliveryState::Pending {
                    let endpoint = settlement.key.endpoint;
                    let lane = LaneRow { endpoint, next_at: self.looks_at(endpoint, self.now) };
                    store::lane::lower(self.tx.begun().await?, &[lane]).await?;
                    self.note_due(lane.next_at);
                }
            }
            store::attempt::upsert(self.tx.begun().await?, &attempts).await?;
        }
        Ok(())
    }

    async fn settlement_of_lost(&mut self, lease: &Leased) -> Result<Settlement> {
        let claimed = lease.claimed;
        let entry = self.engine.shared.routes.endpoint(claimed.key.endpoint);
        let entry = entry.filter(|entry| entry.endpoint.status != EndpointStatus::Deleted);
        let made = claimed.attempt.saturating_sub(claimed.base);
        let (to, uncounted) = match entry {
            _ if lease.ping => (DeliveryState::Dead, false),
            None => (DeliveryState::Cancelled, false),
            Some(entry) if made <= entry.endpoint.settings.retry().max_attempts() => (DeliveryState::Pending, false),
            // It was the one more: over if its request had begun, and otherwise as if it had not been claimed.
            Some(_)
                if store::attempt::was_begun(self.tx.begun().await?.conn(), claimed.key, claimed.attempt).await? =>
            {
                (DeliveryState::Dead, false)
            }
            Some(_) => (DeliveryState::Pending, true),
        };
        Ok(Settlement {
            key: claimed.key,
            attempt: claimed.attempt,
            to,
            ready_at: (to == DeliveryState::Pending).then_some(self.now),
            uncounted,
            shown: (!uncounted).then_some((0, std::time::Duration::ZERO, Some(FailureKind::LeaseLost))),
        })
    }

    fn lost_attempt(&self, settlement: &Settlement) -> Option<Attempt> {
        (!settlement.uncounted).then(|| Attempt {
            delivery: settlement.key,
            number: settlement.attempt,
            result: AttemptResult::Lost,
            failure: Some(FailureKind::LeaseLost),
            http_status: None,
            latency: None,
            ended: Some(self.now),
            response: bytes::Bytes::new(),
            response_truncated: false,
            detail: "the server stopped before the outcome was recorded".to_owned(),
            body_note: None,
        })
    }

    fn log_lost(&mut self, lease: &Leased, settlement: &Settlement, state: DeliveryState) {
        let status = self.engine.shared.routes.status(settlement.key.endpoint);
        let kind = match (state, status) {
            (DeliveryState::Dead, _) => TransitionKind::Dead,
            (DeliveryState::Pending, status) if status.holds() => TransitionKind::Held,
            (DeliveryState::Pending, _) => TransitionKind::RetryScheduled,
            (DeliveryState::Cancelled | DeliveryState::InFlight | DeliveryState::Delivered, _) => {
                TransitionKind::Cancelled
            }
        };
        self.log.delivery(Transition {
            tenant: lease.tenant,
            key: settlement.key,
            event_id: &lease.event_id,
            event_type: &lease.event_type,
            kind,
            state: state.shown(status),
            attempt: settlement.attempt,
            ended: Some((0, FailureKind::LeaseLost as i32, -1)),
            next_attempt: (kind == TransitionKind::RetryScheduled).then_some(self.now),
        });
    }
}
