//! Times and durations between the protocol's well-known types and ours.
//!
//! prost hands messages over as they arrived: seconds and nanoseconds may be anything, so everything is checked here
//! against what `google/protobuf/timestamp.proto` and `duration.proto` allow.

use std::time::Duration;

use crate::model::{FailureKind, ShownState, Timestamp};
use crate::proto;

const NANOS_PER_SEC: i32 = 1_000_000_000;
/// 0001-01-01T00:00:00Z, the earliest a protobuf timestamp may be.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z, the latest.
const LAST_SECOND: i64 = 253_402_300_799;
/// About 10,000 years: the most a protobuf duration may be.
const DURATION_SECS_MAX: i64 = 315_576_000_000;

/// A time as the protocol has it.
pub(super) fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).expect("less than 10^9");
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

/// A duration as the protocol has it.
pub(super) fn duration(duration: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let nanos = i32::try_from(duration.subsec_nanos()).expect("less than 10^9");
    prost_types::Duration { seconds, nanos }
}

/// Reads a time, down to the microsecond.
pub(super) fn read_timestamp(time: &prost_types::Timestamp) -> Result<Timestamp, &'static str> {
    if !(0..NANOS_PER_SEC).contains(&time.nanos) {
        return Err("must have nanos from 0 to 999,999,999");
    }
    if !(FIRST_SECOND..=LAST_SECOND).contains(&time.seconds) {
        return Err("must lie in the years 1 to 9999");
    }
    Ok(Timestamp::from_micros(time.seconds * 1_000_000 + i64::from(time.nanos / 1_000)))
}

/// Reads a duration that is not negative.
pub(super) fn read_duration(duration: &prost_types::Duration) -> Result<Duration, &'static str> {
    let prost_types::Duration { seconds, nanos } = *duration;
    if (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0) {
        return Err("must have seconds and nanos of the same sign");
    }
    if nanos <= -NANOS_PER_SEC || nanos >= NANOS_PER_SEC {
        return Err("must have less than 1,000,000,000 nanos");
    }
    let (Ok(secs), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else {
        return Err("must not be negative");
    };
    if seconds > DURATION_SECS_MAX {
        return Err("must be at most 315,576,000,000 seconds");
    }
    Ok(Duration::new(secs, nanos))
}

/// Reads a duration that lies in a range, bounds included; `bounds` says the range in words.
pub(super) fn read_duration_in(
    duration: &prost_types::Duration,
    range: std::ops::RangeInclusive<Duration>,
    bounds: &str,
) -> Result<Duration, String> {
    match read_duration(duration) {
        Ok(duration) if range.contains(&duration) => Ok(duration),
        Ok(_) => Err(format!("must be {bounds}")),
        Err(problem) => Err(format!("{problem}, and be {bounds}")),
    }
}

/// `duration`, cut down to whole milliseconds, as it is stored.
pub(super) fn whole_millis(duration: Duration) -> Duration {
    Duration::new(duration.as_secs(), duration.subsec_millis() * 1_000_000)
}

impl From<ShownState> for proto::DeliveryState {
    fn from(state: ShownState) -> Self {
        match state {
            ShownState::Pending => Self::Pending,
            ShownState::InFlight => Self::InFlight,
            ShownState::Delivered => Self::Delivered,
            ShownState::Dead => Self::Dead,
            ShownState::Cancelled => Self::Cancelled,
            ShownState::Held => Self::Held,
        }
    }
}

/// Reads a delivery state that is not UNSPECIFIED.
pub(super) fn read_state(number: i32) -> Result<ShownState, &'static str> {
    match proto::DeliveryState::try_from(number) {
        Ok(proto::DeliveryState::Pending) => Ok(ShownState::Pending),
        Ok(proto::DeliveryState::InFlight) => Ok(ShownState::InFlight),
        Ok(proto::DeliveryState::Delivered) => Ok(ShownState::Delivered),
        Ok(proto::DeliveryState::Dead) => Ok(ShownState::Dead),
        Ok(proto::DeliveryState::Cancelled) => Ok(ShownState::Cancelled),
        Ok(proto::DeliveryState::Held) => Ok(ShownState::Held),
        Ok(proto::DeliveryState::Unspecified) | Err(_) => {
            Err("must be a state of DeliveryState other than DELIVERY_STATE_UNSPECIFIED")
        }
    }
}

/// Reads a kind of failure that is not UNSPECIFIED. The protocol's numbers are ours.
pub(super) fn read_failure(number: i32) -> Result<FailureKind, &'static str> {
    FailureKind::from_i64(i64::from(number)).ok_or("must be a kind of FailureKind other than FAILURE_KIND_UNSPECIFIED")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64, nanos: i32) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos }
    }

    fn span(seconds: i64, nanos: i32) -> prost_types::Duration {
        prost_types::Duration { seconds, nanos }
    }

    #[test]
    fn timestamps_keep_their_microseconds_before_and_after_the_epoch() {
        for micros in [0, 1, -1, 1_700_000_000_123_456, -62_135_596_800_000_000, 253_402_300_799_999_999] {
            let there = timestamp(Timestamp::from_micros(micros));
            assert_eq!(read_timestamp(&there), Ok(Timestamp::from_micros(micros)), "{micros}");
        }
    }

    #[test]
    fn timestamps_out_of_range_are_refused() {
        let refused = [(0, -1), (0, 1_000_000_000), (0, i32::MIN), (253_402_300_800, 0), (-62_135_596_801, 0)];
        for (seconds, nanos) in refused.into_iter().chain([(i64::MAX, 0), (i64::MIN, i32::MAX)]) {
            assert!(read_timestamp(&time(seconds, nanos)).is_err(), "{seconds} {nanos}");
        }
    }

    #[test]
    fn durations_come_back_as_they_were() {
        for (secs, nanos) in [(0, 0), (0, 1), (15, 500_000_000), (315_576_000_000, 999_999_999)] {
            let there = duration(Duration::new(secs, nanos));
            assert_eq!(read_duration(&there), Ok(Duration::new(secs, nanos)));
        }
    }

    #[test]
    fn durations_out_of_range_are_refused() {
        let refused = [(1, -1), (-1, 1), (-1, 0), (0, -1), (0, 1_000_000_000), (0, i32::MIN), (i64::MIN, i32::MIN)];
        for (seconds, nanos) in refused.into_iter().chain([(315_576_000_001, 0), (i64::MAX, 0)]) {
            assert!(read_duration(&span(seconds, nanos)).is_err(), "{seconds} {nanos}");
        }
    }

    #[test]
    fn unknown_and_unspecified_failures_are_refused() {
        for number in -1..=100 {
            let known = number > 0 && proto::FailureKind::try_from(number).is_ok();
            assert_eq!(read_failure(number).map(|failure| failure as i32).ok(), known.then_some(number));
        }
        assert!(read_failure(proto::FailureKind::Timeout as i32).is_ok());
    }

    #[test]
    fn unknown_and_unspecified_states_are_refused() {
        for number in [-1, 0, 7, 999] {
            assert!(read_state(number).is_err(), "{number}");
        }
        for number in 1..=6 {
            let state = read_state(number).unwrap();
            assert_eq!(proto::DeliveryState::from(state) as i32, number);
        }
    }
}
