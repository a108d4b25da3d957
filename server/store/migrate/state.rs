//! What a database has of the schema's steps, beside what this binary knows of them. Reading it changes nothing.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use sqlx::migrate::{Migrate, Migrator};

use crate::{
    model::Timestamp,
    store::{Error, Result},
};

/// The table in which a database keeps what was applied.
pub(super) const HISTORY: &str = "_sqlx_migrations";

/// A step as a database has recorded it.
#[derive(Debug)]
pub(in crate::store) struct Recorded {
    pub(in crate::store) number: i64,
    pub(in crate::store) description: String,
    /// When it was applied, by the database's clock.
    pub(in crate::store) at: Option<Timestamp>,
    pub(in crate::store) finished: bool,
    /// Of the step's text.
    pub(in crate::store) checksum: Vec<u8>,
}

/// A row of the history: number, description, microseconds since the Unix epoch, whether it was finished, checksum.
pub(in crate::store) type HistoryRow = (i64, String, Option<i64>, bool, Vec<u8>);

impl From<HistoryRow> for Recorded {
    fn from((number, description, at, finished, checksum): HistoryRow) -> Self {
        Self { number, description, at: at.map(Timestamp::from_micros), finished, checksum }
    }
}

/// Which tables a database has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Tables {
    /// The history of steps, which other programs may keep as well.
    pub(in crate::store) history: bool,
    /// One that the first step makes.
    pub(in crate::store) gate: bool,
    /// Any beside the history.
    pub(in crate::store) others: bool,
}

/// What the two databases word differently.
pub(in crate::store) trait Ledger: Migrate + Send {
    /// Which tables there are.
    fn tables(&mut self) -> BoxFuture<'_, sqlx::Result<Tables>>;

    /// What the history holds, in order. It has to be there.
    fn recorded(&mut self) -> BoxFuture<'_, sqlx::Result<Vec<Recorded>>>;
}

/// Why a database is not brought to the newest schema.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A newer Tidings has migrated it.
    #[error(
        "its schema is of version {found}, and this tidings knows versions up to {known}: use a newer tidings, one that \
         knows version {found}"
    )]
    Newer {
        /// The version that it has.
        found: i64,
        /// The newest that this binary knows.
        known: i64,
    },
    /// A step is not the one that this binary has.
    #[error("step {0} of its schema was applied with another text than this tidings has (their checksums differ)")]
    Changed(i64),
    /// A step was recorded as begun and not as finished.
    #[error("step {0} of its schema is recorded as unfinished")]
    Unfinished(i64),
    /// A step is missing between others.
    #[error("step {0} of its schema was left out, although a later one was applied")]
    LeftOut(i64),
    /// A step failed.
    #[error(
        "step {number} ({description}) failed; the steps before it are applied, and it is tried as a whole next time"
    )]
    Step {
        /// Which.
        number: i64,
        /// What it is about.
        description: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The record of steps cannot be kept.
    #[error("the record of its steps cannot be used")]
    History(#[source] sqlx::Error),
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// Not applied yet.
    Pending,
    /// Applied.
    Applied,
    /// Applied, but with another text than this binary has.
    Changed,
    /// Recorded as begun.
    Unfinished,
    /// Applied by a newer Tidings.
    Unknown,
}

/// One step of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaStep {
    /// The version that the schema has with it.
    pub number: i64,
    /// What it is about. Of an unknown step, as the database tells it.
    pub description: String,
    /// How far it is.
    pub state: StepState,
    /// When it was applied, by the database's clock.
    pub applied_at: Option<Timestamp>,
}

/// A database's schema beside this binary's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// In order; those that the binary has, and those that only the database has.
    pub steps: Vec<SchemaStep>,
    /// The newest version that this binary knows.
    pub known: i64,
}

impl Schema {
    pub(super) fn of(steps: &Migrator, recorded: Vec<Recorded>) -> Self {
        let mut recorded: BTreeMap<i64, Recorded> = recorded.into_iter().map(|step| (step.number, step)).collect();
        let mut known = 0;
        let mut all: Vec<SchemaStep> = Vec::new();
        for step in steps.iter() {
            known = known.max(step.version);
            let recorded = recorded.remove(&step.version);
            let state = match &recorded {
                None => StepState::Pending,
                Some(recorded) if !recorded.finished => StepState::Unfinished,
                Some(recorded) if *recorded.checksum != *step.checksum => StepState::Changed,
                Some(_) => StepState::Applied,
            };
            let (number, description) = (step.version, step.description.to_string());
            all.push(SchemaStep { number, description, state, applied_at: recorded.and_then(|step| step.at) });
        }
        let unknown = recorded.into_values().map(|Recorded { number, description, at, .. }| SchemaStep {
            number,
            description,
            state: StepState::Unknown,
            applied_at: at,
        });
        all.extend(unknown);
        all.sort_by_key(|step| step.number);
        Self { steps: all, known }
    }

    /// The newest step that the database has; 0 if it has none.
    pub fn version(&self) -> i64 {
        self.applied().map(|step| step.number).max().unwrap_or(0)
    }

    /// What is to be applied, in order.
    pub fn pending(&self) -> impl Iterator<Item = &SchemaStep> {
        self.steps.iter().filter(|step| step.state == StepState::Pending)
    }

    /// Whether this binary can work with the schema once it has applied what is pending.
    ///
    /// # Errors
    /// What a newer binary, another one, or a hand has done to it.
    pub fn check(&self) -> std::result::Result<(), SchemaError> {
        let first = |state| self.steps.iter().find(|step| step.state == state).map(|step| step.number);
        if first(StepState::Unknown).is_some() {
            return Err(SchemaError::Newer { found: self.version(), known: self.known });
        }
        if let Some(number) = first(StepState::Changed) {
            return Err(SchemaError::Changed(number));
        }
        if let Some(number) = first(StepState::Unfinished) {
            return Err(SchemaError::Unfinished(number));
        }
        match first(StepState::Pending) {
            Some(number) if number < self.version() => Err(SchemaError::LeftOut(number)),
            _ => Ok(()),
        }
    }

    fn applied(&self) -> impl Iterator<Item = &SchemaStep> {
        self.steps.iter().filter(|step| step.state != StepState::Pending)
    }
}

/// Reads the schema of a database; `None` if what it holds is not Tidings'. An empty one is as good as new.
pub(super) async fn look<L: Ledger>(conn: &mut L, steps: &Migrator) -> Result<Option<Schema>> {
    let tables = conn.tables().await.map_err(Error::from)?;
    let recorded = if tables.history { conn.recorded().await.map_err(Error::from)? } else { Vec::new() };
    let ours = if recorded.is_empty() { !tables.others } else { tables.gate };
    Ok(ours.then(|| Schema::of(steps, recorded)))
}
