//! Draining what was held at a rate.

use std::time::Instant;

use super::*;
use crate::{
    dispatch::{Pace, Place},
    model::{DrainRate, OnBacklog},
};

fn at_rate(per_second: f64) -> Option<OnBacklog> {
    Some(OnBacklog::Drain(DrainRate::per_second(per_second)))
}

impl Fixture {
    fn drain_rate(&self, endpoint: EndpointKey) -> Option<f64> {
        self.shared.routes.endpoint(endpoint).unwrap().endpoint.backlog.drain.map(|drain| drain.rate.as_f64())
    }

    /// A paused endpoint behind which so many deliveries wait, that has just been activated.
    async fn drained(max_in_flight: u32, waiting: usize, per_second: f64) -> (Self, EndpointKey) {
        let fixture = Self::new().await;
        let endpoint = fixture.endpoint(policy(3, max_in_flight)).await;
        fixture.pause(endpoint).await;
        fixture.publish(events(waiting)).await;
        fixture.shared.clock.advance(Duration::from_secs(1));
        fixture.activate(endpoint, at_rate(per_second)).await;
        (fixture, endpoint)
    }

    /// Frees the slot of an attempt that was answered well after so long. Whether a backlog may wait for it.
    fn answer(&self, job: &Job, after: Duration) -> bool {
        let pace = Pace::Success(after);
        self.engine.in_flight.lanes().release(job, pace, Instant::now(), |_| 2).wanted.is_some()
    }

    /// Claims whenever something is due until `end`, ends each attempt well, and returns when each began and what.
    async fn run_until(&self, end: Timestamp) -> Vec<(Timestamp, DeliveryKey)> {
        let mut begun = Vec::new();
        loop {
            let done = self.claim().await;
            for job in &done.jobs {
                begun.push((self.now(), job.key));
                self.settle(job, delivered()).await;
            }
            let Some(next) = done.next_due.filter(|at| *at <= end) else { return begun };
            self.shared.clock.advance(next.since(self.now()));
        }
    }
}

#[tokio::test]
async fn what_was_held_goes_out_at_the_rate_and_what_is_new_beside_it() {
    let (fixture, endpoint) = Fixture::drained(100, 10, 2.0).await;
    let start = fixture.now();
    assert_eq!(fixture.drain_rate(endpoint), Some(2.0));
    let first = fixture.claim().await;
    assert_eq!(first.jobs.len(), 1);
    let next = first.next_due.unwrap();
    assert!(
        next.since(start) >= Duration::from_millis(500) && next.since(start) < Duration::from_millis(501),
        "{next}"
    );
    // New events do not wait, and a retry comes when it is due.
    let new = fixture.publish(events(3)).await.jobs;
    assert_eq!(new.len(), 3);
    let soon = start.plus(Duration::from_millis(100));
    fixture.settle(&new[0], failed(Decision::RetryAt(soon))).await;
    fixture.settle(&first.jobs[0], failed(Decision::RetryAt(soon))).await;
    fixture.shared.clock.advance(Duration::from_millis(100));
    let retried = fixture.claim().await;
    assert_eq!(retried.jobs.iter().map(|job| job.attempt).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(retried.next_due, Some(next));
    for job in new.iter().skip(1).chain(&retried.jobs) {
        fixture.settle(job, delivered()).await;
    }
    let begun = fixture.run_until(start.plus(Duration::from_secs(60))).await;
    assert_eq!(begun.len(), 9);
    for (n, (at, key)) in (1..).zip(&begun) {
        let due = start.plus(Duration::from_millis(500) * n);
        assert!(*at >= due && at.since(due) < Duration::from_millis(2), "{n}: {at}");
        assert_eq!(key.event.0, i64::from(n) + 1, "in order");
    }
    assert_eq!(fixture.drain_rate(endpoint), None, "it is over");
    assert_eq!(fixture.number("SELECT drain_rate FROM endpoint").await, 0);
    assert_eq!(fixture.number("SELECT count(*) FROM lane").await, 0);
}

#[tokio::test]
async fn rate_survives_a_crash_and_nothing_is_lost() {
    let (fixture, endpoint) = Fixture::drained(100, 6, 1.0).await;
    assert_eq!(fixture.claim().await.jobs.len(), 1);
    fixture.shared.clock.advance(Duration::from_millis(1));
    let fixture = fixture.crashed().await;
    assert_eq!(fixture.drain_rate(endpoint), Some(1.0));
    let start = fixture.now();
    let begun = fixture.run_until(start.plus(Duration::from_secs(60))).await;
    assert_eq!(begun.len(), 6);
    // What had begun is due at once; of the rest one begins the drain anew.
    let offsets: Vec<u64> = begun.iter().map(|(at, _)| at.since(start).as_secs()).collect();
    assert_eq!(offsets, [0, 0, 1, 2, 3, 4]);
    assert_eq!(fixture.drain_rate(endpoint), None);
}

#[tokio::test]
async fn drain_never_exceeds_what_may_be_in_flight() {
    let (fixture, endpoint) = Fixture::drained(2, 10, 10_000.0).await;
    let mut jobs = fixture.claim().await.jobs;
    assert_eq!(jobs.len(), 1, "the drain begins with one");
    fixture.shared.clock.advance(Duration::from_secs(1));
    jobs.extend(fixture.claim().await.jobs);
    assert_eq!(jobs.len(), 2);
    fixture.shared.clock.advance(Duration::from_secs(1));
    assert!(fixture.claim().await.jobs.is_empty());
    assert!(fixture.publish(events(1)).await.jobs.is_empty());
    fixture.settle(&jobs[0], delivered()).await;
    assert_eq!(fixture.claim().await.jobs.len(), 1);
    assert_eq!(fixture.drain_rate(endpoint), Some(10_000.0));
}

#[tokio::test]
async fn what_is_due_later_keeps_its_time_when_the_rest_is_drained_at_a_rate() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(policy(3, 10)).await;
    let jobs = fixture.publish(events(1)).await.jobs;
    let later = fixture.now().plus(Duration::from_secs(500));
    fixture.settle(&jobs[0], failed(Decision::RetryAt(later))).await;
    fixture.pause(endpoint).await;
    fixture.activate(endpoint, at_rate(1.0)).await;
    let done = fixture.claim().await;
    assert!(done.jobs.is_empty());
    assert_eq!(done.next_due, Some(later));
    assert_eq!(fixture.drain_rate(endpoint), None, "there is nothing to drain");
}

#[tokio::test]
async fn drain_under_way_gets_another_rate_and_an_activation_without_one_leaves_it() {
    let (fixture, endpoint) = Fixture::drained(100, 50, 1.0).await;
    fixture.claim().await;
    let logged = fixture.kinds().await.len();
    for same in [None, at_rate(1.0)] {
        fixture.activate(endpoint, same).await;
        assert_eq!((fixture.drain_rate(endpoint), fixture.kinds().await.len()), (Some(1.0), logged));
    }
    let version = fixture.shared.routes.endpoint(endpoint).unwrap().endpoint.version;
    fixture.activate(endpoint, at_rate(4.0)).await;
    assert_eq!(fixture.drain_rate(endpoint), Some(4.0));
    assert!(fixture.shared.routes.endpoint(endpoint).unwrap().endpoint.version > version);
    assert_eq!(fixture.kinds().await.last(), Some(&TransitionKind::EndpointUpdated));
    fixture.shared.clock.advance(Duration::from_millis(250));
    assert_eq!(fixture.claim().await.jobs.len(), 1);
    fixture.activate(endpoint, Some(OnBacklog::Drain(None))).await;
    assert_eq!(fixture.drain_rate(endpoint), None);
    assert_eq!(fixture.claim().await.jobs.len(), 48, "all of the rest at once");
    // Nothing is under way any more, so there is nothing that could be slowed down or cancelled.
    for on in [at_rate(1.0), Some(OnBacklog::Skip)] {
        let logged = fixture.kinds().await.len();
        fixture.activate(endpoint, on).await;
        assert_eq!((fixture.drain_rate(endpoint), fixture.kinds().await.len()), (None, logged));
    }
}

#[tokio::test]
async fn rest_of_a_drain_is_skipped_and_what_it_has_begun_goes_on() {
    let (fixture, endpoint) = Fixture::drained(100, 5, 1.0).await;
    let first = fixture.claim().await.jobs;
    let later = fixture.now().plus(Duration::from_secs(10));
    fixture.settle(&first[0], failed(Decision::RetryAt(later))).await;
    fixture.activate(endpoint, Some(OnBacklog::Skip)).await;
    let new = fixture.publish(events(1)).await.jobs;
    assert_eq!(new.len(), 1);
    assert!(fixture.claim_all().await.is_empty());
    assert_eq!(fixture.number("SELECT count(*) FROM delivery WHERE state = 5").await, 4);
    fixture.shared.clock.advance(Duration::from_secs(10));
    let retried = fixture.claim_all().await;
    assert_eq!(retried.iter().map(|job| job.key).collect::<Vec<_>>(), [first[0].key]);
}

#[tokio::test]
async fn pause_ends_a_drain() {
    let (fixture, endpoint) = Fixture::drained(100, 5, 1.0).await;
    let first = fixture.claim().await.jobs;
    fixture.settle(&first[0], delivered()).await;
    fixture.pause(endpoint).await;
    assert_eq!(fixture.drain_rate(endpoint), None);
    fixture.shared.clock.advance(Duration::from_secs(60));
    assert!(fixture.claim_all().await.is_empty());
    fixture.activate(endpoint, None).await;
    assert_eq!(fixture.claim_all().await.len(), 4);
}

#[tokio::test]
async fn endpoint_that_is_gone_in_the_midst_of_a_drain_holds_the_rest() {
    let (fixture, endpoint) = Fixture::drained(100, 5, 1.0).await;
    let first = fixture.claim().await.jobs;
    fixture.settle(&first[0], failed(Decision::DeadAndGone)).await;
    fixture.shared.clock.advance(Duration::from_secs(60));
    assert!(fixture.claim_all().await.is_empty());
    let present = fixture.shared.routes.endpoint(endpoint).unwrap();
    assert_eq!(present.endpoint.backlog.drain, None);
    assert!(present.endpoint.backlog.held_since.is_some());
    let fixture = fixture.crashed().await;
    assert_eq!(fixture.shared.routes.endpoint(endpoint).unwrap().endpoint, present.endpoint);
}

#[tokio::test]
async fn nothing_is_leased_ahead_while_a_drain_is_under_way() {
    let (fixture, endpoint) = Fixture::drained(2, 40, 1_000.0).await;
    for job in fixture.claim_all().await {
        fixture.answer(&job, Duration::from_millis(10));
    }
    // As many as 20 would be leased ahead of the two slots.
    fixture.shared.clock.advance(Duration::from_millis(100));
    let begun = fixture.claim_all().await;
    assert_eq!(begun.iter().map(|job| job.place).collect::<Vec<_>>(), [Place::Slot; 2]);
    fixture.shared.clock.advance(Duration::from_millis(100));
    assert!(fixture.claim_all().await.is_empty(), "both slots are taken");
    assert!(fixture.answer(&begun[0], Duration::from_millis(10)), "a slot that gets free tells of the lane");
    assert_eq!(fixture.claim_all().await.len(), 1);

    fixture.activate(endpoint, Some(OnBacklog::Drain(None))).await;
    let rest = fixture.claim_all().await;
    assert!(rest.len() > 2 && rest.iter().all(|job| job.place == Place::Ahead), "{}", rest.len());
}

twins!(
    "draining.rs",
    [
        what_was_held_goes_out_at_the_rate_and_what_is_new_beside_it,
        rate_survives_a_crash_and_nothing_is_lost,
        drain_never_exceeds_what_may_be_in_flight,
        what_is_due_later_keeps_its_time_when_the_rest_is_drained_at_a_rate,
        drain_under_way_gets_another_rate_and_an_activation_without_one_leaves_it,
        rest_of_a_drain_is_skipped_and_what_it_has_begun_goes_on,
        pause_ends_a_drain,
        endpoint_that_is_gone_in_the_midst_of_a_drain_holds_the_rest,
        nothing_is_leased_ahead_while_a_drain_is_under_way,
    ]
);
