//! Probes: how much of the backlogs of endpoints that fail is claimed.
//!
//! A claim, an attempt and a settlement cost the same whether a delivery succeeds or comes back, and an endpoint whose
//! port is closed sends everything back at once. Together such endpoints get a few attempts at a time, which finds out in
//! good time who of them answers again, and leaves the turns to the others.

use std::time::{Duration, Instant};

use super::lane::Lane;

/// Deliveries claimed for all endpoints that fail …
const PROBES: u32 = 32;

/// … within so long, which is also how soon after the last probes a slow lane gets its next.
const INTERVAL: Duration = Duration::from_millis(100);

/// What is left of the present interval.
#[derive(Debug, Default)]
pub(super) struct Probes {
    /// When it began.
    since: Option<Instant>,
    taken: u32,
}

impl Probes {
    /// Takes up to `wanted` probes; returns how many there were.
    pub(super) fn take(&mut self, wanted: u32, now: Instant) -> u32 {
        if wanted == 0 {
            return 0;
        }
        if self.end(now).is_zero() {
            (self.since, self.taken) = (Some(now), 0);
        }
        let taken = wanted.min(PROBES - self.taken);
        self.taken += taken;
        taken
    }

    /// How long the present interval goes on.
    pub(super) fn end(&self, now: Instant) -> Duration {
        self.since.map_or(Duration::ZERO, |since| (since + INTERVAL).saturating_duration_since(now))
    }

    /// How soon to claim from a lane of which little is leased. Slow lanes, which give their slots back one by one, wait
    /// for one another.
    pub(super) fn wait(&self, lane: &Lane, now: Instant) -> Duration {
        let at_once = !lane.is_failing() || (!lane.is_slow() && self.taken < PROBES);
        if at_once { Duration::ZERO } else { self.end(now) }
    }
}
