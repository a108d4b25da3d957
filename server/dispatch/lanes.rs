//! Lanes: how much of each endpoint's work, and of all endpoints' together, may be in flight. Pure bookkeeping.
//!
//! Room is counted in slots (one request each) and in bytes of payload. Deliveries of an endpoint that answers quickly are
//! leased *ahead* of its slots: they wait here, so that a slot that gets free is filled at once rather than by a turn. A
//! lane whose last exchange timed out, or whose endpoint failed already when the server started, is *slow*: it gets one slot
//! until a success and nothing ahead. Slow lanes, and those that have not answered yet, share a part of the slots
//! ([`Shares`]), so that endpoints that hang cannot starve those that answer. Lanes that fail, slowly or at once, are claimed
//! from a few at a time ([`Probes`]). A lane with a backlog gives at most half of its room to fresh deliveries, so that the
//! backlog gets its turn.

mod backlog;
mod lane;
mod probes;
mod shares;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use self::{
    lane::{Lane, Standing},
    probes::Probes,
    shares::Shares,
};
use super::Job;
use crate::model::EndpointKey;

/// How long a delivery that was leased ahead waits for a slot at most, before it is given back.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Lanes kept in memory at most only to remember how long their endpoints take.
const REMEMBERED_MAX: usize = 16_384;

/// Lanes looked at for something to start, when all slots were taken.
const LOOKED_AT_MAX: usize = 64;

/// How much may be in flight in all.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Requests at once, over all endpoints.
    pub slots: u32,
    /// Deliveries leased at once ahead of their slots, over all endpoints.
    pub ahead: u32,
    /// Bytes of payload in memory for both.
    pub bytes: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self { slots: 1_024, ahead: 4_096, bytes: 64 << 20 }
    }
}

/// How an exchange went, as far as its lane is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It succeeded, and took so long.
    Success(Duration),
    /// It timed out.
    Timeout,
    /// It failed in another way, and soon.
    Failure,
    /// It did not take place.
    Nothing,
}

/// Why a delivery is leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was handed over by the turn that published it.
    Fresh,
    /// It was claimed from the backlog.
    Backlog,
}

/// What a leased delivery holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A slot: it starts at once.
    Slot,
    /// It waits for a slot.
    Ahead,
}

/// All lanes in memory: those with something leased, a backlog that is due, or an endpoint of which something is known.
#[derive(Debug)]
pub(crate) struct Lanes {
    room: Room,
    lanes: HashMap<EndpointKey, Lane>,
    /// Adopted lanes, in the order in which they are served next.
    ring: VecDeque<EndpointKey>,
    /// Lanes in which something waits for a slot, or did so a while ago: each once, in the order in which they are served.
    queue: VecDeque<EndpointKey>,
    /// Something waits because all slots were taken, rather than those of its endpoint.
    blocked: bool,
    leased: u32,
    shares: Shares,
    probes: Probes,
    bytes: u64,
    closed: bool,
    /// A payload of some backlog did not fit into the bytes left.
    starved: bool,
}

/// What follows when an attempt gives its slot back.
#[derive(Debug, Default)]
pub(crate) struct Released {
    /// Takes the slot: to be started at once.
    pub(crate) next: Option<Job>,
    /// Leased ahead, but not to be started any more: to be given back.
    pub(crate) given_back: Vec<Job>,
    /// A backlog may wait for the room, and is to be claimed from after so long.
    pub(crate) wanted: Option<Duration>,
}

impl Lanes {
    /// No lanes yet.
    pub(crate) fn new(room: Room) -> Self {
        Self {
            room,
            lanes: HashMap::new(),
            ring: VecDeque::new(),
            queue: VecDeque::new(),
            blocked: false,
            leased: 0,
            shares: Shares::of(room.slots),
            probes: Probes::default(),
            bytes: 0,
            closed: false,
            starved: false,
        }
    }

    /// Takes a place for a fresh delivery of `bytes`, if its endpoint, which allows `cap` requests at once, has room.
    pub(crate) fn reserve_fresh(&mut self, endpoint: EndpointKey, cap: u32, bytes: u64) -> Option<Place> {
        if self.closed || !self.fits(bytes) {
            return None;
        }
        let lane = self.lanes.entry(endpoint).or_default();
        let allowance = lane.allowance(cap);
        let fresh_max = if lane.adopted { allowance / 2 } else { allowance };
        // The one slot of a slow lane belongs to its backlog, if it has one.
        let own = if lane.is_slow() { !lane.adopted } else { lane.fresh < fresh_max };
        if own && lane.leased < allowance && self.shares.room(lane.standing, lane.slots) > 0 {
            return Some(self.take(endpoint, cap, bytes, Origin::Fresh));
        }
        self.forget_if_idle(endpoint);
        None
    }

    /// Takes a slot for a delivery, whatever its endpoint's room: a ping must not wait behind what it is to examine.
    pub(crate) fn reserve_forced(&mut self, endpoint: EndpointKey, bytes: u64) -> Place {
        self.take(endpoint, u32::MAX, bytes, Origin::Fresh)
    }

    /// Takes a place for a delivery that was claimed.
    pub(crate) fn reserve_claimed(&mut self, endpoint: EndpointKey, cap: u32, bytes: u64) -> Place {
        self.take(endpoint, cap, bytes, Origin::Backlog)
    }

    /// A lease has been committed: returns the job if it is to be started now. One that is ahead of its slot is kept until
    /// there is one. Once the lanes are closed, what has no slot comes back as one to be given back.
    pub(crate) fn begin(&mut self, mut job: Job, cap: u32, now: Instant) -> Result<Option<Job>, Job> {
        if job.place == Place::Slot {
            return Ok(Some(job));
        }
        if self.closed {
            self.forgo(&job);
            return Err(job);
        }
        let endpoint = job.key.endpoint;
        let has_slot = self.has_slot();
        let lane = self.lanes.entry(endpoint).or_default();
        if lane.is_slow() {
            self.forgo(&job);
            return Err(job);
        }
        if lane.waiting.is_empty() && lane.slots < cap && has_slot {
            lane.slots += 1;
            self.shares.take(lane.standing, 1);
            job.place = Place::Slot;
            return Ok(Some(job));
        }
        lane.waiting.push_back((now, job));
        if !std::mem::replace(&mut lane.queued, true) {
            self.queue.push_back(endpoint);
        }
        self.blocked |= !has_slot;
        Ok(None)
    }

    /// A lease never came to be, or is given back before it was begun.
    pub(crate) fn forgo(&mut self, job: &Job) {
        let endpoint = job.key.endpoint;
        if job.place == Place::Slot {
            self.free_slot(endpoint);
        }
        self.remove(endpoint, job.bytes(), job.origin);
        self.forget_if_idle(endpoint);
    }

    /// An attempt has ended: its slot gets free, and is given to the next that waits for one. `cap` tells how many requests
    /// an endpoint allows at once.
    pub(crate) fn release(
        &mut self,
        job: &Job,
        pace: Pace,
        now: Instant,
        cap: impl Fn(EndpointKey) -> u32,
    ) -> Released {
        let endpoint = job.key.endpoint;
        let was_full = !self.has_slot() || self.leased >= self.leases_max() || self.bytes >= self.room.bytes;
        let before = self.shares;
        self.free_slot(endpoint);
        self.remove(endpoint, job.bytes(), job.origin);
        let mut released = Released::default();
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            let from = lane.standing;
            lane.learn(pace);
            self.shares.shift(from, lane.standing, lane.slots);
            if lane.is_slow() {
                released.given_back = self.take_waiting(endpoint);
            }
        }
        released.next = self.next(endpoint, &cap);
        let low = self.lanes.get(&endpoint).filter(|lane| lane.adopted && lane.is_low(cap(endpoint)));
        let own_backlog = low.map(|lane| self.probes.wait(lane, now));
        self.forget_if_idle(endpoint);
        let starved = std::mem::take(&mut self.starved);
        let gained = |standing| before.is_full(standing) && !self.shares.is_full(standing);
        released.wanted = if self.ring.is_empty() {
            None
        } else if was_full || starved || gained(Standing::Unproven) {
            Some(Duration::ZERO)
        } else if gained(Standing::Slow) {
            Some(own_backlog.unwrap_or(Duration::MAX).min(self.probes.end(now)))
        } else {
            own_backlog
        };
        released
    }

    /// What has waited for a slot for too long, to be given back: its endpoint has become slow, or takes nothing now.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<Job> {
        let overdue =
            |lane: &Lane| lane.waiting.front().is_some_and(|(since, _)| now.duration_since(*since) > WAIT_MAX);
        let of = self.queue.iter().copied().filter(|endpoint| self.lanes.get(endpoint).is_some_and(overdue));
        let of: Vec<EndpointKey> = of.collect();
        of.into_iter().flat_map(|endpoint| self.take_waiting(endpoint)).collect()
    }

    /// Takes the lanes of endpoints that fail already for slow, until a success.
    pub(crate) fn suspect(&mut self, failing: impl IntoIterator<Item = EndpointKey>) {
        for endpoint in failing {
            let lane = self.lanes.entry(endpoint).or_default();
            self.shares.shift(lane.standing, Standing::Slow, lane.slots);
            lane.standing = Standing::Slow;
        }
    }

    /// Whether an endpoint fails, as far as is remembered.
    pub(crate) fn is_failing(&self, endpoint: EndpointKey) -> bool {
        self.lanes.get(&endpoint).is_some_and(Lane::is_failing)
    }

    /// Forgets that endpoints fail which are gone: no success will ever tell otherwise.
    pub(crate) fn forget_failing(&mut self, is_gone: impl Fn(EndpointKey) -> bool) {
        let failing = self.lanes.iter().filter(|(_, lane)| lane.is_failing()).map(|(endpoint, _)| *endpoint);
        let gone: Vec<EndpointKey> = failing.filter(|endpoint| is_gone(*endpoint)).collect();
        for endpoint in gone {
            if let Some(lane) = self.lanes.get_mut(&endpoint) {
                self.shares.shift(lane.standing, Standing::Unproven, lane.slots);
                lane.forget_failures();
            }
            self.forget_if_idle(endpoint);
        }
    }

    /// How many of the `cap` requests that an endpoint allows at once are not being made.
    pub(crate) fn free_slots(&self, endpoint: EndpointKey, cap: u32) -> u32 {
        cap.saturating_sub(self.lanes.get(&endpoint).map_or(0, |lane| lane.slots))
    }

    /// Whether there is a slot left.
    pub(crate) fn has_slot(&self) -> bool {
        !self.closed && self.shares.held() < self.room.slots
    }

    /// Bytes of payload for which there is room.
    pub(crate) fn bytes_left(&self) -> u64 {
        self.room.bytes.saturating_sub(self.bytes)
    }

    /// Whether nothing is leased.
    pub(crate) fn is_idle(&self) -> bool {
        self.leased == 0
    }

    /// Gives no places any more. Returns what waited for a slot, to be given back.
    pub(crate) fn close(&mut self) -> Vec<Job> {
        self.closed = true;
        let queue: Vec<EndpointKey> = self.queue.iter().copied().collect();
        queue.into_iter().flat_map(|endpoint| self.take_waiting(endpoint)).collect()
    }

    fn leases_max(&self) -> u32 {
        self.room.slots + self.room.ahead
    }

    /// A payload fits; one that is larger than all room does so when nothing else is leased.
    fn fits(&self, bytes: u64) -> bool {
        self.has_slot()
            && self.leased < self.leases_max()
            && (self.bytes + bytes <= self.room.bytes || self.leased == 0)
    }

    fn take(&mut self, endpoint: EndpointKey, cap: u32, bytes: u64, origin: Origin) -> Place {
        let lane = self.lanes.entry(endpoint).or_default();
        lane.add(origin);
        self.leased += 1;
        self.bytes += bytes;
        if lane.slots >= cap {
            return Place::Ahead;
        }
        lane.slots += 1;
        self.shares.take(lane.standing, 1);
        Place::Slot
    }

    fn free_slot(&mut self, endpoint: EndpointKey) {
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.slots = lane.slots.saturating_sub(1);
            self.shares.free(lane.standing);
        }
    }

    fn remove(&mut self, endpoint: EndpointKey, bytes: u64, origin: Origin) {
        self.leased = self.leased.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.remove(origin);
        }
    }

    /// The next to take a slot: of the endpoint that gave one back or, if others have waited because all were taken, of
    /// whoever's turn it is.
    fn next(&mut self, endpoint: EndpointKey, cap: &impl Fn(EndpointKey) -> u32) -> Option<Job> {
        if !self.has_slot() {
            return None;
        }
        if !self.blocked {
            return self.next_of(endpoint, cap);
        }
        let all = self.queue.len();
        for _ in 0..all.min(LOOKED_AT_MAX) {
            let endpoint = self.queue.pop_front()?;
            let job = self.next_of(endpoint, cap);
            match self.lanes.get_mut(&endpoint) {
                Some(lane) if lane.waiting.is_empty() => lane.queued = false,
                Some(_) => self.queue.push_back(endpoint),
                None => {}
            }
            if job.is_some() {
                return job;
            }
        }
        self.blocked = all > LOOKED_AT_MAX;
        self.next_of(endpoint, cap)
    }

    fn next_of(&mut self, endpoint: EndpointKey, cap: &impl Fn(EndpointKey) -> u32) -> Option<Job> {
        let lane = self.lanes.get_mut(&endpoint).filter(|lane| !lane.waiting.is_empty())?;
        if lane.slots >= cap(endpoint) {
            return None;
        }
        let (_, mut job) = lane.waiting.pop_front()?;
        lane.slots += 1;
        self.shares.take(lane.standing, 1);
        job.place = Place::Slot;
        Some(job)
    }

    /// Takes out what waits for a slot of the endpoint's.
    fn take_waiting(&mut self, endpoint: EndpointKey) -> Vec<Job> {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return Vec::new() };
        let jobs: Vec<Job> = std::mem::take(&mut lane.waiting).into_iter().map(|(_, job)| job).collect();
        jobs.iter().for_each(|job| self.forgo(job));
        jobs
    }

    fn forget_if_idle(&mut self, endpoint: EndpointKey) {
        let crowded = self.lanes.len() > REMEMBERED_MAX;
        if self.lanes.get(&endpoint).is_some_and(|lane| lane.is_idle() && (crowded || !lane.is_known())) {
            self.lanes.remove(&endpoint);
        }
    }
}
