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

/// After so many failures one after the other an endpoint is taken for one that fails, though it answers at once.
const FAILURES_MAX: u8 = 16;

/// What is known of whether an endpoint answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has not succeeded yet, as far as is remembered.
    #[default]
    Unproven,
    /// It has succeeded, and no exchange has timed out since.
    Proven,
    /// Its last exchange that told anything timed out, or it failed already when the server started.
    Slow,
}

/// One endpoint's lane.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Deliveries leased: those that hold a slot and those ahead of theirs.
    pub(super) leased: u32,
    /// Those of them that hold a slot.
    pub(super) slots: u32,
    /// Those of them that were handed over.
    pub(super) fresh: u32,
    /// Whether it answers.
    pub(super) standing: Standing,
    /// How many exchanges have failed since the last success.
    failures: u8,
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
        if self.is_slow() { 1 } else { cap + self.ahead(cap) }
    }

    /// How much of a backlog should be leased, for an endpoint that takes `cap` requests at once.
    pub(super) fn wanted(&self, cap: impl FnOnce() -> u32) -> u32 {
        if self.is_slow() {
            return u32::from(self.leased == 0);
        }
        let cap = cap();
        if self.is_low(cap) { self.allowance(cap).saturating_sub(self.leased) } else { 0 }
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
                self.standing = Standing::Proven;
                self.failures = 0;
                self.latency = if self.latency.is_zero() {
                    latency.max(Duration::from_micros(1))
                } else {
                    (self.latency * (LATENCY_PARTS - 1) + latency) / LATENCY_PARTS
                };
            }
            Pace::Timeout => self.standing = Standing::Slow,
            Pace::Failure => self.failures = self.failures.saturating_add(1),
            Pace::Nothing => {}
        }
    }

    /// Forgets that the endpoint fails.
    pub(super) fn forget_failures(&mut self) {
        (self.standing, self.failures) = (Standing::Unproven, 0);
    }

    /// Whether it gets one slot at a time.
    pub(super) fn is_slow(&self) -> bool {
        self.standing == Standing::Slow
    }

    /// Whether the endpoint fails, slowly or at once: what is claimed for it most likely comes back.
    pub(super) fn is_failing(&self) -> bool {
        self.is_slow() || self.failures >= FAILURES_MAX
    }

    /// Whether nothing is lost if the lane is forgotten, but perhaps how long its endpoint takes.
    pub(super) fn is_idle(&self) -> bool {
        self.leased == 0 && !self.is_failing() && !self.adopted && !self.queued
    }

    /// Whether it is known how long the endpoint takes.
    pub(super) fn is_known(&self) -> bool {
        !self.latency.is_zero()
    }
}
