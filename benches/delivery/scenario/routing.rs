//! Events that match one of a hundred thousand endpoints in ten thousand tenants, beside events that match the only
//! endpoint of their tenant.

use std::time::Duration;

use super::note_cost;
use crate::{
    bench::Bench,
    load::Load,
    report::figures::Figures,
    seed,
    site::{Server, Shown, Site},
    targets::Targets,
    usage,
};

/// Tenants that publish; in the large database they are some of all.
const PUBLISHING: usize = 16;
const TENANTS: usize = 10_000;
const ENDPOINTS_PER_TENANT: i64 = 10;

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let time = Duration::from_secs(bench.seconds);
    let (mut site, server) = seeded(bench, PUBLISHING, 1).await?;
    let one = play(&mut site, &server, PUBLISHING, time).await?;
    server.process.kill().await?;

    let (mut site, server) = seeded(bench, TENANTS, ENDPOINTS_PER_TENANT).await?;
    figures.note("ready_seconds", server.ready.as_secs_f64());
    let many = play(&mut site, &server, PUBLISHING, time).await?;
    let spread = play(&mut site, &server, TENANTS, time).await?;
    figures.note("memory_mib", usage::memory_peak_mib(server.pid)?);
    server.process.kill().await?;

    note_cost(&mut figures, "one_", &one);
    note_cost(&mut figures, "", &many);
    note_cost(&mut figures, "spread_", &spread);
    figures.note("rate_of_one", many.deliveries_per_second() / one.deliveries_per_second());
    figures.note("cpu_of_one", many.cpu_per_1000() / one.cpu_per_1000());
    figures.note("spread_rate_of_one", spread.deliveries_per_second() / one.deliveries_per_second());
    Ok(figures)
}

/// A server on a database with so many tenants.
async fn seeded(bench: &Bench, tenants: usize, per_tenant: i64) -> anyhow::Result<(Site<'_>, Server)> {
    let site = Site::new(bench, Targets::plain(), 1).await?;
    let server = site.serve().await?;
    seed::tenants(&site, server, tenants as i64, per_tenant).await?;
    let server = site.serve().await?;
    Ok((site, server))
}

/// Publishes as so many tenants in turn.
async fn play(site: &mut Site<'_>, server: &Server, tenants: usize, time: Duration) -> anyhow::Result<Shown> {
    let load = Load { types: vec!["bench.hit".to_owned()], tenants, ..Load::in_turn(0) };
    site.warm_up(server, &load).await?;
    site.play(server, &load, time).await
}
