//! What an activation does with what was held, across kills: nothing is lost, and nothing that was skipped is sent.

use std::{collections::HashSet, time::Duration};

use http::StatusCode;
use tidings::proto::{activate_endpoint_request::Backlog, *};

use crate::{
    answers::until,
    delays, delivery_of, endpoint, get_endpoint,
    ledger::ended,
    process::{Home, Process},
    publish,
    sink::{Sink, always},
};

/// More than one turn cancels.
const MANY: usize = 700;

/// A paused endpoint that was sent nothing, and this many deliveries behind it.
async fn paused(seed: u64, count: usize) -> (Home, Sink, Process, Endpoint) {
    let home = Home::new(seed).await;
    let sink = Sink::start(always(StatusCode::OK)).await;
    let process = home.start().await;
    let policy = DeliveryPolicy { retry: delays(&[Duration::from_millis(20)]), ..Default::default() };
    let endpoint = endpoint(&process.client, &sink, "/a", Some(policy)).await;
    let request = PauseEndpointRequest { endpoint_id: endpoint.id.clone(), ..Default::default() };
    process.client.clone().pause_endpoint(request).await.unwrap();
    let mut publishing = tokio::task::JoinSet::new();
    for number in 0..count {
        let client = process.client.clone();
        publishing.spawn(async move { publish(&client, &format!("old-{number}")).await });
    }
    assert_eq!(publishing.join_all().await.into_iter().map(i64::from).sum::<i64>(), count as i64);
    (home, sink, process, endpoint)
}

async fn activate(process: &Process, endpoint: &Endpoint, backlog: Backlog) {
    let backlog = Some(backlog);
    let request = ActivateEndpointRequest { endpoint_id: endpoint.id.clone(), backlog, ..Default::default() };
    // The server may be killed before it has answered, but not before the activation is stored.
    let _ = process.client.clone().activate_endpoint(request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_in_the_midst_of_a_skip_sends_nothing_that_was_skipped() {
    // The first turn is that with which a server looks what is due; the next two cancel.
    for (seed, point) in [(60, "turn-before-commit:2"), (61, "turn-after-commit:2"), (62, "turn-before-commit:3")] {
        let (home, sink, process, endpoint) = paused(seed, MANY).await;
        process.stop().await;
        let mut process = home.start_crashing(Some(point)).await.expect("nothing is passed before it listens");
        activate(&process, &endpoint, Backlog::Skip(SkipBacklog {})).await;
        process.ended().await;

        let process = home.start().await;
        assert_eq!(delivery_of(&process.client, "old-3").await.state(), DeliveryState::Cancelled, "{point}");
        assert_eq!(publish(&process.client, "new").await, 1);
        let ends = ended(&process, MANY + 1).await;
        let cancelled = ends.values().filter(|kind| **kind == DeliveryTransitionKind::Cancelled).count();
        assert_eq!(cancelled, MANY, "{point}");
        let sent: Vec<String> = sink.received().into_iter().map(|one| one.id).collect();
        assert_eq!(sent, ["new"], "{point}");
        process.stop().await;
        let states: Vec<(i64, i64)> =
            home.ask("SELECT state, count(*) FROM delivery GROUP BY state ORDER BY state").await;
        assert_eq!(states, [(3, 1), (5, MANY as i64)], "{point}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_in_the_midst_of_a_drain_loses_nothing_and_keeps_the_rate() {
    const COUNT: usize = 60;
    const RATE: f64 = 20.0;
    let (home, sink, process, endpoint) = paused(63, COUNT).await;
    activate(&process, &endpoint, Backlog::Drain(DrainBacklog { rate_per_second: RATE })).await;
    sink.until_count(10).await;
    process.kill().await;
    let process = home.start().await;
    let drain = get_endpoint(&process.client, &endpoint).await.backlog_drain;
    assert_eq!(drain.map(|drain| drain.rate_per_second), Some(RATE));
    // What is new does not wait for it.
    assert_eq!(publish(&process.client, "new").await, 1);
    sink.until("the new one", |received| received.iter().any(|one| one.id == "new")).await;
    assert!(sink.received().len() < COUNT, "the drain goes on");
    let ends = ended(&process, COUNT + 1).await;
    assert!(ends.values().all(|kind| *kind == DeliveryTransitionKind::Delivered), "{ends:?}");

    let received = sink.received();
    let ids: HashSet<&str> = received.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids.len(), COUNT + 1);
    let old: Vec<_> = received.iter().filter(|one| one.id != "new").collect();
    let took = old[old.len() - 1].at.duration_since(old[0].at).as_secs_f64();
    // Repeats of what was in flight, the token that each life begins with, and what a late turn may catch up on, came beside.
    let beside = (old.len() - COUNT) as f64 + 2.0 + 2.0 * (1.0 + RATE / 10.0);
    assert!(took * RATE + beside >= COUNT as f64, "{} in {took} s", old.len());
    process.stop().await;
    sink.check();
    let left: Vec<(i64,)> = home.ask("SELECT drain_rate FROM endpoint").await;
    assert_eq!(left, [(0,)], "it is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_endpoint_keeps_what_it_gets_over_a_kill() {
    let (home, sink, process, endpoint) = paused(64, 30).await;
    process.kill().await;
    let process = home.start().await;
    assert_eq!(get_endpoint(&process.client, &endpoint).await.state(), EndpointState::Paused);
    assert_eq!(delivery_of(&process.client, "old-7").await.state(), DeliveryState::Held);
    assert_eq!(sink.received().len(), 0);
    activate(&process, &endpoint, Backlog::Drain(DrainBacklog::default())).await;
    until(&process.client, DeliveryTransitionKind::Delivered).await;
    let ends = ended(&process, 30).await;
    assert!(ends.values().all(|kind| *kind == DeliveryTransitionKind::Delivered), "{ends:?}");
    assert_eq!(sink.received().len(), 30);
    process.stop().await;
    sink.check();
    drop(home);
}
