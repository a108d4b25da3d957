//! `tidings reseal`: seals everything anew under the active key, while no server uses the database, and says which older keys
//! are needed still.

use std::{fmt::Write as _, io::IsTerminal as _, path::PathBuf, sync::Arc};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{key_source::key_source, terminal::say};
use crate::store::{
    KeyId, KeySource, Location,
    reseal::{self, Observer, Progress, Resealed, Survey},
};

/// What `tidings reseal` is told.
#[derive(Args, Clone, Debug)]
pub struct ResealArgs {
    /// SQLite database, or the URL of a Postgres database, `postgres://USER:PASSWORD@HOST/NAME`. No server may use it
    /// meanwhile.
    #[arg(
        long,
        env = "TIDINGS_DATABASE",
        hide_env_values = true,
        value_name = "FILE|URL",
        default_value = "tidings.db"
    )]
    database: Location,
    /// File with the keys, as `tidings serve` takes it: the first line is the active key, which everything is sealed with, the
    /// others open what was sealed before. For a Postgres database they may stand in the variable TIDINGS_KEY instead.
    #[arg(long, env = "TIDINGS_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Make a new key, put it first into the key file, and seal everything with it.
    #[arg(long)]
    new_key: bool,
    /// Only say which keys are needed. Nothing is changed, and servers may run. Ends with status 1 if an older key is needed.
    #[arg(long, conflicts_with = "new_key")]
    check: bool,
}

/// Seals anew, or checks. Returns whether all is well: `false` only with `--check`, if an older key is needed.
///
/// # Errors
/// There is no key; or as [`reseal::reseal`] and [`reseal::check`].
pub async fn run(args: ResealArgs) -> anyhow::Result<bool> {
    let ResealArgs { database, key_file, new_key, check } = args;
    let key = key_source(&database, key_file)?;
    if check {
        let survey = reseal::check(&database, &key).await?;
        let of_each: Vec<_> =
            survey.tables.iter().map(|table| (table.table.name(), table.records, table.older)).collect();
        say(&table("OLDER KEY", &of_each));
        say(&verdict(&key, &survey));
        return Ok(survey.needed.is_empty());
    }
    let Resealed { records, survey, active } = reseal::reseal(&database, &key, new_key, observer()).await?;
    let of_each: Vec<_> = survey
        .tables
        .iter()
        .zip(&records)
        .map(|(table, (_, resealed))| (table.table.name(), table.records, *resealed))
        .collect();
    say(&table("SEALED ANEW", &of_each));
    if new_key {
        say(&format!("A new key, {active}, is the first in {key} now: keep a copy apart from the database's backups."));
    }
    say(&verdict(&key, &survey));
    Ok(true)
}

/// Shows how far the work is: a bar on a terminal, otherwise a line for each batch.
fn observer() -> Observer {
    if !std::io::stderr().is_terminal() {
        return Arc::new(|Progress { table, done, due }| {
            if done > 0 {
                eprintln!("{}: {done} of {due} records sealed anew", table.name());
            }
        });
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg:28} {wide_bar} {human_pos}/{human_len}") {
        bar.set_style(style);
    }
    Arc::new(move |Progress { table, done, due }| {
        bar.set_message(table.name());
        bar.set_length(due);
        bar.set_position(done);
    })
}

/// A line for each table, and one for all.
fn table(heading: &str, of_each: &[(&str, u64, u64)]) -> String {
    let mut text = format!("{:<20}  {:>12}  {heading:>12}\n", "TABLE", "RECORDS");
    let all = of_each.iter().fold(("all", 0, 0), |sum, table| (sum.0, sum.1 + table.1, sum.2 + table.2));
    for (name, records, some) in of_each.iter().chain([&all]) {
        writeln!(text, "{name:<20}  {records:>12}  {some:>12}").expect("writing to a String cannot fail");
    }
    text
}

/// Which keys are needed, and which are not.
fn verdict(key: &KeySource, survey: &Survey) -> String {
    if !survey.needed.is_empty() {
        let needed: Vec<String> =
            survey.needed.iter().map(|(key, records)| format!("{key} ({records} records)")).collect();
        return format!("Needed still, besides the first key of {key}: {}. Run `tidings reseal`.", needed.join(", "));
    }
    let idle: Vec<String> = survey.idle.iter().map(KeyId::to_string).collect();
    match idle.len() {
        0 => format!("Every record is sealed with the one key of {key}."),
        _ => format!(
            "Every record is sealed with the first key of {key}. Not needed any more: {}. Remove what stands after the first; \
             older backups of the database still need it.",
            idle.join(", ")
        ),
    }
}
