//! The steps of the schema, the same on every database.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};

/// One step, in the words of each database.
struct Step {
    description: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// A step that stands in a file of this name for each database.
macro_rules! step {
    ($description:literal, $file:literal) => {
        Step {
            description: $description,
            sqlite: include_str!(concat!("migrations/sqlite/", $file)),
            postgres: include_str!(concat!("migrations/postgres/", $file)),
        }
    };
}

/// All steps, in order. A step that was released is never changed.
const STEPS: &[Step] = &[
    step!("first light", "0001_first_light.sql"),
    step!("event types", "0002_event_types.sql"),
    step!("styles", "0003_styles.sql"),
    step!("endpoint states", "0005_endpoint_states.sql"),
    step!("requests and labels", "0006_requests_and_labels.sql"),
];

/// What brings a SQLite database to the newest schema.
pub(super) fn sqlite() -> Migrator {
    migrator(|step| step.sqlite)
}

/// What brings a Postgres database to the newest schema. Servers that start together take turns, by an advisory lock.
pub(super) fn postgres() -> Migrator {
    migrator(|step| step.postgres)
}

fn migrator(sql: impl Fn(&Step) -> &'static str) -> Migrator {
    let steps = (1..).zip(STEPS).map(|(version, step)| {
        let (description, sql) = (Cow::Borrowed(step.description), sqlx::SqlStr::from_static(sql(step)));
        Migration::new(version, description, MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(steps.collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_step_that_is_written_is_taken_on_both_databases() {
        for (folder, migrator) in [("sqlite", sqlite()), ("postgres", postgres())] {
            let folder = format!("{}/server/store/migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
            let written: BTreeSet<String> = std::fs::read_dir(&folder)
                .unwrap()
                .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
                .collect();
            let taken: BTreeSet<String> = migrator.iter().map(|step| step.sql.as_str().to_owned()).collect();
            assert_eq!(written, taken, "{folder}");
        }
    }
}
