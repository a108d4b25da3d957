//! Without faults everything arrives exactly once; with kills nothing is lost; lost answers can be asked for again.

use std::time::{Duration, Instant};

use http::StatusCode;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tidings::{proto::*, receiver::Answer};
use tokio::task::JoinSet;

use crate::{
    endpoint,
    ledger::{self, Load, ended},
    process::Home,
    publish,
    sink::{Sink, always, answering},
};

/// How often the server is killed under load.
const KILLS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn without_faults_everything_arrives_exactly_once() {
    let home = Home::new(1).await;
    let sink = Sink::start(always(StatusCode::OK)).await;
    let process = home.start().await;
    endpoint(&process.client, &sink, "/a", None).await;
    endpoint(&process.client, &sink, "/b", None).await;
    let load = Load::new(home.seed);
    load.serve(&process);
    load.publish(500, 8).join_all().await;
    assert_eq!(load.ledger.acknowledged(), 500);

    let figures = load.ledger.check(&home, process, &sink, &["/a", "/b"]).await;
    assert_eq!((figures.requests, figures.duplicates, figures.lost_attempts), (1000, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_load_lose_nothing_and_repeat_only_what_was_in_flight() {
    let home = Home::new(2).await;
    let mut random = StdRng::seed_from_u64(home.seed);
    // Answers take a while, so that there is something in flight whenever the server is killed.
    let sink = Sink::start(answering(|webhook, _| {
        let pause = Duration::from_millis(u64::from(webhook.body.len() as u32 % 6));
        async move {
            tokio::time::sleep(pause).await;
            Answer::from(StatusCode::OK)
        }
    }))
    .await;
    let load = Load::new(home.seed);
    let started = Instant::now();
    let mut process = home.start().await;
    endpoint(&process.client, &sink, "/a", None).await;
    endpoint(&process.client, &sink, "/b", None).await;
    load.serve(&process);
    let publishers = load.publish(u64::MAX, 8);
    for _ in 0..KILLS {
        let enough = sink.received().len() + random.random_range(10..150);
        sink.until_count(enough).await;
        process.kill().await;
        process = home.start().await;
        load.serve(&process);
    }
    load.finish();
    publishers.join_all().await;

    let figures = load.ledger.check(&home, process, &sink, &["/a", "/b"]).await;
    eprintln!("{KILLS} kills in {:.1?}: {figures:?}", started.elapsed());
    assert!(figures.acknowledged > 0 && figures.lost_attempts > 0, "the kills met no load: {figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn publish_whose_answer_was_lost_is_repeated_without_a_second_event() {
    let mut repeats = Vec::new();
    for point in ["turn-before-commit", "turn-after-commit"] {
        for passage in 2..7 {
            let home = Home::new(passage).await;
            let sink = Sink::start(always(StatusCode::OK)).await;
            let process = home.start().await;
            endpoint(&process.client, &sink, "/a", None).await;
            process.stop().await;
            let process = home.start_crashing(Some(&format!("{point}:{passage}"))).await.expect("it starts");
            let lost = first_lost(&process.client).await;
            drop(process);

            let process = home.start().await;
            let request = GetEventRequest { event_id: lost.clone(), ..Default::default() };
            let stored = process.client.clone().get_event(request).await.is_ok();
            let request = ledger::event(&lost, br#"{"a": [1, 2.0, "\u0000"]}"#);
            let again = process.client.clone().publish_event(request).await.unwrap().into_inner();
            assert_eq!((again.event_id, again.delivery_count, again.duplicate), (lost.clone(), 1, stored));
            ended(&process, events(&process.client).await).await;
            assert!(!sink.received_of(&lost).is_empty(), "{point}:{passage}");
            if point == "turn-before-commit" {
                assert!(!stored, "{passage}: a turn that did not commit left an event");
            }
            repeats.push((point, stored));
            process.stop().await;
        }
    }
    assert!(repeats.contains(&("turn-after-commit", true)), "no crash met a committed publish: {repeats:?}");
}

/// Publishes one event after the other until an answer is lost, and returns the id of that.
async fn first_lost(client: &crate::process::Client) -> String {
    for number in 0..1000 {
        let id = format!("evt-{number}");
        let request = ledger::event(&id, br#"{"a": [1, 2.0, "\u0000"]}"#);
        if client.clone().publish_event(request).await.is_err() {
            return id;
        }
    }
    panic!("the server did not crash");
}

/// How many deliveries there are.
async fn events(client: &crate::process::Client) -> usize {
    let request = ListDeliveriesRequest { page_size: 1000, ..Default::default() };
    client.clone().list_deliveries(request).await.unwrap().into_inner().deliveries.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_publishes_of_one_id_make_one_event() {
    let home = Home::new(3).await;
    let sink = Sink::start(always(StatusCode::OK)).await;
    let process = home.start().await;
    endpoint(&process.client, &sink, "/a", None).await;
    let mut publishes = JoinSet::new();
    for _ in 0..64 {
        let mut client = process.client.clone();
        publishes.spawn(async move { client.publish_event(ledger::event("one", b"{}")).await.unwrap().into_inner() });
    }
    let answers = publishes.join_all().await;
    assert_eq!(answers.iter().filter(|answer| !answer.duplicate).count(), 1);
    assert!(answers.iter().all(|answer| answer.event_id == "one" && answer.delivery_count == 1));
    ended(&process, 1).await;
    assert_eq!(sink.received().len(), 1);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backlog_and_what_was_in_flight_go_out_within_two_seconds_of_a_restart() {
    let home = Home::new(4).await;
    let hanging = tokio_util::sync::CancellationToken::new();
    let hang = hanging.clone();
    // Nothing is answered until the server has been killed.
    let sink = Sink::start(answering(move |_, _| {
        let hang = hang.clone();
        async move {
            hang.cancelled().await;
            Answer::from(StatusCode::OK)
        }
    }))
    .await;
    let process = home.start().await;
    endpoint(&process.client, &sink, "/a", None).await;
    for number in 0..100 {
        assert_eq!(publish(&process.client, &format!("evt-{number}")).await, 1);
    }
    // As many as one endpoint may have; the others are its backlog.
    sink.until_count(8).await;
    process.kill().await;
    hanging.cancel();

    let before = sink.received().len();
    assert_eq!(before, 8);
    let process = home.start().await;
    let all = |received: &[crate::sink::Received]| {
        let ids: std::collections::HashSet<_> = received[before..].iter().map(|one| &one.id).collect();
        ids.len() == 100
    };
    sink.until_within("the backlog and what was in flight", Duration::from_secs(2), all).await;
    ended(&process, 100).await;
    assert_eq!(sink.received().len(), 108, "only what was in flight is repeated");
    process.stop().await;
}
