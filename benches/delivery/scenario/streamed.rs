//! Events that are published over streams: with nobody to want them, which shows what publishing costs by itself, and beside
//! their deliveries.

use std::time::Duration;

use super::ms;
use crate::{
    bench::Bench,
    load::Load,
    report::figures::Figures,
    site::{Shown, Site},
    targets::Targets,
};

/// Streams that publish at once, each on a connection of its own.
const STREAMS: u64 = 2;

/// Endpoints that get the events in turn, where somebody wants them.
const ENDPOINTS: usize = 16;

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let unwanted = measure(bench, 0, &Load::unwanted()).await?;
    let events = unwanted.published.events as f64;
    figures.note("unwanted_events_per_second", events / unwanted.published.seconds);
    figures.note("unwanted_cpu_seconds_per_1000", (unwanted.server_cpu + unwanted.database_cpu) * 1e3 / events);
    figures.note("unwanted_acknowledgement_p50_ms", ms(unwanted.published.call.p50));
    let wanted = measure(bench, ENDPOINTS, &Load::in_turn(ENDPOINTS)).await?;
    figures.note("events_per_second", wanted.published.events as f64 / wanted.published.seconds);
    figures.note("deliveries_per_second", wanted.deliveries_per_second());
    figures.note("cpu_seconds_per_1000", wanted.cpu_per_1000());
    Ok(figures)
}

async fn measure(bench: &Bench, endpoints: usize, load: &Load) -> anyhow::Result<Shown> {
    let mut site = Site::new(bench, Targets::plain(), 1).await?;
    let server = site.serve().await?;
    server.create_endpoints(&site.targets, endpoints).await?;
    let load = load.clone().over(STREAMS);
    site.warm_up(&server, &load).await?;
    let shown = site.play(&server, &load, Duration::from_secs(bench.seconds)).await?;
    server.process.kill().await?;
    Ok(shown)
}
