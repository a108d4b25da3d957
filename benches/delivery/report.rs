//! The table: medians of the runs, and each scenario's share of its baseline.

use std::fmt::Write as _;

use crate::scenario::Outcome;

/// The medians of `outcomes`, a line for each scenario.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for outcome in outcomes {
        if !names.contains(&outcome.scenario.as_str()) {
            names.push(&outcome.scenario);
        }
    }
    let mut text = String::from(
        "\n| scenario | deliveries/s | of baseline | server CPU-s per 1,000 | of baseline | memory MiB | WAL MiB \
         | publish p50/p99 ms | receipt p50/p90/p99 ms | publisher, receiver CPU-s per 1,000 |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for name in names {
        let median = |read: fn(&Outcome) -> f64| median_of(outcomes, name, read);
        let rate = |name: &str| median_of(outcomes, name, |outcome| outcome.deliveries_per_second);
        let cpu = |name: &str| median_of(outcomes, name, |outcome| outcome.server_cpu_seconds_per_1000);
        let baseline = format!("{name} baseline");
        let (of_rate, of_cpu) = if outcomes.iter().any(|outcome| outcome.scenario == baseline) {
            let percent = format!("{:.0} %", rate(name) / rate(&baseline) * 100.0);
            (percent, format!("{:.1} ×", cpu(name) / cpu(&baseline)))
        } else {
            ("–".to_owned(), "–".to_owned())
        };
        let _ = writeln!(
            text,
            "| {name} | {:.0} | {of_rate} | {:.3} | {of_cpu} | {:.0} | {:.0} | {:.2} / {:.2} | {:.2} / {:.2} / {:.2} \
             | {:.3}, {:.3} |",
            rate(name),
            cpu(name),
            median(|outcome| outcome.server_memory_peak_mib),
            median(|outcome| outcome.wal_peak_mib),
            median(|outcome| outcome.published.call.p50 as f64 / 1e3),
            median(|outcome| outcome.published.call.p99 as f64 / 1e3),
            median(|outcome| outcome.receipt.latency.p50 as f64 / 1e3),
            median(|outcome| outcome.receipt.latency.p90 as f64 / 1e3),
            median(|outcome| outcome.receipt.latency.p99 as f64 / 1e3),
            median(|outcome| outcome.published.cpu_seconds * 1e3 / outcome.receipt.deliveries as f64),
            median(|outcome| outcome.receipt.cpu_seconds * 1e3 / outcome.receipt.deliveries as f64),
        );
    }
    text
}

fn median_of(outcomes: &[Outcome], name: &str, read: impl Fn(&Outcome) -> f64) -> f64 {
    let mut values: Vec<f64> = outcomes.iter().filter(|outcome| outcome.scenario == name).map(read).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
