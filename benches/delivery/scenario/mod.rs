//! The scenarios: each plays something on a new site and says what it showed, as figures whose names end in their units.

mod backlog;
mod idle;
mod isolation;
mod kill;
mod long;
mod rate;
mod routing;
mod streamed;
mod wal;
mod watched;

use futures_util::future::BoxFuture;

use crate::{bench::Bench, report::figures::Figures, seed::Dead, site::Shown};

/// Something to be measured.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// It runs only when it is named.
    by_name_only: bool,
    /// Runs it once.
    pub(crate) run: for<'a> fn(&'a Bench) -> BoxFuture<'a, anyhow::Result<Figures>>,
}

const fn scenario(
    name: &'static str,
    run: for<'a> fn(&'a Bench) -> BoxFuture<'a, anyhow::Result<Figures>>,
) -> Scenario {
    Scenario { name, by_name_only: false, run }
}

/// All of them, in the order in which they run.
const ALL: &[Scenario] = &[
    scenario("1:1", |bench| Box::pin(rate::run(bench, rate::ONE))),
    scenario("client", |bench| Box::pin(rate::run_client(bench, rate::ONE))),
    scenario("1:10", |bench| Box::pin(rate::run(bench, rate::TEN))),
    scenario("https", |bench| Box::pin(rate::run(bench, rate::HTTPS))),
    scenario("1000-hosts", |bench| Box::pin(rate::run(bench, rate::HOSTS))),
    scenario("100/s", |bench| Box::pin(rate::run(bench, rate::LATENCY))),
    scenario("streamed", |bench| Box::pin(streamed::run(bench))),
    scenario("isolation", |bench| Box::pin(isolation::run(bench))),
    scenario("kill", |bench| Box::pin(kill::run(bench))),
    scenario("backlog", |bench| Box::pin(backlog::run(bench, Dead::Hangs))),
    scenario("backlog-refusing", |bench| Box::pin(backlog::run(bench, Dead::Refuses))),
    scenario("idle", |bench| Box::pin(idle::run(bench))),
    scenario("routing", |bench| Box::pin(routing::run(bench))),
    scenario("watch", |bench| Box::pin(watched::run(bench))),
    Scenario { by_name_only: true, ..scenario("long", |bench| Box::pin(long::run(bench))) },
];

/// The scenarios of these names; without any all that do not need to be named.
///
/// # Errors
/// There is none of a name.
pub(crate) fn named(names: &[String]) -> anyhow::Result<Vec<&'static Scenario>> {
    if let Some(unknown) = names.iter().find(|name| ALL.iter().all(|scenario| scenario.name != **name)) {
        let known: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
        anyhow::bail!("there is no scenario `{unknown}`; there are {}", known.join(", "));
    }
    let wanted = |scenario: &&Scenario| match names {
        [] => !scenario.by_name_only,
        names => names.iter().any(|name| name == scenario.name),
    };
    Ok(ALL.iter().filter(wanted).collect())
}

/// Microseconds as milliseconds.
fn ms(micros: u64) -> f64 {
    micros as f64 / 1e3
}

/// Notes how long calls and deliveries took.
fn note_latency(figures: &mut Figures, prefix: &str, shown: &Shown) {
    let (call, receipt) = (&shown.published.call, &shown.receipt.latency);
    figures.note(format!("{prefix}publish_p50_ms"), ms(call.p50));
    figures.note(format!("{prefix}publish_p99_ms"), ms(call.p99));
    figures.note(format!("{prefix}receipt_p50_ms"), ms(receipt.p50));
    figures.note(format!("{prefix}receipt_p90_ms"), ms(receipt.p90));
    figures.note(format!("{prefix}receipt_p99_ms"), ms(receipt.p99));
}

/// Notes how fast deliveries were, and what they cost whom.
fn note_cost(figures: &mut Figures, prefix: &str, shown: &Shown) {
    figures.note(format!("{prefix}deliveries_per_second"), shown.deliveries_per_second());
    figures.note(format!("{prefix}cpu_seconds_per_1000"), shown.cpu_per_1000());
    figures.note(format!("{prefix}server_cpu_seconds_per_1000"), shown.per_1000(shown.server_cpu));
    figures.note(format!("{prefix}database_cpu_seconds_per_1000"), shown.per_1000(shown.database_cpu));
    figures.note(format!("{prefix}publisher_cpu_seconds_per_1000"), shown.per_1000(shown.published.cpu_seconds));
    figures.note(format!("{prefix}receiver_cpu_seconds_per_1000"), shown.per_1000(shown.receipt.cpu_seconds));
}
