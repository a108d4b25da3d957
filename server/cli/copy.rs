//! `tidings copy`: moves what a SQLite database holds to Postgres, while no server uses either.

use std::{fmt::Write as _, io::IsTerminal as _, sync::Arc};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{key_source::key_file, terminal::say};
use crate::store::{
    Location,
    copy::{self, CopiedTable, CopyError, Observer, Progress, Step},
};

/// What `tidings copy` is told.
#[derive(Args, Clone, Debug)]
pub struct CopyArgs {
    /// SQLite database that is copied. No server may use it meanwhile, or afterwards.
    #[arg(long, value_name = "FILE|URL")]
    from: Location,
    /// Postgres database that it is copied to, `postgres://USER:PASSWORD@HOST/NAME`. It has to be new.
    #[arg(long, env = "TIDINGS_DATABASE", hide_env_values = true, value_name = "FILE|URL")]
    to: Location,
}

/// Copies, compares, and says how to go on.
///
/// # Errors
/// As [`copy::copy`]; nothing was copied then.
pub async fn run(args: CopyArgs) -> Result<(), CopyError> {
    let CopyArgs { from, to } = args;
    let copied = copy::copy(&from, &to, observer()).await?;
    say(&summary(&copied));
    say(&format!("{from} and {to} are equal, by counts and checksums."));
    say(&next(&from, &to));
    Ok(())
}

/// Shows how far the copy is: a bar on a terminal, otherwise a line for each table.
fn observer() -> Observer {
    if !std::io::stderr().is_terminal() {
        return Arc::new(|progress: Progress| {
            if progress.step == Step::Compared {
                eprintln!("{}: {} rows copied and compared", progress.table, progress.rows);
            }
        });
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg:28} {wide_bar} {human_pos}/{human_len}") {
        bar.set_style(style);
    }
    Arc::new(move |Progress { table, step, done, rows }| {
        let word = match step {
            Step::Copying => "copying",
            Step::Comparing | Step::Compared => "comparing",
        };
        bar.set_message(format!("{word} {table}"));
        bar.set_length(rows);
        bar.set_position(done);
    })
}

/// A line for each table, and one for all.
fn summary(copied: &[CopiedTable]) -> String {
    let mut text = format!("{:<16}  {:>12}\n", "TABLE", "ROWS");
    let lines = copied.iter().map(|table| (table.name, table.rows));
    for (name, rows) in lines.chain([("all", copied.iter().map(|table| table.rows).sum())]) {
        writeln!(text, "{name:<16}  {rows:>12}").expect("writing to a String cannot fail");
    }
    text
}

/// What to do now. The URL is shown without user and password, which its owner knows.
fn next(from: &Location, to: &Location) -> String {
    let key = match from {
        Location::Sqlite(path) => Some(key_file(path)).filter(|key| key.exists()),
        Location::Postgres(_) => None,
    };
    let key = key.map_or("KEY_FILE".to_owned(), |key| key.display().to_string());
    format!(
        "Its secrets stay sealed under the same key. Put your user and password into the URL, and start:\n  \
         tidings serve --database {to} --key-file {key}\n\
         Do not start a server on {from} again: it would deliver what is pending once more."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_has_a_line_for_each_table_and_one_for_all() {
        let copied = [CopiedTable { name: "event", rows: 1_200 }, CopiedTable { name: "delivery", rows: 34 }];
        let shown = summary(&copied);
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines, [["TABLE", "ROWS"], ["event", "1200"], ["delivery", "34"], ["all", "1234"]]);
    }

    #[test]
    fn next_command_has_the_key_file_and_no_password() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("t.db");
        let (from, to) = (Location::Sqlite(database.clone()), "postgres://u:canary@db.example/t".parse().unwrap());
        assert!(next(&from, &to).contains("--database postgres://db.example/t --key-file KEY_FILE\n"));
        std::fs::write(key_file(&database), "").unwrap();
        let said = next(&from, &to);
        assert!(said.contains("/t.db.key\n") && !said.contains("canary"), "{said}");
    }
}
