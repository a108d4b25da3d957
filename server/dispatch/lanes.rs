//! Lanes: how much of each endpoint's work, and of all endpoints' together, may be in flight. Pure bookkeeping.
//!
//! Room is counted in slots (one request each) and in bytes of payload. A lane whose last exchange timed out is *slow*:
//! it gets one slot until a success, and slow lanes together hold at most half of all slots, so that endpoints that hang
//! cannot starve those that answer. A lane with a backlog gives at most half of its slots to fresh deliveries, so that the
//! backlog gets its turn.

use std::collections::{HashMap, VecDeque};

use crate::model::EndpointKey;

/// How much may be in flight in all.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Requests at once, over all endpoints.
    pub slots: u32,
    /// Bytes of payload in memory for them.
    pub bytes: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self { slots: 1_024, bytes: 64 << 20 }
    }
}

/// How an exchange went, as far as its lane is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It succeeded.
    Success,
    /// It timed out.
    Timeout,
    /// It failed in another way, or did not take place.
    Other,
}

/// Why a delivery holds its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was handed over by the turn that published it.
    Fresh,
    /// It was claimed from the backlog.
    Backlog,
}

/// All lanes in memory: those with something in flight, a backlog that is due, or a slow endpoint.
#[derive(Debug)]
pub(crate) struct Lanes {
    room: Room,
    lanes: HashMap<EndpointKey, Lane>,
    /// Adopted lanes, in the order in which they are served next.
    ring: VecDeque<EndpointKey>,
    slots: u32,
    slow_slots: u32,
    bytes: u64,
    closed: bool,
    /// A payload of some backlog did not fit into the bytes left.
    starved: bool,
}

#[derive(Debug, Default)]
struct Lane {
    in_flight: u32,
    fresh: u32,
    slow: bool,
    adopted: bool,
}

impl Lanes {
    /// No lanes yet.
    pub(crate) fn new(room: Room) -> Self {
        Self {
            room,
            lanes: HashMap::new(),
            ring: VecDeque::new(),
            slots: 0,
            slow_slots: 0,
            bytes: 0,
            closed: false,
            starved: false,
        }
    }

    /// Takes a slot for a fresh delivery of `bytes`, if its endpoint, which allows `cap` at once, has room.
    pub(crate) fn reserve_fresh(&mut self, endpoint: EndpointKey, cap: u32, bytes: u64) -> bool {
        if self.closed || !self.fits(bytes) {
            return false;
        }
        let lane = self.lanes.entry(endpoint).or_default();
        let fresh_cap = if lane.adopted { cap / 2 } else { cap };
        let room = if lane.slow {
            // Its one slot belongs to its backlog, if it has one.
            lane.in_flight == 0 && !lane.adopted && self.slow_slots < self.room.slots / 2
        } else {
            lane.in_flight < cap && lane.fresh < fresh_cap
        };
        if room {
            self.take(endpoint, bytes, Origin::Fresh);
        } else {
            self.forget_if_idle(endpoint);
        }
        room
    }

    /// Takes a slot for a delivery, whatever its endpoint's room: a ping must not wait behind what it is to examine.
    pub(crate) fn reserve_forced(&mut self, endpoint: EndpointKey, bytes: u64) {
        self.take(endpoint, bytes, Origin::Fresh);
    }

    /// Takes a slot for a delivery that was claimed.
    pub(crate) fn reserve_claimed(&mut self, endpoint: EndpointKey, bytes: u64) {
        self.take(endpoint, bytes, Origin::Backlog);
    }

    /// Gives a slot back. Returns whether a backlog may wait for it: the lane's own, or any if there was no room at
    /// all, or none for slow ones.
    pub(crate) fn release(&mut self, endpoint: EndpointKey, bytes: u64, origin: Origin, pace: Pace) -> bool {
        let was_full = self.slots >= self.room.slots || self.bytes >= self.room.bytes;
        let slow_was_full = self.slow_slots >= self.room.slots / 2;
        self.slots = self.slots.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.in_flight = lane.in_flight.saturating_sub(1);
            if origin == Origin::Fresh {
                lane.fresh = lane.fresh.saturating_sub(1);
            }
            if lane.slow {
                self.slow_slots = self.slow_slots.saturating_sub(1);
            }
            match pace {
                Pace::Success if lane.slow => {
                    lane.slow = false;
                    self.slow_slots = self.slow_slots.saturating_sub(lane.in_flight);
                }
                Pace::Timeout if !lane.slow => {
                    lane.slow = true;
                    self.slow_slots += lane.in_flight;
                }
                Pace::Success | Pace::Timeout | Pace::Other => {}
            }
        }
        let own_backlog = self.lanes.get(&endpoint).is_some_and(|lane| lane.adopted);
        self.forget_if_idle(endpoint);
        let slow_has_room = slow_was_full && self.slow_slots < self.room.slots / 2;
        let starved = std::mem::take(&mut self.starved);
        own_backlog || ((was_full || slow_has_room || starved) && !self.ring.is_empty())
    }

    /// Adopts a lane whose backlog is due.
    pub(crate) fn adopt(&mut self, endpoint: EndpointKey) {
        let lane = self.lanes.entry(endpoint).or_default();
        if !lane.adopted {
            lane.adopted = true;
            self.ring.push_back(endpoint);
        }
    }

    /// Gives up lanes of which nothing is due any more.
    pub(crate) fn give_back(&mut self, endpoints: &[EndpointKey]) {
        for endpoint in endpoints {
            if let Some(lane) = self.lanes.get_mut(endpoint) {
                lane.adopted = false;
            }
            self.forget_if_idle(*endpoint);
        }
        self.ring.retain(|endpoint| !endpoints.contains(endpoint));
    }

    /// Forgets that lanes are slow whose endpoints are gone: no success will ever tell otherwise.
    pub(crate) fn forget_slow(&mut self, is_gone: impl Fn(EndpointKey) -> bool) {
        let slow = self.lanes.iter().filter(|(_, lane)| lane.slow).map(|(endpoint, _)| *endpoint);
        let gone: Vec<EndpointKey> = slow.filter(|endpoint| is_gone(*endpoint)).collect();
        for endpoint in gone {
            if let Some(lane) = self.lanes.get_mut(&endpoint) {
                lane.slow = false;
                self.slow_slots = self.slow_slots.saturating_sub(lane.in_flight);
            }
            self.forget_if_idle(endpoint);
        }
    }

    /// How many lanes are adopted.
    pub(crate) fn adopted(&self) -> usize {
        self.ring.len()
    }

    /// What to claim next: adopted lanes that have room, with how much, round robin, `total` deliveries and `lanes` lanes
    /// at most. `cap` tells how much an endpoint allows at once. Says too whether lanes were left that were not looked at.
    pub(crate) fn plan(
        &mut self,
        total: u32,
        lanes: usize,
        cap: impl Fn(EndpointKey) -> u32,
    ) -> (Vec<(EndpointKey, u32)>, bool) {
        let mut plan = Vec::new();
        if self.closed || self.bytes >= self.room.bytes {
            return (plan, false);
        }
        let mut left = total.min(self.room.slots.saturating_sub(self.slots));
        let mut slow_left = (self.room.slots / 2).saturating_sub(self.slow_slots);
        for _ in 0..self.ring.len() {
            if left == 0 || plan.len() == lanes {
                return (plan, true);
            }
            let Some(endpoint) = self.ring.pop_front() else { break };
            self.ring.push_back(endpoint);
            let Some(lane) = self.lanes.get(&endpoint) else { continue };
            let room = if lane.slow {
                let one = u32::from(lane.in_flight == 0 && slow_left > 0);
                slow_left -= one;
                one
            } else {
                cap(endpoint).saturating_sub(lane.in_flight)
            };
            let room = room.min(left);
            if room > 0 {
                left -= room;
                plan.push((endpoint, room));
            }
        }
        (plan, false)
    }

    /// Whether there is a slot left.
    pub(crate) fn has_slot(&self) -> bool {
        !self.closed && self.slots < self.room.slots
    }

    /// A payload of some backlog did not fit into the bytes left: the next slot that gets free is of use to it.
    pub(crate) fn note_starved(&mut self) {
        self.starved = true;
    }

    /// Bytes of payload for which there is room.
    pub(crate) fn bytes_left(&self) -> u64 {
        self.room.bytes.saturating_sub(self.bytes)
    }

    /// Whether nothing is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.slots == 0
    }

    /// Gives no slots any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// A payload fits; one that is larger than all room does so when nothing else is in flight.
    fn fits(&self, bytes: u64) -> bool {
        self.slots < self.room.slots && (self.bytes + bytes <= self.room.bytes || self.slots == 0)
    }

    fn take(&mut self, endpoint: EndpointKey, bytes: u64, origin: Origin) {
        let lane = self.lanes.entry(endpoint).or_default();
        lane.in_flight += 1;
        lane.fresh += u32::from(origin == Origin::Fresh);
        self.slow_slots += u32::from(lane.slow);
        self.slots += 1;
        self.bytes += bytes;
    }

    fn forget_if_idle(&mut self, endpoint: EndpointKey) {
        if self.lanes.get(&endpoint).is_some_and(|lane| lane.in_flight == 0 && !lane.slow && !lane.adopted) {
            self.lanes.remove(&endpoint);
        }
    }
}

#[cfg(test)]
mod tests;
