//! The publisher over streams: each writes as fast as flow control lets it, and reads the acknowledgements beside that.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tidings::proto::{Event, PublishEventStreamRequest, publish_event_stream_response::Result as Acknowledged};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    message,
    publish::{Args, connect},
};

/// Events that a stream has written and not been acknowledged, so that the latency measured is the server's and not that
/// of a queue in here.
const UNACKNOWLEDGED_MAX: usize = 1_024;

/// Publishes over so many streams as are asked for, each on a connection of its own, until `end`. Returns how long each
/// event took, in microseconds.
pub(crate) async fn publish(args: &Args, end: Instant) -> anyhow::Result<Vec<u64>> {
    let mut tasks = tokio::task::JoinSet::new();
    // Streams get ahead of one another, and numbers must have no gap.
    let next = Rc::new(Cell::new(args.first));
    for _ in 0..args.streams {
        let (args, next) = (args.clone(), next.clone());
        tasks.spawn_local(async move { one(&args, &next, end).await });
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    Ok(latencies)
}

/// Publishes event after event, each with the `next` number; returns how long each took, in microseconds.
async fn one(args: &Args, next: &Cell<u64>, end: Instant) -> anyhow::Result<Vec<u64>> {
    let types = &args.types;
    let (requests, sent) = mpsc::channel(UNACKNOWLEDGED_MAX);
    let mut client = connect(&args.server).await?;
    let mut acknowledgements = client.publish_event_stream(ReceiverStream::new(sent)).await?.into_inner();
    let (times, mut sent_at) = mpsc::unbounded_channel();
    let write = async move {
        while Instant::now() < end {
            let (now, event) = (message::now(), next.replace(next.get() + 1));
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
