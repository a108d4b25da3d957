use super::*;
use crate::model::EndpointStatus;

#[tokio::test]
async fn backlog_is_claimed_in_order_as_slots_get_free() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 1)).await;
    let first = fixture.publish(events(3)).await.jobs;
    assert_eq!(first.len(), 1);
    assert!(fixture.claim().await.jobs.is_empty(), "the one slot is taken");
    fixture.settle(&first[0], delivered()).await;
    let second = fixture.claim().await;
    assert_eq!(second.jobs.len(), 1);
    assert_eq!(second.jobs[0].key.event.0, first[0].key.event.0 + 1);
    assert_eq!((second.jobs[0].attempt, second.jobs[0].base), (1, 0));
    assert_eq!(second.jobs[0].event.payload, "{}");
    fixture.settle(&second.jobs[0], delivered()).await;
    let third = fixture.claim().await;
    fixture.settle(&third.jobs[0], delivered()).await;
    assert!(fixture.claim().await.jobs.is_empty());
    assert_eq!(fixture.number("SELECT count(*) FROM lane").await, 0);
    assert_eq!(fixture.engine.in_flight.lanes().adopted(), 0);
    assert_eq!(fixture.number("SELECT count(*) FROM delivery WHERE state = 3").await, 3);
}

#[tokio::test]
async fn retry_is_claimed_when_due_and_not_before() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 1)).await;
    let jobs = fixture.publish(events(1)).await.jobs;
    let at = fixture.now().plus(Duration::from_secs(10));
    fixture.settle(&jobs[0], failed(Decision::RetryAt(at))).await;
    let early = fixture.claim().await;
    assert!(early.jobs.is_empty());
    assert_eq!(early.next_due, Some(at));
    fixture.shared.clock.advance(Duration::from_secs(10));
    let due = fixture.claim().await;
    assert_eq!((due.jobs.len(), due.jobs[0].attempt), (1, 2));
}

#[tokio::test]
async fn one_endpoints_backlog_does_not_keep_another_from_being_claimed() {
    let fixture = Fixture::new().await;
    let stuck = fixture.endpoint(policy(3, 1)).await;
    let jobs = fixture.publish(events(300)).await.jobs;
    assert_eq!(jobs.len(), 1);
    let healthy = fixture.endpoint(policy(3, 1)).await;
    fixture.publish(events(2)).await;
    let claimed = fixture.claim().await.jobs;
    assert_eq!(claimed.iter().map(|job| job.key.endpoint).collect::<Vec<_>>(), []);
    let held: Vec<DeliveryKey> = vec![jobs[0].key];
    assert!(held.iter().all(|key| key.endpoint == stuck));
    // The healthy endpoint's one slot gets free: its next is claimed although the other's 299 are older.
    let handed = fixture.number("SELECT event FROM delivery WHERE endpoint = 2 AND state = 2").await;
    let key = DeliveryKey { event: crate::model::EventKey(handed), endpoint: healthy };
    let job = Job { key, ..jobs[0].clone() };
    fixture.settle(&job, delivered()).await;
    assert_eq!(fixture.row(key).await.state, DeliveryState::Delivered);
    let claimed = fixture.claim().await.jobs;
    assert_eq!(claimed.iter().map(|job| job.key.endpoint).collect::<Vec<_>>(), [healthy]);
}

#[tokio::test]
async fn held_deliveries_wait_and_end_dead_at_their_age_limit() {
    let fixture = Fixture::new().await;
    let hold = Duration::from_secs(3_600);
    let endpoint = fixture.endpoint(DeliveryPolicy { hold_duration: hold, ..policy(3, 1) }).await;
    let jobs = fixture.publish(events(3)).await.jobs;
    fixture.settle(&jobs[0], delivered()).await;
    let configurator = Configurator::new(fixture.shared.clone());
    configurator.disable_endpoint(TENANT, endpoint, None).await.unwrap();
    let end = fixture.now().plus(hold);
    let done = fixture.claim().await;
    assert!(done.jobs.is_empty());
    assert_eq!(done.next_due, Some(end), "the end of holding has a timer");
    fixture.reach(end.minus(Duration::from_micros(1)));
    assert!(fixture.claim().await.jobs.is_empty());
    assert_eq!(fixture.number("SELECT count(*) FROM delivery WHERE state = 1").await, 2);
    fixture.reach(end);
    fixture.claim().await;
    assert_eq!(fixture.number("SELECT count(*) FROM delivery WHERE state = 4 AND kind = 9").await, 2);
    assert_eq!(fixture.kinds().await[fixture.kinds().await.len() - 2..], [TransitionKind::Dead; 2]);
}

#[tokio::test]
async fn activation_drains_what_was_held() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(policy(3, 2)).await;
    let jobs = fixture.publish(events(4)).await.jobs;
    let configurator = Configurator::new(fixture.shared.clone());
    configurator.disable_endpoint(TENANT, endpoint, None).await.unwrap();
    // An attempt that had not begun is given back without counting.
    fixture.settle(&jobs[0], None).await;
    let row = fixture.row(jobs[0].key).await;
    assert_eq!((row.state, row.attempt, row.base), (DeliveryState::Pending, 1, 1));
    assert!(fixture.claim().await.jobs.is_empty());
    configurator.activate_endpoint(TENANT, endpoint, None, None).await.unwrap();
    let drained = fixture.claim().await.jobs;
    assert_eq!(drained.len(), 1, "one of two slots is still taken");
    fixture.settle(&jobs[1], delivered()).await;
    assert_eq!(fixture.claim().await.jobs.len(), 1);
}

#[tokio::test]
async fn deletion_cancels_what_is_pending_in_chunks() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(policy(3, 1)).await;
    for _ in 0..3 {
        fixture.publish(events(400)).await;
    }
    Configurator::new(fixture.shared.clone()).delete_endpoint(TENANT, endpoint, None).await.unwrap();
    assert_eq!(fixture.shared.routes.status(endpoint), EndpointStatus::Deleted);
    let mut turns = 0;
    while fixture.claim().await.next_due.is_some() {
        turns += 1;
        assert!(turns < 10, "cancelling comes to an end");
    }
    assert_eq!(turns, 2);
    assert_eq!(fixture.number("SELECT count(*) FROM delivery WHERE state = 5").await, 1_199);
    assert_eq!(fixture.number("SELECT count(*) FROM delivery WHERE state = 2").await, 1, "in flight ends by itself");
    let cancelled = fixture.kinds().await.iter().filter(|kind| **kind == TransitionKind::Cancelled).count();
    assert_eq!(cancelled, 1_199);
}

#[tokio::test]
async fn bytes_bound_what_is_claimed() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 50)).await;
    let large: &'static str = Box::leak("x".repeat(300 << 10).into_boxed_str());
    let large = |_| NewEvent { content_type: Some("text/plain".into()), ..event(None, large) };
    let jobs = fixture.publish((0..6).map(large).collect()).await.jobs;
    assert_eq!(jobs.len(), 3, "of one MiB of room");
    for job in &jobs {
        fixture.settle(job, failed(Decision::RetryAt(fixture.now()))).await;
    }
    assert_eq!(fixture.claim().await.jobs.len(), 3);
    assert!(fixture.claim().await.jobs.is_empty());
}

#[tokio::test]
async fn many_lanes_that_are_due_together_are_all_served_at_once() {
    let fixture = Fixture::new().await;
    let mut jobs = Vec::new();
    for number in 0..90 {
        let settings = |endpoint: &mut EndpointSettings| {
            endpoint.filter = TypeFilter::parse(&[format!("type.n{number}")]).unwrap();
        };
        fixture.endpoint_with(policy(3, 8), settings).await;
        let event = NewEvent { event_type: format!("type.n{number}").into(), ..event(None, "{}") };
        jobs.extend(fixture.publish(vec![event]).await.jobs);
    }
    assert_eq!(jobs.len(), 90);
    let at = fixture.now().plus(Duration::from_secs(10));
    fixture.settle_all(jobs.into_iter().map(|job| (job, failed(Decision::RetryAt(at)))).collect()).await;
    fixture.shared.clock.advance(Duration::from_secs(10));
    let mut claimed = 0;
    loop {
        let done = fixture.claim().await;
        claimed += done.jobs.len();
        if done.next_due.is_none_or(|at| at > fixture.now()) {
            break;
        }
    }
    assert_eq!(claimed, 90);
}

#[tokio::test]
async fn activation_makes_due_what_was_to_be_retried_much_later() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(policy(3, 2)).await;
    let jobs = fixture.publish(events(1)).await.jobs;
    let tomorrow = fixture.now().plus(Duration::from_secs(24 * 3_600));
    fixture.settle(&jobs[0], failed(Decision::RetryAt(tomorrow))).await;
    let configurator = Configurator::new(fixture.shared.clone());
    configurator.disable_endpoint(TENANT, endpoint, None).await.unwrap();
    assert!(fixture.claim().await.jobs.is_empty());
    configurator.activate_endpoint(TENANT, endpoint, None, None).await.unwrap();
    assert_eq!(fixture.claim().await.jobs.len(), 1);
}

#[tokio::test]
async fn lane_of_an_endpoint_that_fails_rests_after_each_claim_where_many_are_adopted() {
    let fixture = Fixture::new().await;
    let failing = fixture.endpoint(policy(3, 1)).await;
    let first = fixture.publish(events(4)).await.jobs;
    fixture.claim().await;
    fixture.engine.in_flight.lanes().suspect([failing]);
    fixture.settle(&first[0], delivered()).await;
    let among_few = fixture.claim().await.jobs;
    assert_eq!(among_few.len(), 1);
    assert!(fixture.engine.in_flight.lanes().is_adopted(failing), "more of it is due");

    fixture.settle(&among_few[0], delivered()).await;
    let others: Vec<EndpointKey> = (1_000..3_200).map(EndpointKey).collect();
    others.iter().for_each(|other| fixture.engine.in_flight.lanes().adopt(*other));
    let among_many = fixture.claim().await.jobs;
    assert_eq!(among_many.iter().map(|job| job.key.endpoint).collect::<Vec<_>>(), [failing]);
    assert!(!fixture.engine.in_flight.lanes().is_adopted(failing));
    let rest = Duration::from_secs(30);
    let next_at = fixture.number("SELECT next_at FROM lane WHERE endpoint = 1").await;
    assert_eq!(next_at, fixture.now().plus(rest).as_micros());

    fixture.settle(&among_many[0], delivered()).await;
    fixture.engine.in_flight.lanes().give_back(&others);
    assert!(fixture.claim().await.jobs.is_empty());
    fixture.shared.clock.advance(rest);
    assert_eq!(fixture.claim().await.jobs.len(), 1);
}

#[tokio::test]
async fn lanes_that_fail_are_claimed_for_a_few_at_a_time_and_the_next_claim_is_soon() {
    let fixture = Fixture::new().await;
    let mut failing = Vec::new();
    for _ in 0..40 {
        failing.push(fixture.endpoint(policy(3, 1)).await);
    }
    let jobs = fixture.publish(events(2)).await.jobs;
    fixture.engine.in_flight.lanes().suspect(failing);
    fixture.settle_all(jobs.into_iter().map(|job| (job, delivered())).collect()).await;
    let claimed = fixture.claim().await;
    assert_eq!(claimed.jobs.len(), 32);
    let wait = claimed.next_due.expect("eight are left").since(fixture.now());
    assert!(wait <= Duration::from_millis(100), "{wait:?}");
}

twins!(
    "claiming.rs",
    [
        backlog_is_claimed_in_order_as_slots_get_free,
        retry_is_claimed_when_due_and_not_before,
        one_endpoints_backlog_does_not_keep_another_from_being_claimed,
        held_deliveries_wait_and_end_dead_at_their_age_limit,
        activation_drains_what_was_held,
        deletion_cancels_what_is_pending_in_chunks,
        bytes_bound_what_is_claimed,
        many_lanes_that_are_due_together_are_all_served_at_once,
        activation_makes_due_what_was_to_be_retried_much_later,
        lane_of_an_endpoint_that_fails_rests_after_each_claim_where_many_are_adopted,
        lanes_that_fail_are_claimed_for_a_few_at_a_time_and_the_next_claim_is_soon,
    ]
);
