//! The steps of the schema, the same on every database; what a database has of them (`state`); bringing it the rest
//! (`apply`), as every server does when it starts, or by hand (`by_hand`), as `tidings migrate` does.
//!
//! Each step is one transaction together with its record, so what was interrupted is tried again as a whole.

mod apply;
mod by_hand;
mod state;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};

pub use self::{
    apply::{AppliedStep, Progress},
    by_hand::{MigrateError, apply, inspect},
    state::{Schema, SchemaError, SchemaStep, StepState},
};
pub(super) use self::{
    apply::{apply_pending, log, take_turn},
    state::{HistoryRow, Ledger, Recorded, Tables},
};

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
    step!("event type schemas", "0004_event_type_schemas.sql"),
    step!("event times", "0005_event_times.sql"),
    step!("endpoint states", "0006_endpoint_states.sql"),
    step!("requests and labels", "0007_requests_and_labels.sql"),
    step!("keys and quotas", "0008_keys_and_quotas.sql"),
    step!("endpoint credentials", "0009_endpoint_credentials.sql"),
    step!("audit", "0010_audit.sql"),
    step!("turns in one statement", "0011_turns_in_one_statement.sql"),
    step!("room for what turns change", "0012_room_for_changes.sql"),
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
