//! `make bench-check`: are deliveries dearer than they were when the committed figures were measured?
//!
//! On the machine of those figures the processor time of a delivery is compared, and everywhere what it and the rate are
//! beside the baseline of the same run, which other machines change less.

use super::{
    lines::{SECTIONS, Unit},
    results::{Database, Results},
};

/// The scenarios that are compared.
pub(crate) const SCENARIOS: [&str; 2] = ["1:1", "1:10"];

/// How much worse a figure may be: what runs on a machine with neighbours differ by. Beside a baseline it is more, for that
/// varies too.
const TOLERANCE: f64 = 0.15;
const TOLERANCE_BESIDE: f64 = 0.25;

/// A figure that is compared.
struct Compared {
    figure: &'static str,
    more_is_worse: bool,
    /// It means something on another machine too.
    everywhere: bool,
    tolerance: f64,
}

const COMPARED: [Compared; 3] = [
    Compared { figure: "cpu_seconds_per_1000", more_is_worse: true, everywhere: false, tolerance: TOLERANCE },
    Compared { figure: "cpu_of_baseline", more_is_worse: true, everywhere: true, tolerance: TOLERANCE_BESIDE },
    Compared { figure: "rate_of_baseline", more_is_worse: false, everywhere: true, tolerance: TOLERANCE_BESIDE },
];

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// What was compared, and what it was and is.
    pub(crate) says: String,
    pub(crate) passed: bool,
}

/// Compares what was measured now with what was committed.
///
/// # Errors
/// There is nothing to compare with.
pub(crate) fn compare(committed: &Results, now: &Results, database: Database) -> Result<Vec<Verdict>, String> {
    let same_machine = committed.machine.is_same(&now.machine);
    let mut verdicts = Vec::new();
    for scenario in SCENARIOS {
        for Compared { figure, more_is_worse, everywhere, tolerance } in COMPARED {
            if !same_machine && !everywhere {
                continue;
            }
            let missing = |whose: &str| format!("{whose} figures have no {figure} of {scenario}");
            let before = committed.median(scenario, database, figure).ok_or_else(|| missing("the committed"))?;
            let after = now.median(scenario, database, figure).ok_or_else(|| missing("the new"))?;
            let (worse, better) = if more_is_worse { (after, before) } else { (before, after) };
            let passed = worse <= better * (1.0 + tolerance);
            let unit = unit_of(scenario, figure);
            let change = (after / before - 1.0) * 100.0;
            let (before, after) = (unit.shown(before), unit.shown(after));
            let says = format!(
                "{scenario}: {figure} {before} → {after} ({change:+.0} %, tolerated: {:.0} %)",
                tolerance * 100.0
            );
            verdicts.push(Verdict { says, passed });
        }
    }
    Ok(verdicts)
}

fn unit_of(scenario: &str, figure: &str) -> Unit {
    let lines = SECTIONS.iter().filter(|section| section.scenario == scenario).flat_map(|section| section.lines);
    lines.into_iter().find(|line| line.figure == figure).map_or(Unit::Times, |line| line.unit)
}
