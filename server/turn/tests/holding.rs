//! Paused and disabled endpoints: what is held, for how long, and what an activation skips of it.

use super::*;
use crate::model::{DisableReason, EndpointStatus, OnBacklog, ShownState};

const HOLD: Duration = Duration::from_secs(3_600);
const MOMENT: Duration = Duration::from_micros(1);

impl Fixture {
    pub(super) fn configurator(&self) -> Configurator {
        Configurator::new(self.shared.clone())
    }

    pub(super) async fn pause(&self, endpoint: EndpointKey) {
        self.configurator().pause_endpoint(TENANT, endpoint, None).await.unwrap();
    }

    pub(super) async fn activate(&self, endpoint: EndpointKey, on: Option<OnBacklog>) {
        self.configurator().activate_endpoint(TENANT, endpoint, None, on).await.unwrap();
    }

    async fn shown(&self, key: DeliveryKey) -> ShownState {
        self.row(key).await.shown_state(self.shared.routes.standing(key.endpoint))
    }

    async fn in_state(&self, state: DeliveryState) -> i64 {
        match state {
            DeliveryState::Pending => self.number("SELECT count(*) FROM delivery WHERE state = 1").await,
            DeliveryState::Dead => self.number("SELECT count(*) FROM delivery WHERE state = 4 AND kind = 9").await,
            _ => self.number("SELECT count(*) FROM delivery WHERE state = 5").await,
        }
    }

    /// Claims until nothing is due any more, and returns what was leased.
    pub(super) async fn claim_all(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for _ in 0..100 {
            let done = self.claim().await;
            jobs.extend(done.jobs);
            if done.next_due.is_none_or(|at| at > self.now()) {
                return jobs;
            }
        }
        panic!("claims do not come to an end");
    }
}

fn held(requests: usize) -> DeliveryPolicy {
    DeliveryPolicy { hold_duration: HOLD, ..policy(requests, 100) }
}

#[tokio::test]
async fn paused_endpoint_gets_deliveries_and_no_requests_but_pings() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(held(3)).await;
    let flying = fixture.publish(events(1)).await.jobs;
    fixture.pause(endpoint).await;
    let done = fixture.publish(events(2)).await;
    assert!(done.jobs.is_empty());
    let fanout: Vec<i64> = done.answers.into_iter().map(|answer| answer.unwrap().fanout).collect();
    assert_eq!(fanout, [1, 1]);
    let queued = fixture.log().await.pop().unwrap();
    assert_eq!((queued.kind, queued.state), (TransitionKind::Queued as i32, ShownState::Held as i32));
    assert_eq!(queued.next_attempt_micros, None);
    assert!(fixture.claim_all().await.is_empty());

    // What was in flight when it was paused ends as ever; a retry waits.
    fixture.settle(&flying[0], failed(Decision::RetryAt(fixture.now()))).await;
    assert_eq!(fixture.kinds().await.last(), Some(&TransitionKind::Held));
    assert_eq!(fixture.shown(flying[0].key).await, ShownState::Held);
    assert!(fixture.claim_all().await.is_empty());

    let ping = Publish { ping_of: Some(endpoint), ..publish(event(None, "{}")) };
    let done = fixture.turn(Batch { publishes: vec![ping], ..Batch::default() }).await.unwrap();
    assert_eq!(done.jobs.len(), 1);
}

#[tokio::test]
async fn deliveries_that_come_to_a_paused_endpoint_call_for_no_turn_before_their_end() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(held(3)).await;
    fixture.pause(endpoint).await;
    let done = fixture.publish(events(2)).await;
    assert_eq!(done.earliest, Some(fixture.now().plus(HOLD)));
    let first = fixture.now();
    fixture.shared.clock.advance(HOLD / 2);
    fixture.publish(events(1)).await;
    assert_eq!(fixture.number("SELECT next_at FROM lane").await, first.plus(HOLD).as_micros());
}

#[tokio::test]
async fn each_held_delivery_ends_at_a_time_of_its_own() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(held(3)).await;
    let jobs = fixture.publish(events(2)).await.jobs;
    let later = fixture.now().plus(Duration::from_secs(60));
    fixture.settle(&jobs[0], failed(Decision::RetryAt(fixture.now()))).await;
    fixture.settle(&jobs[1], failed(Decision::RetryAt(later))).await;
    fixture.shared.clock.advance(Duration::from_secs(30));
    let paused = fixture.now();
    fixture.pause(endpoint).await;
    fixture.shared.clock.advance(Duration::from_secs(600));
    let published = fixture.now();
    fixture.publish(events(1)).await;
    // One was due before the pause, one became due after it, one was published.
    for (index, begun) in [paused, later, published].into_iter().enumerate() {
        let (dead, end) = (index as i64, begun.plus(HOLD));
        assert_eq!(fixture.claim().await.next_due, Some(end), "{index}");
        fixture.shared.clock.advance(end.minus(MOMENT).since(fixture.now()));
        fixture.claim_all().await;
        assert_eq!(fixture.in_state(DeliveryState::Dead).await, dead);
        fixture.shared.clock.advance(MOMENT);
        fixture.claim_all().await;
        assert_eq!(fixture.in_state(DeliveryState::Dead).await, dead + 1);
    }
    assert_eq!(fixture.number("SELECT count(*) FROM lane").await, 0);
    assert_eq!(fixture.kinds().await.iter().filter(|kind| **kind == TransitionKind::Dead).count(), 3);
}

#[tokio::test]
async fn what_was_held_for_too_long_ends_in_chunks_and_nothing_else_does() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(held(3)).await;
    fixture.pause(endpoint).await;
    for _ in 0..3 {
        fixture.publish(events(400)).await;
    }
    fixture.shared.clock.advance(HOLD / 2);
    fixture.publish(events(7)).await;
    fixture.shared.clock.advance(HOLD / 2);
    let mut turns = 1;
    while fixture.claim().await.next_due.is_some_and(|at| at <= fixture.now()) {
        turns += 1;
    }
    assert_eq!(turns, 3);
    assert_eq!(fixture.in_state(DeliveryState::Dead).await, 1_200);
    assert_eq!(fixture.in_state(DeliveryState::Pending).await, 7);
}

#[tokio::test]
async fn going_from_paused_to_disabled_and_back_does_not_begin_the_hold_anew() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(held(3)).await;
    fixture.pause(endpoint).await;
    let paused = fixture.now();
    fixture.publish(events(1)).await;
    fixture.shared.clock.advance(HOLD / 2);
    fixture.configurator().disable_endpoint(TENANT, endpoint, None).await.unwrap();
    assert!(fixture.publish(events(1)).await.jobs.is_empty());
    assert_eq!(fixture.in_state(DeliveryState::Pending).await, 1, "nothing new is routed to a disabled one");
    assert_eq!(fixture.claim().await.next_due, Some(paused.plus(HOLD)));
    fixture.pause(endpoint).await;
    fixture.publish(events(1)).await;
    assert_eq!(fixture.in_state(DeliveryState::Pending).await, 2, "it gets events again");
    assert_eq!(fixture.claim().await.next_due, Some(paused.plus(HOLD)));

    let fixture = fixture.crashed().await;
    assert_eq!(fixture.claim().await.next_due, Some(paused.plus(HOLD)));
    let kinds = fixture.kinds().await;
    let states = kinds.iter().filter(|kind| kind.concerns_endpoint()).copied().collect::<Vec<_>>();
    use TransitionKind::{EndpointCreated, EndpointDisabled, EndpointPaused};
    assert_eq!(states, [EndpointCreated, EndpointPaused, EndpointDisabled, EndpointPaused]);
}

#[tokio::test]
async fn endpoint_that_is_disabled_in_a_turn_is_not_claimed_from_in_it() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(policy(3, 1)).await;
    let jobs = fixture.publish(events(3)).await.jobs;
    fixture.engine.in_flight.lanes().forgo(&jobs[0]);
    let result = failed(Decision::DeadAndGone);
    let gone = Finished { job: jobs[0].clone(), ended: fixture.now(), generation: 1, result };
    let batch = Batch { finished: vec![Arc::new(gone)], claim: true, ..Batch::default() };
    assert!(fixture.turn(batch).await.unwrap().jobs.is_empty());
    let status = fixture.shared.routes.status(endpoint);
    assert_eq!(status, EndpointStatus::Disabled { reason: DisableReason::Gone, since: fixture.now() });
}

#[tokio::test]
async fn what_is_skipped_reads_as_cancelled_at_once_and_is_never_sent() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(held(3)).await;
    let flying = fixture.publish(events(2)).await.jobs;
    let tomorrow = fixture.now().plus(Duration::from_secs(24 * 3_600));
    fixture.settle(&flying[0], failed(Decision::RetryAt(tomorrow))).await;
    fixture.shared.clock.advance(MOMENT);
    fixture.pause(endpoint).await;
    for _ in 0..3 {
        fixture.publish(events(400)).await;
    }
    let last = fixture.number("SELECT max(event) FROM delivery").await;
    let last = DeliveryKey { event: crate::model::EventKey(last), endpoint };
    assert_eq!(fixture.shown(last).await, ShownState::Held);
    fixture.shared.clock.advance(MOMENT);
    fixture.activate(endpoint, Some(OnBacklog::Skip)).await;
    for key in [last, flying[0].key] {
        assert_eq!(fixture.row(key).await.state, DeliveryState::Pending, "nothing is rewritten yet");
        assert_eq!(fixture.shown(key).await, ShownState::Cancelled);
    }
    assert_eq!(fixture.shown(flying[1].key).await, ShownState::InFlight, "that was not held");

    // The server dies in the midst of it, and the next life goes on.
    assert!(fixture.claim().await.jobs.is_empty());
    assert_eq!(fixture.in_state(DeliveryState::Cancelled).await, 512);
    let fixture = fixture.crashed().await;
    assert_eq!(fixture.shown(last).await, ShownState::Cancelled);
    // What is published meanwhile is sent, at the very time of the activation too, and so is what was in flight.
    let new = fixture.publish(events(1)).await.jobs;
    assert_eq!(new.len(), 1);
    let claimed = fixture.claim_all().await;
    assert_eq!(claimed.iter().map(|job| job.key).collect::<Vec<_>>(), [flying[1].key]);
    assert_eq!(fixture.in_state(DeliveryState::Cancelled).await, 1_201);
    assert_eq!(fixture.number("SELECT skipping FROM endpoint").await, 0);
    assert!(!fixture.shared.routes.endpoint(endpoint).unwrap().endpoint.backlog.skipping);
    let cancelled = fixture.kinds().await.iter().filter(|kind| **kind == TransitionKind::Cancelled).count();
    assert_eq!(cancelled, 1_201, "each is told");
    fixture.settle(&new[0], delivered()).await;
    fixture.settle(&claimed[0], delivered()).await;
    fixture.shared.clock.advance(Duration::from_secs(48 * 3_600));
    assert!(fixture.claim_all().await.is_empty());
}

#[tokio::test]
async fn skipped_delivery_is_made_due_again_before_and_after_it_is_rewritten() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(held(3)).await;
    let flying = fixture.publish(events(2)).await.jobs;
    for job in &flying {
        fixture.settle(job, failed(Decision::RetryAt(fixture.now()))).await;
    }
    fixture.shared.clock.advance(MOMENT);
    fixture.pause(endpoint).await;
    fixture.shared.clock.advance(MOMENT);
    fixture.activate(endpoint, Some(OnBacklog::Skip)).await;
    let shown = crate::redrive::retry(&fixture.shared, TENANT, flying[0].key).await.unwrap();
    assert_eq!((shown.state, shown.next_attempt), (ShownState::Pending, Some(fixture.now())));
    let claimed = fixture.claim_all().await;
    assert_eq!(claimed.iter().map(|job| job.key).collect::<Vec<_>>(), [flying[0].key]);
    assert_eq!((claimed[0].attempt, claimed[0].base), (2, 1), "its schedule begins anew");
    let shown = crate::redrive::retry(&fixture.shared, TENANT, flying[1].key).await.unwrap();
    assert_eq!(shown.state, ShownState::Pending);
    assert_eq!(fixture.claim_all().await.len(), 1);
}

#[tokio::test]
async fn what_is_published_after_the_clock_was_set_back_is_not_skipped() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(held(3)).await;
    fixture.pause(endpoint).await;
    fixture.publish(events(2)).await;
    fixture.shared.clock.advance(MOMENT);
    fixture.activate(endpoint, Some(OnBacklog::Skip)).await;
    let earlier = Clock::manual(fixture.now().minus(HOLD));
    let Fixture { shared, engine, database } = fixture;
    shared.db.close().await;
    drop((shared, engine));
    let fixture = Fixture::open(database, earlier).await;
    let new = fixture.publish(events(1)).await.jobs;
    fixture.settle(&new[0], failed(Decision::RetryAt(fixture.now()))).await;
    assert_eq!(fixture.shown(new[0].key).await, ShownState::Pending);
    let claimed = fixture.claim_all().await;
    assert_eq!(claimed.iter().map(|job| job.key).collect::<Vec<_>>(), [new[0].key]);
    assert_eq!(fixture.in_state(DeliveryState::Cancelled).await, 2);
}

#[tokio::test]
async fn cancelling_what_was_skipped_changes_nothing() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(held(3)).await;
    fixture.pause(endpoint).await;
    fixture.publish(events(1)).await;
    let key = DeliveryKey { event: crate::model::EventKey(1), endpoint };
    fixture.shared.clock.advance(MOMENT);
    fixture.activate(endpoint, Some(OnBacklog::Skip)).await;
    let before = fixture.log().await.len();
    let (result, shown) = crate::redrive::cancel(&fixture.shared, TENANT, key).await.unwrap();
    assert_eq!((result, shown.state), (crate::redrive::Cancelled::Now, ShownState::Cancelled));
    assert_eq!(fixture.log().await.len(), before);
}

#[tokio::test]
async fn what_was_skipped_ends_cancelled_even_if_its_endpoint_is_paused_again() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(held(3)).await;
    fixture.pause(endpoint).await;
    fixture.publish(events(3)).await;
    fixture.shared.clock.advance(MOMENT);
    fixture.activate(endpoint, Some(OnBacklog::Skip)).await;
    fixture.pause(endpoint).await;
    fixture.publish(events(2)).await;
    let published = fixture.now();
    let (skipped, new) = (crate::model::EventKey(1), crate::model::EventKey(4));
    assert_eq!(fixture.shown(DeliveryKey { event: skipped, endpoint }).await, ShownState::Cancelled);
    assert_eq!(fixture.shown(DeliveryKey { event: new, endpoint }).await, ShownState::Held);
    fixture.claim_all().await;
    assert_eq!(fixture.in_state(DeliveryState::Cancelled).await, 3);
    assert_eq!(fixture.in_state(DeliveryState::Pending).await, 2);
    assert_eq!(fixture.claim().await.next_due, Some(published.plus(HOLD)));
}

#[tokio::test]
async fn deleted_endpoint_is_forgotten_at_once_and_what_waits_behind_it_is_cancelled() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(held(3)).await;
    let flying = fixture.publish(events(1)).await.jobs;
    fixture.pause(endpoint).await;
    fixture.publish(events(2)).await;
    fixture.configurator().delete_endpoint(TENANT, endpoint, None).await.unwrap();
    assert!(fixture.shared.routes.endpoint(endpoint).is_none());
    let fixture = fixture.crashed().await;
    assert!(fixture.shared.routes.endpoint(endpoint).is_none());
    fixture.claim_all().await;
    assert_eq!(fixture.in_state(DeliveryState::Cancelled).await, 3);
    assert_eq!(fixture.row(flying[0].key).await.state, DeliveryState::Cancelled);
    assert_eq!(fixture.number("SELECT count(*) FROM lane").await, 0);
}

#[tokio::test]
async fn what_comes_to_an_adopted_lane_before_it_is_put_aside_has_a_timer() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(DeliveryPolicy { hold_duration: HOLD, ..policy(3, 1) }).await;
    fixture.publish(events(3)).await;
    fixture.claim().await;
    assert!(fixture.engine.in_flight.lanes().is_adopted(endpoint));
    fixture.pause(endpoint).await;
    fixture.shared.clock.advance(MOMENT);
    assert!(fixture.publish(events(1)).await.jobs.is_empty());
    let published = fixture.now();
    assert_eq!(
        fixture.claim().await.next_due,
        Some(published.minus(MOMENT).plus(HOLD)),
        "that of what was held before"
    );
    assert!(!fixture.engine.in_flight.lanes().is_adopted(endpoint));
    fixture.reach(published.plus(HOLD));
    fixture.claim_all().await;
    assert_eq!(fixture.in_state(DeliveryState::Dead).await, 3);
}

#[tokio::test]
async fn adopted_lane_of_an_endpoint_that_is_gone_is_put_aside() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(policy(3, 1)).await;
    let jobs = fixture.publish(events(3)).await.jobs;
    fixture.claim().await;
    fixture.configurator().delete_endpoint(TENANT, endpoint, None).await.unwrap();
    // As if so many lanes were adopted that no more are.
    let taken = fixture.shared.db.write(move |tx| {
        Box::pin(async move {
            store::execute!(tx.conn(), "UPDATE lane SET owner = 1 WHERE endpoint = $1", endpoint.0)?;
            tx.commit().await
        })
    });
    taken.await.unwrap();
    fixture.claim().await;
    assert!(fixture.engine.in_flight.lanes().is_adopted(endpoint), "while its slot is taken");
    fixture.settle(&jobs[0], None).await;
    fixture.claim().await;
    assert!(!fixture.engine.in_flight.lanes().is_adopted(endpoint));
    assert_eq!(fixture.in_state(DeliveryState::Cancelled).await, 3);
}

twins!(
    "holding.rs",
    [
        paused_endpoint_gets_deliveries_and_no_requests_but_pings,
        deliveries_that_come_to_a_paused_endpoint_call_for_no_turn_before_their_end,
        each_held_delivery_ends_at_a_time_of_its_own,
        what_was_held_for_too_long_ends_in_chunks_and_nothing_else_does,
        going_from_paused_to_disabled_and_back_does_not_begin_the_hold_anew,
        endpoint_that_is_disabled_in_a_turn_is_not_claimed_from_in_it,
        what_is_skipped_reads_as_cancelled_at_once_and_is_never_sent,
        skipped_delivery_is_made_due_again_before_and_after_it_is_rewritten,
        what_is_published_after_the_clock_was_set_back_is_not_skipped,
        cancelling_what_was_skipped_changes_nothing,
        what_was_skipped_ends_cancelled_even_if_its_endpoint_is_paused_again,
        deleted_endpoint_is_forgotten_at_once_and_what_waits_behind_it_is_cancelled,
        what_comes_to_an_adopted_lane_before_it_is_put_aside_has_a_timer,
        adopted_lane_of_an_endpoint_that_is_gone_is_put_aside,
    ]
);
