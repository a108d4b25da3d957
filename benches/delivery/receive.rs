//! The receiver: answers every request with an empty 200 and notes what came, and when.
//!
//! It prints its port. Told `await COUNT SECONDS` on its standard input, it prints a [`Receipt`] once so many deliveries
//! have come, or the time is up, and starts counting anew.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    convert::Infallible,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
};

use crate::{message, process};

/// What came since the last one.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// Deliveries, each counted once.
    pub(crate) deliveries: u64,
    /// Requests that repeated one.
    pub(crate) repeated: u64,
    /// When the last came, on the clock of [`message::now`].
    pub(crate) last: u64,
    /// From the moment an event was to be sent until it was received, in microseconds.
    pub(crate) latency: Percentiles,
    /// Processor seconds of the receiver so far.
    pub(crate) cpu_seconds: f64,
}

/// What a histogram of microseconds says.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

impl Percentiles {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: histogram.max() }
    }
}

/// A histogram of microseconds, up to a quarter of an hour.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(900_000_000, 3).expect("the bounds are valid")
}

struct Received {
    /// The events that came to each path.
    met: HashMap<String, HashSet<u64>>,
    latency: Histogram<u64>,
    receipt: Receipt,
    expected: u64,
    complete: Rc<Notify>,
}

impl Received {
    fn take(&mut self, path: &str, payload: &[u8], now: u64) {
        let Some((sent, event)) = message::read(payload) else { return };
        if !self.met.contains_key(path) {
            self.met.insert(path.to_owned(), HashSet::new());
        }
        if !self.met.get_mut(path).is_some_and(|met| met.insert(event)) {
            self.receipt.repeated += 1;
            return;
        }
        self.receipt.deliveries += 1;
        self.receipt.last = now;
        self.latency.saturating_record(now.saturating_sub(sent) / 1_000);
        if self.receipt.deliveries == self.expected {
            self.complete.notify_one();
        }
    }

    fn report(&mut self) -> anyhow::Result<Receipt> {
        let mut receipt = std::mem::take(&mut self.receipt);
        receipt.latency = Percentiles::of(&self.latency);
        receipt.cpu_seconds = process::cpu_seconds(std::process::id())?;
        self.latency.reset();
        self.met.clear();
        self.expected = u64::MAX;
        Ok(receipt)
    }
}

/// Receives until its standard input ends.
pub(crate) async fn run() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let complete = Rc::new(Notify::new());
    let received = Rc::new(RefCell::new(Received {
        met: HashMap::new(),
        latency: histogram(),
        receipt: Receipt::default(),
        expected: u64::MAX,
        complete: complete.clone(),
    }));
    let local = tokio::task::LocalSet::new();
    let serving = received.clone();
    local.spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::task::spawn_local(serve(stream, serving.clone()));
        }
    });
    local.run_until(obey(received, complete)).await
}

async fn serve(stream: tokio::net::TcpStream, received: Rc<RefCell<Received>>) {
    let service = service_fn(|request: Request<Incoming>| {
        let received = received.clone();
        async move {
            let (head, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                received.borrow_mut().take(head.uri.path(), &body.to_bytes(), message::now());
            }
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    });
    // A connection that breaks shows in what was not received.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn obey(received: Rc<RefCell<Received>>, complete: Rc<Notify>) -> anyhow::Result<()> {
    let (send, mut orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    while let Some(order) = orders.recv().await {
        let mut words = order.split(' ').skip(1);
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
        let (expected, seconds) = (number(), number());
        received.borrow_mut().expected = expected;
        if received.borrow().receipt.deliveries < expected {
            // What does not come in time shows in the receipt.
            let _ = tokio::time::timeout(Duration::from_secs(seconds), complete.notified()).await;
        }
        let receipt = received.borrow_mut().report()?;
        println!("{}", serde_json::to_string(&receipt)?);
    }
    Ok(())
}
