//! A thousand watch streams, each on one of a thousand endpoints, at a thousand deliveries a second: what they cost the
//! deliveries, and whether each tells everything.

use std::time::Duration;

use super::{ms, note_cost, note_latency};
use crate::{
    bench::Bench,
    load::Load,
    process::Process,
    report::figures::Figures,
    site::{Shown, Site},
    targets::Targets,
    usage,
    watch::Watched,
};

const STREAMS: usize = 1_000;

/// Deliveries a second in all: every endpoint gets one.
const RATE: u64 = STREAMS as u64;

/// How long streams may take to tell the last transitions.
const PATIENCE_SECONDS: u64 = 30;

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let unwatched = measure(bench, false, &mut figures).await?;
    let watched = measure(bench, true, &mut figures).await?;
    note_cost(&mut figures, "unwatched_", &unwatched);
    note_latency(&mut figures, "unwatched_", &unwatched);
    note_cost(&mut figures, "", &watched);
    note_latency(&mut figures, "", &watched);
    let (before, after) = (&unwatched.receipt.latency, &watched.receipt.latency);
    figures.note("receipt_p50_of_unwatched", ms(after.p50) / ms(before.p50));
    figures.note("receipt_p99_of_unwatched", ms(after.p99) / ms(before.p99));
    figures.note("cpu_of_unwatched", watched.cpu_per_1000() / unwatched.cpu_per_1000());
    Ok(figures)
}

async fn measure(bench: &Bench, watched: bool, figures: &mut Figures) -> anyhow::Result<Shown> {
    let mut site = Site::new(bench, Targets::plain(), 1).await?;
    let server = site.serve().await?;
    let ids = server.create_endpoints(&site.targets, STREAMS).await?;
    // Whole rounds, so that every endpoint gets as many events as the others.
    let load = Load::in_turn(STREAMS).at(RATE);
    site.warm_up(&server, &load).await?;
    let mut watcher = None;
    if watched {
        let file = site.database.folder().join("endpoints");
        std::fs::write(&file, ids.join("\n"))?;
        let args = [format!("--server={}", server.address), format!("--endpoints={}", file.display())];
        let mut process = Process::role("watch", &args)?;
        process.line().await?;
        watcher = Some(process);
    }
    let shown = site.play(&server, &load, Duration::from_secs(bench.seconds)).await?;
    if let Some(mut watcher) = watcher {
        let events = shown.published.events / STREAMS as u64;
        watcher.tell(&format!("await {events} {PATIENCE_SECONDS}")).await?;
        let told: Watched = watcher.json().await?;
        figures.note("complete_streams", told.complete as f64);
        figures.note("lag_p50_ms", ms(told.lag.p50));
        figures.note("lag_p99_ms", ms(told.lag.p99));
        figures.note("watcher_cpu_seconds_per_1000", shown.per_1000(told.cpu_seconds));
        figures.note("server_memory_peak_mib", usage::memory_peak_mib(server.pid)?);
        watcher.kill().await?;
    }
    server.process.kill().await?;
    Ok(shown)
}
