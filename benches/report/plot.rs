//! The plot: rates at full speed as horizontal bars beside that of the baseline, as SVG.
//!
//! A bar's length is its share of the baseline's of the same scenario, so that scenarios of unlike rates can be read side
//! by side. Colours are told by classes that know a light and a dark background; there is no background of its own.

use std::fmt::Write as _;

use super::{
    lines::Unit,
    results::{Database, Results},
};

/// The scenarios that have a baseline and run at full rate.
const SHOWN: [(&str, &str); 4] = [
    ("1:1", "1 event → 1 delivery"),
    ("https", "over HTTPS"),
    ("1000-hosts", "to 1,000 hosts"),
    ("1:10", "1 event → 10"),
];

const WIDTH: u32 = 760;
const LEFT: u32 = 170;
const BAR_MAX: f64 = 400.0;
const BAR_HEIGHT: u32 = 16;
const BAR_STEP: u32 = 20;
const GAP: u32 = 18;
const TOP: u32 = 34;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.faint { fill: #57606a; }
.baseline { fill: #afb8c1; }
.sqlite { fill: #1f77b4; }
.postgres { fill: #2a9d6f; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .faint { fill: #9198a1; }
  .baseline { fill: #59636e; }
  .sqlite { fill: #58a6ff; }
  .postgres { fill: #3fb984; }
}";

struct Bar {
    class: &'static str,
    name: &'static str,
    rate: f64,
    share: f64,
}

/// The plot of what was measured; of nothing it is empty but for its heading.
pub(crate) fn plot(results: &Results) -> String {
    let groups: Vec<(&str, Vec<Bar>)> = SHOWN
        .into_iter()
        .map(|(scenario, title)| (title, bars(results, scenario)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let height = TOP + groups.iter().map(|(_, bars)| bars.len() as u32 * BAR_STEP + GAP).sum::<u32>();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\">\n<title>Deliveries a second beside the baseline</title>\n\
         <style>\n{STYLE}\n</style>\n<text class=\"faint\" x=\"{LEFT}\" y=\"18\">deliveries a second, and the share of the \
         baseline, which stores and signs nothing</text>\n"
    );
    let mut y = TOP;
    for (title, bars) in groups {
        let _ = writeln!(text, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{title}</text>", LEFT - 12, y + 13);
        for Bar { class, name, rate, share } in bars {
            let length = (share * BAR_MAX).clamp(1.0, BAR_MAX);
            let _ = writeln!(
                text,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR_HEIGHT}\" rx=\"2\"/>\n\
                 <text x=\"{:.1}\" y=\"{}\">{}, {name}{}</text>",
                f64::from(LEFT) + length + 6.0,
                y + 13,
                Unit::PerSecond.shown(rate),
                if class == "baseline" { String::new() } else { format!(", {}", Unit::Share.shown(share)) },
            );
            y += BAR_STEP;
        }
        y += GAP;
    }
    text.push_str("</svg>\n");
    text
}

/// The bars of a scenario: the baseline's first, as it was beside the first database that was measured.
fn bars(results: &Results, scenario: &str) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (database, class, name) in
        [(Database::Sqlite, "sqlite", "SQLite"), (Database::Postgres, "postgres", "Postgres")]
    {
        let median = |figure| results.median(scenario, database, figure);
        let (Some(rate), Some(baseline), Some(share)) =
            (median("deliveries_per_second"), median("baseline_deliveries_per_second"), median("rate_of_baseline"))
        else {
            continue;
        };
        if bars.is_empty() {
            bars.push(Bar { class: "baseline", name: "baseline", rate: baseline, share: 1.0 });
        }
        bars.push(Bar { class, name, rate, share });
    }
    bars
}
