//! The committed figures: `docs/performance.json`, and the page and the plot that are made of it.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::report::{
    check, page, plot,
    results::{Database, Results},
};

fn document(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).join(name)
}

/// The figures that are committed.
pub(crate) fn read() -> anyhow::Result<Results> {
    let path = document("performance.json");
    let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

/// Takes figures in, and writes everything anew. Figures of another machine make way for them.
pub(crate) fn take(newer: Results, add: bool) -> anyhow::Result<()> {
    let mut results = read().unwrap_or_default();
    if !results.machine.is_same(&newer.machine) {
        println!("The figures that were there are of another machine; they are left out.");
        results = Results::default();
    }
    let postgres = std::mem::take(&mut results.machine.postgres);
    results.machine = newer.machine;
    if results.machine.postgres.is_empty() {
        results.machine.postgres = postgres;
    }
    newer.measured.into_iter().for_each(|measured| results.take(measured, add));
    std::fs::write(document("performance.json"), serde_json::to_string_pretty(&results)? + "\n")?;
    write_page(&results)
}

/// Writes the page's generated parts and the plot.
pub(crate) fn write_page(results: &Results) -> anyhow::Result<()> {
    let path = document("performance.md");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    std::fs::write(&path, page::fill(&text, results)?)?;
    std::fs::write(document("performance.svg"), plot::plot(results))?;
    Ok(())
}

/// Compares new figures with those that are committed.
///
/// # Errors
/// One of them is worse than the tolerance allows.
pub(crate) fn compare(now: &Results) -> anyhow::Result<()> {
    let committed = read()?;
    if !committed.machine.is_same(&now.machine) {
        println!("The committed figures are of another machine: only what is relative to the baseline is compared.");
    }
    let mut failed = 0;
    for database in [Database::Sqlite, Database::Postgres] {
        if !now.measured.iter().any(|measured| measured.database == database) {
            continue;
        }
        for verdict in check::compare(&committed, now, database).map_err(anyhow::Error::msg)? {
            println!("{} {database:?} {}", if verdict.passed { "ok    " } else { "WORSE " }, verdict.says);
            failed += usize::from(!verdict.passed);
        }
    }
    anyhow::ensure!(failed == 0, "{failed} figures are worse than is tolerated");
    Ok(())
}
