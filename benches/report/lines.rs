//! The lines of the table: which figures are shown, in which unit, and what they are to be.
//!
//! Within a scenario ratios come first: they hold on other machines too.

/// How a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A part of one, as a percentage.
    Share,
    /// So many times something else.
    Times,
    PerSecond,
    Seconds,
    Milliseconds,
    Mebibytes,
    /// Processor seconds.
    CpuSeconds,
    Number,
}

/// What a figure is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// It explains others.
    None,
}

/// A figure of a scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) figure: &'static str,
    pub(crate) says: &'static str,
    pub(crate) unit: Unit,
    pub(crate) target: Target,
}

/// A scenario and its lines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Section {
    pub(crate) scenario: &'static str,
    pub(crate) title: &'static str,
    pub(crate) lines: &'static [Line],
}

use Target::{AtLeast, AtMost};
use Unit::{CpuSeconds, Mebibytes, Milliseconds, Number, PerSecond, Seconds, Share, Times};

const fn line(figure: &'static str, says: &'static str, unit: Unit, target: Target) -> Line {
    Line { figure, says, unit, target }
}

const OF_BASELINE: &str = "rate, of the baseline's";
const RATE: &str = "deliveries a second";

/// What the table shows, in this order.
pub(crate) const SECTIONS: &[Section] = &[
    Section {
        scenario: "1:1",
        title: "1 event → 1 delivery, 64 publishers, full rate",
        lines: &[
            line("rate_of_baseline", OF_BASELINE, Share, AtLeast(0.45)),
            line("cpu_of_baseline", "CPU per delivery, of the baseline's", Times, Target::None),
            line("deliveries_per_second", RATE, PerSecond, AtLeast(12_000.0)),
            line("baseline_deliveries_per_second", "the baseline's", PerSecond, Target::None),
            line("cpu_seconds_per_1000", "CPU of server and database per 1,000 deliveries", CpuSeconds, AtMost(0.1)),
            line("server_cpu_seconds_per_1000", "of that, the server", CpuSeconds, Target::None),
            line("publish_p50_ms", "publish call, p50", Milliseconds, Target::None),
            line("publish_p99_ms", "publish call, p99", Milliseconds, Target::None),
            line("server_memory_peak_mib", "resident memory at full rate", Mebibytes, AtMost(80.0)),
        ],
    },
    Section {
        scenario: "client",
        title: "the baseline, of itself without the HTTP client above the pool of connections",
        lines: &[
            line("cpu_of_bare", "CPU per delivery", Times, Target::None),
            line("baseline_cpu_seconds_per_1000", "CPU per 1,000 deliveries", CpuSeconds, Target::None),
            line("bare_cpu_seconds_per_1000", "CPU per 1,000 deliveries without it", CpuSeconds, Target::None),
        ],
    },
    Section {
        scenario: "https",
        title: "the same over HTTPS",
        lines: &[
            line("rate_of_baseline", OF_BASELINE, Share, Target::None),
            line("deliveries_per_second", RATE, PerSecond, AtLeast(8_000.0)),
            line("cpu_seconds_per_1000", "CPU per 1,000 deliveries", CpuSeconds, Target::None),
        ],
    },
    Section {
        scenario: "1000-hosts",
        title: "the same to 1,000 distinct hosts",
        lines: &[
            line("rate_of_baseline", OF_BASELINE, Share, Target::None),
            line("deliveries_per_second", RATE, PerSecond, AtLeast(8_000.0)),
            line("cpu_seconds_per_1000", "CPU per 1,000 deliveries", CpuSeconds, Target::None),
        ],
    },
    Section {
        scenario: "1:10",
        title: "1 event → 10 endpoints",
        lines: &[
            line("rate_of_baseline", OF_BASELINE, Share, Target::None),
            line("cpu_of_baseline", "CPU per delivery, of the baseline's", Times, Target::None),
            line("deliveries_per_second", RATE, PerSecond, AtLeast(25_000.0)),
            line("cpu_seconds_per_1000", "CPU per 1,000 deliveries", CpuSeconds, Target::None),
        ],
    },
    Section {
        scenario: "100/s",
        title: "100 events a second, publish call to receipt",
        lines: &[
            line("receipt_p50_of_baseline", "p50, of the baseline's", Times, Target::None),
            line("receipt_p50_ms", "p50", Milliseconds, AtMost(1.2)),
            line("baseline_receipt_p50_ms", "the baseline's p50", Milliseconds, Target::None),
            line("receipt_p99_ms", "p99", Milliseconds, AtMost(3.0)),
        ],
    },
    Section {
        scenario: "streamed",
        title: "2 streams of events, full rate",
        lines: &[
            line("unwanted_events_per_second", "events a second that nobody wants", PerSecond, AtLeast(15_000.0)),
            line("unwanted_cpu_seconds_per_1000", "CPU per 1,000 of them", CpuSeconds, Target::None),
            line("events_per_second", "events a second beside their deliveries", PerSecond, AtLeast(15_000.0)),
            line("deliveries_per_second", "deliveries a second meanwhile", PerSecond, Target::None),
        ],
    },
    Section {
        scenario: "isolation",
        title: "an endpoint gets 50 events a second beside others that hang under 50 a second",
        lines: &[
            line("one_p99_of_alone", "one hangs: p99, of that alone", Times, AtMost(2.0)),
            line("one_p50_ms", "one hangs: p50", Milliseconds, Target::None),
            line("one_p99_ms", "one hangs: p99", Milliseconds, AtMost(10.0)),
            line("thousand_p99_of_alone", "1,000 hang: p99, of that alone", Times, AtMost(2.0)),
            line("thousand_p50_ms", "1,000 hang: p50", Milliseconds, Target::None),
            line("thousand_p99_ms", "1,000 hang: p99", Milliseconds, AtMost(10.0)),
            line("alone_p50_ms", "alone: p50", Milliseconds, Target::None),
            line("alone_p99_ms", "alone: p99", Milliseconds, Target::None),
        ],
    },
    Section {
        scenario: "kill",
        title: "kill -9 at full rate, and a restart",
        lines: &[
            line("lost", "acknowledged and never delivered", Number, AtMost(0.0)),
            line("duplicates_of_in_flight", "delivered twice, of what was in flight", Share, AtMost(1.0)),
            line("in_flight", "in flight when it was killed", Number, Target::None),
            line("overdue", "due at the restart", Number, Target::None),
            line("first_overdue_seconds", "start to the first of what was due", Seconds, Target::None),
            line("last_overdue_seconds", "start to the last of what was due", Seconds, AtMost(2.0)),
        ],
    },
    Section {
        scenario: "backlog",
        title: "1,000,000 pending deliveries, all due, of 1,000 endpoints that hang among 100,000",
        lines: &[
            line("rate_of_empty", "rate of healthy ones, of the empty rate", Share, AtLeast(0.8)),
            line("deliveries_per_second", "deliveries a second to healthy ones", PerSecond, Target::None),
            line("stalled_seconds", "longest time with none arriving", Seconds, Target::None),
            line("ready_seconds", "start to ready", Seconds, AtMost(2.0)),
            line("memory_ready_mib", "resident memory once it is ready", Mebibytes, Target::None),
            line("memory_mib", "resident memory at its peak", Mebibytes, AtMost(150.0)),
        ],
    },
    Section {
        scenario: "backlog-refusing",
        title: "the same, of 1,000 endpoints that refuse connections",
        lines: &[
            line("rate_of_empty", "rate of healthy ones, of the empty rate", Share, AtLeast(0.8)),
            line("deliveries_per_second", "deliveries a second to healthy ones", PerSecond, Target::None),
            line("stalled_seconds", "longest time with none arriving", Seconds, Target::None),
            line("memory_mib", "resident memory at its peak", Mebibytes, AtMost(150.0)),
        ],
    },
    Section {
        scenario: "idle",
        title: "an idle server",
        lines: &[line("memory_mib", "resident memory", Mebibytes, AtMost(20.0))],
    },
    Section {
        scenario: "routing",
        title: "events that match 1 of 100,000 endpoints in 10,000 tenants",
        lines: &[
            line("rate_of_one", "rate, of that with 1 endpoint a tenant", Share, AtLeast(0.9)),
            line("cpu_of_one", "CPU per delivery, of that with 1 endpoint a tenant", Times, Target::None),
            line("deliveries_per_second", RATE, PerSecond, Target::None),
            line("spread_rate_of_one", "the same with events of all 10,000 tenants in turn", Share, Target::None),
        ],
    },
    Section {
        scenario: "watch",
        title: "1,000 watch streams, one for each of 1,000 endpoints, at 1,000 deliveries a second",
        lines: &[
            line("receipt_p50_of_unwatched", "p50 of deliveries, of that unwatched", Times, AtMost(1.1)),
            line("receipt_p99_of_unwatched", "p99 of deliveries, of that unwatched", Times, Target::None),
            line("cpu_of_unwatched", "CPU per delivery, of that unwatched", Times, Target::None),
            line("complete_streams", "complete streams", Number, AtLeast(1_000.0)),
            line("receipt_p50_ms", "p50 of deliveries", Milliseconds, Target::None),
            line("lag_p99_ms", "commit to watcher, p99", Milliseconds, Target::None),
        ],
    },
    Section {
        scenario: "long",
        title: "full rate for long",
        lines: &[
            line("publish_p99_last_of_first", "publish p99, last quarter of first", Times, AtMost(1.2)),
            line("rate_last_of_first", "rate, last quarter of first", Share, Target::None),
            line("wal_peak_mib", "largest write-ahead log", Mebibytes, AtMost(64.0)),
            line("minutes", "minutes", Number, Target::None),
            line("deliveries_per_second", RATE, PerSecond, Target::None),
            line("server_memory_peak_mib", "resident memory", Mebibytes, Target::None),
        ],
    },
];

impl Target {
    /// Whether a figure is what it is to be.
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::None => true,
        }
    }

    /// In words; nothing where there is no target.
    pub(crate) fn shown(self, unit: Unit) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {}", unit.shown(least)),
            Self::AtMost(0.0) => unit.shown(0.0),
            Self::AtMost(most) => format!("≤ {}", unit.shown(most)),
            Self::None => String::new(),
        }
    }
}

impl Unit {
    /// A figure for people, with as many digits as mean something.
    pub(crate) fn shown(self, value: f64) -> String {
        match self {
            Self::Share => format!("{:.0} %", value * 100.0),
            Self::Times => format!("{} ×", rounded(value, 2)),
            Self::PerSecond => format!("{}/s", grouped(value)),
            Self::Seconds => format!("{} s", rounded(value, 2)),
            Self::Milliseconds => format!("{} ms", rounded(value, 2)),
            Self::Mebibytes => format!("{} MiB", rounded(value, 1)),
            Self::CpuSeconds => format!("{} s", rounded(value, 3)),
            Self::Number => grouped(value),
        }
    }
}

/// Without zeros at the end; large numbers without a fraction.
fn rounded(value: f64, digits: usize) -> String {
    if value >= 100.0 {
        return grouped(value);
    }
    let text = format!("{value:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A whole number with commas between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
