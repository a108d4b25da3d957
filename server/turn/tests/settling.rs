use super::*;
use crate::model::{AttemptResult, DisableReason, EndpointStatus, envelope::BodyNote};

#[tokio::test]
async fn success_lives_in_the_deliverys_row() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 2)).await;
    let done = fixture.publish(events(1)).await;
    fixture.settle(&done.jobs[0], delivered()).await;
    let row = fixture.row(done.jobs[0].key).await;
    assert_eq!((row.state, row.attempt, row.status), (DeliveryState::Delivered, 1, 200));
    assert_eq!((row.latency, row.response.as_slice()), (Duration::from_millis(3), b"ok".as_slice()));
    assert!(fixture.attempts(row.key).await.is_empty());
    assert_eq!(fixture.number("SELECT count(*) FROM handoff").await, 0);
    assert_eq!(fixture.engine.in_flight.held().len(), 0);
    assert_eq!(fixture.kinds().await[1..], [TransitionKind::Queued, TransitionKind::Delivered]);
}

#[tokio::test]
async fn large_answer_gets_a_row_of_its_own() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 2)).await;
    let done = fixture.publish(events(1)).await;
    let (outcome, decision) = delivered().unwrap();
    let response = Bytes::from(vec![b'x'; 5_000]);
    fixture.settle(&done.jobs[0], Some((Outcome { response, ..outcome }, decision))).await;
    let attempts = fixture.attempts(done.jobs[0].key).await;
    assert_eq!((attempts.len(), attempts[0].result, attempts[0].response.len()), (1, AttemptResult::Succeeded, 5_000));
}

#[tokio::test]
async fn failure_is_recorded_and_due_again() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 2)).await;
    let done = fixture.publish(events(1)).await;
    let at = fixture.now().plus(Duration::from_secs(10));
    let settled = fixture.settle(&done.jobs[0], failed(Decision::RetryAt(at))).await;
    assert_eq!(settled.earliest, Some(at));
    let row = fixture.row(done.jobs[0].key).await;
    assert_eq!((row.state, row.ready_at, row.status), (DeliveryState::Pending, Some(at), 500));
    let attempts = fixture.attempts(row.key).await;
    assert_eq!((attempts.len(), attempts[0].number, attempts[0].result), (1, 1, AttemptResult::Failed));
    assert_eq!(fixture.number("SELECT next_at FROM lane").await, at.as_micros());
    assert_eq!(fixture.log().await.last().unwrap().next_attempt_micros, Some(at.as_micros()));
}

#[tokio::test]
async fn stale_outcome_changes_nothing_and_leaves_no_trace() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 2)).await;
    let done = fixture.publish(events(1)).await;
    let job = &done.jobs[0];
    fixture.settle(job, delivered()).await;
    let (row, log) = (fixture.row(job.key).await, fixture.log().await);
    fixture.settle(job, failed(Decision::Dead)).await;
    fixture.settle(&Job { attempt: 2, ..job.clone() }, failed(Decision::Dead)).await;
    assert_eq!(fixture.row(job.key).await, row);
    assert_eq!(fixture.log().await, log);
    assert!(fixture.attempts(job.key).await.is_empty());
}

#[tokio::test]
async fn gone_endpoint_is_disabled_and_its_others_are_held() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(policy(3, 2)).await;
    let done = fixture.publish(events(2)).await;
    fixture.settle(&done.jobs[0], failed(Decision::DeadAndGone)).await;
    let status = fixture.shared.routes.status(endpoint);
    assert!(matches!(status, EndpointStatus::Disabled { reason: DisableReason::Gone, .. }), "{status:?}");
    assert_eq!(fixture.publish(events(1)).await.answers[0].as_ref().unwrap().fanout, 0, "nothing new is routed to it");

    let later = fixture.now().plus(Duration::from_secs(10));
    fixture.settle(&done.jobs[1], failed(Decision::RetryAt(later))).await;
    assert_eq!(fixture.kinds().await.last(), Some(&TransitionKind::Held));
    assert_eq!(fixture.row(done.jobs[1].key).await.state.shown(status), crate::model::ShownState::Held);

    // The next life of the server knows it too.
    let fixture = fixture.crashed().await;
    assert_eq!(fixture.shared.routes.status(endpoint), status);
}

#[tokio::test]
async fn endpoint_that_fails_for_five_days_is_disabled_and_one_success_starts_the_time_anew() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(policy(30, 100)).await;
    let day = Duration::from_secs(24 * 3600);
    let jobs = fixture.publish(events(10)).await.jobs;
    let at = fixture.now();
    fixture.settle(&jobs[0], failed(Decision::RetryAt(at))).await;
    fixture.shared.clock.advance(day * 4);
    fixture.settle(&jobs[1], delivered()).await;
    assert_eq!(fixture.number("SELECT count(*) FROM endpoint_health").await, 0);
    let end = fixture.now().plus(day * 5);
    fixture.settle(&jobs[2], failed(Decision::RetryAt(at))).await;
    fixture.reach(end.minus(Duration::from_micros(1)));
    fixture.settle(&jobs[3], failed(Decision::RetryAt(at))).await;
    assert_eq!(fixture.shared.routes.status(endpoint), EndpointStatus::Enabled);
    fixture.reach(end);
    fixture.settle(&jobs[4], failed(Decision::RetryAt(at))).await;
    let disabled = EndpointStatus::Disabled { reason: DisableReason::Failing, since: fixture.now() };
    assert_eq!(fixture.shared.routes.status(endpoint), disabled);

    // Activation forgets it, and an attempt begun before cannot disable the endpoint again.
    Configurator::new(fixture.shared.clone()).activate_endpoint(TENANT, endpoint, None, None).await.unwrap();
    let old = Finished { job: jobs[5].clone(), ended: at, generation: 1, result: failed(Decision::DeadAndGone) };
    fixture.turn(Batch { finished: vec![Arc::new(old)], ..Batch::default() }).await.unwrap();
    assert_eq!(fixture.row(jobs[5].key).await.state, DeliveryState::Dead);
    assert_eq!(fixture.shared.routes.status(endpoint), EndpointStatus::Enabled);
}

#[tokio::test]
async fn endpoint_is_disabled_after_so_many_dead_deliveries_in_a_row() {
    let fixture = Fixture::new().await;
    let limit = DeliveryPolicy { disable_after_dead: Some(3), ..policy(30, 100) };
    let endpoint = fixture.endpoint(limit).await;
    let at = fixture.now();
    let jobs = fixture.publish(events(12)).await.jobs;
    // Two in a row, a retry between them, and a success that begins anew.
    fixture.settle(&jobs[0], failed(Decision::Dead)).await;
    fixture.settle(&jobs[1], failed(Decision::RetryAt(at))).await;
    fixture.settle(&jobs[2], failed(Decision::Dead)).await;
    fixture.settle(&jobs[3], delivered()).await;
    fixture.settle(&jobs[4], failed(Decision::Dead)).await;
    fixture.settle(&jobs[5], failed(Decision::Dead)).await;
    // What never went out says nothing of the endpoint.
    let (outcome, decision) = failed(Decision::Dead).unwrap();
    let unsent = Outcome { failure: Some(FailureKind::EnvelopeUnsupported), ..outcome };
    fixture.settle(&jobs[6], Some((unsent, decision))).await;
    assert_eq!(fixture.shared.routes.status(endpoint), EndpointStatus::Enabled);
    assert_eq!(fixture.number("SELECT dead_in_row FROM endpoint_health").await, 2);

    // The next life of the server counts on.
    let fixture = fixture.crashed().await;
    assert_eq!(fixture.shared.routes.failing(endpoint).map(|health| health.dead_in_row), Some(2));
    let done = fixture.publish(events(1)).await;
    fixture.settle(&done.jobs[0], failed(Decision::Dead)).await;
    let status = fixture.shared.routes.status(endpoint);
    assert!(matches!(status, EndpointStatus::Disabled { reason: DisableReason::DeadInARow, .. }), "{status:?}");
    let reason = fixture.log().await.last().unwrap().disable_reason;
    assert_eq!(reason, DisableReason::DeadInARow as i32);
}

impl Fixture {
    fn warning(&self, endpoint: EndpointKey) -> Option<store::Warning> {
        self.shared.routes.failing(endpoint).and_then(|health| health.warning)
    }

    /// The reasons that warnings gave so far.
    async fn warned(&self) -> Vec<i32> {
        let warned = TransitionKind::EndpointWarned as i32;
        self.log().await.iter().filter(|entry| entry.kind == warned).map(|entry| entry.disable_reason).collect()
    }
}

#[tokio::test]
async fn warning_comes_once_in_a_spell_of_failing_and_is_kept_over_lives() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(policy(30, 100)).await;
    let day = Duration::from_secs(24 * 3600);
    let jobs = fixture.publish(events(10)).await.jobs;
    let at = fixture.now();
    fixture.settle(&jobs[0], failed(Decision::RetryAt(at))).await;
    fixture.reach(at.plus(day * 4).minus(Duration::from_micros(1)));
    fixture.settle(&jobs[1], failed(Decision::RetryAt(at))).await;
    assert_eq!((fixture.warned().await, fixture.warning(endpoint)), (vec![], None));
    fixture.reach(at.plus(day * 4));
    fixture.settle(&jobs[2], failed(Decision::RetryAt(at))).await;
    let warning = store::Warning { reason: DisableReason::Failing, at: fixture.now() };
    assert_eq!(fixture.warning(endpoint), Some(warning));
    fixture.shared.clock.advance(day / 2);
    fixture.settle(&jobs[3], failed(Decision::RetryAt(at))).await;
    assert_eq!(fixture.warned().await, [DisableReason::Failing as i32], "once");

    let fixture = fixture.crashed().await;
    assert_eq!(fixture.warning(endpoint), Some(warning));
    let again = fixture.claim_all().await;
    fixture.settle(&again[0], failed(Decision::RetryAt(at))).await;
    assert_eq!(fixture.warned().await.len(), 1);
    // A success ends the spell; the next one has a warning of its own.
    fixture.settle(&again[1], delivered()).await;
    assert_eq!(fixture.warning(endpoint), None);
    fixture.settle(&again[2], failed(Decision::RetryAt(at))).await;
    fixture.shared.clock.advance(day * 4);
    fixture.settle(&again[3], failed(Decision::RetryAt(at))).await;
    assert_eq!(fixture.warned().await.len(), 2);
}

#[tokio::test]
async fn half_of_the_dead_in_a_row_are_warned_of_unless_one_disables() {
    let fixture = Fixture::new().await;
    let limit = |dead| DeliveryPolicy { disable_after_dead: Some(dead), ..policy(30, 100) };
    let endpoint = fixture.endpoint(limit(3)).await;
    let jobs = fixture.publish(events(3)).await.jobs;
    fixture.settle(&jobs[0], failed(Decision::Dead)).await;
    assert!(fixture.warned().await.is_empty());
    // The second of three warns; the third disables, and does not warn again.
    fixture.settle(&jobs[1], failed(Decision::Dead)).await;
    assert_eq!(fixture.warned().await, [DisableReason::DeadInARow as i32]);
    fixture.settle(&jobs[2], failed(Decision::Dead)).await;
    assert_eq!(fixture.warned().await.len(), 1);
    assert_ne!(fixture.shared.routes.status(endpoint), EndpointStatus::Enabled);
    Configurator::new(fixture.shared.clone()).activate_endpoint(TENANT, endpoint, None, None).await.unwrap();
    assert_eq!(fixture.warning(endpoint), None, "an activation begins anew");
    Configurator::new(fixture.shared.clone()).delete_endpoint(TENANT, endpoint, None).await.unwrap();

    let endpoint = fixture.endpoint(limit(1)).await;
    let jobs = fixture.publish(events(1)).await.jobs;
    fixture.settle(&jobs[0], failed(Decision::Dead)).await;
    assert_ne!(fixture.shared.routes.status(endpoint), EndpointStatus::Enabled);
    assert_eq!(fixture.warned().await.len(), 1, "one that disables at once is not warned of");
}

#[tokio::test]
async fn dead_deliveries_alone_disable_nothing_by_default() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(policy(30, 100)).await;
    for job in &fixture.publish(events(50)).await.jobs {
        fixture.settle(job, failed(Decision::Dead)).await;
    }
    assert_eq!(fixture.shared.routes.status(endpoint), EndpointStatus::Enabled);
}

#[tokio::test]
async fn note_on_a_body_is_kept_with_its_attempt() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 2)).await;
    let done = fixture.publish(events(1)).await;
    let (outcome, decision) = delivered().unwrap();
    let body_note = Some(BodyNote::RepeatedMemberKept);
    fixture.settle(&done.jobs[0], Some((Outcome { body_note, ..outcome }, decision))).await;
    let attempts = fixture.attempts(done.jobs[0].key).await;
    assert_eq!((attempts.len(), attempts[0].result), (1, AttemptResult::Succeeded));
    assert_eq!(attempts[0].body_note, body_note);
}

#[tokio::test]
async fn cancellation_in_flight_takes_effect_with_the_attempt() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 2)).await;
    let jobs = fixture.publish(events(2)).await.jobs;
    for job in &jobs {
        let (result, _) = crate::redrive::cancel(&fixture.shared, TENANT, job.key).await.unwrap();
        assert_eq!(result, crate::redrive::Cancelled::WithAttempt);
    }
    fixture.settle(&jobs[0], delivered()).await;
    assert_eq!(fixture.row(jobs[0].key).await.state, DeliveryState::Delivered);
    let done = fixture.settle(&jobs[1], failed(Decision::RetryAt(fixture.now()))).await;
    assert_eq!(fixture.row(jobs[1].key).await.state, DeliveryState::Cancelled);
    assert_eq!(done.earliest, None);
    assert_eq!(fixture.kinds().await.last(), Some(&TransitionKind::Cancelled));
}

twins!(
    "settling.rs",
    [
        success_lives_in_the_deliverys_row,
        large_answer_gets_a_row_of_its_own,
        failure_is_recorded_and_due_again,
        stale_outcome_changes_nothing_and_leaves_no_trace,
        gone_endpoint_is_disabled_and_its_others_are_held,
        endpoint_that_fails_for_five_days_is_disabled_and_one_success_starts_the_time_anew,
        endpoint_is_disabled_after_so_many_dead_deliveries_in_a_row,
        warning_comes_once_in_a_spell_of_failing_and_is_kept_over_lives,
        half_of_the_dead_in_a_row_are_warned_of_unless_one_disables,
        dead_deliveries_alone_disable_nothing_by_default,
        note_on_a_body_is_kept_with_its_attempt,
        cancellation_in_flight_takes_effect_with_the_attempt,
    ]
);
