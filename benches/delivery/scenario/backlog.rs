//! A million deliveries that are due at endpoints that are dead: how fast the healthy ones get theirs meanwhile, how long a
//! start takes, and how much memory.

use std::time::Duration;

use crate::{
    bench::Bench,
    load::Load,
    report::figures::Figures,
    seed::{self, Dead},
    site::Site,
    targets::Targets,
    usage,
};

/// The endpoints that get events: as many as in the scenario `1:1`.
const HEALTHY: usize = 16;

/// Beside the backlog, so that an endpoint that hangs has used up its 15 s.
const BESIDE: Duration = Duration::from_secs(20);

pub(super) async fn run(bench: &Bench, dead: Dead) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let empty = empty_rate(bench).await?;
    figures.note("empty_deliveries_per_second", empty);

    let mut site = Site::new(bench, Targets::plain(), 1).await?;
    let server = site.serve().await?;
    server.create_endpoints(&site.targets, HEALTHY).await?;
    seed::backlog(&site, server, dead).await?;

    let server = site.serve().await?;
    figures.note("ready_seconds", server.ready.as_secs_f64());
    figures.note("memory_ready_mib", usage::memory_mib(server.pid)?);
    let shown = site.play(&server, &Load::in_turn(HEALTHY), BESIDE).await?;
    let first = shown.receipt.first.saturating_sub(shown.published.began);
    figures.note("deliveries_per_second", shown.deliveries_per_second());
    figures.note("rate_of_empty", shown.deliveries_per_second() / empty);
    figures.note("stalled_seconds", first.max(shown.receipt.gap) as f64 / 1e9);
    figures.note("memory_mib", usage::memory_peak_mib(server.pid)?);
    server.process.kill().await?;
    Ok(figures)
}

/// What the same endpoints get of a database with nothing else in it.
async fn empty_rate(bench: &Bench) -> anyhow::Result<f64> {
    let mut site = Site::new(bench, Targets::plain(), 1).await?;
    let server = site.serve().await?;
    server.create_endpoints(&site.targets, HEALTHY).await?;
    let load = Load::in_turn(HEALTHY);
    site.warm_up(&server, &load).await?;
    let shown = site.play(&server, &load, Duration::from_secs(bench.seconds)).await?;
    server.process.kill().await?;
    Ok(shown.deliveries_per_second())
}
