//! Full rate for long: whether the write-ahead log stays bounded, and calls stay as fast as they were.
//!
//! What is published is kept, so the disk fills; before it is full the run ends, and says after how long.

use std::time::Duration;

use super::{ms, wal::WalPeak};
use crate::{
    bench::Bench,
    load::Load,
    message,
    process::Process,
    publish::Published,
    report::figures::{Figures, median},
    site::Site,
    targets::Targets,
    usage,
};

/// Samples in one run: minutes of an hour.
const SAMPLES: u64 = 60;

/// What is left free on the disk.
const FREE_BYTES_MIN: u64 = 4 << 30;

#[derive(Default)]
struct Samples {
    rate: Vec<f64>,
    publish_p99: Vec<f64>,
    wal: Vec<f64>,
}

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Figures> {
    let mut site = Site::new(bench, Targets::plain(), 1).await?;
    let server = site.serve().await?;
    server.create_endpoints(&site.targets, 16).await?;
    let load = Load::in_turn(16);
    site.warm_up(&server, &load).await?;

    let interval = Duration::from_secs(bench.seconds) / SAMPLES as u32;
    let mut args = load.publisher(&server.address, site.next);
    args.milliseconds = (SAMPLES * interval.as_millis() as u64) + interval.as_millis() as u64 / 2;
    args.interval = interval.as_millis() as u64;
    let wal = WalPeak::watch(&site.database);
    let began = message::now();
    let mut publisher = Process::role("publish", &args.args())?;
    let mut samples = Samples::default();
    let mut published = 0;
    for sample in 1..=SAMPLES {
        let shown: Published = publisher.json().await?;
        published += shown.events;
        samples.rate.push(shown.events as f64 / interval.as_secs_f64());
        samples.publish_p99.push(ms(shown.call.p99));
        samples.wal.push(wal.mib());
        eprintln!(
            "  {sample}: {:.0} events/s, publish p99 {:.2} ms, WAL {:.1} MiB, memory {:.0} MiB",
            samples.rate.last().unwrap_or(&0.0),
            ms(shown.call.p99),
            samples.wal.last().unwrap_or(&0.0),
            usage::memory_mib(server.pid)?,
        );
        if usage::free_bytes(&bench.folder)? < FREE_BYTES_MIN {
            eprintln!("  the disk is nearly full: this ends early");
            break;
        }
    }
    let seconds = (message::now() - began) as f64 / 1e9;
    let mut figures = Figures::default();
    figures.note("minutes", seconds / 60.0);
    figures.note("deliveries_per_second", published as f64 / seconds);
    figures.note("rate_last_of_first", last_of_first(&samples.rate));
    figures.note("publish_p99_ms", median(samples.publish_p99.clone()).unwrap_or(f64::NAN));
    figures.note("publish_p99_last_of_first", last_of_first(&samples.publish_p99));
    figures.note("wal_peak_mib", samples.wal.iter().copied().fold(f64::NAN, f64::max));
    figures.note("server_memory_peak_mib", usage::memory_peak_mib(server.pid)?);
    server.process.kill().await?;
    Ok(figures)
}

/// The median of the last quarter of the samples, of that of the first.
fn last_of_first(samples: &[f64]) -> f64 {
    let quarter = samples.len().div_ceil(4);
    let first = median(samples[..quarter].to_vec());
    let last = median(samples[samples.len() - quarter..].to_vec());
    first.zip(last).map_or(f64::NAN, |(first, last)| last / first)
}
