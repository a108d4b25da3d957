//! What a server takes that has nothing to do.

use std::time::Duration;

use crate::{bench::Bench, report::figures::Figures, site::Site, targets::Targets, usage};

/// Until everything that starts has started.
const SETTLED: Duration = Duration::from_secs(3);

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Figures> {
    let site = Site::new(bench, Targets::plain(), 1).await?;
    let server = site.serve().await?;
    server.create_endpoints(&site.targets, 16).await?;
    tokio::time::sleep(SETTLED).await;
    let mut figures = Figures::default();
    figures.note("memory_mib", usage::memory_mib(server.pid)?);
    figures.note("ready_seconds", server.ready.as_secs_f64());
    server.process.kill().await?;
    Ok(figures)
}
