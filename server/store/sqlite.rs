//! SQLite: one file, one process, one writer connection and a few readers.
//!
//! Durability is WAL with synchronous = FULL on every connection. `PATH.lock` is locked for as long as the database is
//! open (never the database file itself: closing any descriptor of it would drop SQLite's own POSIX locks).

use std::{fs::File, path::Path, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use rustix::fs::{FlockOperation, flock};
use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteError, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    error::{Error, Result},
    migrate::{self, AppliedStep, HistoryRow, Ledger, Progress, Recorded, Tables},
    sql::{Texts, unlogged},
    tx::LeftOpen,
    writer::{Held, Writer},
};

/// Readers at most: lists and watchers behind the ring; two cores need no more.
pub(super) const READERS_MAX: u32 = 4;

/// How long a unit of work waits for the connection that writes.
const ACQUIRE_MAX: Duration = Duration::from_secs(30);

/// Each statement has a text for each of 23 numbers of rows.
const STATEMENTS_CACHED_MAX: usize = 512;

/// The write-ahead log's file is cut back to this when it starts over.
const JOURNAL_BYTES_MAX: &str = "67108864";

/// How long a statement waits for another connection's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// SQLite's result code for a file that is no database (<https://sqlite.org/rescode.html>).
const SQLITE_NOTADB: &str = "26";

/// An open SQLite database.
#[derive(Debug)]
pub struct Sqlite {
    writer: Writer<sqlx::Sqlite>,
    readers: SqlitePool,
    texts: Arc<Texts>,
    left_open: LeftOpen,
    /// Held for its lock.
    _lock: File,
}

impl Sqlite {
    /// Opens the file, making it if it is not there, and brings it to the newest schema.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let lock = lock(path)?;
        let connect = connect_options(path);
        migrate(&connect).await?;
        let writer = Writer::new(pool(1).connect_with(connect.clone()).await?, ACQUIRE_MAX);
        // Pages of the file are in memory already, the system's; these are copies of each reader's own.
        let reading = connect.pragma("query_only", "ON").pragma("cache_size", "-2048");
        let readers = pool(READERS_MAX).connect_with(reading).await?;
        Ok(Self { writer, readers, texts: Arc::default(), left_open: LeftOpen::default(), _lock: lock })
    }

    pub(super) async fn writer(&self) -> Result<Held<sqlx::Sqlite>> {
        let mut conn = self.writer.acquire().await?;
        if self.left_open.is_open() {
            // Whatever an abandoned unit left open ends here. Without an open transaction this is an error, which is fine.
            let _ = sqlx::query("ROLLBACK").execute(&mut *conn).await;
        }
        Ok(conn)
    }

    pub(super) fn left_open(&self) -> LeftOpen {
        self.left_open.clone()
    }

    pub(super) async fn reader(&self) -> Result<Held<sqlx::Sqlite>> {
        Ok(Held::Pooled(self.readers.acquire().await?))
    }

    pub(super) fn texts(&self) -> Arc<Texts> {
        self.texts.clone()
    }

    pub(super) async fn checkpoint(&self, from_writer: bool) -> Result<u64> {
        let mut conn = if from_writer { self.writer().await? } else { self.reader().await? };
        // PASSIVE waits for nobody: what a reader still needs stays for the next time.
        let (_busy, pages, _moved): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut *conn).await?;
        Ok(u64::try_from(pages).unwrap_or(0))
    }

    /// Between two writes. It does not wait for readers, for writers wait for it.
    pub(super) async fn empty_log(&self) -> Result<bool> {
        let mut conn = self.writer().await?;
        sqlx::query("PRAGMA busy_timeout = 0").execute(&mut *conn).await?;
        let emptied = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *conn).await;
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis())))
            .execute(&mut *conn)
            .await?;
        let (busy, _pages, _moved): (i64, i64, i64) = emptied?;
        Ok(busy == 0)
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Takes the lock beside the database, or says that another process has it.
fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let unavailable = |error: std::io::Error| Error::Unavailable(sqlx::Error::Io(error));
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(unavailable)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::InUse(path.display().to_string())),
        Err(error) => Err(unavailable(error.into())),
    }
}

fn connect_options(path: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENTS_CACHED_MAX)
        // Only a backstop: checkpoints are run by `turn::checkpoint`.
        .pragma("wal_autocheckpoint", "16384")
        .pragma("journal_size_limit", JOURNAL_BYTES_MAX)
        .pragma("cache_size", "-8192")
        .pragma("temp_store", "MEMORY")
        // What is erased is overwritten, pages that are given up included.
        .pragma("secure_delete", "ON")
        // Statements go by the schema's indexes. For one of its own SQLite reads the whole table each time, even where a few
        // ranges of keys are all that is asked for.
        .pragma("automatic_index", "OFF");
    unlogged(options)
}

fn pool(connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

async fn migrate(options: &SqliteConnectOptions) -> Result<()> {
    let mut conn = SqliteConnection::connect_with(options).await?;
    let applied = migrate::apply_pending(&mut conn, &migrate::sqlite(), &migrate::log).await;
    conn.close().await?;
    applied.map(drop)
}

/// Applies `steps` to a database that is there, while no other process has it.
pub(super) async fn migrate_alone(
    path: &Path,
    steps: &Migrator,
    observer: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<AppliedStep>> {
    let _lock = lock(path)?;
    let mut conn = SqliteConnection::connect_with(&connect_options(path).create_if_missing(false)).await?;
    let applied = migrate::apply_pending(&mut conn, steps, observer).await;
    conn.close().await?;
    applied
}

/// A connection that makes and changes no file, to a database that a server may be using.
pub(super) async fn connect_to_look(path: &Path) -> Result<SqliteConnection> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    // A database whose write-ahead log is gone is whole in its one file. SQLite would make the log anew to read it, unless
    // it is told that nobody writes; a server that starts at this very moment writes to the log at first, not to the file.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(!Path::new(&log).exists())
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging();
    Ok(SqliteConnection::connect_with(&options).await?)
}

/// Whether an error says that a file is none of SQLite's.
pub(super) fn is_not_a_database(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.try_downcast_ref::<SqliteError>().is_some() && error.code().as_deref() == Some(SQLITE_NOTADB)
    })
}

impl Ledger for SqliteConnection {
    fn tables(&mut self) -> BoxFuture<'_, sqlx::Result<Tables>> {
        let sql = "SELECT COALESCE(MAX(name = '_sqlx_migrations'), 0), COALESCE(MAX(name = 'gate'), 0), \
                   COALESCE(MAX(name <> '_sqlx_migrations'), 0) \
                   FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'";
        Box::pin(async move {
            let (history, gate, others) = sqlx::query_as(sql).fetch_one(self).await?;
            Ok(Tables { history, gate, others })
        })
    }

    fn recorded(&mut self) -> BoxFuture<'_, sqlx::Result<Vec<Recorded>>> {
        let sql = "SELECT version, description, CAST(strftime('%s', installed_on) AS INTEGER) * 1000000, success, checksum \
                   FROM _sqlx_migrations ORDER BY version";
        Box::pin(async move {
            let rows: Vec<HistoryRow> = sqlx::query_as(sql).fetch_all(self).await?;
            Ok(rows.into_iter().map(Recorded::from).collect())
        })
    }
}

#[cfg(test)]
mod tests;
