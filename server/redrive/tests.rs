use super::*;
use crate::fixture::{DAY, Fixture, OTHER_TENANT, TENANT, twins};

async fn stored(fixture: &Fixture, key: DeliveryKey) -> DeliveryRow {
    let read = fixture.shared.db.read(move |conn| Box::pin(store::delivery::get(conn, TENANT, key)));
    read.await.unwrap().unwrap()
}

/// A delivery in `state` to an endpoint of its own.
async fn delivery(fixture: &Fixture, state: DeliveryState) -> DeliveryKey {
    let endpoint = fixture.endpoint(false).await.key;
    fixture.event(TENANT, "user.created", &[endpoint], state).await[0]
}

#[tokio::test]
async fn retry_starts_the_schedule_of_an_ended_delivery_anew() {
    let fixture = Fixture::new().await;
    for state in [DeliveryState::Dead, DeliveryState::Cancelled] {
        let key = delivery(&fixture, state).await;
        fixture.shared.clock.advance(DAY);
        let now = fixture.shared.clock.now();
        let shown = retry(&fixture.shared, TENANT, key).await.unwrap();
        assert_eq!((shown.state, shown.next_attempt, shown.attempt), (ShownState::Pending, Some(now), 1));
        let row = stored(&fixture, key).await;
        assert_eq!((row.state, row.base, row.ready_at), (DeliveryState::Pending, 1, Some(now)));
        let entry = fixture.last_entry().await;
        assert_eq!((entry.kind, entry.state), (TransitionKind::RetryRequested as i32, ShownState::Pending as i32));
        assert_eq!(entry.next_attempt_micros, Some(now.as_micros()));
        let due = fixture.shared.db.read(|conn| Box::pin(store::lane::next_due(conn))).await.unwrap();
        assert!(due.is_some_and(|due| due <= now), "{due:?}");
    }
}

#[tokio::test]
async fn retry_of_a_pending_delivery_keeps_its_schedule() {
    let fixture = Fixture::new().await;
    let key = delivery(&fixture, DeliveryState::Pending).await;
    fixture.shared.clock.advance(DAY);
    retry(&fixture.shared, TENANT, key).await.unwrap();
    let row = stored(&fixture, key).await;
    assert_eq!((row.base, row.attempt, row.ready_at), (0, 0, Some(fixture.shared.clock.now())));
}

#[tokio::test]
async fn retry_is_refused_in_other_states_and_says_which() {
    let fixture = Fixture::new().await;
    let cases = [(DeliveryState::Delivered, ShownState::Delivered), (DeliveryState::InFlight, ShownState::InFlight)];
    for (state, shown) in cases {
        let key = delivery(&fixture, state).await;
        let (before, log) = (stored(&fixture, key).await, fixture.log().await.len());
        let refused = retry(&fixture.shared, TENANT, key).await;
        assert!(matches!(refused, Err(Error::State(state)) if state == shown), "{refused:?}");
        assert_eq!((stored(&fixture, key).await, fixture.log().await.len()), (before, log));
    }
}

#[tokio::test]
async fn retry_is_refused_while_the_endpoint_takes_nothing() {
    let fixture = Fixture::new().await;
    let key = delivery(&fixture, DeliveryState::Dead).await;
    let paused = fixture.configurator.pause_endpoint(TENANT, key.endpoint, None).await.unwrap().status;
    let refused = retry(&fixture.shared, TENANT, key).await;
    assert!(matches!(refused, Err(Error::EndpointState(state)) if state == paused), "{refused:?}");
    let disabled = fixture.configurator.disable_endpoint(TENANT, key.endpoint, None).await.unwrap().status;
    let refused = retry(&fixture.shared, TENANT, key).await;
    assert!(matches!(refused, Err(Error::EndpointState(state)) if state == disabled), "{refused:?}");
    fixture.configurator.delete_endpoint(TENANT, key.endpoint, None).await.unwrap();
    let refused = retry(&fixture.shared, TENANT, key).await;
    assert!(matches!(refused, Err(Error::EndpointState(EndpointStatus::Deleted))), "{refused:?}");
    assert_eq!(stored(&fixture, key).await.state, DeliveryState::Dead);
}

#[tokio::test]
async fn a_delivery_of_another_tenant_is_not_found() {
    let fixture = Fixture::new().await;
    let key = delivery(&fixture, DeliveryState::Pending).await;
    let missing = DeliveryKey { event: crate::model::EventKey(99), ..key };
    for (tenant, key) in [(OTHER_TENANT, key), (TENANT, missing)] {
        assert!(matches!(retry(&fixture.shared, tenant, key).await, Err(Error::NotFound)));
        assert!(matches!(cancel(&fixture.shared, tenant, key).await, Err(Error::NotFound)));
    }
    assert_eq!(stored(&fixture, key).await.state, DeliveryState::Pending);
}

#[tokio::test]
async fn cancelling_a_waiting_delivery_ends_it_once() {
    let fixture = Fixture::new().await;
    let pending = delivery(&fixture, DeliveryState::Pending).await;
    let held = delivery(&fixture, DeliveryState::Pending).await;
    fixture.configurator.disable_endpoint(TENANT, held.endpoint, None).await.unwrap();
    for key in [pending, held] {
        let (result, shown) = cancel(&fixture.shared, TENANT, key).await.unwrap();
        assert_eq!((result, shown.state, shown.next_attempt), (Cancelled::Now, ShownState::Cancelled, None));
        assert_eq!(stored(&fixture, key).await.state, DeliveryState::Cancelled);
        assert_eq!(fixture.last_entry().await.kind, TransitionKind::Cancelled as i32);
        let log = fixture.log().await.len();
        assert_eq!(cancel(&fixture.shared, TENANT, key).await.unwrap(), (result, shown));
        assert_eq!(fixture.log().await.len(), log);
    }
}

#[tokio::test]
async fn cancelling_a_delivery_in_flight_only_asks() {
    let fixture = Fixture::new().await;
    let key = delivery(&fixture, DeliveryState::InFlight).await;
    for _ in 0..2 {
        let (result, shown) = cancel(&fixture.shared, TENANT, key).await.unwrap();
        assert_eq!((result, shown.state), (Cancelled::WithAttempt, ShownState::InFlight));
        assert!(shown.cancel_requested);
    }
    let requested = TransitionKind::CancelRequested as i32;
    let entries = fixture.log().await.into_iter().flat_map(|row| row.body.entries);
    assert_eq!(entries.filter(|entry| entry.kind == requested).count(), 1);
}

#[tokio::test]
async fn what_has_ended_is_not_cancelled() {
    let fixture = Fixture::new().await;
    for (state, shown) in [(DeliveryState::Delivered, ShownState::Delivered), (DeliveryState::Dead, ShownState::Dead)] {
        let key = delivery(&fixture, state).await;
        let refused = cancel(&fixture.shared, TENANT, key).await;
        assert!(matches!(refused, Err(Error::State(state)) if state == shown), "{refused:?}");
    }
}

#[tokio::test]
async fn a_delivery_behind_a_deleted_endpoint_is_cancelled_already() {
    let fixture = Fixture::new().await;
    let key = delivery(&fixture, DeliveryState::Pending).await;
    fixture.configurator.delete_endpoint(TENANT, key.endpoint, None).await.unwrap();
    let (result, shown) = cancel(&fixture.shared, TENANT, key).await.unwrap();
    assert_eq!((result, shown.state), (Cancelled::Now, ShownState::Cancelled));
}

twins!(
    "tests.rs",
    [
        retry_starts_the_schedule_of_an_ended_delivery_anew,
        retry_of_a_pending_delivery_keeps_its_schedule,
        retry_is_refused_in_other_states_and_says_which,
        retry_is_refused_while_the_endpoint_takes_nothing,
        a_delivery_of_another_tenant_is_not_found,
        cancelling_a_waiting_delivery_ends_it_once,
        cancelling_a_delivery_in_flight_only_asks,
        what_has_ended_is_not_cancelled,
        a_delivery_behind_a_deleted_endpoint_is_cancelled_already,
    ]
);
