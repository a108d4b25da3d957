//! The publisher over streams: each writes as fast as flow control lets it, and reads the acknowledgements beside that.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tidings::proto::{Event, PublishEventStreamRequest, publish_event_stream_response::Result as Acknowledged};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{message, publish::connect};

/// Events that a stream has written and not been acknowledged, so that the latency measured is the server's and not that
/// of a queue in here.
const UNACKNOWLEDGED_MAX: usize = 1_024;

/// Publishes over `streams` streams, each on a connection of its own, until `end`. Returns how long each event took, in
/// microseconds.
pub(crate) async fn publish(server: &str, types: &[String], streams: u64, end: Instant) -> anyhow::Result<Vec<u64>> {
    let mut tasks = tokio::task::JoinSet::new();
    for first in 0..streams {
        let (server, types) = (server.to_owned(), types.to_vec());
        tasks.spawn_local(async move { one(&server, &types, first, streams, end).await });
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    Ok(latencies)
}

/// Publishes the events `first`, `first + step` and so on; returns how long each took, in microseconds.
async fn one(server: &str, types: &[String], first: u64, step: u64, end: Instant) -> anyhow::Result<Vec<u64>> {
    let (requests, sent) = mpsc::channel(UNACKNOWLEDGED_MAX);
    let mut client = connect(server).await?;
    let mut acknowledgements = client.publish_event_stream(ReceiverStream::new(sent)).await?.into_inner();
    let (times, mut sent_at) = mpsc::unbounded_channel();
    let write = async move {
        for event in (first..).step_by(usize::try_from(step)?) {
            if Instant::now() >= end {
                break;
            }
            let now = message::now();
            let body = Event {
                r#type: types[usize::try_from(event)? % types.len()].clone(),
                payload: message::write(now, event),
                ..Event::default()
            };
            requests.send(PublishEventStreamRequest { event: Some(body), ..Default::default() }).await?;
            times.send(now)?;
        }
        anyhow::Ok(())
    };
    let read = async move {
        let mut latencies = Vec::new();
        while let Some(acknowledgement) = acknowledgements.message().await? {
            anyhow::ensure!(matches!(acknowledgement.result, Some(Acknowledged::Published(_))), "{acknowledgement:?}");
            let sent = sent_at.recv().await.context("an acknowledgement of nothing")?;
            latencies.push(Duration::from_nanos(message::now().saturating_sub(sent)).as_micros() as u64);
        }
        Ok(latencies)
    };
    let (written, latencies) = futures_util::join!(write, read);
    written?;
    latencies
}
