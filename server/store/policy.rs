//! Delivery policies as they are written: JSON, units in the names. What is absent is as the endpoint's style has it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Error, Result};
use crate::model::{DeliveryPolicy, RetrySchedule};

#[derive(Deserialize, Serialize)]
struct PolicyText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<RetryText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    max_in_flight: u32,
    hold_secs: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disable_after_dead: Option<u32>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum RetryText {
    Standard,
    Partylayer,
    DelaysMs(Vec<u64>),
    Exponential { initial_ms: u64, multiplier: f64, max_delay_ms: u64, max_attempts: u32 },
}

/// The text of a policy.
pub(super) fn policy_text(policy: &DeliveryPolicy) -> Result<String> {
    let text = PolicyText {
        retry: policy.retry.as_ref().map(RetryText::from),
        timeout_ms: policy.timeout.map(millis),
        max_in_flight: policy.max_in_flight,
        hold_secs: policy.hold_duration.as_secs(),
        disable_after_dead: policy.disable_after_dead,
    };
    serde_json::to_string(&text).map_err(|error| Error::Corrupt(error.to_string()))
}

/// Reads the text of a policy; `None` if it is none.
pub(super) fn read_policy(text: &str) -> Option<DeliveryPolicy> {
    let text: PolicyText = serde_json::from_str(text).ok()?;
    Some(DeliveryPolicy {
        retry: text.retry.map(RetrySchedule::from),
        timeout: text.timeout_ms.map(Duration::from_millis),
        max_in_flight: text.max_in_flight,
        hold_duration: Duration::from_secs(text.hold_secs),
        disable_after_dead: text.disable_after_dead,
    })
}

impl From<&RetrySchedule> for RetryText {
    fn from(retry: &RetrySchedule) -> Self {
        match retry {
            RetrySchedule::Standard => Self::Standard,
            RetrySchedule::Partylayer => Self::Partylayer,
            RetrySchedule::Delays(delays) => Self::DelaysMs(delays.iter().copied().map(millis).collect()),
            RetrySchedule::Exponential { initial, multiplier, max_delay, max_attempts } => Self::Exponential {
                initial_ms: millis(*initial),
                multiplier: *multiplier,
                max_delay_ms: millis(*max_delay),
                max_attempts: *max_attempts,
            },
        }
    }
}

impl From<RetryText> for RetrySchedule {
    fn from(text: RetryText) -> Self {
        match text {
            RetryText::Standard => Self::Standard,
            RetryText::Partylayer => Self::Partylayer,
            RetryText::DelaysMs(delays) => Self::Delays(delays.into_iter().map(Duration::from_millis).collect()),
            RetryText::Exponential { initial_ms, multiplier, max_delay_ms, max_attempts } => Self::Exponential {
                initial: Duration::from_millis(initial_ms),
                multiplier,
                max_delay: Duration::from_millis(max_delay_ms),
                max_attempts,
            },
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
