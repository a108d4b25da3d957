//! What each kind of answer leads to, as the API shows it.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use tidings::{proto::*, receiver::Answer};
use tonic::Code;

use crate::{
    attempts_of, delays, delivery_of, endpoint, get_endpoint,
    ledger::ended,
    process::{Client, Home},
    publish,
    sink::{Sink, always, answering},
};

/// Waits for a transition of this kind; counts from the oldest that is kept.
pub(crate) async fn until(client: &Client, kind: DeliveryTransitionKind) -> DeliveryTransition {
    let start = Some(watch_deliveries_request::Start::FromOldest(true));
    let request = WatchDeliveriesRequest { start, ..Default::default() };
    let mut stream = client.clone().watch_deliveries(request).await.unwrap().into_inner();
    let reading = async {
        loop {
            let message = stream.message().await.unwrap().expect("the stream ended").message;
            if let Some(watch_deliveries_response::Message::Delivery(transition)) = message
                && transition.kind() == kind
            {
                return transition;
            }
        }
    };
    tokio::time::timeout(crate::process::PATIENCE, reading).await.unwrap_or_else(|_| panic!("no {kind:?}"))
}

fn seconds(time: Option<prost_types::Timestamp>) -> f64 {
    let time = time.expect("it has a time");
    time.seconds as f64 + f64::from(time.nanos) / 1e9
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_honoured_on_503_and_shown() {
    let home = Home::new(40).await;
    let sink = Sink::start(answering(|_, _| {
        let mut answer = Answer::text(StatusCode::SERVICE_UNAVAILABLE, "later");
        answer.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("3600"));
        std::future::ready(answer)
    }))
    .await;
    let process = home.start().await;
    let policy = DeliveryPolicy { retry: delays(&[Duration::from_secs(1)]), ..Default::default() };
    endpoint(&process.client, &sink, "/a", Some(policy)).await;
    publish(&process.client, "one").await;
    until(&process.client, DeliveryTransitionKind::RetryScheduled).await;
    let delivery = delivery_of(&process.client, "one").await;
    assert_eq!((delivery.state(), delivery.http_status), (DeliveryState::Pending, 503));
    let attempts = attempts_of(&process.client, &delivery).await;
    let [attempt] = attempts.as_slice() else { panic!("{attempts:?}") };
    assert_eq!((attempt.outcome(), attempt.failure_kind()), (AttemptOutcome::Failed, FailureKind::HttpStatus));
    assert_eq!((attempt.http_status, &attempt.response_body[..]), (503, &b"later"[..]));
    let wait = seconds(delivery.next_attempt_time) - seconds(attempt.end_time);
    assert!((3600.0..=3600.0 * 1.2 + 1.0).contains(&wait), "{wait} s");
    process.stop().await;
    sink.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_ends_the_delivery_disables_the_endpoint_and_holds_the_others() {
    let home = Home::new(41).await;
    let sink = Sink::start(always(StatusCode::GONE)).await;
    let process = home.start().await;
    let policy = DeliveryPolicy { max_in_flight: 1, ..Default::default() };
    let endpoint = endpoint(&process.client, &sink, "/a", Some(policy)).await;
    let mut published = 0;
    // One goes out at a time, so those published before it is answered wait.
    for number in 0..10 {
        published += publish(&process.client, &format!("evt-{number}")).await;
    }
    until(&process.client, DeliveryTransitionKind::Dead).await;
    let endpoint = get_endpoint(&process.client, &endpoint).await;
    assert_eq!((endpoint.state(), endpoint.disable_reason()), (EndpointState::Disabled, DisableReason::Gone));
    let first = delivery_of(&process.client, "evt-0").await;
    assert_eq!((first.state(), first.http_status, first.attempt_count), (DeliveryState::Dead, 410, 1));
    assert_eq!(publish(&process.client, "later").await, 0, "a disabled endpoint gets nothing new");
    let filter = DeliveryFilter { states: vec![DeliveryState::Held as i32], ..Default::default() };
    let request = ListDeliveriesRequest { filter: Some(filter), ..Default::default() };
    let held = process.client.clone().list_deliveries(request).await.unwrap().into_inner().deliveries;
    let sent = sink.received().len();
    process.stop().await;
    // What was being sent when the answer came may have been sent too; nothing that is held was.
    assert!(sent <= published as usize - held.len(), "{sent} sent, {} of {published} held", held.len());
    sink.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_and_errors_are_failures_that_are_retried() {
    let home = Home::new(42).await;
    let sink = Sink::start(answering(|webhook, before| {
        let mut answer = Answer::from(match before {
            0 => StatusCode::MOVED_PERMANENTLY,
            1 => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::NO_CONTENT,
        });
        let host = webhook.header("host").unwrap_or_default();
        let location = HeaderValue::try_from(format!("http://{host}/elsewhere")).unwrap();
        answer.headers.insert(header::LOCATION, location);
        std::future::ready(answer)
    }))
    .await;
    let process = home.start().await;
    let policy = DeliveryPolicy { retry: delays(&[Duration::from_millis(50); 3]), ..Default::default() };
    endpoint(&process.client, &sink, "/a", Some(policy)).await;
    publish(&process.client, "one").await;
    ended(&process, 1).await;
    let delivery = delivery_of(&process.client, "one").await;
    assert_eq!((delivery.state(), delivery.attempt_count), (DeliveryState::Delivered, 3));
    let shown: Vec<_> = attempts_of(&process.client, &delivery)
        .await
        .iter()
        .map(|attempt| (attempt.number, attempt.outcome(), attempt.http_status))
        .collect();
    let (failed, succeeded) = (AttemptOutcome::Failed, AttemptOutcome::Succeeded);
    assert_eq!(shown, [(1, failed, 301), (2, failed, 500), (3, succeeded, 204)]);
    assert!(sink.received().iter().all(|received| received.path == "/a"), "a redirect is never followed");
    process.stop().await;
    sink.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn ping_reaches_a_disabled_endpoint_at_once_and_is_not_retried() {
    let home = Home::new(43).await;
    let sink = Sink::start(always(StatusCode::IM_A_TEAPOT)).await;
    let mut process = home.start().await;
    let endpoint = endpoint(&process.client, &sink, "/a", None).await;
    let request = DisableEndpointRequest { endpoint_id: endpoint.id.clone(), ..Default::default() };
    process.client.disable_endpoint(request).await.unwrap();
    let request = PingEndpointRequest { endpoint_id: endpoint.id.clone(), ..Default::default() };
    let answer = process.client.ping_endpoint(request).await.unwrap().into_inner();
    let (delivery, attempt) = (answer.delivery.unwrap(), answer.attempt.unwrap());
    assert_eq!((delivery.state(), delivery.event_type.as_str()), (DeliveryState::Dead, "test.ping"));
    assert_eq!((attempt.outcome(), attempt.http_status), (AttemptOutcome::Failed, 418));
    assert_eq!(attempt.id, sink.received()[0].attempt);
    assert_eq!(sink.received().len(), 1);
    let endpoint = get_endpoint(&process.client, &endpoint).await;
    assert_eq!((endpoint.state(), endpoint.failing_since_time), (EndpointState::Disabled, None));
    process.stop().await;
    sink.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_delivery_is_sent_again_when_a_person_asks_and_a_delivered_one_is_not() {
    let home = Home::new(44).await;
    let sink = Sink::start(answering(|_, before| {
        let status = if before < 2 { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        std::future::ready(Answer::from(status))
    }))
    .await;
    let mut process = home.start().await;
    let policy = DeliveryPolicy { retry: delays(&[Duration::from_millis(20)]), ..Default::default() };
    endpoint(&process.client, &sink, "/a", Some(policy)).await;
    publish(&process.client, "one").await;
    until(&process.client, DeliveryTransitionKind::Dead).await;
    let delivery = delivery_of(&process.client, "one").await;
    assert_eq!((delivery.state(), delivery.attempt_count), (DeliveryState::Dead, 2));
    let request = RetryDeliveryRequest { delivery_id: delivery.id.clone(), ..Default::default() };
    process.client.retry_delivery(request.clone()).await.unwrap();
    until(&process.client, DeliveryTransitionKind::Delivered).await;
    let delivery = delivery_of(&process.client, "one").await;
    assert_eq!(delivery.state(), DeliveryState::Delivered);
    assert_eq!(attempts_of(&process.client, &delivery).await.len(), 3);
    let refused = process.client.retry_delivery(request).await.expect_err("it was delivered");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(sink.received().len(), 3);
    process.stop().await;
    sink.check();
}
