//! The publisher: calls PublishEvent in a closed loop at full rate, or in an open loop at a fixed one.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tidings::{
    client::{Bearer, KeyedChannel},
    proto::{Event, PublishEventRequest, webhook_service_client::WebhookServiceClient},
};
use tokio::sync::mpsc;
use tonic::{Code, transport::Endpoint};

use crate::{
    key::ADMIN_KEY,
    message, process,
    receive::{Percentiles, histogram},
    stream,
};

/// Calls share so many connections.
const CONNECTIONS: usize = 4;

/// A publisher that is refused for want of room tries again after this long.
const PAUSE: Duration = Duration::from_millis(10);

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Where the server is.
    #[arg(long)]
    pub(crate) server: String,
    /// Types that the events have in turn.
    #[arg(long, value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// Calls at once in the closed loop.
    #[arg(long)]
    pub(crate) publishers: u64,
    /// Streams at once in the closed loop, instead of calls; 0 for calls.
    #[arg(long, default_value_t = 0)]
    pub(crate) streams: u64,
    /// Events a second in the open loop; 0 for the closed one.
    #[arg(long)]
    pub(crate) rate: u64,
    #[arg(long)]
    pub(crate) milliseconds: u64,
}

/// What was published.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Published {
    /// Events acknowledged.
    pub(crate) events: u64,
    /// Calls refused for want of room, which were repeated.
    pub(crate) refused: u64,
    /// When publishing began, on the clock of [`message::now`].
    pub(crate) first: u64,
    /// From then to the last acknowledgement.
    pub(crate) seconds: f64,
    /// How long calls took, in microseconds.
    pub(crate) call: Percentiles,
    /// Processor seconds of the publisher.
    pub(crate) cpu_seconds: f64,
}

/// A client with a connection of its own.
pub(crate) async fn connect(server: &str) -> anyhow::Result<WebhookServiceClient<KeyedChannel>> {
    let channel = Endpoint::from_shared(server.to_owned())?.connect().await.context("connecting")?;
    Ok(WebhookServiceClient::new(Bearer::new(ADMIN_KEY)?.over(channel)))
}

struct Publisher {
    clients: Vec<WebhookServiceClient<KeyedChannel>>,
    types: Vec<String>,
    published: RefCell<(Published, Histogram<u64>)>,
}

/// Publishes for the time given and prints what was.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(connect(&args.server).await?);
    }
    let types = args.types.clone();
    let publisher = Rc::new(Publisher { clients, types, published: RefCell::new((Published::default(), histogram())) });
    publisher.published.borrow_mut().0.first = message::now();
    let local = tokio::task::LocalSet::new();
    let end = Instant::now() + Duration::from_millis(args.milliseconds);
    local
        .run_until(async {
            if args.streams > 0 {
                let latencies = stream::publish(&args.server, &args.types, args.streams, end).await?;
                let (published, calls) = &mut *publisher.published.borrow_mut();
                published.events = latencies.len() as u64;
                latencies.into_iter().for_each(|latency| calls.saturating_record(latency));
                Ok(())
            } else if args.rate == 0 {
                closed_loop(&publisher, args.publishers, end).await
            } else {
                open_loop(&publisher, args.rate, end).await
            }
        })
        .await?;
    let (mut published, ref calls) = *publisher.published.borrow();
    published.seconds = message::now().saturating_sub(published.first) as f64 / 1e9;
    published.call = Percentiles::of(calls);
    published.cpu_seconds = process::cpu_seconds(std::process::id())?;
    println!("{}", serde_json::to_string(&published)?);
    Ok(())
}

async fn closed_loop(publisher: &Rc<Publisher>, publishers: u64, end: Instant) -> anyhow::Result<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for first in 0..publishers {
        let publisher = publisher.clone();
        tasks.spawn_local(async move {
            let mut event = first;
            while Instant::now() < end {
                publisher.publish(event, message::now()).await?;
                event += publishers;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

async fn open_loop(publisher: &Rc<Publisher>, rate: u64, end: Instant) -> anyhow::Result<()> {
    let (send, mut ticks) = mpsc::unbounded_channel();
    // A thread of its own keeps the time: the runtime's timer is a millisecond coarse.
    std::thread::spawn(move || {
        let (start, start_nanos) = (Instant::now(), message::now());
        for event in 0.. {
            let offset = Duration::from_nanos(event * 1_000_000_000 / rate);
            if start + offset >= end {
                return;
            }
            pause_until(start + offset);
            if send.send((event, start_nanos + offset.as_nanos() as u64)).is_err() {
                return;
            }
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    while let Some((event, sent)) = ticks.recv().await {
        let publisher = publisher.clone();
        tasks.spawn_local(async move { publisher.publish(event, sent).await });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this thread is the clock")]
fn pause_until(then: Instant) {
    std::thread::sleep(then.saturating_duration_since(Instant::now()));
}

impl Publisher {
    /// Publishes one event, again and again should there be no room for it.
    async fn publish(&self, event: u64, sent: u64) -> anyhow::Result<()> {
        let index = usize::try_from(event)?;
        let mut client = self.clients[index % self.clients.len()].clone();
        loop {
            let body = Event {
                r#type: self.types[index % self.types.len()].clone(),
                payload: message::write(sent, event),
                ..Event::default()
            };
            let request = PublishEventRequest { event: Some(body), ..PublishEventRequest::default() };
            let result = client.publish_event(request).await;
            match result {
                Ok(_) => {
                    let (published, calls) = &mut *self.published.borrow_mut();
                    published.events += 1;
                    calls.saturating_record(message::now().saturating_sub(sent) / 1_000);
                    return Ok(());
                }
                Err(status) if status.code() == Code::ResourceExhausted => self.published.borrow_mut().0.refused += 1,
                Err(status) => return Err(status.into()),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
