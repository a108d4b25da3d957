//! One lane: what of one endpoint's work is leased, and how much of it may be.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{Origin, Pace};
use crate::dispatch::Job;

/// Deliveries are leased ahead of their slots for as long as the endpoint is expected to take for them. So long, at most,
/// they may wait behind an endpoint that has just become slow, and so many attempts count as lost after a crash.
const AHEAD: Duration = Duration::from_millis(100);

/// Deliveries leased ahead for one endpoint at most.
const AHEAD_MAX: u32 = 256;

/// How much a new exchange counts in the mean of an endpoint's latencies: one part in so many.
const LATENCY_PARTS: u32 = 8;

/// One endpoint's lane.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Deliveries leased: those that hold a slot and those ahead of theirs.
    pub(super) leased: u32,
    /// Those of them that hold a slot.
    pub(super) slots: u32,
    /// Those of them that were handed over.
    pub(super) fresh: u32,
    /// The last exchange timed out.
    pub(super) slow: bool,
    /// There is a backlog that is due.
    pub(super) adopted: bool,
    /// Leased ahead and committed, since when.
    pub(super) waiting: VecDeque<(Instant, Job)>,
    /// It stands in the queue of lanes in which something waits.
    pub(super) queued: bool,
    /// How long successful exchanges take in the mean; zero: not known.
    latency: Duration,
}

impl Lane {
    /// How many deliveries may be leased at once for an endpoint that takes `cap` requests at once.
    pub(super) fn allowance(&self, cap: u32) -> u32 {
        if self.slow { 1 } else { cap + self.ahead(cap) }
    }

    /// Whether so few are left that more of a backlog should be leased: half of those ahead, or, where none are leased ahead,
    /// one slot.
    pub(super) fn is_low(&self, cap: u32) -> bool {
        let allowance = self.allowance(cap);
        let ahead = allowance.saturating_sub(cap);
        self.leased < allowance && self.leased <= allowance - (ahead / 2).max(1)
    }

    fn ahead(&self, cap: u32) -> u32 {
        let latency = self.latency.as_micros();
        if latency == 0 {
            return 0;
        }
        let ahead = u128::from(cap) * AHEAD.as_micros() / latency;
        u32::try_from(ahead).unwrap_or(u32::MAX).min(AHEAD_MAX)
    }

    /// Adds a lease.
    pub(super) fn add(&mut self, origin: Origin) {
        self.leased += 1;
        self.fresh += u32::from(origin == Origin::Fresh);
    }

    /// Takes a lease away.
    pub(super) fn remove(&mut self, origin: Origin) {
        self.leased = self.leased.saturating_sub(1);
        if origin == Origin::Fresh {
            self.fresh = self.fresh.saturating_sub(1);
        }
    }

    /// Learns how an exchange went.
    pub(super) fn learn(&mut self, pace: Pace) {
        match pace {
            Pace::Success(latency) => {
                self.slow = false;
                self.latency = if self.latency.is_zero() {
                    latency.max(Duration::from_micros(1))
                } else {
                    (self.latency * (LATENCY_PARTS - 1) + latency) / LATENCY_PARTS
                };
            }
            Pace::Timeout => self.slow = true,
            Pace::Other => {}
        }
    }

    /// Whether nothing is lost if the lane is forgotten, but perhaps how long its endpoint takes.
    pub(super) fn is_idle(&self) -> bool {
        self.leased == 0 && !self.slow && !self.adopted && !self.queued
    }

    /// Whether it is known how long the endpoint takes.
    pub(super) fn is_known(&self) -> bool {
        !self.latency.is_zero()
    }
}
