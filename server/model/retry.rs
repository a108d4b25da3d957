//! When a failed attempt is repeated, and when a delivery is given up. Pure: time and chance are passed in.

use std::time::Duration;

use super::{Outcome, Timestamp};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// The preset `standard`: what passes between its ten requests.
const STANDARD_DELAYS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * MINUTE),
    Duration::from_secs(30 * MINUTE),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(5 * HOUR),
    Duration::from_secs(10 * HOUR),
    Duration::from_secs(14 * HOUR),
    Duration::from_secs(20 * HOUR),
    Duration::from_secs(24 * HOUR),
];

/// The preset `partylayer`: what passes between its six requests.
const PARTYLAYER_DELAYS: [Duration; 5] = [
    Duration::from_secs(MINUTE),
    Duration::from_secs(5 * MINUTE),
    Duration::from_secs(30 * MINUTE),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(24 * HOUR),
];

/// The longest that `Retry-After` can put an attempt off.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * HOUR);

/// The most that jitter adds, as a part of the delay.
const JITTER_MAX: f64 = 0.2;

/// When failed attempts are repeated.
#[derive(Clone, Debug, PartialEq)]
pub enum RetrySchedule {
    /// The preset `standard`.
    Standard,
    /// The preset `partylayer`.
    Partylayer,
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
        match self {
            Self::Standard => requests(&STANDARD_DELAYS),
            Self::Partylayer => requests(&PARTYLAYER_DELAYS),
            Self::Delays(delays) => requests(delays),
            Self::Exponential { max_attempts, .. } => *max_attempts,
        }
    }

    /// The delay after the `attempts_made`-th request (from 1), before jitter; `None` when the schedule has run out.
    /// After none (0) the first follows at once.
    pub fn delay_after(&self, attempts_made: u32) -> Option<Duration> {
        if attempts_made >= self.max_attempts() {
            return None;
        }
        let Some(step) = attempts_made.checked_sub(1) else { return Some(Duration::ZERO) };
        match self {
            Self::Standard => nth(&STANDARD_DELAYS, step),
            Self::Partylayer => nth(&PARTYLAYER_DELAYS, step),
            Self::Delays(delays) => nth(delays, step),
            Self::Exponential { initial, multiplier, max_delay, .. } => {
                let exponent = i32::try_from(step).unwrap_or(i32::MAX);
                let secs = initial.as_secs_f64() * multiplier.powi(exponent);
                // What no duration can hold is in any case longer than the longest delay.
                Some(Duration::try_from_secs_f64(secs).unwrap_or(Duration::MAX).min(*max_delay))
            }
        }
    }
}

fn requests(delays: &[Duration]) -> u32 {
    u32::try_from(delays.len()).unwrap_or(u32::MAX).saturating_add(1)
}

fn nth(delays: &[Duration], step: u32) -> Option<Duration> {
    delays.get(usize::try_from(step).ok()?).copied()
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
    /// It would be tried again, but not before its event expires: it is given up for that.
    Expired,
    /// It is given up, and the endpoint wants nothing more (410 Gone).
    DeadAndGone,
}

impl Decision {
    /// What follows for an event that expires: no attempt begins then or later.
    #[must_use]
    pub fn before(self, expires: Option<Timestamp>) -> Self {
        match (self, expires) {
            (Self::RetryAt(at), Some(expires)) if at >= expires => Self::Expired,
            _ => self,
        }
    }
}

/// Decides what follows. `attempts_made` counts this attempt and those before it since the schedule began; `jitter` is
/// uniform in `0.0..=1.0` and adds up to 20 % to the delay. `Retry-After` is honoured on 429 and 503: the later of it
/// and the schedule, at most 24 h, jitter included, so that what one answer put off does not return all at once.
pub fn decide(
    schedule: &RetrySchedule,
    outcome: &Outcome,
    attempts_made: u32,
    now: Timestamp,
    jitter: f64,
) -> Decision {
    if outcome.failure.is_none() {
        return Decision::Delivered;
    }
    if outcome.http_status == Some(410) {
        return Decision::DeadAndGone;
    }
    let Some(scheduled) = schedule.delay_after(attempts_made) else { return Decision::Dead };
    let scheduled = with_jitter(scheduled, jitter);
    let delay = match (outcome.http_status, outcome.retry_after) {
        (Some(429 | 503), Some(asked)) => scheduled.max(with_jitter(asked, jitter).min(RETRY_AFTER_MAX)),
        _ => scheduled,
    };
    Decision::RetryAt(now.plus(delay))
}

fn with_jitter(delay: Duration, jitter: f64) -> Duration {
    let jitter = if jitter.is_nan() { 0.0 } else { jitter.clamp(0.0, 1.0) };
    let more = Duration::try_from_secs_f64(delay.as_secs_f64() * JITTER_MAX * jitter).unwrap_or(Duration::MAX);
    delay.saturating_add(more)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{super::FailureKind, *};

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const DAY: Duration = Duration::from_secs(24 * HOUR);

    fn outcome(status: Option<u16>, retry_after: Option<u64>) -> Outcome {
        let failure = match status {
            Some(200..=299) => None,
            Some(_) => Some(FailureKind::HttpStatus),
            None => Some(FailureKind::Connect),
        };
        Outcome {
            failure,
            detail: String::new(),
            http_status: status,
            retry_after: retry_after.map(Duration::from_secs),
            latency: Duration::ZERO,
            response: Bytes::new(),
            response_truncated: false,
            body_note: None,
        }
    }

    fn delay(status: Option<u16>, retry_after: Option<u64>, jitter: f64) -> Duration {
        match decide(&RetrySchedule::Standard, &outcome(status, retry_after), 2, NOW, jitter) {
            Decision::RetryAt(at) => at.since(NOW),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn retry_is_given_up_unless_it_is_due_before_the_event_expires() {
        let at = |micros| Timestamp::from_micros(micros);
        assert_eq!(Decision::RetryAt(at(9)).before(Some(at(10))), Decision::RetryAt(at(9)));
        for due in [10, 11] {
            assert_eq!(Decision::RetryAt(at(due)).before(Some(at(10))), Decision::Expired);
        }
        assert_eq!(Decision::RetryAt(at(i64::MAX)).before(None), Decision::RetryAt(at(i64::MAX)));
        for other in [Decision::Delivered, Decision::Dead, Decision::DeadAndGone] {
            assert_eq!(other.before(Some(at(i64::MIN))), other);
        }
    }

    #[test]
    fn standard_makes_ten_requests() {
        let schedule = RetrySchedule::Standard;
        assert_eq!(schedule.max_attempts(), 10);
        let secs: Vec<u64> = (1..10).map(|made| schedule.delay_after(made).unwrap().as_secs()).collect();
        assert_eq!(secs, [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]);
        assert_eq!(schedule.delay_after(10), None);
        assert_eq!(schedule.delay_after(u32::MAX), None);
    }

    #[test]
    fn partylayer_makes_six_requests() {
        let schedule = RetrySchedule::Partylayer;
        assert_eq!(schedule.max_attempts(), 6);
        let secs: Vec<u64> = (1..6).map(|made| schedule.delay_after(made).unwrap().as_secs()).collect();
        assert_eq!(secs, [60, 300, 1800, 7200, 86_400]);
        assert_eq!(schedule.delay_after(6), None);
    }

    #[test]
    fn list_allows_one_request_more_than_it_has_delays() {
        let schedule = RetrySchedule::Delays(vec![Duration::from_millis(7)]);
        assert_eq!(schedule.max_attempts(), 2);
        assert_eq!(schedule.delay_after(0), Some(Duration::ZERO));
        assert_eq!(schedule.delay_after(1), Some(Duration::from_millis(7)));
        assert_eq!(schedule.delay_after(2), None);
        assert_eq!(RetrySchedule::Delays(vec![]).delay_after(1), None);
    }

    #[test]
    fn exponential_grows_up_to_its_longest_delay() {
        let schedule = RetrySchedule::Exponential {
            initial: Duration::from_secs(2),
            multiplier: 3.0,
            max_delay: Duration::from_secs(20),
            max_attempts: 1000,
        };
        let secs: Vec<u64> = (1..6).map(|made| schedule.delay_after(made).unwrap().as_secs()).collect();
        assert_eq!(secs, [2, 6, 18, 20, 20]);
        assert_eq!(schedule.delay_after(999), Some(Duration::from_secs(20)));
        assert_eq!(schedule.delay_after(1000), None);
    }

    #[test]
    fn success_is_delivered_and_410_ends_at_once() {
        let schedule = RetrySchedule::Standard;
        assert_eq!(decide(&schedule, &outcome(Some(204), None), 10, NOW, 0.5), Decision::Delivered);
        assert_eq!(decide(&schedule, &outcome(Some(410), Some(5)), 1, NOW, 0.5), Decision::DeadAndGone);
    }

    #[test]
    fn last_attempt_ends_the_delivery_whatever_retry_after_says() {
        let schedule = RetrySchedule::Standard;
        assert_eq!(decide(&schedule, &outcome(Some(503), Some(5)), 10, NOW, 0.0), Decision::Dead);
        assert_eq!(decide(&schedule, &outcome(None, None), 10, NOW, 0.0), Decision::Dead);
        assert_ne!(decide(&schedule, &outcome(None, None), 9, NOW, 0.0), Decision::Dead);
    }

    #[test]
    fn retry_after_counts_on_429_and_503_only_and_never_shortens() {
        for status in [429, 503] {
            assert_eq!(delay(Some(status), Some(1000), 0.0), Duration::from_secs(1000));
            assert_eq!(delay(Some(status), Some(10), 0.0), Duration::from_secs(300));
            assert_eq!(delay(Some(status), Some(1_000_000), 1.0), DAY);
            assert_eq!(delay(Some(status), Some(u64::MAX), 1.0), DAY);
        }
        for status in [None, Some(302), Some(400), Some(500)] {
            assert_eq!(delay(status, Some(1000), 0.0), Duration::from_secs(300));
        }
    }

    #[test]
    fn jitter_adds_up_to_a_fifth() {
        assert_eq!(delay(None, None, 1.0), Duration::from_secs(360));
        assert_eq!(delay(None, None, 0.5), Duration::from_secs(330));
        assert_eq!(delay(Some(429), Some(1000), 1.0), Duration::from_secs(1200));
        assert_eq!(delay(None, None, f64::NAN), Duration::from_secs(300));
    }

    proptest! {
        #[test]
        fn a_retry_is_never_early_and_at_most_a_fifth_late(
            millis in 0_u64..1_000_000_000,
            asked in prop::option::of(0_u64..200_000),
            status in prop::sample::select(vec![None, Some(429), Some(500), Some(503)]),
            jitter in 0.0..=1.0_f64,
        ) {
            let scheduled = Duration::from_millis(millis);
            let decision =
                decide(&RetrySchedule::Delays(vec![scheduled]), &outcome(status, asked), 1, NOW, jitter);
            let Decision::RetryAt(at) = decision else { panic!("{decision:?}") };
            let honoured = matches!(status, Some(429 | 503));
            let asked = Duration::from_secs(asked.filter(|_| honoured).unwrap_or(0)).min(DAY);
            prop_assert!(at.since(NOW) >= scheduled.max(asked));
            let rounding = Duration::from_micros(1);
            prop_assert!(at.since(NOW) <= scheduled.max(asked).mul_f64(1.2) + rounding);
        }

        #[test]
        fn odd_schedules_never_panic(
            initial in any::<u64>(), multiplier in any::<f64>(), longest in any::<u64>(), made in any::<u32>(),
            jitter in any::<f64>(),
        ) {
            let max_delay = Duration::from_secs(longest);
            let schedule = RetrySchedule::Exponential {
                initial: Duration::from_secs(initial), multiplier, max_delay, max_attempts: u32::MAX,
            };
            prop_assert!(schedule.delay_after(made).is_none_or(|delay| delay <= max_delay));
            decide(&schedule, &outcome(Some(503), Some(initial)), made, NOW, jitter);
        }
    }
}
