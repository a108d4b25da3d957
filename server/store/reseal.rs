//! Sealing everything anew under the active key, while no server uses the database, so that older keys can be removed.
//!
//! Records are taken table by table ([`SealedTable::ALL`]) in batches, each in a transaction of its own. What is sealed with
//! the active key already is passed over, so whatever interrupts the work, running it again goes on with it. Each record is
//! opened before it is replaced; one that does not open ends the work, and stays as it is.

mod batch;
mod survey;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use sqlx::PgConnection;

pub use self::survey::{Survey, TableSurvey};
use self::{batch::Cursor, survey::survey};
use super::{
    Db, Error, KeyFileError, KeyId, KeySource, Keyring, Location, SealError, SealedTable,
    migrate::{self, MigrateError, SchemaError},
    postgres, replica,
};
use crate::faults::crash_point;

/// Why the work was not begun, or not ended. What had been sealed anew by then is so, and opens with the same keys.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// There is no key.
    #[error("{key} cannot be used: {source}")]
    Key {
        /// Where it was looked for.
        key: KeySource,
        /// Why.
        source: KeyFileError,
    },
    /// A new key can only be put into a file.
    #[error("a new key can only be made in a key file; put one before those in TIDINGS_KEY: `NEW,OLD`")]
    NoKeyFile,
    /// There is no such database, or it is somebody else's.
    #[error(transparent)]
    Look(#[from] MigrateError),
    /// This binary cannot work with its schema.
    #[error("{location} has a schema that this tidings cannot work with")]
    Schema {
        /// Which.
        location: Location,
        /// Why.
        source: SchemaError,
    },
    /// Its schema is not the newest.
    #[error("{0} has to be migrated first: `tidings migrate --apply`")]
    Pending(Location),
    /// No server has used it yet.
    #[error("{0} holds nothing that is sealed: no server has used it yet")]
    Unused(Location),
    /// Records are sealed with keys that are not there.
    #[error(
        "{key} does not open this database: {records} of its records are sealed with the key {missing}, which it does not \
         hold; nothing was changed"
    )]
    UnknownKey {
        /// Where keys were looked for.
        key: KeySource,
        /// The first of the keys that are not there.
        missing: KeyId,
        /// How many records are sealed with it.
        records: u64,
    },
    /// Servers use it.
    #[error("{location} is in use by the server `{server}`; stop what uses it first")]
    Serving {
        /// Which.
        location: Location,
        /// The first of them.
        server: String,
    },
    /// A record does not open.
    #[error("the record of {row} in the table `{table}` cannot be opened and was left as it is")]
    Record {
        /// The table.
        table: &'static str,
        /// The row, by its number or name.
        row: String,
        /// Why.
        source: SealError,
    },
    /// A database fails.
    #[error(transparent)]
    Store(#[from] Error),
}

/// How far the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The table it is at.
    pub table: SealedTable,
    /// Records of it that were sealed anew.
    pub done: u64,
    /// Records of it that had to be.
    pub due: u64,
}

/// Told how far the work is, after each batch and once at the end of each table.
pub type Observer = Arc<dyn Fn(Progress) + Send + Sync>;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resealed {
    /// How many records of each table were sealed anew.
    pub records: Vec<(SealedTable, u64)>,
    /// What the database holds now.
    pub survey: Survey,
    /// The key that all of it is sealed with.
    pub active: KeyId,
}

/// Looks at which keys a database's records are sealed with, and changes nothing. Servers may be using it.
///
/// # Errors
/// The key is missing or is another one; or the database is not there or cannot be read.
pub async fn check(location: &Location, key: &KeySource) -> Result<Survey, ResealError> {
    let keyring = load(key)?;
    look(location, key, &keyring).await
}

/// Seals everything anew under the active key, under a `new_key` if it is told to make one.
///
/// # Errors
/// As [`check`], and if a server uses the database: nothing is changed then. If a record does not open, or the database
/// fails midway, some batches have been done.
pub async fn reseal(
    location: &Location,
    key: &KeySource,
    new_key: bool,
    observer: Observer,
) -> Result<Resealed, ResealError> {
    let keyring = load(key)?;
    let before = look(location, key, &keyring).await?;
    let db = Db::open(location).await?;
    let resealed = reseal_alone(&db, location, key, keyring, new_key, &before, observer).await;
    if resealed.is_ok() {
        // What was sealed with older keys stands in the log still.
        db.empty_log().await?;
    }
    db.close().await;
    resealed
}

fn load(key: &KeySource) -> Result<Keyring, ResealError> {
    Keyring::of(key).map_err(|source| ResealError::Key { key: key.clone(), source })
}

/// Makes sure that the database is fit to be worked on with these keys.
async fn look(location: &Location, key: &KeySource, keyring: &Keyring) -> Result<Survey, ResealError> {
    let schema = migrate::inspect(location).await?;
    schema.check().map_err(|source| ResealError::Schema { location: location.clone(), source })?;
    if schema.version() == 0 {
        return Err(ResealError::Unused(location.clone()));
    }
    if schema.pending().next().is_some() {
        return Err(ResealError::Pending(location.clone()));
    }
    let survey = survey(location, keyring).await?;
    if survey.tables.iter().any(|table| table.table == SealedTable::DatabaseKey && table.records == 0) {
        return Err(ResealError::Unused(location.clone()));
    }
    match survey.unknown.first() {
        Some(&(missing, records)) => Err(ResealError::UnknownKey { key: key.clone(), missing, records }),
        None => Ok(survey),
    }
}

async fn reseal_alone(
    db: &Db,
    location: &Location,
    key: &KeySource,
    keyring: Keyring,
    new_key: bool,
    before: &Survey,
    observer: Observer,
) -> Result<Resealed, ResealError> {
    let mut alone = Alone::begin(location).await?;
    let keyring = match (new_key, key) {
        (false, _) => keyring,
        (true, KeySource::MadeWithDatabase(path) | KeySource::File(path)) => {
            Keyring::add_key(path).map_err(|source| ResealError::Key { key: key.clone(), source })?
        }
        (true, KeySource::Given(_)) => return Err(ResealError::NoKeyFile),
    };
    let keyring = Arc::new(keyring);
    let mut records = Vec::new();
    for table in &before.tables {
        let due = if new_key { table.records } else { table.older };
        records.push((table.table, reseal_table(db, table.table, due, &keyring, &mut alone, &*observer).await?));
    }
    Ok(Resealed { records, survey: survey(location, &keyring).await?, active: keyring.active() })
}

/// Returns how many records were sealed anew.
async fn reseal_table(
    db: &Db,
    table: SealedTable,
    due: u64,
    keyring: &Arc<Keyring>,
    alone: &mut Alone,
    observer: &(dyn Fn(Progress) + Send + Sync),
) -> Result<u64, ResealError> {
    let (mut cursor, mut done) = (Cursor::start(), 0);
    loop {
        alone.check().await?;
        let keyring = keyring.clone();
        let batch =
            db.write_checked(move |tx| Box::pin(async move { batch::reseal(tx, table, &keyring, cursor).await }));
        let (records, next) = batch.await?;
        crash_point!("after-reseal-batch");
        done += records;
        observer(Progress { table, done, due: due.max(done) });
        match next {
            Some(next) => cursor = next,
            None => return Ok(done),
        }
    }
}

/// Keeps servers away. Of SQLite the open database has the lock already.
struct Alone {
    location: Location,
    /// Holds the turn to migrate on Postgres, which every server that starts waits for.
    turn: Option<PgConnection>,
}

impl Alone {
    async fn begin(location: &Location) -> Result<Self, ResealError> {
        let turn = match location {
            Location::Sqlite(_) => None,
            Location::Postgres(url) => Some(postgres::take_turn(url, &migrate::log).await?),
        };
        Ok(Self { location: location.clone(), turn })
    }

    /// # Errors
    /// A server lives, or the turn was lost with its connection.
    async fn check(&mut self) -> Result<(), ResealError> {
        let Some(turn) = &mut self.turn else { return Ok(()) };
        match replica::living(turn).await?.into_iter().next() {
            Some(server) => Err(ResealError::Serving { location: self.location.clone(), server }),
            None => Ok(()),
        }
    }
}
