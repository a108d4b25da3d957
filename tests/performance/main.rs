//! The benchmark's report: its rules, and that the committed page and plot are what the committed figures make of them.
//! The benchmark itself is not run here; `make bench` runs it.

#[path = "../../benches/report/mod.rs"]
mod report;

mod check;
mod figures;
mod lines;
mod page;
mod plot;
mod results;
mod table;

use std::path::Path;

use self::report::results::Results;

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn committed() -> Results {
    serde_json::from_str(&document("performance.json")).expect("docs/performance.json holds figures")
}

#[test]
fn page_says_what_the_committed_figures_say() {
    let page = document("performance.md");
    assert_eq!(report::page::fill(&page, &committed()).unwrap(), page, "`make bench BENCH=--rewrite` writes it anew");
}

#[test]
fn plot_shows_what_the_committed_figures_say() {
    assert_eq!(
        report::plot::plot(&committed()),
        document("performance.svg"),
        "`make bench BENCH=--rewrite` draws it anew"
    );
}

#[test]
fn committed_figures_can_be_compared_with() {
    let committed = committed();
    let verdicts = report::check::compare(&committed, &committed, report::results::Database::Sqlite).unwrap();
    assert!(verdicts.iter().all(|verdict| verdict.passed), "{verdicts:?}");
}
