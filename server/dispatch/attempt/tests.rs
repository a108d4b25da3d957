use crate::{
    dispatch::{Dispatcher, Finished, InFlight, Job, Origin, Place, Room, inbox},
    egress::{Egress, EgressConfig},
    fixture::{Fixture, TENANT, twins},
    model::{Decision, DeliveryKey, EventContent, EventKey, FailureKind, Timestamp},
};

/// What comes of an attempt for an event that expires so many microseconds after now.
async fn attempt(fixture: &Fixture, expires_in: i64) -> Finished {
    let now = fixture.shared.clock.now();
    let event = EventContent {
        key: EventKey(7),
        tenant: TENANT,
        id: "evt".into(),
        event_type: "user.created".into(),
        content_type: "application/json".into(),
        payload: "{}".into(),
        time: now,
        created: now,
        ping_of: None,
        expires: Some(Timestamp::from_micros(now.as_micros() + expires_in)),
    };
    let key = DeliveryKey { event: event.key, endpoint: fixture.endpoint(false).await.key };
    let job = Job {
        key,
        event: event.into(),
        attempt: 1,
        base: 0,
        origin: Origin::Fresh,
        place: Place::Slot,
        last_chance: false,
    };
    let in_flight = std::sync::Arc::new(InFlight::new(Room::default()));
    // No host name is looked up: the endpoint's port is not among those that are allowed.
    let egress = Egress::new(EgressConfig { ports: vec![1], ..EgressConfig::default() }).unwrap();
    let (committer, mut inbox) = inbox();
    super::run(Dispatcher::new(fixture.shared.clone(), in_flight, egress, committer), job).await;
    inbox.finished.recv().await.unwrap()
}

#[tokio::test]
async fn no_attempt_begins_once_the_event_has_expired() {
    let fixture = Fixture::new().await;
    for past in [0, -1, i64::MIN / 2] {
        let (outcome, decision) = attempt(&fixture, past).await.result.unwrap();
        assert_eq!((outcome.failure, decision), (Some(FailureKind::Expired), Decision::Dead), "{past}");
    }
    let (outcome, decision) = attempt(&fixture, 1).await.result.unwrap();
    assert_ne!(outcome.failure, Some(FailureKind::Expired), "a moment before it does");
    assert_eq!(decision, Decision::Expired, "and no other follows");
}

twins!("tests.rs", [no_attempt_begins_once_the_event_has_expired]);
