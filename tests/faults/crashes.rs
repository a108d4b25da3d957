//! Crashes at named places of the code, and what they may cost a delivery.

use std::{collections::HashMap, time::Duration};

use http::StatusCode;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tidings::proto::*;

use crate::{
    attempts_of, delays, delivery_of, endpoint,
    ledger::{Load, ended},
    process::{Home, Process},
    publish,
    sink::{Sink, always},
};

const POINTS: [&str; 5] =
    ["turn-written", "turn-before-commit", "turn-after-commit", "before-request", "after-request"];
const SEEDS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn crash_at_any_point_loses_nothing() {
    for point in POINTS {
        for seed in 0..SEEDS {
            crash_at(point, seed).await;
        }
    }
}

async fn crash_at(point: &str, seed: u64) {
    let home = Home::new(seed).await;
    let mut random = StdRng::seed_from_u64(seed);
    let sink = Sink::start(always(StatusCode::OK)).await;
    let process = home.start().await;
    endpoint(&process.client, &sink, "/a", None).await;
    endpoint(&process.client, &sink, "/b", None).await;
    process.stop().await;

    let at = format!("{point}:{}", random.random_range(1..=20));
    let load = Load::new(seed);
    let mut process = home.start_crashing(Some(&at)).await.expect("nothing is passed before it listens");
    load.serve(&process);
    let publishers = load.publish(120, 4);
    let status = process.ended().await;
    assert_eq!(status.code(), None, "{at}: it aborts");
    let process = home.start().await;
    load.serve(&process);
    publishers.join_all().await;
    let figures = load.ledger.check(&home, process, &sink, &["/a", "/b"]).await;
    // Requests in flight are cut off by any crash; a lease is lost for each at most.
    assert!(figures.duplicates <= figures.lost_attempts, "{at}, seed {seed}: {figures:?}");
}

/// Starts the server with this crash point again and again until it stays up with the delivery ended, or `lives` times.
async fn crash_loop(home: &Home, at: &str, lives: usize) -> Option<Process> {
    for _ in 0..lives {
        let Some(mut process) = home.start_crashing(Some(at)).await else { continue };
        let mut watching = process.client.clone();
        let request = WatchDeliveriesRequest {
            start: Some(watch_deliveries_request::Start::FromOldest(true)),
            ..Default::default()
        };
        let end = async {
            let mut stream = watching.watch_deliveries(request).await.ok()?.into_inner();
            loop {
                if let watch_deliveries_response::Message::Delivery(transition) =
                    stream.message().await.ok()??.message?
                    && matches!(transition.state(), DeliveryState::Dead | DeliveryState::Delivered)
                {
                    return Some(());
                }
            }
        };
        let over = tokio::select! {
            _ = process.ended() => false,
            Some(()) = end => true,
        };
        if over {
            return Some(process);
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_that_crashes_the_server_every_time_ends_within_the_policy_and_one_more() {
    for retries in [0, 1, 2] {
        let home = Home::new(retries).await;
        let sink = Sink::start(always(StatusCode::INTERNAL_SERVER_ERROR)).await;
        let process = home.start().await;
        let schedule = delays(&vec![Duration::from_millis(20); retries as usize]);
        let policy = DeliveryPolicy { retry: schedule, ..Default::default() };
        endpoint(&process.client, &sink, "/a", Some(policy)).await;
        process.stop().await;

        let mut process = home.start_crashing(Some("after-request:1")).await.expect("it starts");
        assert_eq!(publish(&process.client, "poison").await, 1);
        process.ended().await;
        let process = crash_loop(&home, "after-request:1", 10).await.expect("the delivery ends");

        let allowed = retries as usize + 1;
        let requests = sink.received().len();
        assert!((1..=allowed + 1).contains(&requests), "{requests} requests of {allowed} allowed");
        let delivery = delivery_of(&process.client, "poison").await;
        assert_eq!((delivery.state(), delivery.failure_kind()), (DeliveryState::Dead, FailureKind::LeaseLost));
        let attempts = attempts_of(&process.client, &delivery).await;
        assert_eq!(attempts.len(), requests, "each request is an attempt: {attempts:?}");
        assert!(attempts.iter().all(|attempt| attempt.outcome() == AttemptOutcome::Lost), "{attempts:?}");
        sink.check();
        process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_before_the_request_never_end_a_delivery_unsent() {
    let home = Home::new(5).await;
    let sink = Sink::start(always(StatusCode::OK)).await;
    let process = home.start().await;
    let policy = DeliveryPolicy { retry: delays(&[Duration::from_millis(20)]), ..Default::default() };
    endpoint(&process.client, &sink, "/a", Some(policy)).await;
    process.stop().await;
    let mut process = home.start_crashing(Some("publishes-after-commit:1")).await.expect("it starts");
    let request = crate::ledger::event("handed-over", b"{}");
    process.client.clone().publish_event(request).await.expect_err("it crashed after the commit");
    process.ended().await;

    // Committed as handed over, and the server gone before anything was sent: once for the hand-over, and for each claim.
    // The one more that a lost schedule gets is claimed and lost before its record too.
    assert!(crash_loop(&home, "turn-before-commit:1", 3).await.is_none(), "it cannot end without a commit");
    assert_eq!(sink.received().len(), 0);
    for _ in 0..4 {
        if let Some(mut process) = home.start_crashing(Some("turn-after-commit:2")).await {
            process.ended().await;
        }
    }
    assert_eq!(sink.received().len(), 0, "nothing was ever sent");
    let process = home.start().await;
    let ends = ended(&process, 1).await;
    let kinds: HashMap<_, usize> = ends.values().fold(HashMap::new(), |mut kinds, kind| {
        *kinds.entry(*kind).or_default() += 1;
        kinds
    });
    assert_eq!(kinds, HashMap::from([(DeliveryTransitionKind::Delivered, 1)]));
    assert_eq!(sink.received().len(), 1);
    process.stop().await;
}
