//! What a scenario is played on: a new database, a receiver, and servers started on them.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use tidings::{
    client::KeyedChannel,
    proto::{self, CreateEndpointRequest, webhook_service_client::WebhookServiceClient},
};
use tokio::process::Command;
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    bench::Bench,
    database::Database,
    key::ADMIN_KEY,
    load::Load,
    message,
    process::Process,
    publish::{Published, connect},
    receive::Receipt,
    targets::Targets,
    usage,
};

/// Requests in flight at each endpoint: the server's default.
pub(crate) const IN_FLIGHT_MAX: usize = 8;

/// Requests in flight in all: the server's default.
const IN_FLIGHT_MAX_IN_ALL: usize = 1_024;

/// How long is published before it is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long deliveries may take to arrive once publishing has ended.
const DRAIN_SECONDS: u64 = 120;

/// Outcomes wait up to 20 ms for company; then they are settled, which belongs to what a delivery costs.
pub(crate) const SETTLE: Duration = Duration::from_millis(200);

/// What a scenario is played on.
pub(crate) struct Site<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) database: Database<'a>,
    pub(crate) receiver: Process,
    /// Where the receiver is.
    pub(crate) targets: Targets,
    /// The next event's number.
    pub(crate) next: u64,
}

/// A server that runs, or the baseline.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: String,
    pub(crate) pid: u32,
    /// From its start until it said that it serves.
    pub(crate) ready: Duration,
}

/// What a load showed.
pub(crate) struct Shown {
    pub(crate) published: Published,
    pub(crate) receipt: Receipt,
    /// Processor seconds of the server.
    pub(crate) server_cpu: f64,
    /// Processor seconds of the database.
    pub(crate) database_cpu: f64,
}

impl<'a> Site<'a> {
    /// A new database, and a receiver of events that each go to `fanout` endpoints.
    pub(crate) async fn new(bench: &'a Bench, mut targets: Targets, fanout: u64) -> anyhow::Result<Self> {
        let database = Database::create(bench).await?;
        let mut args = vec![format!("--fanout={fanout}")];
        if let Some(certificate) = &mut targets.certificate {
            let pair = rcgen::generate_simple_self_signed([Targets::address(0).to_string()])?;
            let key = database.folder().join("key.pem");
            *certificate = database.folder().join("certificate.pem");
            std::fs::write(&certificate, pair.cert.pem())?;
            std::fs::write(&key, pair.signing_key.serialize_pem())?;
            args.push(format!("--key={}", key.display()));
        }
        args.extend(targets.args());
        let mut receiver = Process::role("receive", &args)?;
        targets.port = receiver.line().await?.parse()?;
        Ok(Self { bench, database, receiver, targets, next: 0 })
    }

    /// Starts the server and waits until it serves.
    pub(crate) async fn serve(&self) -> anyhow::Result<Server> {
        let mut command = Command::new(&self.bench.server);
        command.args(["serve", "--listen=127.0.0.1:0", "--allow-http", "--allow-cidr=127.0.0.0/8"]);
        command.arg("--allow-port=1024-65535").env("TIDINGS_ADMIN_KEY", ADMIN_KEY).kill_on_drop(true);
        command.args(self.targets.certificate.iter().map(|path| format!("--ca-file={}", path.display())));
        self.database.tell(&mut command);
        let began = message::now();
        let mut process = Process::start(&mut command)?;
        let address = process.address().await?;
        let channel = Endpoint::from_shared(address.clone())?.connect().await?;
        let mut health = HealthClient::new(channel);
        let status = health.check(HealthCheckRequest::default()).await?.into_inner().status();
        anyhow::ensure!(status == ServingStatus::Serving, "the server is {status:?}");
        let ready = Duration::from_nanos(message::now() - began);
        let pid = process.id()?;
        Ok(Server { process, address, pid, ready })
    }

    /// Starts the baseline, which knows its endpoints by itself. `bare` of the client above its pool of connections it does
    /// without that.
    pub(crate) async fn echo(&self, endpoints: usize, bare: bool) -> anyhow::Result<Server> {
        let in_flight_max = (endpoints * IN_FLIGHT_MAX).min(IN_FLIGHT_MAX_IN_ALL);
        let mut args = vec![format!("--endpoints={endpoints}"), format!("--in-flight-max={in_flight_max}")];
        args.extend(self.targets.args());
        args.extend(bare.then(|| "--bare".to_owned()));
        let began = message::now();
        let mut process = Process::role("echo", &args)?;
        let address = process.address().await?;
        let pid = process.id()?;
        Ok(Server { process, address, pid, ready: Duration::from_nanos(message::now() - began) })
    }

    /// Publishes for a while and waits until everything has arrived, once each. Fails if it does not.
    pub(crate) async fn play(&mut self, server: &Server, load: &Load, time: Duration) -> anyhow::Result<Shown> {
        let (server_before, database_before) = (usage::cpu_seconds(server.pid)?, self.database.cpu_seconds()?);
        let receiver_before = usage::cpu_seconds(self.receiver.id()?)?;
        let published = self.publish(server, load, time).await?;
        let mut receipt = self.receive(load.deliveries(published.events)).await?;
        tokio::time::sleep(SETTLE).await;
        receipt.cpu_seconds -= receiver_before;
        Ok(Shown {
            published,
            receipt,
            server_cpu: usage::cpu_seconds(server.pid)? - server_before,
            database_cpu: self.database.cpu_seconds()? - database_before,
        })
    }

    /// As [`Site::play`], for a moment, so that connections are made and statements prepared.
    pub(crate) async fn warm_up(&mut self, server: &Server, load: &Load) -> anyhow::Result<()> {
        self.play(server, load, WARM_UP).await.map(|_| ())
    }

    /// Publishes for a while.
    pub(crate) async fn publish(&mut self, server: &Server, load: &Load, time: Duration) -> anyhow::Result<Published> {
        // Every round begins with the first type, and the first tenant.
        self.next = self.next.next_multiple_of(load.types.len().max(load.tenants) as u64);
        let mut args = load.publisher(&server.address, self.next);
        args.milliseconds = time.as_millis() as u64;
        let published: Published = Process::role("publish", &args.args())?.json().await?;
        self.next = self.next.max(published.end);
        Ok(published)
    }

    /// Waits for so many deliveries, and fails if they do not come, or if one comes twice.
    pub(crate) async fn receive(&mut self, expected: u64) -> anyhow::Result<Receipt> {
        let receipt = self.requests(expected, DRAIN_SECONDS).await?;
        anyhow::ensure!(
            receipt.deliveries == expected && receipt.repeated == 0,
            "{} of {expected} deliveries arrived, and {} repeats",
            receipt.deliveries,
            receipt.repeated,
        );
        Ok(receipt)
    }

    /// What has come since the last time, once it is so many requests, or the time is up.
    pub(crate) async fn requests(&mut self, count: u64, seconds: u64) -> anyhow::Result<Receipt> {
        self.receiver.tell(&format!("await {count} {seconds}")).await?;
        self.receiver.json().await
    }

    /// How many of the events whose numbers are in a file have not come.
    pub(crate) async fn missing(&mut self, numbers: &Path) -> anyhow::Result<u64> {
        self.receiver.tell(&format!("missing {}", numbers.display())).await?;
        self.receiver.json().await
    }
}

impl Server {
    pub(crate) async fn client(&self) -> anyhow::Result<WebhookServiceClient<KeyedChannel>> {
        connect(&self.address).await
    }

    /// Creates an endpoint for events of one type; returns its id.
    pub(crate) async fn create_endpoint(&self, url: String, event_type: &str) -> anyhow::Result<String> {
        create_endpoint(&mut self.client().await?, url, event_type).await
    }

    /// Creates endpoints `bench.0` and so on, each for its own type; returns their ids.
    pub(crate) async fn create_endpoints(&self, targets: &Targets, count: usize) -> anyhow::Result<Vec<String>> {
        let mut client = self.client().await?;
        let mut ids = Vec::with_capacity(count);
        for number in 0..count {
            ids.push(create_endpoint(&mut client, targets.url(number), &format!("bench.{number}")).await?);
        }
        Ok(ids)
    }
}

async fn create_endpoint(
    client: &mut WebhookServiceClient<KeyedChannel>,
    url: String,
    event_type: &str,
) -> anyhow::Result<String> {
    let endpoint = proto::Endpoint { url, event_types: vec![event_type.to_owned()], ..Default::default() };
    let request = CreateEndpointRequest { endpoint: Some(endpoint), ..CreateEndpointRequest::default() };
    let created = client.create_endpoint(request).await.context("creating an endpoint")?.into_inner();
    Ok(created.endpoint.context("no endpoint")?.id)
}

impl Shown {
    /// From the first publish to the last receipt.
    pub(crate) fn seconds(&self) -> f64 {
        self.receipt.last.saturating_sub(self.published.began) as f64 / 1e9
    }

    pub(crate) fn deliveries_per_second(&self) -> f64 {
        self.receipt.deliveries as f64 / self.seconds()
    }

    /// Processor seconds of server and database per 1,000 deliveries.
    pub(crate) fn cpu_per_1000(&self) -> f64 {
        self.per_1000(self.server_cpu + self.database_cpu)
    }

    pub(crate) fn per_1000(&self, seconds: f64) -> f64 {
        seconds * 1e3 / self.receipt.deliveries as f64
    }
}
