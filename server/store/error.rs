//! What a caller of the store can do about a failure.

use sqlx::postgres::PgDatabaseError;

use super::migrate::SchemaError;

/// A failed unit of database work. The variants are told apart by what can be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program holds the database.
    #[error("the database {0} is in use by another process")]
    InUse(String),
    /// The key that the database is sealed under is missing or is another one.
    #[error("{0}")]
    Key(String),
    /// The disk, or a quota on it, is full. Try again when there is space.
    #[error("the database's disk is full")]
    Full(#[source] sqlx::Error),
    /// The database as a whole cannot be used at the moment. Try again.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// Other work, or the end of a connection, was in the way, and nothing was done. The same work may succeed at once.
    #[error("the database was kept from the work, which may succeed at once")]
    Contended(#[source] sqlx::Error),
    /// The configuration has changed since this server read it. Read it again and repeat the work.
    #[error("the configuration has changed since it was read")]
    Outdated,
    /// What a turn that is one statement took for granted is not so. The turn has to be written in steps.
    #[error("the turn met with something that it had not foreseen")]
    Unforeseen,
    /// Another server has taken over from this one, which must not go on.
    #[error("another server has taken over; this one must not go on")]
    Fenced,
    /// The database is not one that Tidings can work with.
    #[error("the database cannot be used: {0}")]
    Unsuitable(String),
    /// The data of this one statement was refused; the same call fails again.
    #[error("the database refused the data")]
    Data(#[source] sqlx::Error),
    /// The unit of work panicked before its commit: nothing was written, and the same data would panic again.
    #[error("a unit of database work panicked before its commit")]
    Poisoned,
    /// What is stored cannot be read.
    #[error("the database holds something unreadable: {0}")]
    Corrupt(String),
    /// The database cannot be brought to the newest schema.
    #[error("the database cannot be migrated")]
    Migrate(#[source] SchemaError),
    /// The unit of work panicked; whether it had committed is not known.
    #[error("a unit of database work panicked")]
    Panicked,
}

/// A result of the store's.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether the same work may succeed later although nothing about it changed.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Full(_)
                | Self::Unavailable(_)
                | Self::Contended(_)
                | Self::Outdated
                | Self::Unforeseen
                | Self::Panicked
        )
    }
}

/// SQLite's primary result codes (<https://sqlite.org/rescode.html>) that concern one statement's data.
const SQLITE_TOOBIG: i32 = 18;
const SQLITE_CONSTRAINT: i32 = 19;
const SQLITE_MISMATCH: i32 = 20;
const SQLITE_RANGE: i32 = 25;
/// The primary result code for a full disk.
const SQLITE_FULL: i32 = 13;

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let kind: fn(sqlx::Error) -> Self = match &error {
            sqlx::Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
                Some(postgres) => of_postgres(postgres.code()),
                None => of_sqlite(database.code().and_then(|code| code.parse::<i32>().ok())),
            },
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => |error| Self::Corrupt(error.to_string()),
            _ => Self::Unavailable,
        };
        kind(error)
    }
}

fn of_sqlite(code: Option<i32>) -> fn(sqlx::Error) -> Error {
    match code.map(|code| code & 0xff) {
        Some(SQLITE_FULL) => Error::Full,
        Some(SQLITE_TOOBIG | SQLITE_CONSTRAINT | SQLITE_MISMATCH | SQLITE_RANGE) => Error::Data,
        _ => Error::Unavailable,
    }
}

/// By SQLSTATE, or its class (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn of_postgres(state: &str) -> fn(sqlx::Error) -> Error {
    match state {
        // Raised by the gate.
        "TD001" => |_| Error::Fenced,
        "TD002" => |_| Error::Outdated,
        // Raised by the end of a turn that is one statement.
        "TD003" => |_| Error::Unforeseen,
        // The disk is full.
        "53100" => Error::Full,
        // Serialisation, deadlock, a lock that was waited for too long.
        "40001" | "40P01" | "55P03" => Error::Contended,
        // Values that do not fit, constraints, more than the database takes.
        _ if state.starts_with("22") || state.starts_with("23") || state.starts_with("54") => Error::Data,
        // Connections, resources, operators, the system; and whatever is not expected.
        _ => Error::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_postgres_are_told_apart_by_what_can_be_done() {
        let kind = |state: &str| of_postgres(state)(sqlx::Error::PoolClosed);
        assert!(matches!(kind("TD001"), Error::Fenced));
        assert!(matches!(kind("TD002"), Error::Outdated));
        assert!(matches!(kind("TD003"), Error::Unforeseen));
        assert!(matches!(kind("53100"), Error::Full(_)));
        for state in ["40001", "40P01", "55P03"] {
            assert!(matches!(kind(state), Error::Contended(_)), "{state}");
        }
        for state in ["22P02", "22021", "23505", "54000"] {
            assert!(matches!(kind(state), Error::Data(_)), "{state}");
        }
        for state in ["08006", "53300", "57014", "57P01", "58030", "25P02", "42P01"] {
            assert!(matches!(kind(state), Error::Unavailable(_)), "{state}");
        }
    }

    #[test]
    fn errors_of_sqlite_are_told_apart_by_their_primary_codes() {
        let kind = |code: i32| of_sqlite(Some(code))(sqlx::Error::PoolClosed);
        assert!(matches!(kind(13), Error::Full(_)));
        // A violated uniqueness, an extended code.
        assert!(matches!(kind(2067), Error::Data(_)));
        assert!(matches!(kind(10), Error::Unavailable(_)));
    }
}
