use super::*;
use crate::{
    fixture::settings,
    model::{Style, StyleChoice, StylePreset},
};

fn span(seconds: i64, nanos: i32) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos }
}

fn fields(policy: &proto::DeliveryPolicy) -> Vec<String> {
    let mut violations = Violations::default();
    read_policy(Some(policy), "policy", &mut violations);
    violations.into_shown().into_iter().map(|(field, _)| field).collect()
}

fn with(schedule: Schedule) -> proto::DeliveryPolicy {
    let retry = Some(proto::RetrySchedule { schedule: Some(schedule) });
    proto::DeliveryPolicy { retry, ..proto::DeliveryPolicy::default() }
}

fn backoff() -> proto::ExponentialBackoff {
    proto::ExponentialBackoff {
        initial_delay: Some(span(1, 0)),
        multiplier: 3.0,
        max_delay: Some(span(3_600, 0)),
        max_attempts: 7,
    }
}

#[test]
fn an_absent_or_empty_policy_is_the_default() {
    let mut violations = Violations::default();
    assert_eq!(read_policy(None, "policy", &mut violations), DeliveryPolicy::default());
    let empty = proto::DeliveryPolicy::default();
    assert_eq!(read_policy(Some(&empty), "policy", &mut violations), DeliveryPolicy::default());
    assert_eq!(violations, Violations::default());
}

#[test]
fn policies_come_back_as_they_were() {
    let schedules = [
        Schedule::Preset(proto::RetryPreset::Standard as i32),
        Schedule::Preset(proto::RetryPreset::Partylayer as i32),
        Schedule::Delays(proto::RetryDelays { delays: vec![] }),
        Schedule::Delays(proto::RetryDelays { delays: vec![span(0, 0), span(2_592_000, 0), span(0, 1_000_000)] }),
        Schedule::Exponential(backoff()),
    ];
    for schedule in schedules {
        let mut policy = with(schedule);
        policy.timeout = Some(span(1, 0));
        policy.max_in_flight = 1_000;
        policy.hold_duration = Some(span(7_776_000, 0));
        policy.disable_after_dead = Some(1_000);
        let mut violations = Violations::default();
        let read = read_policy(Some(&policy), "policy", &mut violations);
        assert_eq!(violations, Violations::default());
        assert_eq!(write_policy(&read), policy);
    }
}

#[test]
fn durations_are_kept_as_finely_as_they_are_stored() {
    let policy = proto::DeliveryPolicy {
        timeout: Some(span(1, 1_999_999)),
        hold_duration: Some(span(5, 999_999_999)),
        ..proto::DeliveryPolicy::default()
    };
    let read = read_policy(Some(&policy), "policy", &mut Violations::default());
    assert_eq!(read.timeout, Some(Duration::from_millis(1_001)));
    assert_eq!(read.hold_duration, Duration::from_secs(5));
}

#[test]
fn what_a_policy_leaves_out_is_as_the_style_has_it() {
    let shown = |preset, policy: DeliveryPolicy| {
        let choice = StyleChoice { preset, api_version: Some("2026".to_owned()), ..StyleChoice::default() };
        let choice = match preset {
            StylePreset::PartyLayer => choice,
            _ => StyleChoice { api_version: None, app_id: Some("app".to_owned()), ..choice },
        };
        write_effective_policy(&EndpointSettings {
            policy: policy.into(),
            style: Style::new(choice).unwrap(),
            ..settings()
        })
    };
    let partylayer = shown(StylePreset::PartyLayer, DeliveryPolicy::default());
    assert_eq!(
        partylayer,
        proto::DeliveryPolicy {
            timeout: Some(span(30, 0)),
            disable_after_dead: Some(0),
            max_in_flight: 8,
            hold_duration: Some(span(604_800, 0)),
            ..with(Schedule::Preset(proto::RetryPreset::Partylayer as i32))
        }
    );
    assert_eq!(shown(StylePreset::ErudikaPara, DeliveryPolicy::default()).disable_after_dead, Some(10));
    let never = DeliveryPolicy { disable_after_dead: Some(0), ..DeliveryPolicy::default() };
    assert_eq!(shown(StylePreset::ErudikaPara, never).disable_after_dead, Some(0));
}

#[test]
fn absent_parts_of_a_backoff_take_their_defaults() {
    let mut sparse = proto::ExponentialBackoff { multiplier: 0.0, max_delay: None, ..backoff() };
    let longest = |backoff: &proto::ExponentialBackoff| {
        let policy = with(Schedule::Exponential(*backoff));
        match read_policy(Some(&policy), "policy", &mut Violations::default()).retry {
            Some(RetrySchedule::Exponential { multiplier, max_delay, .. }) => (multiplier, max_delay),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(longest(&sparse), (2.0, DAY));
    sparse.initial_delay = Some(span(2 * 86_400, 0));
    assert_eq!(longest(&sparse), (2.0, DAY * 2));
}

#[test]
fn what_is_out_of_range_is_refused() {
    let policy = proto::DeliveryPolicy::default;
    let exponential = |change: fn(&mut proto::ExponentialBackoff)| {
        let mut changed = backoff();
        change(&mut changed);
        with(Schedule::Exponential(changed))
    };
    let delays = |delays| with(Schedule::Delays(proto::RetryDelays { delays }));
    let cases = [
        (proto::DeliveryPolicy { timeout: Some(span(0, 999_999_999)), ..policy() }, "policy.timeout"),
        (proto::DeliveryPolicy { timeout: Some(span(30, 1)), ..policy() }, "policy.timeout"),
        (proto::DeliveryPolicy { timeout: Some(span(2, -1)), ..policy() }, "policy.timeout"),
        (proto::DeliveryPolicy { max_in_flight: -1, ..policy() }, "policy.max_in_flight"),
        (proto::DeliveryPolicy { max_in_flight: 1_001, ..policy() }, "policy.max_in_flight"),
        (proto::DeliveryPolicy { hold_duration: Some(span(0, 5)), ..policy() }, "policy.hold_duration"),
        (proto::DeliveryPolicy { hold_duration: Some(span(7_776_001, 0)), ..policy() }, "policy.hold_duration"),
        (proto::DeliveryPolicy { disable_after_dead: Some(-1), ..policy() }, "policy.disable_after_dead"),
        (proto::DeliveryPolicy { disable_after_dead: Some(1_001), ..policy() }, "policy.disable_after_dead"),
        (proto::DeliveryPolicy { retry: Some(proto::RetrySchedule::default()), ..policy() }, "policy.retry"),
        (with(Schedule::Preset(0)), "policy.retry.preset"),
        (with(Schedule::Preset(999)), "policy.retry.preset"),
        (with(Schedule::Preset(-1)), "policy.retry.preset"),
        (delays(vec![span(1, 0); 1_000]), "policy.retry.delays.delays"),
        (delays(vec![span(1, 0), span(-1, 0)]), "policy.retry.delays.delays[1]"),
        (delays(vec![span(2_592_001, 0)]), "policy.retry.delays.delays[0]"),
        (exponential(|b| b.initial_delay = None), "policy.retry.exponential.initial_delay"),
        (exponential(|b| b.initial_delay = Some(span(0, 999_999))), "policy.retry.exponential.initial_delay"),
        (exponential(|b| b.initial_delay = Some(span(-5, 0))), "policy.retry.exponential.initial_delay"),
        (exponential(|b| b.multiplier = 0.5), "policy.retry.exponential.multiplier"),
        (exponential(|b| b.multiplier = 100.5), "policy.retry.exponential.multiplier"),
        (exponential(|b| b.multiplier = f64::NAN), "policy.retry.exponential.multiplier"),
        (exponential(|b| b.max_delay = Some(span(0, 1))), "policy.retry.exponential.max_delay"),
        (exponential(|b| b.max_delay = Some(span(2_592_001, 0))), "policy.retry.exponential.max_delay"),
        (exponential(|b| b.max_attempts = 0), "policy.retry.exponential.max_attempts"),
        (exponential(|b| b.max_attempts = 1_001), "policy.retry.exponential.max_attempts"),
    ];
    for (policy, field) in cases {
        assert_eq!(fields(&policy), [field], "{policy:?}");
    }
}
