//! Whether endpoints that hang slow others: one gets 50 events a second, alone, beside one that never answers under as
//! many, and beside a thousand of those that share as many.

use std::time::Duration;

use super::ms;
use crate::{bench::Bench, load::Load, report::figures::Figures, site::Site, targets::Targets};

/// Events a second for the healthy endpoint, and for those that hang together.
const RATE: u64 = 50;

/// The time that an endpoint has to answer is 15 s, and the first retry comes 5 s later: what hangs is at its worst after
/// about twice that.
const ALONE: Duration = Duration::from_secs(12);
const BESIDE_ONE: Duration = Duration::from_secs(24);
const BESIDE_MANY: Duration = Duration::from_secs(40);

const HEALTHY: &str = "bench.healthy";

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let alone = beside(bench, 0, ALONE, "alone", &mut figures).await?;
    let one = beside(bench, 1, BESIDE_ONE, "one", &mut figures).await?;
    let thousand = beside(bench, 1_000, BESIDE_MANY, "thousand", &mut figures).await?;
    figures.note("one_p99_of_alone", one / alone);
    figures.note("thousand_p99_of_alone", thousand / alone);
    Ok(figures)
}

/// The healthy endpoint's p99 beside so many that hang, in milliseconds.
async fn beside(
    bench: &Bench,
    hanging: usize,
    time: Duration,
    name: &str,
    figures: &mut Figures,
) -> anyhow::Result<f64> {
    let mut site = Site::new(bench, Targets::plain(), 1).await?;
    let server = site.serve().await?;
    server.create_endpoint(site.targets.url(0), HEALTHY).await?;
    for number in 0..hanging {
        let url = site.targets.hanging_url(number);
        server.create_endpoint(url, &format!("bench.hanging.{number}")).await?;
    }
    let healthy = Load { types: vec![HEALTHY.to_owned()], ..Load::in_turn(0) }.at(RATE);
    site.warm_up(&server, &healthy).await?;
    let load = if hanging == 0 { healthy } else { mixed(hanging) };
    let shown = site.play(&server, &load, time).await?;
    server.process.kill().await?;
    let latency = &shown.receipt.latency;
    figures.note(format!("{name}_p50_ms"), ms(latency.p50));
    figures.note(format!("{name}_p99_ms"), ms(latency.p99));
    figures.note(format!("{name}_max_ms"), ms(latency.max));
    figures.note(format!("{name}_publish_p99_ms"), ms(shown.published.call.p99));
    Ok(ms(latency.p99))
}

/// Every other event for the healthy endpoint, those between for the hanging ones in turn.
fn mixed(hanging: usize) -> Load {
    let types = (0..hanging).flat_map(|number| [HEALTHY.to_owned(), format!("bench.hanging.{number}")]).collect();
    Load { types, deliveries_per_event: (1, 2), ..Load::in_turn(0) }.at(2 * RATE)
}
