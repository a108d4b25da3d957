//! The page: what is generated stands between markers, and the rest of it is left as people wrote it.

use super::{
    results::{Database, Results},
    table::table,
};

/// Why the page cannot be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MarkerMissing(pub(crate) String);

impl std::fmt::Display for MarkerMissing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the page has no part that begins with the line `{}`", self.0)
    }
}

impl std::error::Error for MarkerMissing {}

/// `page` with its generated parts as `results` have them: the table and where it was measured.
pub(crate) fn fill(page: &str, results: &Results) -> Result<String, MarkerMissing> {
    let page = replace(page, "machine", &machine(results))?;
    replace(&page, "table", &table(results))
}

/// Puts `text` between the markers of the part `name`.
fn replace(page: &str, name: &str, text: &str) -> Result<String, MarkerMissing> {
    let (begin, end) = (format!("<!-- generated: {name} -->\n"), format!("<!-- end: {name} -->\n"));
    let missing = || MarkerMissing(begin.trim_end().to_owned());
    let (before, rest) = page.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}\n{text}\n{end}{after}"))
}

fn machine(results: &Results) -> String {
    let machine = &results.machine;
    let mut rows = vec![
        ("processor", format!("{}, {} cores", machine.processor, machine.cores)),
        ("memory", format!("{} GiB", machine.memory_gib)),
        ("kernel", machine.kernel.clone()),
        ("disk", machine.disk.clone()),
        ("compiler", machine.rustc.clone()),
    ];
    if !machine.postgres.is_empty() {
        rows.push(("Postgres", machine.postgres.clone()));
    }
    for (database, name) in [(Database::Sqlite, "measured on SQLite"), (Database::Postgres, "measured on Postgres")] {
        let of_it = || results.measured.iter().filter(|measured| measured.database == database);
        let mut revisions: Vec<&str> = of_it().map(|measured| measured.revision.as_str()).collect();
        revisions.sort_unstable();
        revisions.dedup();
        let runs = of_it().map(|measured| measured.runs.len());
        if let (Some(fewest), Some(most)) = (runs.clone().min(), runs.max()) {
            let runs = if fewest == most { most.to_string() } else { format!("{fewest} to {most}") };
            rows.push((name, format!("runs of each scenario: {runs}; at {}", revisions.join(", "))));
        }
    }
    let lines = rows.iter().map(|(what, value)| format!("| {what} | {value} |\n"));
    format!("| | |\n| --- | --- |\n{}", lines.collect::<String>())
}
