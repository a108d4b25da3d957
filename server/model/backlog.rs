//! What becomes of deliveries that wait behind an endpoint although they are due: how long they are held, at what rate they
//! are drained, which of them are skipped. Pure.

use std::time::Duration;

use super::{EndpointStatus, EventKey, Timestamp};

/// What holds for the deliveries that wait behind an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Since when they are held: since the endpoint was last enabled, whether it was paused or disabled then.
    pub held_since: Option<Timestamp>,
    /// What was held goes out at a limited rate.
    pub drain: Option<Drain>,
    /// What was held at this activation was skipped: it reads as cancelled.
    pub skipped: Option<Activation>,
    /// Some of what was skipped may still have to be rewritten.
    pub skipping: bool,
}

/// When an endpoint was activated: by the clock, and by the last event that was published before. What was held then is
/// pending, has not changed since, and is of an event up to that one: a clock may be found to have been set back when the
/// server starts again, and what is published from then on must not count as held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activation {
    /// When.
    pub at: Timestamp,
    /// The last event before.
    pub last_event: EventKey,
}

/// A drain that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How fast.
    pub rate: DrainRate,
    /// When the endpoint was activated: what was due by then is drained.
    pub activation: Activation,
}

/// How many deliveries a drain begins in a second, in thousandths; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainRate(u32);

/// What an activation does with what was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBacklog {
    /// Delivers it, without a rate as fast as may be.
    Drain(Option<DrainRate>),
    /// Cancels it.
    Skip,
}

/// What the shown state of a delivery depends on besides its own row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its endpoint's status.
    pub status: EndpointStatus,
    /// What was held at this activation was skipped.
    pub skipped: Option<Activation>,
}

impl Standing {
    /// That of an endpoint which is no longer.
    pub const DELETED: Self = Self { status: EndpointStatus::Deleted, skipped: None };

    /// Whether a pending delivery of `event` that last changed at `updated` was skipped.
    pub fn skips(&self, event: EventKey, updated: Timestamp) -> bool {
        self.skipped.is_some_and(|skipped| event <= skipped.last_event && updated < skipped.at)
    }
}

impl Backlog {
    /// When the first of an endpoint's deliveries has been held for `hold`, if the earliest of them was due at `earliest`.
    /// Each is held from the time at which it was due, or from that of the pause or disabling if that is later.
    pub fn end_of_hold(&self, earliest: Timestamp, hold: Duration) -> Timestamp {
        self.held_since.map_or(earliest, |since| since.max(earliest)).plus(hold)
    }

    /// By what time a delivery was due that has been held for `hold` at `now`; `None` if none can have been.
    pub fn held_too_long(&self, now: Timestamp, hold: Duration) -> Option<Timestamp> {
        let since = self.held_since?;
        (since.plus(hold) <= now).then(|| now.minus(hold))
    }
}

impl DrainRate {
    /// The slowest: one delivery in 1,000 seconds.
    pub const MIN: f64 = 0.001;
    /// The fastest.
    pub const MAX: f64 = 10_000.0;

    /// So many a second, to the thousandth; `None` out of bounds.
    pub fn per_second(rate: f64) -> Option<Self> {
        // The bounds hold, so the rounded number fits. NaN is within none.
        (Self::MIN..=Self::MAX).contains(&rate).then(|| Self((rate * 1_000.0).round() as u32))
    }

    /// Reads what [`DrainRate::thousandths`] returned; `None` if it is no rate.
    pub fn from_thousandths(thousandths: i64) -> Option<Self> {
        u32::try_from(thousandths).ok().filter(|rate| *rate > 0).map(Self)
    }

    /// How many in 1,000 seconds.
    pub fn thousandths(self) -> i64 {
        i64::from(self.0)
    }

    /// How many in a second.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_secs(100);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_micros(secs * 1_000_000)
    }

    fn rate(per_second: f64) -> DrainRate {
        DrainRate::per_second(per_second).unwrap()
    }

    #[test]
    fn hold_counts_from_the_pause_or_from_the_due_time_if_that_is_later() {
        let held = Backlog { held_since: Some(at(1_000)), ..Backlog::default() };
        assert_eq!(held.end_of_hold(at(10), HOLD), at(1_100));
        assert_eq!(held.end_of_hold(at(1_050), HOLD), at(1_150));
        assert_eq!(held.held_too_long(at(1_099), HOLD), None);
        assert_eq!(held.held_too_long(at(1_100), HOLD), Some(at(1_000)));
        assert_eq!(held.held_too_long(at(1_150), HOLD), Some(at(1_050)));
        assert_eq!(Backlog::default().held_too_long(at(9_999), HOLD), None);
    }

    #[test]
    fn what_changed_or_was_published_since_the_activation_is_not_skipped() {
        let activation = Activation { at: at(5), last_event: EventKey(7) };
        let standing = Standing { status: EndpointStatus::Enabled, skipped: Some(activation) };
        assert!(standing.skips(EventKey(7), at(4)) && standing.skips(EventKey(1), at(0)));
        assert!(!standing.skips(EventKey(7), at(5)) && !standing.skips(EventKey(7), at(6)));
        assert!(!standing.skips(EventKey(8), at(4)), "even by a clock that was set back");
        assert!(!Standing::DELETED.skips(EventKey(1), at(0)));
    }

    #[test]
    fn rates_out_of_bounds_are_none() {
        for wrong in [0.0, -1.0, 0.000_9, 10_000.001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(DrainRate::per_second(wrong), None, "{wrong}");
        }
        for right in [0.001, 0.5, 12.345, 10_000.0] {
            let rate = rate(right);
            assert!((rate.as_f64() - right).abs() < 1e-9);
            assert_eq!(DrainRate::from_thousandths(rate.thousandths()), Some(rate));
        }
        assert_eq!(DrainRate::from_thousandths(0), None);
    }
}
