//! How many deliveries of a drain may begin by when: a token bucket. Pure, and in memory alone: after a restart a drain begins
//! with one delivery, so nothing is made up for the time in which the server was down.

use std::time::Duration;

use crate::model::{DrainRate, Timestamp};

/// How many deliveries of one drain may begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    tokens: f64,
    filled: Timestamp,
}

impl Bucket {
    /// Whoever looks late catches up on so long: turns take some time, and a receiver is not to be flooded.
    const CATCH_UP: Duration = Duration::from_millis(100);
    /// Tokens are worth a look no more often than so.
    const STEP: Duration = Duration::from_millis(20);

    /// One that lets a first delivery through at `now`.
    pub(super) fn new(now: Timestamp) -> Self {
        Self { tokens: 1.0, filled: now }
    }

    /// How many may begin at `now`.
    pub(super) fn available(&mut self, rate: DrainRate, now: Timestamp) -> u32 {
        let rate = rate.as_f64();
        let gained = rate * now.since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + gained).min(1.0 + rate * Self::CATCH_UP.as_secs_f64());
        self.filled = self.filled.max(now);
        // At most a rate of 10,000 for a tenth of a second, and one.
        self.tokens as u32
    }

    /// So many begin.
    pub(super) fn take(&mut self, count: u32) {
        self.tokens -= f64::from(count);
    }

    /// When it is worth while to look again after all that was available has been taken.
    pub(super) fn next(&self, rate: DrainRate) -> Timestamp {
        let rate = rate.as_f64();
        let missing = (1.0 - self.tokens).max(0.0) / rate;
        // A microsecond more, for a time that is rounded down finds the token not quite there.
        self.filled.plus(Duration::from_secs_f64(missing).max(Self::STEP) + Duration::from_micros(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_micros(secs * 1_000_000)
    }

    fn rate(per_second: f64) -> DrainRate {
        DrainRate::per_second(per_second).unwrap()
    }

    #[test]
    fn bucket_lets_no_more_through_than_its_rate() {
        for per_second in [0.5, 3.0, 400.0, 10_000.0] {
            let rate = rate(per_second);
            let (mut bucket, mut now, mut taken) = (Bucket::new(at(0)), at(0), 0);
            while now < at(60) {
                let available = bucket.available(rate, now);
                bucket.take(available);
                taken += available;
                let next = bucket.next(rate);
                assert!(next >= now.plus(Bucket::STEP));
                now = next;
            }
            let allowed = per_second * 60.0;
            assert!(f64::from(taken) <= allowed + 2.0 && f64::from(taken) >= allowed * 0.95, "{per_second}: {taken}");
        }
    }

    #[test]
    fn bucket_that_was_not_looked_at_for_long_does_not_flood() {
        let mut bucket = Bucket::new(at(0));
        assert_eq!(bucket.available(rate(1_000.0), at(3_600)), 101);
        let mut slow = Bucket::new(at(0));
        assert_eq!(slow.available(rate(0.5), at(3_600)), 1);
    }
}
