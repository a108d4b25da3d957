//! Delivery policies between the protocol and the model: defaults filled in, ranges checked, kept to what is stored.

use std::time::Duration;

use super::{
    convert::{duration, read_duration_in, whole_millis},
    violation::Violations,
};
use crate::{
    model::{DeliveryPolicy, EndpointSettings, RetrySchedule},
    proto::{self, retry_schedule::Schedule},
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const DELAY_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
const DELAYS_MAX: usize = 999;
const ATTEMPTS_MAX: i32 = 1_000;
const DEAD_MAX: i32 = 1_000;
const MULTIPLIER_DEFAULT: f64 = 2.0;
const MAX_IN_FLIGHT_MAX: i32 = 1_000;
const HOLD_MAX: Duration = Duration::from_secs(90 * 24 * 3600);
const TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30);

/// Reads a policy at `field`; what is absent takes its default, or is as the style has it. What is wrong is noted, and the value then meaningless.
pub(super) fn read_policy(
    policy: Option<&proto::DeliveryPolicy>,
    field: &str,
    violations: &mut Violations,
) -> DeliveryPolicy {
    let Some(policy) = policy else { return DeliveryPolicy::default() };
    DeliveryPolicy {
        retry: read_retry(policy.retry.as_ref(), &format!("{field}.retry"), violations),
        timeout: read_timeout(policy.timeout.as_ref(), &format!("{field}.timeout"), violations),
        max_in_flight: read_max_in_flight(policy.max_in_flight, &format!("{field}.max_in_flight"), violations),
        hold_duration: read_hold(policy.hold_duration.as_ref(), &format!("{field}.hold_duration"), violations),
        disable_after_dead: read_dead(policy.disable_after_dead, &format!("{field}.disable_after_dead"), violations),
    }
}

/// Reads `policy.disable_after_dead`.
pub(super) fn read_dead(number: Option<i32>, field: &str, violations: &mut Violations) -> Option<u32> {
    let number = number?;
    if !(0..=DEAD_MAX).contains(&number) {
        violations.add(field, "must be from 0 to 1,000; 0 stands for never");
    }
    u32::try_from(number).ok()
}

/// Reads `policy.timeout`.
pub(super) fn read_timeout(
    timeout: Option<&prost_types::Duration>,
    field: &str,
    violations: &mut Violations,
) -> Option<Duration> {
    let read = timeout.map(|timeout| read_duration_in(timeout, TIMEOUT, "from 1 s to 30 s"));
    read.and_then(|read| violations.take(field, read)).map(whole_millis)
}

/// Reads `policy.hold_duration`.
pub(super) fn read_hold(hold: Option<&prost_types::Duration>, field: &str, violations: &mut Violations) -> Duration {
    let default = DeliveryPolicy::default().hold_duration;
    let read = hold.map(|hold| read_duration_in(hold, Duration::from_secs(1)..=HOLD_MAX, "from 1 s to 90 days"));
    let hold = read.and_then(|read| violations.take(field, read)).unwrap_or(default);
    Duration::from_secs(hold.as_secs())
}

/// Reads `policy.max_in_flight`.
pub(super) fn read_max_in_flight(number: i32, field: &str, violations: &mut Violations) -> u32 {
    if !(0..=MAX_IN_FLIGHT_MAX).contains(&number) {
        violations.add(field, "must be from 1 to 1,000; 0 stands for 8");
    }
    let default = DeliveryPolicy::default().max_in_flight;
    u32::try_from(number).ok().filter(|number| *number != 0).unwrap_or(default)
}

/// Reads `policy.retry`.
pub(super) fn read_retry(
    retry: Option<&proto::RetrySchedule>,
    field: &str,
    violations: &mut Violations,
) -> Option<RetrySchedule> {
    match &retry?.schedule {
        None => {
            violations.add(field, "must have one of `preset`, `delays` and `exponential`");
            None
        }
        Some(Schedule::Preset(number)) => match proto::RetryPreset::try_from(*number) {
            Ok(proto::RetryPreset::Standard) => Some(RetrySchedule::Standard),
            Ok(proto::RetryPreset::Partylayer) => Some(RetrySchedule::Partylayer),
            Ok(proto::RetryPreset::Unspecified) | Err(_) => {
                let problem = "must be a schedule of RetryPreset: RETRY_PRESET_STANDARD or RETRY_PRESET_PARTYLAYER";
                violations.add(format!("{field}.preset"), problem);
                None
            }
        },
        Some(Schedule::Delays(delays)) => Some(read_delays(&delays.delays, field, violations)),
        Some(Schedule::Exponential(backoff)) => Some(read_backoff(backoff, field, violations)),
    }
}

fn read_delays(delays: &[prost_types::Duration], field: &str, violations: &mut Violations) -> RetrySchedule {
    if delays.len() > DELAYS_MAX {
        let problem = format!("must have at most {DELAYS_MAX} entries; it has {}", delays.len());
        violations.add(format!("{field}.delays.delays"), problem);
    }
    let mut read = Vec::with_capacity(delays.len().min(DELAYS_MAX));
    for (index, delay) in delays.iter().take(DELAYS_MAX).enumerate() {
        let delay = read_duration_in(delay, Duration::ZERO..=DELAY_MAX, "from 0 to 30 days");
        read.extend(violations.take(&format!("{field}.delays.delays[{index}]"), delay).map(whole_millis));
    }
    RetrySchedule::Delays(read)
}

fn read_backoff(backoff: &proto::ExponentialBackoff, field: &str, violations: &mut Violations) -> RetrySchedule {
    let field = format!("{field}.exponential");
    let initial = backoff.initial_delay.as_ref().ok_or_else(|| "is required: from 1 ms to 30 days".to_owned());
    let initial =
        initial.and_then(|delay| read_duration_in(delay, Duration::from_millis(1)..=DELAY_MAX, "from 1 ms to 30 days"));
    let initial = violations.take(&format!("{field}.initial_delay"), initial).map_or(Duration::ZERO, whole_millis);
    let max_delay = match &backoff.max_delay {
        None => DAY.max(initial),
        Some(delay) => {
            let read = read_duration_in(delay, initial..=DELAY_MAX, "at least `initial_delay` and at most 30 days");
            violations.take(&format!("{field}.max_delay"), read).map_or(DAY, whole_millis)
        }
    };
    let multiplier = if backoff.multiplier == 0.0 { MULTIPLIER_DEFAULT } else { backoff.multiplier };
    if !(1.0..=100.0).contains(&multiplier) {
        violations.add(format!("{field}.multiplier"), "must be from 1 to 100; 0 stands for 2");
    }
    if !(1..=ATTEMPTS_MAX).contains(&backoff.max_attempts) {
        violations.add(format!("{field}.max_attempts"), "must be from 1 to 1,000");
    }
    let max_attempts = u32::try_from(backoff.max_attempts).unwrap_or(1);
    RetrySchedule::Exponential { initial, multiplier, max_delay, max_attempts }
}

/// An endpoint's policy as the protocol has it: with every field filled in, what its style has included.
pub(super) fn write_policy(settings: &EndpointSettings) -> proto::DeliveryPolicy {
    let schedule = match settings.retry() {
        RetrySchedule::Standard => Schedule::Preset(proto::RetryPreset::Standard as i32),
        RetrySchedule::Partylayer => Schedule::Preset(proto::RetryPreset::Partylayer as i32),
        RetrySchedule::Delays(delays) => {
            Schedule::Delays(proto::RetryDelays { delays: delays.iter().copied().map(duration).collect() })
        }
        RetrySchedule::Exponential { initial, multiplier, max_delay, max_attempts } => {
            Schedule::Exponential(proto::ExponentialBackoff {
                initial_delay: Some(duration(*initial)),
                multiplier: *multiplier,
                max_delay: Some(duration(*max_delay)),
                max_attempts: i32::try_from(*max_attempts).unwrap_or(i32::MAX),
            })
        }
    };
    proto::DeliveryPolicy {
        retry: Some(proto::RetrySchedule { schedule: Some(schedule) }),
        timeout: Some(duration(settings.timeout())),
        max_in_flight: i32::try_from(settings.policy.max_in_flight).unwrap_or(i32::MAX),
        hold_duration: Some(duration(settings.policy.hold_duration)),
        disable_after_dead: Some(i32::try_from(settings.disable_after_dead()).unwrap_or(i32::MAX)),
    }
}

#[cfg(test)]
mod tests;
