//! The watcher: one stream for each endpoint, each of which has to tell every transition once and in order.
//!
//! Once all streams have begun it prints a line. Told `await EVENTS SECONDS` on its standard input, it prints a
//! [`Watched`] once every stream has told of so many deliveries' ends, or the time is up, and counts anew.

use std::{
    cell::RefCell,
    collections::HashMap,
    path::PathBuf,
    rc::Rc,
    time::{Duration, SystemTime},
};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tidings::proto::{
    DeliveryFilter, DeliveryState, DeliveryTransition, DeliveryTransitionKind, WatchDeliveriesRequest,
    WatchDeliveriesResponse, watch_deliveries_response::Message,
};
use tokio::sync::{Notify, mpsc};
use tonic::Streaming;

use crate::{
    publish::connect,
    receive::{Percentiles, histogram},
    usage,
};

/// Streams share connections.
const STREAMS_PER_CONNECTION: usize = 100;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Where the server is.
    #[arg(long)]
    pub(crate) server: String,
    /// File with the ids of the endpoints, a line each.
    #[arg(long)]
    pub(crate) endpoints: PathBuf,
}

/// What the streams told.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Watched {
    /// Streams that told of the beginning and the end of every delivery, once and in this order, and of nothing else.
    pub(crate) complete: u64,
    /// From a commit until its transitions were here, in microseconds.
    pub(crate) lag: Percentiles,
    /// Processor seconds of the watcher so far.
    pub(crate) cpu_seconds: f64,
}

struct All {
    streams: Vec<Told>,
    expected: usize,
    lag: Histogram<u64>,
    told: Rc<Notify>,
}

/// What one stream told.
#[derive(Default)]
struct Told {
    /// How far each event's delivery has come.
    deliveries: HashMap<String, DeliveryTransitionKind>,
    ended: usize,
    /// When what was last told was committed.
    time: (i64, i32),
    /// Something was told twice, or out of order, or of another endpoint.
    wrong: bool,
}

impl Told {
    fn take(&mut self, endpoint: &str, time: (i64, i32), transition: DeliveryTransition) {
        let kind = transition.kind();
        let before = self.deliveries.insert(transition.event_id, kind);
        let expected = match kind {
            DeliveryTransitionKind::Queued => before.is_none(),
            DeliveryTransitionKind::Delivered => {
                self.ended += 1;
                before == Some(DeliveryTransitionKind::Queued) && transition.state == DeliveryState::Delivered as i32
            }
            _ => false,
        };
        self.wrong |= !expected || transition.endpoint_id != endpoint || time < self.time;
        self.time = time;
    }

    fn is_complete(&self, expected: usize) -> bool {
        !self.wrong && self.ended == expected && self.deliveries.len() == expected
    }
}

/// Watches until its standard input ends.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let endpoints: Vec<String> = std::fs::read_to_string(&args.endpoints)?.lines().map(str::to_owned).collect();
    let told = Rc::new(Notify::new());
    let streams = endpoints.iter().map(|_| Told::default()).collect();
    let all = Rc::new(RefCell::new(All { streams, expected: usize::MAX, lag: histogram(), told: told.clone() }));
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            for (chunk, ids) in endpoints.chunks(STREAMS_PER_CONNECTION).enumerate() {
                let mut client = connect(&args.server).await?;
                for (index, id) in ids.iter().enumerate() {
                    let filter = DeliveryFilter { endpoint_ids: vec![id.clone()], ..DeliveryFilter::default() };
                    let request = WatchDeliveriesRequest { filter: Some(filter), ..WatchDeliveriesRequest::default() };
                    let mut stream = client.watch_deliveries(request).await?.into_inner();
                    // The first message is a heartbeat: what is committed from now on will be told.
                    anyhow::ensure!(stream.message().await?.is_some(), "a stream ended before it began");
                    let number = chunk * STREAMS_PER_CONNECTION + index;
                    tokio::task::spawn_local(follow(stream, id.clone(), number, all.clone()));
                }
            }
            println!("watching");
            obey(all, told).await
        })
        .await
}

async fn follow(
    mut stream: Streaming<WatchDeliveriesResponse>,
    endpoint: String,
    number: usize,
    all: Rc<RefCell<All>>,
) {
    while let Ok(Some(response)) = stream.message().await {
        let commit = response.commit_time.unwrap_or_default();
        let Some(Message::Delivery(transition)) = response.message else { continue };
        let committed = SystemTime::try_from(commit).unwrap_or(SystemTime::UNIX_EPOCH);
        let lag = SystemTime::now().duration_since(committed).unwrap_or_default();
        let all = &mut *all.borrow_mut();
        all.lag.saturating_record(lag.as_micros() as u64);
        let told = &mut all.streams[number];
        told.take(&endpoint, (commit.seconds, commit.nanos), transition);
        if told.ended >= all.expected {
            all.told.notify_one();
        }
    }
    // A stream has no end but the server's.
    all.borrow_mut().streams[number].wrong = true;
}

async fn obey(all: Rc<RefCell<All>>, told: Rc<Notify>) -> anyhow::Result<()> {
    let (send, mut orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    while let Some(order) = orders.recv().await {
        let words: Vec<&str> = order.split(' ').collect();
        let ["await", events, seconds] = words.as_slice() else { anyhow::bail!("no such order: {order}") };
        let (expected, limit): (usize, _) = (events.parse()?, Duration::from_secs(seconds.parse()?));
        all.borrow_mut().expected = expected;
        let everything = async {
            while !all.borrow().streams.iter().all(|stream| stream.ended >= expected) {
                told.notified().await;
            }
        };
        // What is not told in time shows in the count.
        let _ = tokio::time::timeout(limit, everything).await;
        let all = &mut *all.borrow_mut();
        let complete = all.streams.iter().filter(|stream| stream.is_complete(expected)).count() as u64;
        let lag = Percentiles::of(&all.lag);
        let watched = Watched { complete, lag, cpu_seconds: usage::cpu_seconds(std::process::id())? };
        println!("{}", serde_json::to_string(&watched)?);
        all.lag.reset();
        all.expected = usize::MAX;
        for stream in &mut all.streams {
            stream.deliveries.clear();
            stream.ended = 0;
        }
    }
    Ok(())
}
