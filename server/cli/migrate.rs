//! `tidings migrate`: shows which steps of the schema a database has, and applies what is pending while no server uses it.

use std::fmt::Write as _;

use clap::Args;

use super::terminal::{printable, say};
use crate::{
    model::Timestamp,
    store::{
        Location,
        migrate::{self, MigrateError, Progress, Schema, SchemaStep, StepState},
    },
};

/// The longest description that is shown whole.
const DESCRIPTION_CHARS_MAX: usize = 60;

/// What `tidings migrate` is told.
#[derive(Args, Clone, Debug)]
pub struct MigrateArgs {
    /// SQLite database, or the URL of a Postgres database, `postgres://USER:PASSWORD@HOST/NAME`. It is not made.
    #[arg(
        long,
        env = "TIDINGS_DATABASE",
        hide_env_values = true,
        value_name = "FILE|URL",
        default_value = "tidings.db"
    )]
    database: Location,
    /// Apply what is pending, one step after the other, each in a transaction. No server may use the database meanwhile.
    /// Without this nothing is changed.
    #[arg(long)]
    apply: bool,
    /// End with status 1 if a step is pending, with 0 if none is. Nothing is changed.
    #[arg(long, conflicts_with = "apply")]
    check: bool,
}

/// Shows, and applies if it is told to. Returns whether all is well: `false` only with `--check`, if a step is pending.
///
/// # Errors
/// As [`migrate::inspect`] and [`migrate::apply`]; and if this binary cannot work with the schema, which is shown then.
pub async fn run(args: MigrateArgs) -> Result<bool, MigrateError> {
    let MigrateArgs { database, apply, check } = args;
    if apply {
        let applied = migrate::apply(&database, &tell).await?;
        let version = migrate::inspect(&database).await?.version();
        say(&match applied.len() {
            0 => format!("Nothing is pending: {database} is at version {version}."),
            count => format!("Applied {}: {database} is at version {version}.", steps(count)),
        });
        return Ok(true);
    }
    let schema = migrate::inspect(&database).await?;
    say(&table(&database, &schema));
    schema.check().map_err(|source| MigrateError::Schema { location: database, source })?;
    let pending = schema.pending().count();
    say(&match pending {
        0 => "Nothing is pending.".to_owned(),
        count => format!(
            "Pending: {}. Nothing was changed; `tidings migrate --apply` applies what is pending, and so does \
             `tidings serve` when it starts.",
            steps(count)
        ),
    });
    Ok(pending == 0 || !check)
}

/// Says what happens, as it happens.
fn tell(progress: Progress) {
    match progress {
        Progress::Waiting => say("waiting for another process that migrates the database"),
        Progress::Applying { number, description } => say(&format!("step {number} ({description}): applying")),
        Progress::Applied(step) => {
            let (number, description, millis) = (step.number, step.description, step.took.as_millis());
            say(&format!("step {number} ({description}): applied in {millis} ms"));
        }
    }
}

/// The database, and a line for each step.
fn table(database: &Location, schema: &Schema) -> String {
    let kind = match database {
        Location::Sqlite(_) => "SQLite",
        Location::Postgres(_) => "Postgres",
    };
    let (version, known) = (schema.version(), schema.known);
    let mut text = match version {
        0 => format!("{database}: {kind}, empty; this tidings has schema version {known}\n"),
        _ => format!("{database}: {kind}, schema version {version}; this tidings has {known}\n"),
    };
    write!(text, "\n{:>4}  {:<21}  DESCRIPTION", "STEP", "APPLIED").expect("writing to a String cannot fail");
    for SchemaStep { number, description, state, applied_at } in &schema.steps {
        let when = match state {
            StepState::Pending => "pending".to_owned(),
            _ => applied_at.map_or("at an unknown time".to_owned(), date),
        };
        let note = match state {
            StepState::Pending | StepState::Applied => "",
            StepState::Changed => "  (not the same as in this tidings)",
            StepState::Unfinished => "  (unfinished)",
            StepState::Unknown => "  (unknown to this tidings)",
        };
        let description = printable(description, DESCRIPTION_CHARS_MAX);
        write!(text, "\n{number:>4}  {when:<21}  {description}{note}").expect("writing to a String cannot fail");
    }
    text.push('\n');
    text
}

/// To the second, in UTC, as RFC 3339 has it.
fn date(time: Timestamp) -> String {
    prost_types::Timestamp { seconds: time.as_secs(), nanos: 0 }.to_string()
}

fn steps(count: usize) -> String {
    match count {
        1 => "1 step".to_owned(),
        _ => format!("{count} steps"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: i64, state: StepState, micros: Option<i64>) -> SchemaStep {
        let (description, applied_at) = (format!("step\x1b{number}"), micros.map(Timestamp::from_micros));
        SchemaStep { number, description, state, applied_at }
    }

    #[test]
    fn table_says_of_each_step_when_it_was_applied_and_what_is_wrong_with_it() {
        let at = Some(1_700_000_000_999_999);
        let steps = vec![
            step(1, StepState::Applied, at),
            step(2, StepState::Changed, at),
            step(3, StepState::Pending, None),
            step(4, StepState::Unknown, None),
        ];
        let database = "postgres://u:canary@db.example/t".parse().unwrap();
        assert_eq!(
            table(&database, &Schema { steps, known: 3 }),
            "postgres://db.example/t: Postgres, schema version 4; this tidings has 3\n\n\
             STEP  APPLIED                DESCRIPTION\n   \
             1  2023-11-14T22:13:20Z   step\u{fffd}1\n   \
             2  2023-11-14T22:13:20Z   step\u{fffd}2  (not the same as in this tidings)\n   \
             3  pending                step\u{fffd}3\n   \
             4  at an unknown time     step\u{fffd}4  (unknown to this tidings)\n"
        );
    }

    #[test]
    fn empty_database_has_no_version() {
        let schema = Schema { steps: vec![step(1, StepState::Pending, None)], known: 1 };
        let shown = table(&"t.db".parse().unwrap(), &schema);
        assert!(shown.starts_with("t.db: SQLite, empty; this tidings has schema version 1\n"), "{shown}");
    }
}
