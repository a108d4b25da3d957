//! Streams of events that are cut off: by a kill, by SIGTERM, and by crashes around the commit.

use std::collections::HashSet;

use http::StatusCode;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tidings::proto::{publish_event_stream_response::Result as Acknowledged, *};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    endpoint,
    ledger::{self, ended},
    process::{Client, Home, PATIENCE},
    sink::{Sink, always},
};

const EVENTS: usize = 3_000;
const KILLS: usize = 6;

fn request(id: &str) -> PublishEventStreamRequest {
    let PublishEventRequest { tenant_id, event } = ledger::event(id, br#"{"a": [1, 2.0, "\u0000"]}"#);
    PublishEventStreamRequest { tenant_id, event }
}

fn ids() -> Vec<String> {
    (0..EVENTS).map(|number| format!("evt-{number}")).collect()
}

/// Streams events, resuming after `acknowledged` of them, until all are acknowledged or the stream ends; counts on in
/// `acknowledged` and tells every count to `progress`. Returns the error that ended the stream.
async fn stream(
    client: &Client,
    ids: &[String],
    acknowledged: &mut usize,
    progress: &mpsc::UnboundedSender<usize>,
) -> Option<Status> {
    let (requests, sent) = mpsc::channel(16);
    let rest: Vec<_> = ids[*acknowledged..].iter().map(|id| request(id)).collect();
    let writing = tokio::spawn(async move {
        for request in rest {
            if requests.send(request).await.is_err() {
                return;
            }
        }
    });
    let read = async {
        let mut answers = client.clone().publish_event_stream(ReceiverStream::new(sent)).await?.into_inner();
        let mut sequence = 0;
        while let Some(answer) = answers.message().await? {
            sequence += 1;
            assert_eq!(answer.sequence, sequence);
            let Some(Acknowledged::Published(event)) = answer.result else { panic!("{answer:?}") };
            assert_eq!((event.event_id, event.delivery_count), (ids[*acknowledged].clone(), 1));
            *acknowledged += 1;
            let _ = progress.send(*acknowledged);
        }
        Ok(())
    };
    let end = timeout(PATIENCE, read).await.expect("the stream went silent");
    writing.abort();
    end.err()
}

/// Asserts that every event is stored once and went out, and nothing else did.
async fn check(home: &Home, sink: &Sink) {
    let stored: Vec<(String,)> = home.ask("SELECT id FROM event").await;
    let distinct: HashSet<_> = stored.iter().map(|(id,)| id.clone()).collect();
    assert_eq!((stored.len(), distinct), (EVENTS, ids().into_iter().collect()));
    let deliveries: Vec<(i64,)> = home.ask("SELECT count(*) FROM delivery").await;
    assert_eq!(deliveries, [(EVENTS as i64,)]);
    let received: HashSet<_> = sink.received().into_iter().map(|one| one.id).collect();
    assert_eq!(received, ids().into_iter().collect());
    sink.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_a_stream_every_acknowledged_event_is_there_exactly_once() {
    let home = Home::new(50).await;
    let mut random = StdRng::seed_from_u64(home.seed);
    let sink = Sink::start(always(StatusCode::OK)).await;
    let mut process = home.start().await;
    endpoint(&process.client, &sink, "/a", None).await;
    let (ids, mut acknowledged) = (ids(), 0);
    for _ in 0..KILLS {
        let (progress, mut told) = mpsc::unbounded_channel();
        let until = acknowledged + random.random_range(1..EVENTS / KILLS);
        let client = process.client.clone();
        let kill = async {
            while told.recv().await.is_some_and(|count| count < until) {}
            process.kill().await;
        };
        let (end, ()) = futures_util::join!(stream(&client, &ids, &mut acknowledged, &progress), kill);
        assert!(end.is_some() || acknowledged == EVENTS, "it was cut off");
        process = home.start().await;
    }
    let (progress, _told) = mpsc::unbounded_channel();
    assert!(stream(&process.client, &ids, &mut acknowledged, &progress).await.is_none());
    assert_eq!(acknowledged, EVENTS);
    ended(&process, EVENTS).await;
    process.stop().await;
    check(&home, &sink).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_around_the_commit_of_a_streamed_event_lose_and_repeat_nothing() {
    let home = Home::new(51).await;
    let sink = Sink::start(always(StatusCode::OK)).await;
    let process = home.start().await;
    endpoint(&process.client, &sink, "/a", None).await;
    process.stop().await;
    let (ids, mut acknowledged) = (ids(), 0);
    for point in ["turn-written:2", "turn-before-commit:3", "turn-after-commit:2", "turn-after-commit:5"] {
        let mut process = home.start_crashing(Some(point)).await.expect("nothing is passed before it listens");
        let (progress, _told) = mpsc::unbounded_channel();
        stream(&process.client, &ids, &mut acknowledged, &progress).await.expect(point);
        process.ended().await;
    }
    let process = home.start().await;
    let (progress, _told) = mpsc::unbounded_channel();
    assert!(stream(&process.client, &ids, &mut acknowledged, &progress).await.is_none());
    ended(&process, EVENTS).await;
    process.stop().await;
    check(&home, &sink).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_in_the_middle_of_a_stream_acknowledges_what_was_taken_and_says_so() {
    let home = Home::new(52).await;
    let sink = Sink::start(always(StatusCode::OK)).await;
    let mut process = home.start().await;
    endpoint(&process.client, &sink, "/a", None).await;
    let (ids, mut acknowledged) = (ids(), 0);
    let (progress, mut told) = mpsc::unbounded_channel();
    let client = process.client.clone();
    let terminate = async {
        while told.recv().await.is_some_and(|count| count < 100) {}
        let status = process.terminate().await;
        assert!(status.success(), "{status}");
    };
    let (end, ()) = futures_util::join!(stream(&client, &ids, &mut acknowledged, &progress), terminate);
    let end = end.expect("the server stopped");
    let reason = end.get_details_error_info().map(|info| info.reason);
    assert_eq!((end.code(), reason.as_deref()), (Code::Unavailable, Some("SHUTTING_DOWN")));
    // What was taken was acknowledged: nothing is stored beyond it.
    let stored: Vec<(i64,)> = home.ask("SELECT count(*) FROM event").await;
    assert_eq!(stored, [(acknowledged as i64,)]);

    let process = home.start().await;
    let (progress, _told) = mpsc::unbounded_channel();
    assert!(stream(&process.client, &ids, &mut acknowledged, &progress).await.is_none());
    ended(&process, EVENTS).await;
    process.stop().await;
    check(&home, &sink).await;
}
