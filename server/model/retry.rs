//! When a failed attempt is repeated, and when a delivery is given up. Pure: time and chance are passed in.

use std::time::Duration;

use super::{Outcome, Timestamp};

/// When failed attempts are repeated.
#[derive(Clone, Debug, PartialEq)]
pub enum RetrySchedule {
    /// The preset `standard`.
    Standard,
    /// A list of delays; n of them allow n + 1 requests.
    Delays(Vec<Duration>),
    /// Delays that grow by a factor.
    Exponential {
        /// Before the second request.
        initial: Duration,
        /// From one delay to the next.
        multiplier: f64,
        /// The longest delay.
        max_delay: Duration,
        /// Requests in all.
        max_attempts: u32,
    },
}

impl RetrySchedule {
    /// How many requests the schedule allows in all.
    pub fn max_attempts(&self) -> u32 {
        todo!()
    }

    /// The delay after the `attempts_made`-th request (from 1), before jitter; `None` when the schedule has run out.
    pub fn delay_after(&self, attempts_made: u32) -> Option<Duration> {
        let _ = attempts_made;
        todo!()
    }
}

/// What follows from an attempt's outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision {
    /// The delivery has arrived.
    Delivered,
    /// It is tried again then.
    RetryAt(Timestamp),
    /// It is given up.
    Dead,
    /// It is given up, and the endpoint wants nothing more (410 Gone).
    DeadAndGone,
}

/// Decides what follows. `attempts_made` counts this attempt and those before it since the schedule began; `jitter` is
/// uniform in `0.0..=1.0` and adds up to 20 % to the delay. `Retry-After` is honoured on 429 and 503: the later of it
/// and the schedule, at most 24 h.
pub fn decide(
    schedule: &RetrySchedule,
    outcome: &Outcome,
    attempts_made: u32,
    now: Timestamp,
    jitter: f64,
) -> Decision {
    let _ = (schedule, outcome, attempts_made, now, jitter);
    todo!()
}
