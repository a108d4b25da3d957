//! The publisher: calls PublishEvent in a closed loop at full rate, or in an open loop at a fixed one.

use std::{
    cell::RefCell,
    io::Write as _,
    path::PathBuf,
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
    message,
    receive::{Percentiles, histogram},
    stream, usage,
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
    /// Tenants that publish in turn; 0 for `default`.
    #[arg(long)]
    pub(crate) tenants: usize,
    /// Calls at once in the closed loop.
    #[arg(long)]
    pub(crate) publishers: u64,
    /// Streams at once in the closed loop, instead of calls; 0 for calls.
    #[arg(long)]
    pub(crate) streams: u64,
    /// Events a second in the open loop; 0 for the closed one.
    #[arg(long)]
    pub(crate) rate: u64,
    /// The first event's number.
    #[arg(long)]
    pub(crate) first: u64,
    #[arg(long)]
    pub(crate) milliseconds: u64,
    /// Print what was published in each interval of so many milliseconds; 0 for the whole alone.
    #[arg(long)]
    pub(crate) interval: u64,
    /// The server may go away: then end, with the numbers of all events acknowledged in this file.
    #[arg(long)]
    pub(crate) acknowledged: Option<PathBuf>,
}

/// What was published.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Published {
    /// Events acknowledged.
    pub(crate) events: u64,
    /// The number after the highest of any event published so far.
    pub(crate) end: u64,
    /// Calls refused for want of room, which were repeated.
    pub(crate) refused: u64,
    /// When publishing began, on the clock of [`message::now`].
    pub(crate) began: u64,
    /// From then to when this was told.
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
    args: Args,
    noted: RefCell<Noted>,
}

struct Noted {
    published: Published,
    calls: Histogram<u64>,
    acknowledged: Vec<u64>,
}

impl Args {
    /// As arguments of the role.
    pub(crate) fn args(&self) -> Vec<String> {
        let mut args = vec![
            format!("--server={}", self.server),
            format!("--types={}", self.types.join(",")),
            format!("--tenants={}", self.tenants),
            format!("--publishers={}", self.publishers),
            format!("--streams={}", self.streams),
            format!("--rate={}", self.rate),
            format!("--first={}", self.first),
            format!("--milliseconds={}", self.milliseconds),
            format!("--interval={}", self.interval),
        ];
        args.extend(self.acknowledged.iter().map(|path| format!("--acknowledged={}", path.display())));
        args
    }
}

/// Publishes for the time given and prints what was.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(connect(&args.server).await?);
    }
    let noted = Noted { published: Published::begin(), calls: histogram(), acknowledged: Vec::new() };
    let publisher = Rc::new(Publisher { clients, args: args.clone(), noted: RefCell::new(noted) });
    let end = Instant::now() + Duration::from_millis(args.milliseconds);
    let local = tokio::task::LocalSet::new();
    if args.interval > 0 {
        local.spawn_local(tell_intervals(publisher.clone()));
    }
    let loops = async {
        if args.streams > 0 {
            let latencies = stream::publish(&publisher.args, end).await?;
            publisher.noted.borrow_mut().acknowledge_stream(args.first, latencies);
            Ok(())
        } else if args.rate == 0 {
            closed_loop(&publisher, end).await
        } else {
            open_loop(&publisher, end).await
        }
    };
    local.run_until(loops).await?;
    if let Some(path) = &args.acknowledged {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for number in &publisher.noted.borrow().acknowledged {
            file.write_all(&number.to_le_bytes())?;
        }
        file.flush()?;
    }
    println!("{}", serde_json::to_string(&publisher.noted.borrow_mut().take()?)?);
    Ok(())
}

async fn tell_intervals(publisher: Rc<Publisher>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(publisher.args.interval));
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let Ok(published) = publisher.noted.borrow_mut().take() else { return };
        println!("{}", serde_json::to_string(&published).unwrap_or_default());
    }
}

async fn closed_loop(publisher: &Rc<Publisher>, end: Instant) -> anyhow::Result<()> {
    let mut tasks = tokio::task::JoinSet::new();
    let publishers = publisher.args.publishers;
    for first in 0..publishers {
        let publisher = publisher.clone();
        tasks.spawn_local(async move {
            let mut event = publisher.args.first + first;
            while Instant::now() < end {
                if !publisher.publish(event, message::now()).await? {
                    break;
                }
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

async fn open_loop(publisher: &Rc<Publisher>, end: Instant) -> anyhow::Result<()> {
    let (send, mut ticks) = mpsc::unbounded_channel();
    let (rate, first) = (publisher.args.rate, publisher.args.first);
    // A thread of its own keeps the time: the runtime's timer is a millisecond coarse.
    std::thread::spawn(move || {
        let (start, start_nanos) = (Instant::now(), message::now());
        for event in 0.. {
            let offset = Duration::from_nanos(event * 1_000_000_000 / rate);
            if start + offset >= end {
                return;
            }
            pause_until(start + offset);
            if send.send((first + event, start_nanos + offset.as_nanos() as u64)).is_err() {
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
    /// Publishes one event, again and again should there be no room for it. Returns false if the server went away and may.
    async fn publish(&self, event: u64, sent: u64) -> anyhow::Result<bool> {
        let index = usize::try_from(event)?;
        let mut client = self.clients[index % self.clients.len()].clone();
        loop {
            let body = Event {
                r#type: self.args.types[index % self.args.types.len()].clone(),
                payload: message::write(sent, event),
                ..Event::default()
            };
            let tenant_id = index.checked_rem(self.args.tenants).map_or_else(String::new, message::tenant);
            let result = client.publish_event(PublishEventRequest { tenant_id, event: Some(body) }).await;
            match result {
                Ok(_) => {
                    self.noted.borrow_mut().acknowledge(event, sent, self.args.acknowledged.is_some());
                    return Ok(true);
                }
                Err(status) if status.code() == Code::ResourceExhausted => {
                    self.noted.borrow_mut().published.refused += 1;
                }
                Err(_) if self.args.acknowledged.is_some() => return Ok(false),
                Err(status) => return Err(status.into()),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Published {
    fn begin() -> Self {
        Self { began: message::now(), ..Self::default() }
    }
}

impl Noted {
    fn acknowledge(&mut self, event: u64, sent: u64, keep: bool) {
        self.published.events += 1;
        self.published.end = self.published.end.max(event + 1);
        self.calls.saturating_record(message::now().saturating_sub(sent) / 1_000);
        if keep {
            self.acknowledged.push(event);
        }
    }

    /// Events acknowledged by streams, from number `first` on, and how long each took in microseconds.
    fn acknowledge_stream(&mut self, first: u64, latencies: Vec<u64>) {
        self.published.events += latencies.len() as u64;
        self.published.end = self.published.end.max(first + latencies.len() as u64);
        latencies.into_iter().for_each(|latency| self.calls.saturating_record(latency));
    }

    /// What was published since the last time.
    fn take(&mut self) -> anyhow::Result<Published> {
        let next = Published { end: self.published.end, ..Published::begin() };
        let mut published = std::mem::replace(&mut self.published, next);
        published.seconds = message::now().saturating_sub(published.began) as f64 / 1e9;
        published.call = Percentiles::of(&self.calls);
        published.cpu_seconds = usage::cpu_seconds(std::process::id())?;
        self.calls.reset();
        Ok(published)
    }
}
