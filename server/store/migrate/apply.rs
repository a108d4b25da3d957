//! Applying what is pending, one step after the other.

use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migrator};

use super::state::{HISTORY, Ledger, Schema, SchemaError};
use crate::{
    faults::crash_point,
    store::{Error, Result},
};

/// Whoever waits longer for its turn says so.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// What happens to a database that is migrated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another process migrates it; this one waits.
    Waiting,
    /// A step begins.
    Applying {
        /// Which.
        number: i64,
        /// What it is about.
        description: String,
    },
    /// A step is committed.
    Applied(AppliedStep),
}

/// A step that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedStep {
    /// Which.
    pub number: i64,
    /// What it is about.
    pub description: String,
    /// How long it took.
    pub took: Duration,
}

/// Waits until no other process migrates the database. The turn ends with the connection. On SQLite there is nobody to
/// wait for: whoever migrates has locked the file.
pub(in crate::store) async fn take_turn<L: Ledger>(
    conn: &mut L,
    observer: &(dyn Fn(Progress) + Send + Sync),
) -> Result<()> {
    let mut turn = conn.lock();
    let taken = match tokio::time::timeout(SILENCE_MAX, &mut turn).await {
        Ok(taken) => taken,
        Err(_) => {
            observer(Progress::Waiting);
            turn.await
        }
    };
    taken.map_err(|error| Error::Migrate(SchemaError::History(cause(error))))
}

/// Applies what is pending, each step in a transaction of its own. To be called in turn.
///
/// # Errors
/// [`Error::Migrate`]; the steps before the one that failed are applied.
pub(in crate::store) async fn apply_pending<L: Ledger>(
    conn: &mut L,
    steps: &Migrator,
    observer: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<AppliedStep>> {
    let history = |error| Error::Migrate(SchemaError::History(error));
    conn.ensure_migrations_table(HISTORY).await.map_err(|error| history(cause(error)))?;
    let schema = Schema::of(steps, conn.recorded().await.map_err(history)?);
    schema.check().map_err(Error::Migrate)?;
    let mut applied = Vec::new();
    for step in steps.iter().filter(|step| schema.pending().any(|pending| pending.number == step.version)) {
        let (number, description) = (step.version, step.description.to_string());
        observer(Progress::Applying { number, description: description.clone() });
        let began = Instant::now();
        if let Err(error) = conn.apply(HISTORY, step).await {
            return Err(Error::Migrate(SchemaError::Step { number, description, source: cause(error) }));
        }
        crash_point!("after-migration-step");
        let done = AppliedStep { number, description, took: began.elapsed() };
        observer(Progress::Applied(done.clone()));
        applied.push(done);
    }
    Ok(applied)
}

/// For a server that starts: tells its log.
pub(in crate::store) fn log(progress: Progress) {
    match progress {
        Progress::Waiting => tracing::info!("another process migrates the database; waiting for it"),
        Progress::Applying { number, description } => tracing::debug!(number, description, "migrating the database"),
        Progress::Applied(AppliedStep { number, description, took }) => {
            tracing::info!(number, description, ?took, "migrated the database");
        }
    }
}

/// What the database said, without the words around it.
fn cause(error: MigrateError) -> sqlx::Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
        other => other.into(),
    }
}
