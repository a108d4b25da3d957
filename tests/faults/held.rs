//! What is held: it ends at its age limit, goes out after an activation, and is cancelled with its endpoint.

use std::time::{Duration, Instant};

use http::StatusCode;
use tidings::{proto::*, receiver::Answer};
use tokio_util::sync::CancellationToken;

use crate::{
    answers::until,
    delays, delivery_of, endpoint,
    ledger::ended,
    process::{Home, Process},
    publish,
    sink::{Sink, answering},
    span,
};

/// Longer than any test takes: what fails once is due again only by an activation, if at all.
const HOUR: Duration = Duration::from_secs(3600);

struct Held {
    home: Home,
    sink: Sink,
    process: Process,
    endpoint: Endpoint,
}

/// A disabled endpoint behind which 20 deliveries wait: one that has failed once and is due again in `delay`, and 19 that
/// have not been sent.
async fn held(seed: u64, delay: Duration, hold: Duration) -> Held {
    let home = Home::new(seed).await;
    let disabled = CancellationToken::new();
    let released = disabled.clone();
    let sink = Sink::start(answering(move |webhook, before| {
        let first = before == 0 && webhook.header("webhook-id") == Some("evt-0");
        let released = released.clone();
        async move {
            released.cancelled().await;
            Answer::from(if first { StatusCode::BAD_GATEWAY } else { StatusCode::OK })
        }
    }))
    .await;
    let process = home.start().await;
    let policy = DeliveryPolicy {
        retry: delays(&[delay]),
        hold_duration: Some(span(hold)),
        max_in_flight: 1,
        ..Default::default()
    };
    let endpoint = endpoint(&process.client, &sink, "/a", Some(policy)).await;
    for number in 0..20 {
        publish(&process.client, &format!("evt-{number}")).await;
    }
    sink.until_count(1).await;
    let request = DisableEndpointRequest { endpoint_id: endpoint.id.clone(), ..Default::default() };
    process.client.clone().disable_endpoint(request).await.unwrap();
    disabled.cancel();
    until(&process.client, DeliveryTransitionKind::Held).await;
    Held { home, sink, process, endpoint }
}

#[tokio::test(flavor = "multi_thread")]
async fn held_deliveries_die_at_their_age_limit() {
    let disabled = Instant::now();
    let Held { home, sink, process, .. } = held(50, Duration::from_millis(100), Duration::from_secs(1)).await;
    let ends = ended(&process, 20).await;
    assert!(ends.values().all(|kind| *kind == DeliveryTransitionKind::Dead), "{ends:?}");
    assert!(disabled.elapsed() >= Duration::from_secs(1));
    let delivery = delivery_of(&process.client, "evt-0").await;
    assert_eq!((delivery.state(), delivery.failure_kind()), (DeliveryState::Dead, FailureKind::HeldTooLong));
    assert_eq!(sink.received().len(), 1, "nothing goes to a disabled endpoint");
    process.stop().await;
    drop(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn held_deliveries_go_out_after_an_activation_even_across_a_kill() {
    let Held { home, sink, process, endpoint } = held(51, Duration::from_millis(100), HOUR).await;
    process.kill().await;
    let mut process = home.start().await;
    assert_eq!(delivery_of(&process.client, "evt-0").await.state(), DeliveryState::Held);
    let request = ActivateEndpointRequest { endpoint_id: endpoint.id.clone(), ..Default::default() };
    process.client.activate_endpoint(request).await.unwrap();
    let ends = ended(&process, 20).await;
    assert!(ends.values().all(|kind| *kind == DeliveryTransitionKind::Delivered), "{ends:?}");
    assert_eq!(sink.received().len(), 21, "one was sent before");
    process.stop().await;
    sink.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_cancels_what_is_pending() {
    let Held { home, sink, mut process, endpoint } = held(52, HOUR, HOUR).await;
    let request = DeleteEndpointRequest { endpoint_id: endpoint.id.clone(), ..Default::default() };
    process.client.delete_endpoint(request).await.unwrap();
    let ends = ended(&process, 20).await;
    assert!(ends.values().all(|kind| *kind == DeliveryTransitionKind::Cancelled), "{ends:?}");
    assert_eq!(delivery_of(&process.client, "evt-7").await.state(), DeliveryState::Cancelled);
    assert_eq!(sink.received().len(), 1);
    process.stop().await;
    drop(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_delivery_is_never_sent_again() {
    let Held { home, sink, mut process, .. } = held(53, HOUR, HOUR).await;
    let delivery = delivery_of(&process.client, "evt-3").await;
    let request = CancelDeliveryRequest { delivery_id: delivery.id.clone(), ..Default::default() };
    let answer = process.client.cancel_delivery(request).await.unwrap().into_inner();
    assert_eq!(answer.result(), CancelResult::Cancelled);
    assert_eq!(delivery_of(&process.client, "evt-3").await.state(), DeliveryState::Cancelled);
    assert_eq!(sink.received().len(), 1);
    process.stop().await;
    drop(home);
}
