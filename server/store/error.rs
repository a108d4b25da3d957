//! What a caller of the store can do about a failure.

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
    /// The data of this one statement was refused; the same call fails again.
    #[error("the database refused the data")]
    Data(#[source] sqlx::Error),
    /// The unit of work panicked before its commit: nothing was written, and the same data would panic again.
    #[error("a unit of database work panicked before its commit")]
    Poisoned,
    /// What is stored cannot be read.
    #[error("the database holds something unreadable: {0}")]
    Corrupt(String),
    /// Migrating the database failed.
    #[error("migrating the database failed")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The unit of work panicked; whether it had committed is not known.
    #[error("a unit of database work panicked")]
    Panicked,
}

/// A result of the store's.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether the same work may succeed later although nothing about it changed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Unavailable(_) | Self::Panicked)
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
        let primary = match &error {
            sqlx::Error::Database(database) => {
                database.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff)
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => return Self::Corrupt(error.to_string()),
            _ => None,
        };
        match primary {
            Some(SQLITE_FULL) => Self::Full(error),
            Some(SQLITE_TOOBIG | SQLITE_CONSTRAINT | SQLITE_MISMATCH | SQLITE_RANGE) => Self::Data(error),
            _ => Self::Unavailable(error),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migrate(error)
    }
}
