//! Retries by a list of short delays, also over a kill.

use std::{collections::HashSet, time::Duration};

use http::StatusCode;
use tidings::{proto::*, receiver::Answer};

use crate::{
    attempts_of, delays, delivery_of, endpoint,
    ledger::ended,
    process::Home,
    publish,
    sink::{Received, Sink, always, answering},
};

/// The second is over a second, so that its request's timestamp must differ.
const DELAYS: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(1100), Duration::from_millis(300)];

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_never_early_and_only_their_timestamp_and_attempt_are_new() {
    let home = Home::new(60).await;
    let sink = Sink::start(always(StatusCode::INTERNAL_SERVER_ERROR)).await;
    let process = home.start().await;
    let policy = DeliveryPolicy { retry: delays(&DELAYS), ..Default::default() };
    endpoint(&process.client, &sink, "/a", Some(policy)).await;
    for number in 0..20 {
        publish(&process.client, &format!("evt-{number}")).await;
    }
    let ends = ended(&process, 20).await;
    assert!(ends.values().all(|kind| *kind == DeliveryTransitionKind::Dead), "{ends:?}");
    for number in 0..20 {
        let id = format!("evt-{number}");
        let received = sink.received_of(&id);
        let [first, .., last] = received.as_slice() else { panic!("{id}: {} requests", received.len()) };
        assert_eq!(received.len(), 1 + DELAYS.len(), "as many as the schedule allows");
        for (pair, delay) in received.windows(2).zip(DELAYS) {
            let waited = pair[1].at - pair[0].at;
            assert!(waited >= delay, "{id}: {waited:?} instead of {delay:?}");
        }
        assert!(received.iter().all(|one| one.body == first.body), "{id}: the body is byte-identical");
        assert_eq!(received.iter().map(|one| &one.attempt).collect::<HashSet<_>>().len(), received.len());
        assert!(last.timestamp > first.timestamp, "{id}: the timestamp is fresh");
        let delivery = delivery_of(&process.client, &id).await;
        assert_eq!(delivery.state(), DeliveryState::Dead);
        let shown: Vec<String> =
            attempts_of(&process.client, &delivery).await.into_iter().map(|attempt| attempt.id).collect();
        assert_eq!(shown, received.iter().map(|one| one.attempt.clone()).collect::<Vec<_>>());
    }
    process.stop().await;
    sink.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduled_retry_survives_a_kill_and_is_not_early_after_it() {
    let delay = Duration::from_millis(1500);
    let home = Home::new(61).await;
    let sink = Sink::start(answering(|_, before| {
        let status = if before == 0 { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
        std::future::ready(Answer::from(status))
    }))
    .await;
    let process = home.start().await;
    let policy = DeliveryPolicy { retry: delays(&[delay]), ..Default::default() };
    endpoint(&process.client, &sink, "/a", Some(policy)).await;
    publish(&process.client, "one").await;
    let answered = |received: &[Received]| received.iter().any(|one| one.answer.is_some());
    sink.until("the first answer", answered).await;
    // An outcome is written at the latest with the next publish; nobody wants this one's endpoint to fail.
    publish(&process.client, "two").await;
    let recorded = attempts_of(&process.client, &delivery_of(&process.client, "one").await).await;
    process.kill().await;

    let process = home.start().await;
    ended(&process, 2).await;
    let received = sink.received_of("one");
    assert_eq!(received.len(), 2);
    if recorded.iter().any(|attempt| attempt.outcome() == AttemptOutcome::Failed) {
        let waited = received[1].at - received[0].at;
        assert!(waited >= delay, "{waited:?} instead of {delay:?}");
    }
    process.stop().await;
    sink.check();
}
