//! Lanes with a backlog: which are adopted, and what a claim is to take of them.

use std::time::{Duration, Instant};

use super::Lanes;
use crate::model::EndpointKey;

/// What to claim.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Lanes, and how many deliveries each has room for.
    pub(crate) lanes: Vec<(EndpointKey, u32)>,
    /// Lanes were left that were not looked at.
    pub(crate) cut_short: bool,
    /// Lanes that fail were passed over, and may be looked at after so long.
    pub(crate) probe_in: Option<Duration>,
}

impl Lanes {
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

    /// How many lanes are adopted.
    pub(crate) fn adopted(&self) -> usize {
        self.ring.len()
    }

    /// What to claim next: adopted lanes of which little is leased, with how much they have room for, round robin, `total`
    /// deliveries and `lanes` lanes at most. `cap` tells how many requests an endpoint allows at once.
    pub(crate) fn plan(&mut self, total: u32, lanes: usize, now: Instant, cap: impl Fn(EndpointKey) -> u32) -> Plan {
        let mut plan = Plan::default();
        if self.bytes >= self.room.bytes || !self.has_slot() {
            return plan;
        }
        let mut left = total.min(self.leases_max().saturating_sub(self.leased));
        let mut shares = self.shares;
        let mut to_probe = false;
        for _ in 0..self.ring.len() {
            if left == 0 || plan.lanes.len() == lanes {
                plan.cut_short = true;
                break;
            }
            let Some(endpoint) = self.ring.pop_front() else { break };
            let mut room = 0;
            if let Some(lane) = self.lanes.get(&endpoint) {
                let wanted = lane.wanted(|| cap(endpoint)).min(shares.room(lane.standing, lane.slots)).min(left);
                room = if lane.is_failing() { self.probes.take(wanted, now) } else { wanted };
                to_probe |= room < wanted;
                shares.take(lane.standing, room);
            }
            if room > 0 {
                left -= room;
                plan.lanes.push((endpoint, room));
            } else {
                self.ring.push_back(endpoint);
            }
        }
        // Behind those that were passed over, so that of many that wait for the same each gets its turn.
        self.ring.extend(plan.lanes.iter().map(|(endpoint, _)| *endpoint));
        plan.probe_in = to_probe.then(|| self.probes.end(now));
        plan
    }

    /// Whether the lane is adopted.
    pub(crate) fn is_adopted(&self, endpoint: EndpointKey) -> bool {
        self.lanes.get(&endpoint).is_some_and(|lane| lane.adopted)
    }

    /// A payload of some backlog did not fit into the bytes left: the next slot that gets free is of use to it.
    pub(crate) fn note_starved(&mut self) {
        self.starved = true;
    }
}
