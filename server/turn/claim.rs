//! The claiming part of a turn: lanes that are due are adopted, and what they have room for is leased.
//!
//! A lane that is due but not to be claimed from is put aside (`held.rs`); one that is drained at a rate is claimed from as
//! that allows (`drain.rs`).

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::write::Turn;
use crate::{
    dispatch::{Job, Origin},
    model::{DeliveryKey, EndpointKey, EventKey},
    store::{self, Claimed, Result},
};

/// Lanes adopted at once, in all and by one claim.
const ADOPTED_MAX: usize = 4_096;
const ADOPTED_PER_CLAIM_MAX: usize = 256;

/// Where more than so many are adopted, those of endpoints that fail are given back after each claim and rest for so long:
/// however many there are, others find room.
const CROWDED: usize = ADOPTED_MAX / 2;
const REST: Duration = Duration::from_secs(30);

/// What one claim leases at most, and of how many lanes.
const CLAIMED_MAX: u32 = 1_024;
const LANES_PER_CLAIM_MAX: usize = 64;

/// How long a lease lasts on paper. One server alone never waits for it: its successor releases what it held.
const LEASE: Duration = Duration::from_secs(120);

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
        let plan = {
            // One for an endpoint that is gone, so that its lane comes up and is put aside.
            let cap =
                |endpoint| routes.endpoint(endpoint).map_or(1, |entry| entry.endpoint.settings.policy.max_in_flight);
            let mut lanes = self.engine.in_flight.lanes();
            // Adopted in memory at once: should the turn fail, a lane that is adopted in memory alone is claimed from, found
            // empty or not, and given back like any other.
            self.done.adopted.iter().for_each(|endpoint| lanes.adopt(*endpoint));
            lanes.plan(CLAIMED_MAX, LANES_PER_CLAIM_MAX, Instant::now(), cap)
        };
        let mut due: Vec<DeliveryKey> = Vec::new();
        let (mut bytes_left, idle) = {
            let lanes = self.engine.in_flight.lanes();
            (lanes.bytes_left(), lanes.is_idle())
        };
        for (endpoint, room) in plan.lanes {
            if self.is_aside(endpoint) {
                self.put_aside(endpoint).await?;
                continue;
            }
            let room = self.room_for(endpoint, room);
            if room == 0 {
                // The next slot that gets free tells of the lane again.
                continue;
            }
            let found = self.due(endpoint, room).await?;
            let all = found.found.len();
            let mut taken = 0;
            for &(key, bytes) in &found.found {
                // A payload larger than all room goes alone.
                if bytes > bytes_left && !(idle && due.is_empty()) {
                    self.engine.in_flight.lanes().note_starved();
                    break;
                }
                bytes_left = bytes_left.saturating_sub(bytes);
                due.push(key);
                taken += 1;
            }
            self.take_due(endpoint, &found, taken);
            if (taken == all && (all as u32) < room) || self.rests(endpoint) {
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
            _ if plan.cut_short && progress && self.engine.in_flight.lanes().has_slot() => Some(self.now),
            Adopting::All => store::lane::next_due(self.tx.begun().await?.conn()).await?,
            Adopting::Some => Some(self.now),
            // Told by the slots that get free.
            Adopting::NoRoom => None,
        };
        if let Some(wait) = plan.probe_in {
            let at = self.now.plus(wait);
            self.done.next_due = Some(self.done.next_due.map_or(at, |due| due.min(at)));
        }
        Ok(())
    }

    /// Whether a lane that was claimed from is to be given back although more of it may be due: many are adopted, and its
    /// endpoint fails.
    fn rests(&self, endpoint: EndpointKey) -> bool {
        let lanes = self.engine.in_flight.lanes();
        lanes.adopted() > CROWDED && lanes.is_failing(endpoint)
    }

    /// Adopts lanes that are due.
    async fn adopt(&mut self) -> Result<Adopting> {
        let free = ADOPTED_MAX.saturating_sub(self.engine.in_flight.lanes().adopted()).min(ADOPTED_PER_CLAIM_MAX);
        if free == 0 {
            return Ok(Adopting::NoRoom);
        }
        let owner = self.engine.shared.incarnation;
        let adopted = store::lane::adopt_due(self.tx.begun().await?, owner, self.now, free as i64).await?;
        let all = adopted.len() < free;
        for endpoint in adopted {
            if self.is_aside(endpoint) {
                self.put_aside(endpoint).await?;
            } else {
                self.done.adopted.push(endpoint);
            }
        }
        Ok(if all { Adopting::All } else { Adopting::Some })
    }

    /// Leases deliveries in the database and in memory.
    async fn lease(&mut self, due: &[DeliveryKey]) -> Result<()> {
        let owner = self.engine.shared.incarnation;
        let claimed = store::lease::claim(self.tx.begun().await?, owner, self.now.plus(LEASE), self.now, due).await?;
        let mut events: Vec<EventKey> = claimed.iter().map(|claimed| claimed.key.event).collect();
        events.sort_unstable();
        events.dedup();
        let contents = store::event::contents(self.tx.begun().await?, &events).await?;
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
            let mut next_at = self.next_look(endpoint).await?;
            if self.rests(endpoint) {
                next_at = next_at.map(|at| at.max(self.now.plus(REST)));
            }
            store::lane::give_back(self.tx.begun().await?, endpoint, next_at).await?;
        }
        Ok(())
    }
}
