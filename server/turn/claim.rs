//! The claiming part of a turn: lanes that are due are adopted, and what they have room for is leased.
//!
//! A lane that is due but whose endpoint is disabled or deleted is dealt with here too: what is held for too long ends
//! dead, what waits for a deleted endpoint ends cancelled, in chunks.

use std::collections::HashMap;

use super::{log::Transition, write::Turn};
use crate::{
    dispatch::{Job, Origin},
    model::{
        DeliveryKey, DeliveryState, EndpointKey, EndpointStatus, EventKey, FailureKind, ShownState, Timestamp,
        TransitionKind,
    },
    store::{self, Claimed, Result},
};

/// Lanes adopted at once, in all and by one claim.
const ADOPTED_MAX: usize = 4_096;
const ADOPTED_PER_CLAIM_MAX: usize = 256;

/// What one claim leases at most, and of how many lanes.
const CLAIMED_MAX: u32 = 1_024;
const LANES_PER_CLAIM_MAX: usize = 64;

/// Deliveries that one turn ends of an endpoint that is deleted, or has been disabled for too long.
const ENDED_MAX: i64 = 512;

/// How long a lease lasts on paper. One server alone never waits for it: its successor releases what it held.
const LEASE: std::time::Duration = std::time::Duration::from_secs(120);

/// How many of the lanes that are due were adopted.
enum Adopting {
    All,
    Some,
    NoRoom,
}

impl Turn<'_> {
    /// Leases what is due and has room.
    pub(super) async fn claim(&mut self) -> Result<()> {
        let adopting = self.adopt().await?;
        let routes = &self.engine.shared.routes;
        let (plan, cut_short) = {
            let cap =
                |endpoint| routes.endpoint(endpoint).map_or(0, |entry| entry.endpoint.settings.policy.max_in_flight);
            let mut lanes = self.engine.in_flight.lanes();
            // Adopted in memory at once: should the turn fail, a lane that is adopted in memory alone is claimed from, found
            // empty or not, and given back like any other.
            self.done.adopted.iter().for_each(|endpoint| lanes.adopt(*endpoint));
            lanes.plan(CLAIMED_MAX, LANES_PER_CLAIM_MAX, cap)
        };
        let mut due: Vec<DeliveryKey> = Vec::new();
        let (mut bytes_left, idle) = {
            let lanes = self.engine.in_flight.lanes();
            (lanes.bytes_left(), lanes.is_idle())
        };
        for (endpoint, room) in plan {
            if routes.status(endpoint) != EndpointStatus::Enabled {
                self.put_aside(endpoint).await?;
                continue;
            }
            let found = store::lease::due(self.tx.conn(), endpoint, self.now, i64::from(room)).await?;
            let all = found.len();
            let mut taken = 0;
            for (key, bytes) in found {
                // A payload larger than all room goes alone.
                if bytes > bytes_left && !(idle && due.is_empty()) {
                    self.engine.in_flight.lanes().note_starved();
                    break;
                }
                bytes_left = bytes_left.saturating_sub(bytes);
                due.push(key);
                taken += 1;
            }
            if taken == all && (all as u32) < room {
                self.done.drained.push(endpoint);
            }
        }
        let ended = self.end_overdue(&mut due).await?;
        self.lease(&due).await?;
        self.give_back_drained().await?;
        // Lanes that are adopted already and were not looked at are told of by nobody else. Without progress there is no
        // use in looking again before a slot gets free.
        let progress = !self.done.jobs.is_empty() || !self.done.drained.is_empty();
        self.done.next_due = match adopting {
            // Their slots are free again.
            _ if ended > 0 => Some(self.now),
            _ if cut_short && progress && self.engine.in_flight.lanes().has_slot() => Some(self.now),
            Adopting::All => store::lane::next_due(self.tx.conn()).await?,
            Adopting::Some => Some(self.now),
            // Told by the slots that get free.
            Adopting::NoRoom => None,
        };
        Ok(())
    }

    /// Adopts lanes that are due.
    async fn adopt(&mut self) -> Result<Adopting> {
        let free = ADOPTED_MAX.saturating_sub(self.engine.in_flight.lanes().adopted()).min(ADOPTED_PER_CLAIM_MAX);
        if free == 0 {
            return Ok(Adopting::NoRoom);
        }
        let owner = self.engine.shared.incarnation;
        let adopted = store::lane::adopt_due(self.tx, owner, self.now, free as i64).await?;
        let all = adopted.len() < free;
        for endpoint in adopted {
            match self.engine.shared.routes.status(endpoint) {
                EndpointStatus::Enabled => self.done.adopted.push(endpoint),
                EndpointStatus::Disabled { .. } | EndpointStatus::Deleted => self.put_aside(endpoint).await?,
            }
        }
        Ok(if all { Adopting::All } else { Adopting::Some })
    }

    /// Leases deliveries in the database and in memory.
    async fn lease(&mut self, due: &[DeliveryKey]) -> Result<()> {
        let owner = self.engine.shared.incarnation;
        let claimed = store::lease::claim(self.tx, owner, self.now.plus(LEASE), self.now, due).await?;
        let mut events: Vec<EventKey> = claimed.iter().map(|claimed| claimed.key.event).collect();
        events.sort_unstable();
        events.dedup();
        let contents = store::event::contents(self.tx, &events).await?;
        let contents: HashMap<EventKey, _> = contents.into_iter().map(|content| (content.key, content)).collect();
        for Claimed { key, attempt, base } in claimed {
            let (Some(event), Some(entry)) =
                (contents.get(&key.event), self.engine.shared.routes.endpoint(key.endpoint))
            else {
                continue;
            };
            let last_chance = attempt.saturating_sub(base) > entry.endpoint.settings.retry().max_attempts();
            let (cap, bytes) = (entry.endpoint.settings.policy.max_in_flight, event.payload.len() as u64);
            let place = self.engine.in_flight.lanes().reserve_claimed(key.endpoint, cap, bytes);
            self.hold(Job { key, event: event.clone(), attempt, base, origin: Origin::Backlog, place, last_chance });
        }
        Ok(())
    }

    /// Gives back lanes of which nothing is due any more, each due when its next work is.
    async fn give_back_drained(&mut self) -> Result<()> {
        for endpoint in self.done.drained.clone() {
            let next_at = store::lane::earliest_work(self.tx.conn(), endpoint).await?;
            store::lane::give_back(self.tx, endpoint, next_at).await?;
        }
        Ok(())
    }

    /// Deals with a lane whose endpoint is not enabled.
    async fn put_aside(&mut self, endpoint: EndpointKey) -> Result<()> {
        let entry = self.engine.shared.routes.endpoint(endpoint);
        let status = entry.as_ref().map_or(EndpointStatus::Deleted, |entry| entry.endpoint.status);
        let next_at = match (status, entry) {
            (EndpointStatus::Disabled { since, .. }, Some(entry)) => {
                let end = since.plus(entry.endpoint.settings.policy.hold_duration);
                if self.now < end {
                    self.only_if_waiting(endpoint, end).await?
                } else {
                    self.end(endpoint, DeliveryState::Dead, Some(FailureKind::HeldTooLong)).await?
                }
            }
            (EndpointStatus::Enabled, _) => store::lane::earliest_work(self.tx.conn(), endpoint).await?,
            (EndpointStatus::Deleted | EndpointStatus::Disabled { .. }, _) => {
                self.end(endpoint, DeliveryState::Cancelled, None).await?
            }
        };
        store::lane::give_back(self.tx, endpoint, next_at).await?;
        self.done.adopted.retain(|adopted| *adopted != endpoint);
        self.done.drained.retain(|drained| *drained != endpoint);
        self.engine.in_flight.lanes().give_back(&[endpoint]);
        Ok(())
    }

    /// `at`, if the lane has any work.
    async fn only_if_waiting(&mut self, endpoint: EndpointKey, at: Timestamp) -> Result<Option<Timestamp>> {
        Ok(store::lane::earliest_work(self.tx.conn(), endpoint).await?.map(|_| at))
    }

    /// Ends a chunk of an endpoint's pending deliveries. Returns now if there may be more.
    async fn end(
        &mut self,
        endpoint: EndpointKey,
        to: DeliveryState,
        kind: Option<FailureKind>,
    ) -> Result<Option<Timestamp>> {
        let ended = store::hot::end_pending(self.tx, endpoint, to, kind, self.now, ENDED_MAX).await?;
        let full = ended.len() as i64 == ENDED_MAX;
        let (transition, state) = match to {
            DeliveryState::Dead => (TransitionKind::Dead, ShownState::Dead),
            _ => (TransitionKind::Cancelled, ShownState::Cancelled),
        };
        let attempts: HashMap<EventKey, u32> = ended.iter().copied().collect();
        let events: Vec<EventKey> = ended.iter().map(|(event, _)| *event).collect();
        for heading in store::event::headings(self.tx, &events).await? {
            self.log.delivery(Transition {
                tenant: heading.tenant,
                key: DeliveryKey { event: heading.key, endpoint },
                event_id: &heading.id,
                event_type: &heading.event_type,
                kind: transition,
                state,
                attempt: attempts.get(&heading.key).copied().unwrap_or(0),
                ended: kind.map(|kind| (0, kind as i32, -1)),
                next_attempt: None,
            });
        }
        Ok(full.then_some(self.now))
    }
}
