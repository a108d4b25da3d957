//! Lanes that are not claimed from: what is held for too long ends dead, what was skipped or waits for a deleted endpoint
//! ends cancelled. All of it in chunks, so that no turn is long; a chunk that was full calls for the next turn at once.
//!
//! Each held delivery has an end of its own, from the time at which it was due or held, whichever is later. So the timer of
//! such a lane follows from the earliest of its deliveries alone, by their index.

use std::{collections::HashMap, sync::Arc};

use super::{log::Transition, write::Turn};
use crate::{
    model::{
        Backlog, DeliveryKey, DeliveryState, Endpoint, EndpointKey, EndpointStatus, EventKey, FailureKind, ShownState,
        Timestamp, TransitionKind,
    },
    publish::EndpointEntry,
    store::{self, Ending, Result},
};

/// Deliveries that one turn ends of one endpoint.
const ENDED_MAX: i64 = 512;

impl Turn<'_> {
    /// An endpoint as it is after what this turn has done so far; `None` if it is deleted.
    pub(super) fn present(&self, endpoint: EndpointKey) -> Option<Arc<EndpointEntry>> {
        let disabled = self.done.disabled.iter().find(|entry| entry.endpoint.key == endpoint);
        disabled.map(|entry| Arc::new(entry.clone())).or_else(|| self.engine.shared.routes.endpoint(endpoint))
    }

    /// When a delivery that is pending and due at `due` is to be looked at.
    pub(super) fn looks_at(&self, endpoint: EndpointKey, due: Timestamp) -> Timestamp {
        self.present(endpoint).map_or(due, |entry| entry.endpoint.looks_at(due))
    }

    /// Whether a lane is not to be claimed from: nothing of it is to be sent, or part of it has been skipped.
    pub(super) fn is_aside(&self, endpoint: EndpointKey) -> bool {
        self.present(endpoint)
            .is_none_or(|entry| entry.endpoint.status != EndpointStatus::Enabled || entry.endpoint.backlog.skipping)
    }

    /// Deals with a lane that is not to be claimed from, and gives it back.
    pub(super) async fn put_aside(&mut self, endpoint: EndpointKey) -> Result<()> {
        let next_at = match self.present(endpoint) {
            None => self.cancel_rest(endpoint).await?,
            Some(entry) if entry.endpoint.backlog.skipping => self.skip(&entry.endpoint).await?,
            Some(entry) if entry.endpoint.status.holds() => self.hold_on(&entry.endpoint).await?,
            Some(_) => self.next_look(endpoint).await?,
        };
        store::lane::give_back(self.tx.begun().await?, endpoint, next_at).await?;
        self.done.adopted.retain(|adopted| *adopted != endpoint);
        self.done.drained.retain(|drained| *drained != endpoint);
        self.engine.in_flight.lanes().give_back(&[endpoint]);
        Ok(())
    }

    /// Cancels a chunk of what waits for a deleted endpoint.
    async fn cancel_rest(&mut self, endpoint: EndpointKey) -> Result<Option<Timestamp>> {
        let full = self.end(endpoint, Ending::all(DeliveryState::Cancelled)).await?;
        Ok(full.then_some(self.now))
    }

    /// Cancels a chunk of what was skipped, whatever the endpoint's status is by now.
    async fn skip(&mut self, endpoint: &Endpoint) -> Result<Option<Timestamp>> {
        if let Some(skipped) = endpoint.backlog.skipped
            && self.end(endpoint.key, Ending::held_at(skipped, DeliveryState::Cancelled)).await?
        {
            return Ok(Some(self.now));
        }
        self.set_backlog(endpoint.key, Backlog { skipping: false, ..*endpoint.backlog }).await?;
        let earliest = store::lane::earliest_work(self.tx.begun().await?.conn(), endpoint.key).await?;
        Ok(earliest.map(|due| endpoint.looks_at(due)))
    }

    /// Ends a chunk of what has been held for too long.
    async fn hold_on(&mut self, endpoint: &Endpoint) -> Result<Option<Timestamp>> {
        let hold = endpoint.settings.policy.hold_duration;
        if let Some(due_by) = endpoint.backlog.held_too_long(self.now, hold) {
            let kind = Some(FailureKind::HeldTooLong);
            if self.end(endpoint.key, Ending { kind, due_by, ..Ending::all(DeliveryState::Dead) }).await? {
                return Ok(Some(self.now));
            }
        }
        let earliest = store::lane::earliest_work(self.tx.begun().await?.conn(), endpoint.key).await?;
        Ok(earliest.map(|due| endpoint.looks_at(due)))
    }

    /// Writes what becomes of an endpoint's backlog.
    pub(super) async fn set_backlog(&mut self, endpoint: EndpointKey, backlog: Backlog) -> Result<()> {
        store::endpoint::set_backlog(self.tx.begun().await?, endpoint, &backlog).await?;
        self.done.backlogs.push((endpoint, backlog));
        Ok(())
    }

    /// Ends a chunk of an endpoint's pending deliveries. Says whether there may be more.
    async fn end(&mut self, endpoint: EndpointKey, ending: Ending) -> Result<bool> {
        let ended = store::hot::end_pending(self.tx.begun().await?, endpoint, &ending, self.now, ENDED_MAX).await?;
        let full = ended.len() as i64 == ENDED_MAX;
        let (kind, state) = match ending.to {
            DeliveryState::Dead => (TransitionKind::Dead, ShownState::Dead),
            _ => (TransitionKind::Cancelled, ShownState::Cancelled),
        };
        let attempts: HashMap<EventKey, u32> = ended.iter().copied().collect();
        let events: Vec<EventKey> = ended.iter().map(|(event, _)| *event).collect();
        for heading in store::event::headings(self.tx.begun().await?, &events).await? {
            self.log.delivery(Transition {
                tenant: heading.tenant,
                key: DeliveryKey { event: heading.key, endpoint },
                event_id: &heading.id,
                event_type: &heading.event_type,
                kind,
                state,
                attempt: attempts.get(&heading.key).copied().unwrap_or(0),
                ended: ending.kind.map(|kind| (0, kind as i32, -1)),
                next_attempt: None,
            });
        }
        Ok(full)
    }
}
