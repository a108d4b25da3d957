use super::*;
use crate::model::AttemptResult;

#[tokio::test]
async fn lost_lease_counts_and_is_due_at_once() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 2)).await;
    let handed = fixture.publish(events(3)).await.jobs;
    fixture.settle(&handed[0], delivered()).await;
    let claimed = fixture.claim().await.jobs;
    assert_eq!((handed.len(), claimed.len()), (2, 1));
    let fixture = fixture.crashed().await;
    for key in [handed[1].key, claimed[0].key] {
        let row = fixture.row(key).await;
        assert_eq!((row.state, row.ready_at), (DeliveryState::Pending, Some(fixture.now())));
        assert_eq!((row.attempt, row.base, row.kind), (1, 0, Some(FailureKind::LeaseLost)));
        assert_eq!(fixture.attempts(key).await[0].result, AttemptResult::Lost);
    }
    assert_eq!(fixture.number("SELECT count(*) FROM handoff").await, 0);
    let again = fixture.claim().await.jobs;
    assert_eq!(again.iter().map(|job| job.attempt).collect::<Vec<_>>(), [2, 2]);
    assert!(again.iter().all(|job| !job.last_chance));
}

#[tokio::test]
async fn outcome_of_an_earlier_life_is_stale() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 2)).await;
    let jobs = fixture.publish(events(1)).await.jobs;
    let fixture = fixture.crashed().await;
    let again = fixture.claim().await.jobs;
    fixture.settle(&jobs[0], delivered()).await;
    assert_eq!(fixture.row(jobs[0].key).await.state, DeliveryState::InFlight);
    fixture.settle(&again[0], delivered()).await;
    assert_eq!(fixture.row(jobs[0].key).await.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn delivery_whose_budget_ends_on_a_lost_attempt_gets_one_more() {
    let mut fixture = Fixture::new().await;
    fixture.endpoint(policy(2, 2)).await;
    let key = fixture.publish(events(1)).await.jobs[0].key;
    fixture = fixture.crashed().await;
    let second = fixture.claim().await.jobs;
    assert_eq!((second[0].attempt, second[0].last_chance), (2, false));
    fixture = fixture.crashed().await;
    let more = fixture.claim().await.jobs;
    assert_eq!((more[0].attempt, more[0].last_chance), (3, true));

    // Lost before its request was recorded as begun: claimed again, and that does not count.
    fixture = fixture.crashed().await;
    let row = fixture.row(key).await;
    assert_eq!((row.state, row.attempt, row.base), (DeliveryState::Pending, 3, 1));
    let more = fixture.claim().await.jobs;
    assert_eq!((more[0].attempt, more[0].last_chance), (4, true));

    // Lost after it was recorded: over.
    fixture.turn(Batch { begins: vec![(key, 4)], ..Batch::default() }).await.unwrap();
    assert_eq!(fixture.attempts(key).await.last().unwrap().result, AttemptResult::InFlight);
    fixture = fixture.crashed().await;
    let row = fixture.row(key).await;
    assert_eq!((row.state, row.kind), (DeliveryState::Dead, Some(FailureKind::LeaseLost)));
    let results: Vec<_> =
        fixture.attempts(key).await.into_iter().map(|attempt| (attempt.number, attempt.result)).collect();
    assert_eq!(results, [(1, AttemptResult::Lost), (2, AttemptResult::Lost), (4, AttemptResult::Lost)]);
}

#[tokio::test]
async fn last_chance_that_succeeds_takes_its_begun_row_over() {
    let mut fixture = Fixture::new().await;
    fixture.endpoint(policy(1, 2)).await;
    let key = fixture.publish(events(1)).await.jobs[0].key;
    fixture = fixture.crashed().await;
    let job = fixture.claim().await.jobs.remove(0);
    assert!(job.last_chance);
    fixture.turn(Batch { begins: vec![(key, job.attempt)], ..Batch::default() }).await.unwrap();
    fixture.settle(&job, delivered()).await;
    assert_eq!(fixture.row(key).await.state, DeliveryState::Delivered);
    assert_eq!(fixture.attempts(key).await.last().unwrap().result, AttemptResult::Succeeded);
}

#[tokio::test]
async fn last_chance_that_is_not_taken_is_no_attempt() {
    let mut fixture = Fixture::new().await;
    fixture.endpoint(policy(1, 2)).await;
    let key = fixture.publish(events(1)).await.jobs[0].key;
    fixture = fixture.crashed().await;
    let job = fixture.claim().await.jobs.remove(0);
    fixture.turn(Batch { begins: vec![(key, job.attempt)], ..Batch::default() }).await.unwrap();
    fixture.settle(&job, None).await;
    let row = fixture.row(key).await;
    assert_eq!((row.state, row.attempt, row.base), (DeliveryState::Pending, 2, 1));
    let results: Vec<_> = fixture.attempts(key).await.into_iter().map(|attempt| attempt.result).collect();
    assert_eq!(results, [AttemptResult::Lost]);
}

#[tokio::test]
async fn lease_whose_attempt_panicked_is_found_after_the_rest_of_its_batch_has_settled() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 2)).await;
    let jobs = fixture.publish(events(2)).await.jobs;
    fixture.engine.in_flight.held().lose(jobs[0].key, 1);
    fixture.settle(&jobs[1], delivered()).await;
    assert_eq!(fixture.number("SELECT count(*) FROM handoff").await, 1);
    let incarnation = fixture.shared.incarnation;
    let read = fixture.shared.db.read(move |conn| Box::pin(store::lease::leased_by(conn, incarnation)));
    let leased = read.await.unwrap();
    assert_eq!(leased.iter().map(|lease| lease.claimed.key).collect::<Vec<_>>(), [jobs[0].key]);
    fixture.turn(Batch { releases: leased, ..Batch::default() }).await.unwrap();
    assert_eq!(fixture.row(jobs[0].key).await.state, DeliveryState::Pending);
    assert_eq!(fixture.number("SELECT count(*) FROM handoff").await, 0);
}

#[tokio::test]
async fn lease_that_no_attempt_knows_of_is_released_by_this_life() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 2)).await;
    let job = fixture.publish(events(1)).await.jobs.remove(0);
    let incarnation = fixture.shared.incarnation;
    let read = fixture.shared.db.read(move |conn| Box::pin(store::lease::leased_by(conn, incarnation)));
    let leased = read.await.unwrap();
    assert_eq!(leased.iter().map(|lease| lease.claimed.key).collect::<Vec<_>>(), [job.key]);
    fixture.turn(Batch { releases: leased, ..Batch::default() }).await.unwrap();
    assert_eq!(fixture.row(job.key).await.state, DeliveryState::Pending);
    assert_eq!(fixture.engine.in_flight.held().len(), 0);
}

twins!(
    "releasing.rs",
    [
        lost_lease_counts_and_is_due_at_once,
        outcome_of_an_earlier_life_is_stale,
        delivery_whose_budget_ends_on_a_lost_attempt_gets_one_more,
        last_chance_that_succeeds_takes_its_begun_row_over,
        last_chance_that_is_not_taken_is_no_attempt,
        lease_whose_attempt_panicked_is_found_after_the_rest_of_its_batch_has_settled,
        lease_that_no_attempt_knows_of_is_released_by_this_life,
    ]
);
