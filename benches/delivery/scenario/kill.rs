//! kill -9 at full rate, and a restart: what is lost, what comes twice, and when what is due goes out.

use std::time::Duration;

use anyhow::Context as _;

use crate::{
    bench::Bench,
    load::Load,
    message,
    process::Process,
    publish::Published,
    receive::Receipt,
    report::figures::Figures,
    site::{SETTLE, Server, Site},
    targets::Targets,
};

/// How often the server is killed in one run.
const KILLS: u64 = 4;

/// How long it is under load each time.
const UNDER_LOAD: Duration = Duration::from_secs(4);

/// How long what is due may take to arrive.
const PATIENCE_SECONDS: u64 = 60;

/// In which a repeat would come that nobody expects.
const AFTERMATH_SECONDS: u64 = 1;

/// What one kill showed.
#[derive(Default)]
struct Aftermath {
    lost: u64,
    in_flight: u64,
    overdue: u64,
    repeated: u64,
    first: f64,
    last: f64,
}

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Figures> {
    let mut site = Site::new(bench, Targets::plain(), 1).await?;
    let mut server = site.serve().await?;
    server.create_endpoints(&site.targets, 16).await?;
    let mut worst = Aftermath::default();
    for _ in 0..KILLS {
        let (next, aftermath) = kill(&mut site, server).await?;
        server = next;
        worst.lost += aftermath.lost;
        worst.in_flight += aftermath.in_flight;
        worst.overdue += aftermath.overdue;
        worst.repeated += aftermath.repeated;
        worst.first = worst.first.max(aftermath.first);
        worst.last = worst.last.max(aftermath.last);
    }
    server.process.kill().await?;
    let mut figures = Figures::default();
    let mean = |sum: u64| sum as f64 / KILLS as f64;
    figures.note("kills", KILLS as f64);
    figures.note("lost", worst.lost as f64);
    figures.note("in_flight", mean(worst.in_flight));
    figures.note("overdue", mean(worst.overdue));
    figures.note("duplicates", mean(worst.repeated));
    figures.note("duplicates_of_in_flight", worst.repeated as f64 / worst.in_flight as f64);
    figures.note("first_overdue_seconds", worst.first);
    figures.note("last_overdue_seconds", worst.last);
    Ok(figures)
}

/// Kills a server under load and starts another in its place.
async fn kill(site: &mut Site<'_>, server: Server) -> anyhow::Result<(Server, Aftermath)> {
    let acknowledged = site.database.folder().join("acknowledged");
    let mut args = Load::in_turn(16).publisher(&server.address, site.next);
    args.milliseconds = 10 * UNDER_LOAD.as_millis() as u64;
    args.acknowledged = Some(acknowledged.clone());
    let mut publisher = Process::role("publish", &args.args())?;
    tokio::time::sleep(UNDER_LOAD).await;
    server.process.kill().await?;
    let published: Published = publisher.json().await.context("publishing until the server is gone")?;
    anyhow::ensure!(published.events > 0, "nothing was published");
    // Events may have been stored whose answers were lost; each publisher had one.
    site.next = published.end + 2 * args.publishers;
    tokio::time::sleep(SETTLE).await;
    let before = site.requests(0, 0).await?;
    anyhow::ensure!(before.repeated == 0, "{} deliveries came twice before the kill", before.repeated);

    let mut sql = site.database.connect().await?;
    let in_flight = u64::try_from(sql.number("SELECT count(*) FROM delivery WHERE state = 2").await?)?;
    let overdue = u64::try_from(sql.number("SELECT count(*) FROM delivery WHERE state IN (1, 2)").await?)?;
    sql.close().await?;

    let began = message::now();
    let server = site.serve().await?;
    let Receipt { deliveries, repeated, first, last, .. } = site.requests(overdue, PATIENCE_SECONDS).await?;
    let late = site.requests(u64::MAX, AFTERMATH_SECONDS).await?;
    let lost = site.missing(&acknowledged).await?;
    anyhow::ensure!(
        deliveries + repeated == overdue && late.deliveries + late.repeated == 0,
        "{deliveries} deliveries and {repeated} repeats came of {overdue}, and {} later",
        late.deliveries + late.repeated
    );
    let since = |at: u64| at.saturating_sub(began) as f64 / 1e9;
    Ok((server, Aftermath { lost, in_flight, overdue, repeated, first: since(first), last: since(last) }))
}
