//! Rate, latency and cost beside the baseline: one event to one endpoint or to ten, plain or over HTTPS, to one host or to
//! many, at full rate or at a hundred events a second.

use std::time::Duration;

use super::{ms, note_cost, note_latency, wal::WalPeak};
use crate::{
    bench::Bench,
    load::Load,
    message::TYPE_FOR_ALL,
    report::figures::Figures,
    site::{Server, Shown, Site},
    targets::Targets,
    usage,
};

/// What is published to whom.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    endpoints: usize,
    /// Each event goes to all endpoints rather than to one.
    to_all: bool,
    hosts: u32,
    tls: bool,
    /// Events a second; 0 for as many as the publishers get through.
    rate: u64,
}

pub(super) const ONE: Shape = Shape { endpoints: 16, to_all: false, hosts: 1, tls: false, rate: 0 };
pub(super) const TEN: Shape = Shape { endpoints: 10, to_all: true, ..ONE };
pub(super) const HTTPS: Shape = Shape { tls: true, ..ONE };
pub(super) const HOSTS: Shape = Shape { endpoints: 1_000, hosts: 1_000, ..ONE };
pub(super) const LATENCY: Shape = Shape { rate: 100, ..ONE };

impl Shape {
    fn load(self) -> Load {
        let load = if self.to_all { Load::to_all(self.endpoints) } else { Load::in_turn(self.endpoints) };
        load.at(self.rate)
    }

    async fn site(self, bench: &Bench) -> anyhow::Result<Site<'_>> {
        // Where the certificate is the site says.
        let targets = Targets { hosts: self.hosts, certificate: self.tls.then(Default::default), ..Targets::plain() };
        Site::new(bench, targets, if self.to_all { self.endpoints as u64 } else { 1 }).await
    }

    async fn create_endpoints(self, server: &Server, targets: &Targets) -> anyhow::Result<()> {
        if !self.to_all {
            return server.create_endpoints(targets, self.endpoints).await.map(|_| ());
        }
        for number in 0..self.endpoints {
            server.create_endpoint(targets.url(number), TYPE_FOR_ALL).await?;
        }
        Ok(())
    }
}

/// Plays it on the server, and then on the baseline, so that both meet the machine in the same state.
pub(super) async fn run(bench: &Bench, shape: Shape) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let shown = measure(bench, shape, &mut figures).await?;
    note_cost(&mut figures, "", &shown);
    note_latency(&mut figures, "", &shown);
    if bench.with_baseline {
        let baseline = measure_baseline(bench, shape, false).await?;
        note_cost(&mut figures, "baseline_", &baseline);
        note_latency(&mut figures, "baseline_", &baseline);
        figures.note("baseline_connections", baseline.receipt.connections as f64);
        figures.note("rate_of_baseline", shown.deliveries_per_second() / baseline.deliveries_per_second());
        figures.note("cpu_of_baseline", shown.cpu_per_1000() / baseline.cpu_per_1000());
        let p50 = |shown: &Shown| ms(shown.receipt.latency.p50);
        figures.note("receipt_p50_of_baseline", p50(&shown) / p50(&baseline));
    }
    Ok(figures)
}

async fn measure(bench: &Bench, shape: Shape, figures: &mut Figures) -> anyhow::Result<Shown> {
    let mut site = shape.site(bench).await?;
    let server = site.serve().await?;
    shape.create_endpoints(&server, &site.targets).await?;
    site.warm_up(&server, &shape.load()).await?;
    let wal = WalPeak::watch(&site.database);
    let shown = site.play(&server, &shape.load(), Duration::from_secs(bench.seconds)).await?;
    figures.note("wal_peak_mib", wal.mib());
    figures.note("server_memory_peak_mib", usage::memory_peak_mib(server.pid)?);
    figures.note("refused", shown.published.refused as f64);
    figures.note("connections", shown.receipt.connections as f64);
    server.process.kill().await?;
    Ok(shown)
}

/// Plays the baseline, and then the baseline over the pool of connections that its client has beneath.
pub(super) async fn run_client(bench: &Bench, shape: Shape) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let baseline = measure_baseline(bench, shape, false).await?;
    let bare = measure_baseline(bench, shape, true).await?;
    note_cost(&mut figures, "baseline_", &baseline);
    note_cost(&mut figures, "bare_", &bare);
    figures.note("rate_of_bare", baseline.deliveries_per_second() / bare.deliveries_per_second());
    figures.note("cpu_of_bare", baseline.cpu_per_1000() / bare.cpu_per_1000());
    Ok(figures)
}

async fn measure_baseline(bench: &Bench, shape: Shape, bare: bool) -> anyhow::Result<Shown> {
    let mut site = shape.site(bench).await?;
    let echo = site.echo(shape.endpoints, bare).await?;
    site.warm_up(&echo, &shape.load()).await?;
    let mut shown = site.play(&echo, &shape.load(), Duration::from_secs(bench.seconds)).await?;
    // It has none: what the cluster did meanwhile was not for it.
    shown.database_cpu = 0.0;
    echo.process.kill().await?;
    Ok(shown)
}
