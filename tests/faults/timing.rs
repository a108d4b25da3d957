//! Events that are scheduled, expire, are cancelled or expunged, at a server that is killed and receivers that answer late.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use tidings::{proto::*, receiver::Answer};
use tokio_util::sync::CancellationToken;

use crate::{
    answers::until,
    attempts_of, delays, delivery_of, endpoint,
    ledger::ended,
    process::{Client, Home},
    publish,
    sink::{Answering, Sink, always, answering},
};

/// What a receiver echoes.
const ECHO: &str = "an-echo-of-what-was-sent";

/// Longer than any test takes.
const HOUR: Duration = Duration::from_secs(3_600);

/// An endpoint whose failed attempts are repeated much later.
fn patient() -> Option<DeliveryPolicy> {
    Some(DeliveryPolicy { retry: delays(&[HOUR]), ..Default::default() })
}

async fn publish_event(client: &Client, event: Event) {
    let request = PublishEventRequest { event: Some(event), ..Default::default() };
    client.clone().publish_event(request).await.unwrap();
}

fn event(id: &str) -> Event {
    Event { id: id.to_owned(), r#type: "a.b".to_owned(), payload: b"{}".as_slice().into(), ..Default::default() }
}

fn seconds(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Answers with this status, and an echo, once the token is cancelled.
fn late(status: StatusCode, answered: &CancellationToken) -> Answering {
    let answered = answered.clone();
    answering(move |_, _| {
        let answered = answered.clone();
        async move {
            answered.cancelled().await;
            Answer::text(status, ECHO)
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduled_events_are_neither_early_nor_lost_over_a_kill() {
    let home = Home::new(90).await;
    let sink = Sink::start(always(StatusCode::OK)).await;
    let process = home.start().await;
    endpoint(&process.client, &sink, "/a", None).await;
    // The kill comes before the first is due; the second would be due while the server is down at the earliest.
    let due = [4, 5, 6].map(|ahead| SystemTime::now() + Duration::from_secs(ahead));
    for (number, due) in due.iter().enumerate() {
        publish_event(&process.client, Event { deliver_time: Some((*due).into()), ..event(&format!("evt-{number}")) })
            .await;
    }
    process.kill().await;
    let process = home.start().await;
    let ends = ended(&process, 3).await;
    assert!(ends.values().all(|kind| *kind == DeliveryTransitionKind::Delivered), "{ends:?}");
    let received = sink.received();
    assert_eq!(received.len(), 3);
    for (number, due) in due.iter().enumerate() {
        let [one] = &sink.received_of(&format!("evt-{number}"))[..] else { panic!("not once") };
        // A timestamp is a whole second, cut down.
        assert!(one.timestamp >= seconds(*due), "{} before {}", one.timestamp, seconds(*due));
    }
    process.stop().await;
    sink.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_that_an_event_would_not_live_to_see_is_not_waited_for() {
    let home = Home::new(91).await;
    let sink = Sink::start(always(StatusCode::BAD_GATEWAY)).await;
    let process = home.start().await;
    endpoint(&process.client, &sink, "/a", patient()).await;
    let expire_time = Some((SystemTime::now() + HOUR / 2).into());
    publish_event(&process.client, Event { expire_time, ..event("one") }).await;
    let dead = until(&process.client, DeliveryTransitionKind::Dead).await;
    assert_eq!((dead.failure_kind(), dead.http_status), (FailureKind::Expired, 502));
    let delivery = delivery_of(&process.client, "one").await;
    assert_eq!((delivery.state(), delivery.failure_kind()), (DeliveryState::Dead, FailureKind::Expired));
    assert_eq!(attempts_of(&process.client, &delivery).await[0].failure_kind(), FailureKind::HttpStatus);
    assert_eq!(sink.received().len(), 1);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempt_in_flight_at_a_cancelled_event_ends_it_either_way() {
    for (seed, status, end) in [
        (92, StatusCode::OK, DeliveryTransitionKind::Delivered),
        (93, StatusCode::BAD_GATEWAY, DeliveryTransitionKind::Cancelled),
    ] {
        let home = Home::new(seed).await;
        let answered = CancellationToken::new();
        let sink = Sink::start(late(status, &answered)).await;
        let mut process = home.start().await;
        endpoint(
            &process.client,
            &sink,
            "/a",
            Some(DeliveryPolicy { retry: delays(&[Duration::ZERO]), ..Default::default() }),
        )
        .await;
        publish(&process.client, "one").await;
        sink.until_count(1).await;
        let request = || CancelEventRequest { event_id: "one".to_owned(), ..Default::default() };
        let answer = process.client.cancel_event(request()).await.unwrap().into_inner();
        assert_eq!((answer.cancelled_count, answer.cancel_requested_count), (0, 1));
        let again = process.client.cancel_event(request()).await.unwrap().into_inner();
        assert_eq!(again, CancelEventResponse::default());
        answered.cancel();
        let ends = ended(&process, 1).await;
        assert!(ends.values().all(|kind| *kind == end), "{ends:?}");
        assert_eq!(sink.received().len(), 1, "it is not repeated");
        process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_answer_to_an_expunged_event_is_neither_kept_nor_followed_by_another_attempt() {
    for (seed, status, end) in
        [(94, StatusCode::OK, DeliveryState::Delivered), (95, StatusCode::BAD_GATEWAY, DeliveryState::Cancelled)]
    {
        let home = Home::new(seed).await;
        let answered = CancellationToken::new();
        let sink = Sink::start(late(status, &answered)).await;
        let mut process = home.start().await;
        endpoint(
            &process.client,
            &sink,
            "/a",
            Some(DeliveryPolicy { retry: delays(&[Duration::ZERO]), ..Default::default() }),
        )
        .await;
        publish(&process.client, "one").await;
        sink.until_count(1).await;
        let request = ExpungeEventRequest { event_id: "one".to_owned(), ..Default::default() };
        let answer = process.client.expunge_event(request).await.unwrap().into_inner();
        assert_eq!((answer.cancelled_count, answer.cancel_requested_count), (0, 1));
        answered.cancel();
        ended(&process, 1).await;
        let delivery = delivery_of(&process.client, "one").await;
        assert_eq!(delivery.state(), end);
        let attempts = attempts_of(&process.client, &delivery).await;
        assert_eq!((attempts.len(), attempts[0].http_status), (1, i32::from(status.as_u16())));
        assert_eq!(attempts[0].response_body, b"".as_slice());
        assert_eq!(sink.received().len(), 1);
        process.stop().await;
    }
}
