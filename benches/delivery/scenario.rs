//! The scenarios, and one run of one.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use serde::Serialize;
use tidings::proto::{CreateEndpointRequest, Endpoint};
use tokio::process::Command;

use crate::{
    key::ADMIN_KEY,
    message::TYPE_FOR_ALL,
    process::{self, Process},
    publish::{Published, connect},
    receive::Receipt,
};

/// Requests in flight at each endpoint: the server's default.
const IN_FLIGHT_MAX: usize = 8;

const WARM_UP: Duration = Duration::from_secs(1);

/// How long deliveries may take to arrive once publishing has ended.
const DRAIN_SECONDS: u64 = 120;

/// Outcomes wait up to 20 ms for company; then they are settled, which belongs to what a delivery costs.
const SETTLE: Duration = Duration::from_millis(200);

/// Something to be measured.
pub(crate) struct Scenario {
    shape: &'static str,
    endpoints: usize,
    /// Each event goes to all endpoints rather than to one.
    to_all: bool,
    /// Events a second; 0 for as many as 64 publishers get through.
    rate: u64,
    /// As many streams instead of those publishers; 0 for calls.
    streams: u64,
    baseline: bool,
}

const ONE: Scenario = Scenario { shape: "1:1", endpoints: 16, to_all: false, rate: 0, streams: 0, baseline: false };
const TEN: Scenario = Scenario { shape: "1:10", endpoints: 10, to_all: true, rate: 0, streams: 0, baseline: false };
const LATENCY: Scenario =
    Scenario { shape: "100/s", endpoints: 16, to_all: false, rate: 100, streams: 0, baseline: false };

/// Each beside its baseline, so that both meet the machine in the same state.
pub(crate) const ALL: &[Scenario] = &[
    ONE,
    Scenario { baseline: true, ..ONE },
    TEN,
    Scenario { baseline: true, ..TEN },
    LATENCY,
    Scenario { baseline: true, ..LATENCY },
    Scenario { shape: "1:1 streamed", streams: 2, ..ONE },
    // Nobody wants the events: what publishing costs by itself.
    Scenario { shape: "1:0 streamed", endpoints: 0, streams: 2, ..ONE },
];

/// What a run showed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: String,
    pub(crate) published: Published,
    pub(crate) receipt: Receipt,
    /// From the first publish to the last receipt.
    pub(crate) seconds: f64,
    pub(crate) deliveries_per_second: f64,
    pub(crate) server_cpu_seconds_per_1000: f64,
    pub(crate) server_memory_peak_mib: f64,
    /// The largest that the write-ahead log's file was.
    pub(crate) wal_peak_mib: f64,
}

impl Scenario {
    pub(crate) fn name(&self) -> String {
        format!("{}{}", self.shape, if self.baseline { " baseline" } else { "" })
    }

    fn types(&self) -> Vec<String> {
        if self.to_all {
            vec![TYPE_FOR_ALL.to_owned()]
        } else {
            (0..self.endpoints.max(1)).map(|endpoint| format!("bench.{endpoint}")).collect()
        }
    }
}

impl Outcome {
    /// In a line.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{:.0} events/s published, {:.0} deliveries/s, {:.3} CPU-s per 1,000, p99 {} µs",
            self.published.events as f64 / self.published.seconds,
            self.deliveries_per_second,
            self.server_cpu_seconds_per_1000,
            self.receipt.latency.p99
        )
    }
}

/// Runs a scenario: `seconds` of publishing, after a second of warming up, and the time until everything has arrived.
pub(crate) async fn run(scenario: &Scenario, server: &Path, folder: &Path, seconds: u64) -> anyhow::Result<Outcome> {
    let directory = tempfile::tempdir_in(folder)?;
    let mut receiver = Process::role("receive", &[])?;
    let port: u16 = receiver.line().await?.parse()?;
    let mut server = start(scenario, server, directory.path(), port)?;
    let address = server.address().await?;
    if !scenario.baseline {
        create_endpoints(scenario, &address, port).await?;
    }
    publish(scenario, &address, WARM_UP, &mut receiver).await?;

    let wal = WalPeak::watch(directory.path().join("tidings.db-wal"));
    let (server_before, receiver_before) = (process::cpu_seconds(server.id()?)?, process::cpu_seconds(receiver.id()?)?);
    let (published, mut receipt) = publish(scenario, &address, Duration::from_secs(seconds), &mut receiver).await?;
    tokio::time::sleep(SETTLE).await;
    let server_cpu = process::cpu_seconds(server.id()?)? - server_before;
    receipt.cpu_seconds -= receiver_before;
    let server_memory_peak_mib = process::memory_peak_mib(server.id()?)?;
    server.kill().await?;

    let took = match receipt.deliveries {
        0 => published.seconds,
        _ => receipt.last.saturating_sub(published.first) as f64 / 1e9,
    };
    Ok(Outcome {
        scenario: scenario.name(),
        published,
        receipt,
        seconds: took,
        deliveries_per_second: receipt.deliveries as f64 / took,
        // Where nobody wants the events, it is what each of them costs.
        server_cpu_seconds_per_1000: server_cpu * 1_000.0 / receipt.deliveries.max(published.events) as f64,
        server_memory_peak_mib,
        wal_peak_mib: wal.mib(),
    })
}

fn start(scenario: &Scenario, server: &Path, folder: &Path, port: u16) -> anyhow::Result<Process> {
    if scenario.baseline {
        let args = [
            format!("--port={port}"),
            format!("--endpoints={}", scenario.endpoints),
            format!("--in-flight-max={IN_FLIGHT_MAX}"),
        ];
        return Process::role("echo", &args);
    }
    let database = folder.join("tidings.db");
    Process::start(
        Command::new(server)
            .args(["serve", "--listen=127.0.0.1:0", "--allow-http", "--allow-cidr=127.0.0.0/8"])
            .arg(format!("--allow-port={port}"))
            .arg("--database")
            .arg(database)
            .env("TIDINGS_ADMIN_KEY", ADMIN_KEY),
    )
}

async fn create_endpoints(scenario: &Scenario, address: &str, port: u16) -> anyhow::Result<()> {
    let mut client = connect(address).await?;
    for number in 0..scenario.endpoints {
        let event_type = if scenario.to_all { TYPE_FOR_ALL.to_owned() } else { format!("bench.{number}") };
        let endpoint = Endpoint {
            url: format!("http://127.0.0.1:{port}/{number}"),
            event_types: vec![event_type],
            ..Endpoint::default()
        };
        let request = CreateEndpointRequest { endpoint: Some(endpoint), ..CreateEndpointRequest::default() };
        client.create_endpoint(request).await.context("creating an endpoint")?;
    }
    Ok(())
}

/// Publishes for a while and waits until everything has arrived. Fails if it does not.
async fn publish(
    scenario: &Scenario,
    address: &str,
    time: Duration,
    receiver: &mut Process,
) -> anyhow::Result<(Published, Receipt)> {
    let args = [
        format!("--server={address}"),
        format!("--types={}", scenario.types().join(",")),
        "--publishers=64".to_owned(),
        format!("--rate={}", scenario.rate),
        format!("--streams={}", scenario.streams),
        format!("--milliseconds={}", time.as_millis()),
    ];
    let published: Published = Process::role("publish", &args)?.json().await?;
    let wanting = if scenario.to_all { scenario.endpoints } else { scenario.endpoints.min(1) };
    let expected = published.events * wanting as u64;
    receiver.tell(&format!("await {expected} {DRAIN_SECONDS}")).await?;
    let receipt: Receipt = receiver.json().await?;
    anyhow::ensure!(receipt.deliveries == expected, "{} of {expected} deliveries arrived", receipt.deliveries);
    Ok((published, receipt))
}

/// Looks now and then how large the write-ahead log is.
struct WalPeak {
    bytes: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl WalPeak {
    fn watch(path: std::path::PathBuf) -> Self {
        let bytes = Arc::new(AtomicU64::new(0));
        let seen = bytes.clone();
        let task = tokio::spawn(async move {
            loop {
                let now = std::fs::metadata(&path).map_or(0, |file| file.len());
                seen.fetch_max(now, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self { bytes, task }
    }

    fn mib(self) -> f64 {
        self.task.abort();
        self.bytes.load(Ordering::Relaxed) as f64 / f64::from(1 << 20)
    }
}
