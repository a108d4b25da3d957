//! Whether a failing endpoint is disabled, and the warning before.
//!
//! Both come with the outcome of an attempt: an endpoint to which nothing is sent fails no further. A warning is given once in
//! a spell of failing, and kept with the endpoint's health, so that the next life of the server does not give it again.

use super::write::Turn;
use crate::{
    model::{Decision, DisableReason, FAILING_MAX, FAILING_WARNED, Timestamp, TransitionKind},
    publish::EndpointEntry,
    store::{Health, Warning},
};

impl Turn<'_> {
    /// The endpoint's health with a warning, if it is time for one: not beside the disabling itself.
    pub(super) fn warned(
        &mut self,
        entry: &EndpointEntry,
        health: Health,
        decision: &Decision,
        ended: Timestamp,
    ) -> Health {
        let limit = entry.endpoint.settings.disable_after_dead();
        let disabled = *decision == Decision::DeadAndGone || verdict(&health, limit, ended).is_some();
        let Some(reason) = foreboding(&health, limit, ended).filter(|_| !disabled && health.warning.is_none()) else {
            return health;
        };
        self.log.endpoint(entry.endpoint.tenant, entry.endpoint.key, TransitionKind::EndpointWarned, Some(reason));
        tracing::info!(endpoint = entry.endpoint.key.0, ?reason, "an endpoint that fails will be disabled");
        Health { warning: Some(Warning { reason, at: self.now }), ..health }
    }
}

/// Whether an endpoint that fails is to be disabled, and why.
pub(super) fn verdict(health: &Health, disable_after_dead: u32, now: Timestamp) -> Option<DisableReason> {
    if disable_after_dead > 0 && health.dead_in_row >= disable_after_dead {
        return Some(DisableReason::DeadInARow);
    }
    (now.since(health.failing_since) >= FAILING_MAX).then_some(DisableReason::Failing)
}

/// Whether an endpoint that fails will be disabled if that goes on much longer, and why. One that a single dead delivery
/// disables cannot be warned of it.
fn foreboding(health: &Health, disable_after_dead: u32, now: Timestamp) -> Option<DisableReason> {
    if disable_after_dead > 1 && health.dead_in_row >= disable_after_dead.div_ceil(2) {
        return Some(DisableReason::DeadInARow);
    }
    (now.since(health.failing_since) >= FAILING_WARNED).then_some(DisableReason::Failing)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn health(dead_in_row: u32) -> Health {
        Health { generation: 1, failing_since: Timestamp::from_micros(0), dead_in_row, warning: None }
    }

    fn at(duration: Duration) -> Timestamp {
        Timestamp::from_micros(0).plus(duration)
    }

    #[test]
    fn half_of_the_dead_in_a_row_forebode_the_rest() {
        for (limit, first) in [(2, 1), (3, 2), (4, 2), (5, 3), (10, 5)] {
            assert_eq!(foreboding(&health(first - 1), limit, at(Duration::ZERO)), None, "{limit}");
            assert_eq!(
                foreboding(&health(first), limit, at(Duration::ZERO)),
                Some(DisableReason::DeadInARow),
                "{limit}"
            );
            assert_eq!(verdict(&health(limit - 1), limit, at(Duration::ZERO)), None);
            assert_eq!(verdict(&health(limit), limit, at(Duration::ZERO)), Some(DisableReason::DeadInARow));
        }
        for limit in [0, 1] {
            assert_eq!(foreboding(&health(999), limit, at(Duration::ZERO)), None, "{limit}");
        }
    }

    #[test]
    fn four_days_of_failing_forebode_the_fifth() {
        let moment = Duration::from_micros(1);
        assert_eq!(foreboding(&health(0), 0, at(FAILING_WARNED - moment)), None);
        assert_eq!(foreboding(&health(0), 0, at(FAILING_WARNED)), Some(DisableReason::Failing));
        assert_eq!(verdict(&health(0), 0, at(FAILING_MAX - moment)), None);
        assert_eq!(verdict(&health(0), 0, at(FAILING_MAX)), Some(DisableReason::Failing));
    }
}
