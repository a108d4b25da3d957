//! Looking at a database's schema and migrating it while no server uses it. Neither makes a database, and looking changes
//! nothing.

use sqlx::{Connection as _, migrate::Migrator};

use super::{
    apply::{AppliedStep, Progress},
    postgres as postgres_steps, sqlite as sqlite_steps,
    state::{Schema, SchemaError, look},
};
use crate::store::{Error, Location, postgres, sqlite};

/// Why a database was not looked at, or not migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// It does not exist.
    #[error("there is no database {0}")]
    Missing(Location),
    /// It holds something else.
    #[error("{0} is not a database of Tidings: it holds something else")]
    Foreign(Location),
    /// Servers use it.
    #[error("{location} is in use by {}; stop what uses it first", quoted(servers))]
    Serving {
        /// Which.
        location: Location,
        /// Their names.
        servers: Vec<String>,
    },
    /// It cannot be read.
    #[error("{location} cannot be looked at")]
    Look {
        /// Which.
        location: Location,
        /// Why.
        source: Error,
    },
    /// This binary cannot work with its schema, or a step fails.
    #[error("{location} cannot be migrated")]
    Schema {
        /// Which.
        location: Location,
        /// Why.
        source: SchemaError,
    },
    /// It cannot be written to.
    #[error("{location} cannot be migrated")]
    Apply {
        /// Which.
        location: Location,
        /// Why.
        source: Error,
    },
}

/// Reads what a database has of the schema. Of a SQLite database no file is made or changed.
///
/// # Errors
/// There is no such database, it is not Tidings', or it cannot be read. A schema that this binary cannot work with is
/// none: see [`Schema::check`].
pub async fn inspect(location: &Location) -> Result<Schema, MigrateError> {
    inspect_beside(location, &steps(location)).await
}

/// Applies what is pending, and tells `observer` of each step.
///
/// # Errors
/// As [`inspect`]; a server uses the database; its schema is not one that this binary can work with; a step fails. The
/// steps before it are applied then.
pub async fn apply(
    location: &Location,
    observer: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<AppliedStep>, MigrateError> {
    apply_from(location, &steps(location), observer).await
}

fn steps(location: &Location) -> Migrator {
    match location {
        Location::Sqlite(_) => sqlite_steps(),
        Location::Postgres(_) => postgres_steps(),
    }
}

pub(super) async fn inspect_beside(location: &Location, steps: &Migrator) -> Result<Schema, MigrateError> {
    let looked = match location {
        Location::Sqlite(path) if !path.exists() => return Err(MigrateError::Missing(location.clone())),
        Location::Sqlite(path) => match sqlite::connect_to_look(path).await {
            Ok(mut conn) => {
                let schema = look(&mut conn, steps).await;
                // It has only read; whatever closing it might say changes nothing.
                let _ = conn.close().await;
                schema
            }
            Err(error) => Err(error),
        },
        Location::Postgres(url) => match postgres::connect_to_look(url).await {
            Ok(mut conn) => {
                let schema = look(&mut conn, steps).await;
                let _ = conn.close().await;
                schema
            }
            Err(error) => Err(error),
        },
    };
    match looked {
        Ok(Some(schema)) => Ok(schema),
        Ok(None) => Err(MigrateError::Foreign(location.clone())),
        Err(Error::Unavailable(error)) if sqlite::is_not_a_database(&error) => {
            Err(MigrateError::Foreign(location.clone()))
        }
        Err(Error::Unavailable(error)) if postgres::is_no_database(&error) => {
            Err(MigrateError::Missing(location.clone()))
        }
        Err(source) => Err(MigrateError::Look { location: location.clone(), source }),
    }
}

pub(super) async fn apply_from(
    location: &Location,
    steps: &Migrator,
    observer: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<AppliedStep>, MigrateError> {
    // Before anything is written, be it a lock's file beside somebody else's database.
    let schema = inspect_beside(location, steps).await?;
    schema.check().map_err(|source| MigrateError::Schema { location: location.clone(), source })?;
    if schema.pending().next().is_none() {
        return Ok(Vec::new());
    }
    let applied = match location {
        Location::Sqlite(path) => sqlite::migrate_alone(path, steps, observer).await,
        Location::Postgres(url) => match postgres::migrate_alone(url, steps, observer).await {
            Ok(Ok(applied)) => Ok(applied),
            Ok(Err(servers)) => return Err(MigrateError::Serving { location: location.clone(), servers }),
            Err(error) => Err(error),
        },
    };
    applied.map_err(|error| match error {
        Error::Migrate(source) => MigrateError::Schema { location: location.clone(), source },
        source => MigrateError::Apply { location: location.clone(), source },
    })
}

fn quoted(servers: &[String]) -> String {
    let names: Vec<String> = servers.iter().map(|name| format!("the server `{name}`")).collect();
    names.join(", ")
}
