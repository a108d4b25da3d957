use bytes::Bytes;

use super::*;
use crate::{
    fixture::{Fixture, OTHER_TENANT, TENANT, twins},
    model::{DeliveryKey, FailureKind, Incarnation, OnBacklog},
    redrive::{Cancelled, cancel, retry},
    store::{DeliveryRow, Settlement},
};

async fn row(fixture: &Fixture, key: DeliveryKey) -> DeliveryRow {
    let read = fixture.shared.db.read(move |conn| Box::pin(store::delivery::get(conn, TENANT, key)));
    read.await.unwrap().unwrap()
}

fn id(key: DeliveryKey) -> String {
    format!("event-{}", key.event.0)
}

/// An event with deliveries to `count` endpoints, all in this state.
async fn event(fixture: &Fixture, count: usize, state: DeliveryState) -> Vec<DeliveryKey> {
    let mut endpoints = Vec::new();
    for _ in 0..count {
        endpoints.push(fixture.endpoint(false).await.key);
    }
    fixture.event(TENANT, "user.created", &endpoints, state).await
}

/// Settles the first attempt of a delivery, answered so.
async fn settle(fixture: &Fixture, key: DeliveryKey, to: DeliveryState, answer: &'static str) {
    let (owner, now) = (fixture.shared.incarnation, fixture.shared.clock.now());
    let unit = fixture.shared.db.write(move |tx| {
        Box::pin(async move {
            let shown = Some((200, std::time::Duration::from_millis(1), None));
            let ready_at = (to == DeliveryState::Pending).then_some(now);
            let settlement = Settlement { key, attempt: 1, to, ready_at, uncounted: false, shown };
            let settled = if to == DeliveryState::Delivered {
                store::hot::settle_delivered(tx, owner, now, &[(settlement, Bytes::from(answer))]).await?
            } else {
                store::hot::settle_others(tx, owner, now, &[settlement]).await?
            };
            assert_eq!(settled.len(), 1);
            tx.commit().await
        })
    });
    unit.await.unwrap();
}

async fn claim(fixture: &Fixture, key: DeliveryKey) {
    let (owner, now): (Incarnation, _) = (fixture.shared.incarnation, fixture.shared.clock.now());
    let unit = fixture.shared.db.write(move |tx| {
        Box::pin(async move {
            assert_eq!(store::lease::claim(tx, owner, now, now, &[key]).await?.len(), 1);
            tx.commit().await
        })
    });
    unit.await.unwrap();
}

fn done(cancelled: u32, requested: u32) -> EventCancelled {
    EventCancelled { cancelled, requested }
}

/// The kinds of all transitions so far.
async fn kinds(fixture: &Fixture) -> Vec<i32> {
    fixture.log().await.into_iter().flat_map(|row| row.body.entries).map(|entry| entry.kind).collect()
}

#[tokio::test]
async fn everything_that_has_not_ended_is_cancelled_once() {
    let fixture = Fixture::new().await;
    let keys = event(&fixture, 5, DeliveryState::Pending).await;
    claim(&fixture, keys[0]).await;
    claim(&fixture, keys[1]).await;
    settle(&fixture, keys[1], DeliveryState::Delivered, "ok").await;
    fixture.configurator.disable_endpoint(TENANT, keys[2].endpoint, None).await.unwrap();
    let elsewhere = fixture.event(TENANT, "user.created", &[keys[3].endpoint], DeliveryState::Pending).await[0];
    let before = kinds(&fixture).await.len();

    assert_eq!(cancel_event(&fixture.shared, TENANT, &id(keys[0]), None).await.unwrap(), done(3, 1));
    let mut states = Vec::new();
    for key in &keys {
        let row = row(&fixture, *key).await;
        states.push((row.state, row.cancel));
    }
    let cancelled = (DeliveryState::Cancelled, false);
    let expected =
        [(DeliveryState::InFlight, true), (DeliveryState::Delivered, false), cancelled, cancelled, cancelled];
    assert_eq!(states, expected);
    assert_eq!(row(&fixture, elsewhere).await.state, DeliveryState::Pending, "another event's");
    let mut told = kinds(&fixture).await.split_off(before);
    told.sort_unstable();
    let kind = TransitionKind::Cancelled as i32;
    assert_eq!(told, [kind, kind, kind, TransitionKind::CancelRequested as i32]);

    let log = fixture.log().await.len();
    assert_eq!(cancel_event(&fixture.shared, TENANT, &id(keys[0]), None).await.unwrap(), done(0, 0));
    assert_eq!(fixture.log().await.len(), log, "a repeat finds nothing to do");
    // The attempt in flight fails, late: it is not repeated.
    settle(&fixture, keys[0], DeliveryState::Pending, "").await;
    assert_eq!(row(&fixture, keys[0]).await.state, DeliveryState::Cancelled);
}

#[tokio::test]
async fn what_an_activation_skipped_is_not_counted_again() {
    let fixture = Fixture::new().await;
    let keys = event(&fixture, 3, DeliveryState::Pending).await;
    fixture.configurator.pause_endpoint(TENANT, keys[1].endpoint, None).await.unwrap();
    fixture.shared.clock.advance(std::time::Duration::from_micros(1));
    let skip = Some(OnBacklog::Skip);
    fixture.configurator.activate_endpoint(TENANT, keys[1].endpoint, None, skip).await.unwrap();
    assert_eq!(row(&fixture, keys[1]).await.state, DeliveryState::Pending, "it is not rewritten yet");
    let before = kinds(&fixture).await.len();
    assert_eq!(cancel_event(&fixture.shared, TENANT, &id(keys[0]), None).await.unwrap(), done(2, 0));
    // Told all the same: whoever rewrites what was skipped finds it done.
    assert_eq!(kinds(&fixture).await[before..], [TransitionKind::Cancelled as i32; 3]);
    for key in keys {
        assert_eq!(row(&fixture, key).await.state, DeliveryState::Cancelled);
    }
}

#[tokio::test]
async fn event_with_very_many_deliveries_is_cancelled_in_units() {
    let fixture = Fixture::new().await;
    let key = event(&fixture, 1, DeliveryState::Pending).await[0];
    let many = 2 * CANCELLED_PER_UNIT + 1;
    let unit = fixture.shared.db.write(move |tx| {
        Box::pin(async move {
            let of = |endpoint| DeliveryKey { endpoint: EndpointKey(endpoint), ..key };
            let inserts: Vec<_> = (2..=many)
                .map(|endpoint| store::DeliveryInsert { key: of(endpoint), handed_over: false, due: None })
                .collect();
            store::hot::insert_deliveries(tx, Incarnation(1), Timestamp::from_micros(1), &inserts).await?;
            tx.commit().await
        })
    });
    unit.await.unwrap();
    let before = fixture.log().await.len();
    // No endpoint but the first is there, so that the others read as cancelled: they are told of, but not counted.
    assert_eq!(cancel_event(&fixture.shared, TENANT, &id(key), None).await.unwrap(), done(1, 0));
    let rows = fixture.log().await.split_off(before);
    assert_eq!(rows.iter().map(|row| row.body.entries.len()).collect::<Vec<_>>(), [1_000, 1_000, 1]);
    let last = DeliveryKey { endpoint: EndpointKey(many), ..key };
    assert_eq!(row(&fixture, last).await.state, DeliveryState::Cancelled);
}

#[tokio::test]
async fn event_without_deliveries_and_those_of_others_are_told_apart() {
    let fixture = Fixture::new().await;
    fixture.endpoint(false).await;
    fixture.event(TENANT, "user.created", &[], DeliveryState::Pending).await;
    assert_eq!(cancel_event(&fixture.shared, TENANT, "event-1", None).await.unwrap(), done(0, 0));
    for (tenant, id) in [(OTHER_TENANT, "event-1"), (TENANT, "event-2"), (TENANT, "EVENT-1")] {
        assert!(matches!(cancel_event(&fixture.shared, tenant, id, None).await, Err(Error::NoEvent)));
        assert!(matches!(expunge_event(&fixture.shared, tenant, id, None).await, Err(Error::NoEvent)));
    }
}

#[tokio::test]
async fn expunging_erases_the_payload_and_keeps_the_record() {
    let fixture = Fixture::new().await;
    let keys = event(&fixture, 3, DeliveryState::Pending).await;
    fixture.failed_attempt(keys[0], 1).await;
    let read = fixture.shared.db.read(|conn| Box::pin(async move { store::event::get(conn, TENANT, "event-1").await }));
    let before = read.await.unwrap().unwrap();
    assert_eq!((before.payload_bytes, before.times.expunged), (2, None));
    let now = fixture.shared.clock.now();
    let (ended, event) = expunge_event(&fixture.shared, TENANT, "event-1", None).await.unwrap();
    assert_eq!(ended, done(3, 0));
    assert_eq!((event.payload_bytes, event.content.payload.len(), event.times.expunged), (0, 0, Some(now)));
    assert_eq!(
        (event.content.created, &event.content.event_type),
        (before.content.created, &before.content.event_type)
    );
    let key = keys[0];
    let attempts = fixture.shared.db.read(move |conn| Box::pin(store::attempt::list(conn, key, 0, 9))).await.unwrap();
    assert_eq!((attempts.len(), attempts[0].http_status, attempts[0].response.len()), (1, Some(500), 0));
    assert!(fixture.shared.erased.load(Ordering::Relaxed));

    fixture.shared.clock.advance(crate::fixture::DAY);
    let (again, event) = expunge_event(&fixture.shared, TENANT, "event-1", None).await.unwrap();
    assert_eq!((again, event.times.expunged), (done(0, 0), Some(now)), "it stays as it is");
    for key in keys {
        assert!(matches!(retry(&fixture.shared, TENANT, key).await, Err(Error::EventExpunged)));
    }
}

#[tokio::test]
async fn late_answer_to_an_expunged_event_is_not_kept() {
    let fixture = Fixture::new().await;
    let keys = event(&fixture, 4, DeliveryState::InFlight).await;
    settle(&fixture, keys[0], DeliveryState::Delivered, "answered before").await;
    assert_eq!(cancel(&fixture.shared, TENANT, keys[1]).await.unwrap().0, Cancelled::WithAttempt);
    let (ended, _) = expunge_event(&fixture.shared, TENANT, &id(keys[0]), None).await.unwrap();
    assert_eq!(ended, done(0, 2), "the cancellation of one had been asked for");
    assert_eq!(row(&fixture, keys[0]).await.response, b"");
    // Nothing that is asked for meanwhile brings it back.
    assert_eq!(cancel(&fixture.shared, TENANT, keys[2]).await.unwrap().0, Cancelled::WithAttempt);
    settle(&fixture, keys[1], DeliveryState::Delivered, "answered late").await;
    settle(&fixture, keys[2], DeliveryState::Delivered, "answered late").await;
    settle(&fixture, keys[3], DeliveryState::Pending, "").await;
    for key in &keys[1..3] {
        let row = row(&fixture, *key).await;
        assert_eq!((row.state, row.response.as_slice()), (DeliveryState::Delivered, b"".as_slice()));
    }
    assert_eq!(row(&fixture, keys[3]).await.state, DeliveryState::Cancelled, "it is not repeated");
}

#[tokio::test]
async fn retry_goes_by_the_times_of_the_event() {
    let fixture = Fixture::new().await;
    let keys = event(&fixture, 1, DeliveryState::Dead).await;
    let key = keys[0];
    let now = fixture.shared.clock.now();
    let (deliver_at, expires) = (now.plus(crate::fixture::DAY), now.plus(crate::fixture::DAY * 2));
    let unit = fixture.shared.db.write(move |tx| {
        Box::pin(async move {
            let times =
                crate::model::EventTimes { deliver_at: Some(deliver_at), expires: Some(expires), expunged: None };
            store::event_time::insert(tx, &[(key.event, times)]).await?;
            tx.commit().await
        })
    });
    unit.await.unwrap();
    let retried = retry(&fixture.shared, TENANT, key).await.unwrap();
    assert_eq!((retried.state, retried.next_attempt), (ShownState::Pending, Some(deliver_at)), "not before its time");
    fixture.shared.clock.advance(crate::fixture::DAY);
    let now = fixture.shared.clock.now();
    assert_eq!(retry(&fixture.shared, TENANT, key).await.unwrap().next_attempt, Some(now));
    fixture.shared.clock.advance(crate::fixture::DAY);
    let before = row(&fixture, key).await;
    assert!(matches!(retry(&fixture.shared, TENANT, key).await, Err(Error::EventExpired)));
    assert_eq!(row(&fixture, key).await, before);
    assert_eq!(before.kind, Some(FailureKind::HttpStatus));
}

twins!(
    "tests.rs",
    [
        everything_that_has_not_ended_is_cancelled_once,
        what_an_activation_skipped_is_not_counted_again,
        event_with_very_many_deliveries_is_cancelled_in_units,
        event_without_deliveries_and_those_of_others_are_told_apart,
        expunging_erases_the_payload_and_keeps_the_record,
        late_answer_to_an_expunged_event_is_not_kept,
        retry_goes_by_the_times_of_the_event,
    ]
);
