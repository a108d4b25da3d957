//! The table: a line for each figure, with what it is on each database and what it is to be.

use std::fmt::Write as _;

use super::{
    lines::{Line, SECTIONS, Section},
    results::{Database, Results},
};

/// The table as Markdown, of the scenarios that were measured. What misses its target says so.
pub(crate) fn table(results: &Results) -> String {
    let mut text =
        String::from("| scenario | figure | SQLite | Postgres | target |\n| --- | --- | --- | --- | --- |\n");
    for section in SECTIONS {
        let mut title = section.title;
        for line in section.lines {
            let cells = [Database::Sqlite, Database::Postgres].map(|database| cell(results, section, line, database));
            if let [None, None] = cells {
                continue;
            }
            let [sqlite, postgres] = cells.map(|cell| cell.unwrap_or_else(|| "–".to_owned()));
            let target = line.target.shown(line.unit);
            let _ = writeln!(text, "| {title} | {} | {sqlite} | {postgres} | {target} |", line.says);
            title = "";
        }
    }
    text
}

fn cell(results: &Results, section: &Section, line: &Line, database: Database) -> Option<String> {
    let value = results.median(section.scenario, database, line.figure)?;
    let shown = line.unit.shown(value);
    Some(if line.target.is_met(value) { shown } else { format!("**{shown}**, missed") })
}
