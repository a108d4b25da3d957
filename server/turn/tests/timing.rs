use super::*;
use crate::{
    model::{EndpointStatus, ShownState},
    publish::PublishError,
};

const MINUTE: Duration = Duration::from_secs(60);

fn scheduled(at: Timestamp) -> NewEvent {
    NewEvent { deliver_at: Some(at), ..event(None, "{}") }
}

fn expiring(at: Timestamp) -> NewEvent {
    NewEvent { expires: Some(at), ..event(None, "{}") }
}

#[tokio::test]
async fn scheduled_event_waits_in_its_lane_even_across_a_crash() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(policy(3, 8)).await;
    let at = fixture.now().plus(MINUTE);
    let done = fixture.publish(vec![scheduled(at), scheduled(at.plus(MINUTE))]).await;
    assert!(done.jobs.is_empty(), "nothing is handed over");
    assert_eq!(done.earliest, Some(at));
    assert_eq!(fixture.number("SELECT next_at FROM lane").await, at.as_micros());
    let queued = fixture.log().await.into_iter().rev().nth(1).unwrap();
    assert_eq!((queued.kind, queued.state), (TransitionKind::Queued as i32, ShownState::Pending as i32));
    assert_eq!(queued.next_attempt_micros, Some(at.as_micros()));

    let early = fixture.claim().await;
    assert!(early.jobs.is_empty());
    assert_eq!(early.next_due, Some(at));
    fixture.shared.clock.advance(MINUTE - Duration::from_millis(1));
    let fixture = fixture.crashed().await;
    assert!(fixture.claim().await.jobs.is_empty(), "nothing is early");
    fixture.shared.clock.advance(Duration::from_millis(1));
    let due = fixture.claim().await;
    assert_eq!(due.jobs.len(), 1);
    assert_eq!((due.jobs[0].key.endpoint, due.jobs[0].attempt), (endpoint, 1));
    assert_eq!(fixture.claim().await.next_due, Some(at.plus(MINUTE)));
    fixture.shared.clock.advance(MINUTE);
    assert_eq!(fixture.claim().await.jobs.len(), 1, "nothing is lost");
}

#[tokio::test]
async fn event_scheduled_in_the_past_goes_out_at_once() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 8)).await;
    let past = Timestamp::from_micros(fixture.now().as_micros() - 1);
    assert_eq!(fixture.publish(vec![scheduled(past), scheduled(fixture.now())]).await.jobs.len(), 2);
}

#[tokio::test]
async fn scheduled_event_does_not_delay_another() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 1)).await;
    let at = fixture.now().plus(MINUTE);
    let done = fixture.publish(vec![scheduled(at), event(None, "{}"), event(None, "{}")]).await;
    assert_eq!((done.jobs.len(), done.earliest), (1, Some(fixture.now())));
    fixture.settle(&done.jobs[0], delivered()).await;
    let claimed = fixture.claim().await;
    assert_eq!(claimed.jobs.len(), 1);
    fixture.settle(&claimed.jobs[0], delivered()).await;
    assert_eq!(fixture.claim().await.next_due, Some(at));
}

#[tokio::test]
async fn activation_does_not_send_what_is_scheduled_early() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(policy(3, 8)).await;
    let at = fixture.now().plus(MINUTE);
    let done = fixture.publish(vec![scheduled(at), event(None, "{}")]).await;
    fixture.settle(&done.jobs[0], failed(Decision::RetryAt(at))).await;
    let configurator = Configurator::new(fixture.shared.clone());
    configurator.disable_endpoint(TENANT, endpoint, None).await.unwrap();
    fixture.claim().await;
    configurator.activate_endpoint(TENANT, endpoint, None, None).await.unwrap();
    let claimed = fixture.claim().await;
    assert_eq!(claimed.jobs.iter().map(|job| job.key).collect::<Vec<_>>(), [done.jobs[0].key]);
    assert_eq!(fixture.claim().await.next_due, Some(at));
    fixture.shared.clock.advance(MINUTE);
    assert_eq!(fixture.claim().await.jobs.len(), 1);
}

#[tokio::test]
async fn delivery_that_would_be_retried_after_its_event_expires_is_dead_at_once() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(DeliveryPolicy { disable_after_dead: Some(1), ..policy(3, 8) }).await;
    let at = fixture.now().plus(MINUTE);
    let jobs = fixture.publish(vec![expiring(at), expiring(at.plus(Duration::from_millis(1)))]).await.jobs;
    let decision = |job: &Job| Decision::RetryAt(at).before(job.event.expires);
    fixture.settle(&jobs[0], failed(decision(&jobs[0]))).await;
    fixture.settle(&jobs[1], failed(decision(&jobs[1]))).await;

    let row = fixture.row(jobs[0].key).await;
    assert_eq!((row.state, row.kind, row.status), (DeliveryState::Dead, Some(FailureKind::Expired), 500));
    assert_eq!(row.ready_at, None);
    let attempts = fixture.attempts(jobs[0].key).await;
    assert_eq!(attempts.iter().map(|attempt| attempt.failure).collect::<Vec<_>>(), [Some(FailureKind::HttpStatus)]);
    let log = fixture.log().await;
    let dead = log.iter().find(|entry| entry.kind == TransitionKind::Dead as i32).unwrap();
    assert_eq!((dead.failure, dead.http_status), (FailureKind::Expired as i32, 500));
    // The other is due a moment before its end.
    assert_eq!(fixture.row(jobs[1].key).await.state, DeliveryState::Pending);
    assert_eq!(fixture.shared.routes.status(endpoint), EndpointStatus::Enabled, "it is not the endpoint that ended it");
    fixture.shared.clock.advance(MINUTE);
    assert_eq!(fixture.claim().await.jobs.len(), 1);
}

#[tokio::test]
async fn delivery_that_waited_beyond_its_end_is_dead_when_its_turn_comes() {
    let fixture = Fixture::new().await;
    let limit = DeliveryPolicy { disable_after_dead: Some(1), ..policy(3, 1) };
    let endpoint = fixture.endpoint(limit).await;
    let end = fixture.now().plus(MINUTE);
    let mut events = vec![event(None, "{}")];
    events.extend((0..300).map(|_| expiring(end)));
    events.push(event(None, "{}"));
    let first = fixture.publish(events).await.jobs;
    assert_eq!(first.len(), 1, "the lane is full");
    fixture.shared.clock.advance(MINUTE);
    fixture.settle(&first[0], delivered()).await;
    let mut turns = 0;
    let last = loop {
        let done = fixture.claim().await;
        turns += 1;
        assert!(turns < 400, "it comes to an end");
        if let Some(job) = done.jobs.first() {
            break job.clone();
        }
        assert_eq!(done.next_due, Some(fixture.now()), "the claim that ended some says that there may be more");
    };
    assert_eq!(last.event.expires, None);
    assert_eq!(fixture.number("SELECT count(*) FROM delivery WHERE state = 4 AND kind = 11").await, 300);
    assert_eq!(fixture.number("SELECT count(*) FROM attempt").await, 0, "without a request");
    assert_eq!(fixture.number("SELECT max(attempt) FROM delivery WHERE state = 4").await, 0);
    assert_eq!(fixture.number("SELECT count(*) FROM endpoint_health").await, 0);
    assert_eq!(fixture.shared.routes.status(endpoint), EndpointStatus::Enabled);
    let dead = fixture.log().await.into_iter().filter(|entry| entry.kind == TransitionKind::Dead as i32);
    assert_eq!(dead.filter(|entry| entry.failure == FailureKind::Expired as i32).count(), 300);
}

#[tokio::test]
async fn what_was_held_beyond_its_end_is_dead_after_the_activation() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(policy(3, 8)).await;
    let configurator = Configurator::new(fixture.shared.clone());
    let jobs = fixture.publish(vec![expiring(fixture.now().plus(MINUTE))]).await.jobs;
    configurator.disable_endpoint(TENANT, endpoint, None).await.unwrap();
    fixture.settle(&jobs[0], None).await;
    fixture.shared.clock.advance(MINUTE);
    assert!(fixture.claim().await.jobs.is_empty());
    assert_eq!(fixture.row(jobs[0].key).await.state, DeliveryState::Pending, "held");
    configurator.activate_endpoint(TENANT, endpoint, None, None).await.unwrap();
    assert!(fixture.claim().await.jobs.is_empty());
    let row = fixture.row(jobs[0].key).await;
    assert_eq!((row.state, row.kind), (DeliveryState::Dead, Some(FailureKind::Expired)));
}

#[tokio::test]
async fn attempt_that_is_lost_is_not_repeated_after_the_end() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(1, 8)).await;
    let key = fixture.publish(vec![expiring(fixture.now().plus(MINUTE))]).await.jobs[0].key;
    fixture.shared.clock.advance(MINUTE);
    let fixture = fixture.crashed().await;
    assert_eq!(fixture.row(key).await.state, DeliveryState::Pending);
    assert!(fixture.claim().await.jobs.is_empty());
    let row = fixture.row(key).await;
    assert_eq!((row.state, row.kind, row.attempt), (DeliveryState::Dead, Some(FailureKind::Expired), 1));
}

#[tokio::test]
async fn expired_event_is_not_published_but_its_repeat_is_a_duplicate() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 8)).await;
    let end = fixture.now().plus(MINUTE);
    let with_id = |id, payload| NewEvent { expires: Some(end), ..event(Some(id), payload) };
    fixture.publish(vec![with_id("a", "{}")]).await;
    fixture.shared.clock.advance(MINUTE);
    let batch = vec![
        with_id("a", "{}"),
        with_id("a", "[]"),
        with_id("b", "{}"),
        NewEvent { expires: Some(end), ..event(None, "{}") },
        // Of the same id as one that came too late in the same batch.
        event(Some("b"), "{}"),
        with_id("b", "{}"),
    ];
    let done = fixture.publish(batch).await;
    assert!(done.answers[0].as_ref().unwrap().duplicate);
    assert_eq!(done.answers[1], Err(PublishError::IdReused));
    assert_eq!(done.answers[3], Err(PublishError::Expired));
    assert!(!done.answers[4].as_ref().unwrap().duplicate);
    assert_eq!((&done.answers[2], &done.answers[5]), (&Err(PublishError::IdReused), &Err(PublishError::IdReused)));
    assert_eq!(fixture.publish(vec![with_id("c", "{}")]).await.answers[0], Err(PublishError::Expired));
    assert_eq!(fixture.number("SELECT count(*) FROM event").await, 2);
    assert_eq!(fixture.number("SELECT count(*) FROM event_time").await, 1);
}

#[tokio::test]
async fn clock_that_was_set_back_begins_an_era_of_events() {
    let fixture = Fixture::new().await;
    fixture.publish(events(3)).await;
    let fixture = fixture.crashed().await;
    assert_eq!(fixture.number("SELECT count(*) FROM event_era").await, 0, "it was not set back");
    let earlier = Clock::manual(Timestamp::from_micros(fixture.now().as_micros() - 1));
    let Fixture { shared, engine, database } = fixture;
    shared.db.close().await;
    drop((shared, engine));
    let fixture = Fixture::open(database, earlier).await;
    fixture.publish(events(1)).await;
    assert_eq!(fixture.number("SELECT first FROM event_era").await, 4);
    let fixture = fixture.crashed().await;
    assert_eq!(fixture.number("SELECT count(*) FROM event_era").await, 1, "and not again");
}

twins!(
    "timing.rs",
    [
        scheduled_event_waits_in_its_lane_even_across_a_crash,
        event_scheduled_in_the_past_goes_out_at_once,
        scheduled_event_does_not_delay_another,
        activation_does_not_send_what_is_scheduled_early,
        delivery_that_would_be_retried_after_its_event_expires_is_dead_at_once,
        delivery_that_waited_beyond_its_end_is_dead_when_its_turn_comes,
        what_was_held_beyond_its_end_is_dead_after_the_activation,
        attempt_that_is_lost_is_not_repeated_after_the_end,
        expired_event_is_not_published_but_its_repeat_is_a_duplicate,
        clock_that_was_set_back_begins_an_era_of_events,
    ]
);
