//! The settling half of a turn: what came of attempts, and what that means for their endpoints.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;

use super::{log::Transition, publish::Fresh, warning::verdict, write::Turn};
use crate::{
    dispatch::Finished,
    model::{
        Attempt, AttemptResult, Decision, DeliveryKey, DeliveryState, DisableReason, EndpointKey, EndpointStatus,
        FailureKind, TransitionKind,
    },
    publish::EndpointEntry,
    store::{self, Health, LaneRow, Result, Settled, Settlement},
};

/// An answer up to this size lives in the delivery's row; a larger one gets an attempt row.
const INLINE_RESPONSE_BYTES_MAX: usize = 256;

impl Turn<'_> {
    /// Writes what was published, and settles attempts: their deliveries, their records, their lanes, their endpoints' health.
    pub(super) async fn settle(&mut self, fresh: Fresh, finished: &[Arc<Finished>]) -> Result<()> {
        let (mut delivered, mut others) = (Vec::new(), Vec::new());
        for one in finished {
            let settlement = self.settlement(one);
            if settlement.to == DeliveryState::Delivered {
                delivered.push((settlement, inline_response(one).unwrap_or_default()));
            } else {
                others.push(settlement);
            }
        }
        let owner = self.engine.shared.incarnation;
        let rows = store::hot::Rows { events: fresh.events, deliveries: fresh.deliveries, delivered };
        let mut settled = self.tx.write(self.now, rows).await?;
        if finished.is_empty() {
            return Ok(());
        }
        if !others.is_empty() {
            settled.extend(store::hot::settle_others(self.tx.begun().await?, owner, self.now, &others).await?);
        }
        let expunged: HashSet<DeliveryKey> =
            settled.iter().filter(|settled| settled.expunged).map(|settled| settled.key).collect();
        let settled: HashMap<DeliveryKey, DeliveryState> =
            settled.into_iter().map(|Settled { key, state, .. }| (key, state)).collect();
        self.record(finished, &settled, &expunged).await?;
        self.lower_lanes(&others, &settled).await?;
        let effective: Vec<&Finished> =
            finished.iter().map(AsRef::as_ref).filter(|one| settled.contains_key(&one.job.key)).collect();
        self.judge_endpoints(&effective).await
    }

    /// What is to be written of one outcome, given the endpoint as it is now.
    fn settlement(&self, finished: &Finished) -> Settlement {
        let Finished { job, result, ended, .. } = finished;
        let deleted = self.engine.shared.routes.status(job.key.endpoint) == EndpointStatus::Deleted;
        let (to, ready_at) = match result {
            Some((_, Decision::Delivered)) => (DeliveryState::Delivered, None),
            Some((_, Decision::Dead | Decision::DeadAndGone | Decision::Expired)) => (DeliveryState::Dead, None),
            _ if deleted => (DeliveryState::Cancelled, None),
            Some((_, Decision::RetryAt(at))) => (DeliveryState::Pending, Some(*at)),
            None => (DeliveryState::Pending, Some(*ended)),
        };
        let shown = result
            .as_ref()
            .map(|(outcome, _)| (outcome.http_status.unwrap_or(0), outcome.latency, shown_failure(finished)));
        Settlement { key: job.key, attempt: job.attempt, to, ready_at, uncounted: result.is_none(), shown }
    }

    /// Writes the attempts' rows and transitions, without what was answered to `expunged` ones. What did not take effect is
    /// stale and leaves no trace.
    async fn record(
        &mut self,
        finished: &[Arc<Finished>],
        settled: &HashMap<DeliveryKey, DeliveryState>,
        expunged: &HashSet<DeliveryKey>,
    ) -> Result<()> {
        let mut attempts = Vec::new();
        for one in finished {
            self.done.over.push((one.job.key, one.job.attempt));
            let Some(state) = settled.get(&one.job.key) else {
                tracing::debug!(event = one.job.key.event.0, attempt = one.job.attempt, "a stale outcome was dropped");
                continue;
            };
            let mut row = attempt_row(one);
            if let Some(attempt) = row.as_mut().filter(|attempt| expunged.contains(&attempt.delivery)) {
                attempt.response = Bytes::new();
            }
            attempts.extend(row);
            if one.result.is_none() && one.job.last_chance {
                // It was recorded as begun and then not wanted any more.
                store::attempt::delete_begun(self.tx.begun().await?, one.job.key, one.job.attempt).await?;
            }
            self.log_settled(one, *state);
        }
        if !attempts.is_empty() {
            store::attempt::upsert(self.tx.begun().await?, &attempts).await?;
        }
        Ok(())
    }

    fn log_settled(&mut self, finished: &Finished, state: DeliveryState) {
        let Finished { job, result, .. } = finished;
        let status = self.engine.shared.routes.status(job.key.endpoint);
        let kind = match (state, status) {
            (DeliveryState::Delivered, _) => TransitionKind::Delivered,
            (DeliveryState::Dead, _) => TransitionKind::Dead,
            (DeliveryState::Cancelled, _) => TransitionKind::Cancelled,
            (DeliveryState::Pending, status) if status.holds() => TransitionKind::Held,
            (DeliveryState::Pending | DeliveryState::InFlight, _) => TransitionKind::RetryScheduled,
        };
        let next_attempt = match result {
            Some((_, Decision::RetryAt(at))) => Some(*at),
            _ => None,
        };
        self.log.delivery(Transition {
            tenant: job.event.tenant,
            key: job.key,
            event_id: &job.event.id,
            event_type: &job.event.event_type,
            kind,
            state: state.shown(status),
            attempt: job.attempt,
            ended: result.as_ref().map(|(outcome, _)| {
                let failure = shown_failure(finished).map_or(0, |kind| kind as i32);
                (outcome.http_status.unwrap_or(0), failure, store::micros(outcome.latency))
            }),
            next_attempt: next_attempt.filter(|_| kind == TransitionKind::RetryScheduled),
        });
    }

    /// Tells the lanes what is pending again.
    async fn lower_lanes(
        &mut self,
        settlements: &[Settlement],
        settled: &HashMap<DeliveryKey, DeliveryState>,
    ) -> Result<()> {
        let mut lanes: HashMap<EndpointKey, LaneRow> = HashMap::new();
        for settlement in settlements {
            let pending = settled.get(&settlement.key) == Some(&DeliveryState::Pending);
            let Some(at) = settlement.ready_at.filter(|_| pending) else { continue };
            let endpoint = settlement.key.endpoint;
            let at = self.looks_at(endpoint, at);
            let lane = lanes.entry(endpoint).or_insert(LaneRow { endpoint, next_at: at });
            lane.next_at = lane.next_at.min(at);
            self.note_due(at);
        }
        let mut lanes: Vec<LaneRow> = lanes.into_values().collect();
        lanes.sort_unstable_by_key(|lane| lane.endpoint);
        if !lanes.is_empty() {
            store::lane::lower(self.tx.begun().await?, &lanes).await?;
        }
        Ok(())
    }

    /// Keeps the endpoints' health, and disables those that are gone or have failed for too long.
    async fn judge_endpoints(&mut self, finished: &[&Finished]) -> Result<()> {
        let mut health: HashMap<EndpointKey, Option<Health>> = HashMap::new();
        let mut disabled: HashSet<EndpointKey> = HashSet::new();
        for one in finished {
            let endpoint = one.job.key.endpoint;
            let Some((outcome, decision)) = one.result.as_ref().filter(|_| one.job.event.ping_of.is_none()) else {
                continue;
            };
            if outcome.failure.is_some_and(FailureKind::spares_endpoint) {
                // The endpoint was not asked.
                continue;
            }
            let Some(entry) = self.engine.shared.routes.endpoint(endpoint) else { continue };
            let present = entry.endpoint.generation == one.generation;
            if !present || entry.endpoint.status != EndpointStatus::Enabled || disabled.contains(&endpoint) {
                continue;
            }
            let known = health.get(&endpoint).copied().unwrap_or_else(|| self.engine.shared.routes.failing(endpoint));
            let dead = u32::from(matches!(decision, Decision::Dead | Decision::DeadAndGone));
            let failing = match (outcome.failure, known) {
                (None, None) => continue,
                (None, Some(_)) => None,
                (Some(_), Some(known)) => Some(Health { dead_in_row: known.dead_in_row.saturating_add(dead), ..known }),
                (Some(_), None) => {
                    let (generation, failing_since) = (one.generation, one.ended);
                    Some(Health { generation, failing_since, dead_in_row: dead, warning: None })
                }
            };
            let failing = failing.map(|health| self.warned(&entry, health, decision, one.ended));
            if failing != known {
                health.insert(endpoint, failing);
            }
            let reason = match decision {
                Decision::DeadAndGone => Some(DisableReason::Gone),
                Decision::Delivered | Decision::RetryAt(_) | Decision::Dead | Decision::Expired => {
                    failing.and_then(|health| verdict(&health, entry.endpoint.settings.disable_after_dead(), one.ended))
                }
            };
            if let Some(reason) = reason {
                disabled.insert(endpoint);
                self.disable(&entry, reason).await?;
            }
        }
        for (endpoint, health) in health {
            match health {
                Some(health) => store::health::set_failing(self.tx.begun().await?, endpoint, health).await?,
                None => store::health::clear(self.tx.begun().await?, endpoint).await?,
            }
            self.done.health.push((endpoint, health));
        }
        Ok(())
    }

    async fn disable(&mut self, entry: &EndpointEntry, reason: DisableReason) -> Result<()> {
        let mut endpoint = entry.endpoint.clone();
        endpoint.hold(EndpointStatus::Disabled { reason, since: self.now }, self.now);
        endpoint.version = store::meta::raise_cfg(self.tx.begun().await?).await?;
        endpoint.updated = self.now;
        store::endpoint::update(self.tx.begun().await?, &endpoint, true).await?;
        store::lane::wake(self.tx.begun().await?, endpoint.key, self.now).await?;
        self.note_due(self.now);
        self.log.endpoint(endpoint.tenant, endpoint.key, TransitionKind::EndpointDisabled, Some(reason));
        tracing::info!(endpoint = endpoint.key.0, ?reason, "an endpoint was disabled");
        self.done.disabled.push(EndpointEntry { endpoint, ..entry.clone() });
        Ok(())
    }
}

/// What is shown of a delivery as the reason why it failed: of one that is not tried again because its event expires, that.
fn shown_failure(finished: &Finished) -> Option<FailureKind> {
    let (outcome, decision) = finished.result.as_ref()?;
    if *decision == Decision::Expired { Some(FailureKind::Expired) } else { outcome.failure }
}

/// The answer to a successful attempt, if it is small enough to live in the delivery's row.
fn inline_response(finished: &Finished) -> Option<Bytes> {
    let (outcome, _) = finished.result.as_ref()?;
    let small = outcome.response.len() <= INLINE_RESPONSE_BYTES_MAX && !outcome.response_truncated;
    small.then(|| outcome.response.clone())
}

/// The attempt's row, if it needs one: a success with a small answer lives in its delivery's, and what was not begun is no
/// attempt.
fn attempt_row(finished: &Finished) -> Option<Attempt> {
    let (outcome, decision) = finished.result.as_ref()?;
    let delivered = *decision == Decision::Delivered;
    // An attempt that was recorded as begun takes its row over, and what is to be said of a body has no other place.
    let plain = !finished.job.last_chance && outcome.body_note.is_none();
    if delivered && plain && inline_response(finished).is_some() {
        return None;
    }
    Some(Attempt {
        delivery: finished.job.key,
        number: finished.job.attempt,
        result: if delivered { AttemptResult::Succeeded } else { AttemptResult::Failed },
        failure: outcome.failure,
        http_status: outcome.http_status,
        latency: Some(outcome.latency),
        ended: Some(finished.ended),
        response: outcome.response.clone(),
        response_truncated: outcome.response_truncated,
        detail: outcome.detail.clone(),
        body_note: outcome.body_note,
    })
}
