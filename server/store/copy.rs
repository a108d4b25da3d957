//! Copying what a SQLite database holds into a Postgres database that is new, while no server uses either.
//!
//! The target is written in one transaction, and read again inside it: what it then holds has to be, row by row, what was
//! read from the source, or nothing is committed. Sealed values stay as they are, so the key stays the same.

mod row;
mod schema;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};

#[cfg(test)]
pub(super) use self::schema::Kind as ColumnKind;
use self::{
    row::{Batch, Sum},
    schema::{TABLES, Table},
};
use super::{Conn, Db, Error, Kind, Location, Result, Tx};

/// This transaction takes as long as it takes, waits for the source in between, and reads whole tables.
const SETTINGS: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
                        SET LOCAL enable_seqscan = on";

/// How often the comparison tells how far it is.
const TOLD_EVERY: u64 = 1_000;

/// Why nothing was copied. The target is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Neither the one way that there is.
    #[error("only a SQLite database can be copied, and only to Postgres: --from takes a file, --to a postgres:// URL")]
    Unsupported,
    /// There is no such file.
    #[error("there is no database {}", .0.display())]
    Missing(PathBuf),
    /// The source cannot be opened.
    #[error("{from} cannot be copied from")]
    Source {
        /// The source.
        from: Location,
        /// Why.
        source: Error,
    },
    /// The target cannot be opened.
    #[error("{to} cannot be copied to")]
    Target {
        /// The target.
        to: Location,
        /// Why.
        source: Error,
    },
    /// No server has used the source yet.
    #[error("the source holds nothing: no server has used it yet")]
    Unused,
    /// A server uses the target.
    #[error("the server `{0}` uses the target; only a new database can be copied to")]
    Serving(String),
    /// The target is not new.
    #[error("the target is not empty: its table `{0}` has rows; only a new database can be copied to")]
    NotEmpty(&'static str),
    /// A table could not be read or written.
    #[error("the table `{table}` cannot be copied")]
    Table {
        /// Which.
        table: &'static str,
        /// Why.
        source: Error,
    },
    /// What was written is not what was read.
    #[error(
        "the table `{table}` is not the same in both databases ({source_rows} rows in the source, {target_rows} in the \
         target); nothing was copied"
    )]
    Differs {
        /// Which.
        table: &'static str,
        /// How many rows were read.
        source_rows: u64,
        /// How many are there now.
        target_rows: u64,
    },
    /// A database fails.
    #[error(transparent)]
    Store(#[from] Error),
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The table it is at.
    pub table: &'static str,
    /// What it does there.
    pub step: Step,
    /// Rows that are done with.
    pub done: u64,
    /// Rows that there are.
    pub rows: u64,
}

/// What is done with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its rows are written.
    Copying,
    /// They are read again.
    Comparing,
    /// It is the same in both databases. Told once of each table.
    Compared,
}

/// Told how far a copy is.
pub type Observer = Arc<dyn Fn(Progress) + Send + Sync>;

/// A table that was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    /// Which.
    pub name: &'static str,
    /// How many rows it has.
    pub rows: u64,
}

/// Copies everything from a SQLite file to a Postgres database that nobody has used, and compares both.
///
/// Both are brought to the newest schema first. The source is not changed otherwise, and is locked meanwhile.
///
/// # Errors
/// A server uses either, the target is not empty, what was written differs from what was read, or a database fails.
/// Nothing has been copied then, unless the connection broke at the very commit.
pub async fn copy(
    from: &Location,
    to: &Location,
    observer: Observer,
) -> std::result::Result<Vec<CopiedTable>, CopyError> {
    let (Location::Sqlite(path), Location::Postgres(_)) = (from, to) else { return Err(CopyError::Unsupported) };
    if !path.exists() {
        return Err(CopyError::Missing(path.clone()));
    }
    let source = Db::open(from).await.map_err(|source| CopyError::Source { from: from.clone(), source })?;
    let target = Db::open(to).await.map_err(|source| CopyError::Target { to: to.clone(), source });
    let copied = match &target {
        Ok(target) => {
            let source = source.clone();
            target.write_checked(move |tx| Box::pin(copy_all(source, tx, observer))).await
        }
        Err(_) => Ok(Vec::new()),
    };
    source.close().await;
    target?.close().await;
    copied
}

/// All tables' columns.
#[cfg(test)]
pub(super) fn columns() -> impl Iterator<Item = (&'static str, &'static str, ColumnKind)> {
    TABLES.iter().flat_map(|table| table.columns.iter().map(|column| (table.name, column.name, column.kind)))
}

async fn copy_all(source: Db, tx: &mut Tx, observer: Observer) -> std::result::Result<Vec<CopiedTable>, CopyError> {
    let (Kind::Sqlite(sqlite), Conn::Postgres(target)) = (&*source.0, &mut tx.conn) else {
        return Err(CopyError::Unsupported);
    };
    let mut conn = sqlite.reader().await?;
    let mut source = conn.begin().await.map_err(Error::from)?;
    let (used,): (bool,) = sqlx::query_as("SELECT EXISTS (SELECT 1 FROM database_key)")
        .fetch_one(&mut *source)
        .await
        .map_err(Error::from)?;
    if !used {
        return Err(CopyError::Unused);
    }
    clear(target).await?;
    let mut copied = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let written = fill(&mut source, target, table, &*observer).await;
        let written = written.map_err(|source| CopyError::Table { table: table.name, source })?;
        compare(target, table, &written, &*observer).await?;
        copied.push(CopiedTable { name: table.name, rows: written.rows() });
    }
    tx.commit().await?;
    Ok(copied)
}

/// Makes sure that nobody has used the target and that nobody begins to, and takes away what it was born with.
async fn clear(target: &mut PgConnection) -> std::result::Result<(), CopyError> {
    let names = TABLES.iter().map(|table| table.name).collect::<Vec<_>>().join(", ");
    target.execute(SETTINGS).await.map_err(Error::from)?;
    // Before it is looked at, so that it stays as it is seen.
    let lock = format!("LOCK TABLE replica, {names} IN ACCESS EXCLUSIVE MODE");
    target.execute(AssertSqlSafe(lock)).await.map_err(Error::from)?;
    let server: Option<(String,)> =
        sqlx::query_as("SELECT name FROM replica LIMIT 1").fetch_optional(&mut *target).await.map_err(Error::from)?;
    if let Some((server,)) = server {
        return Err(CopyError::Serving(server));
    }
    for table in TABLES.iter().filter(|table| !table.born_filled) {
        let sql = format!("SELECT EXISTS (SELECT FROM {})", table.name);
        let (filled,): (bool,) =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut *target).await.map_err(Error::from)?;
        if filled {
            return Err(CopyError::NotEmpty(table.name));
        }
    }
    target.execute(AssertSqlSafe(format!("TRUNCATE {names}"))).await.map_err(Error::from)?;
    Ok(())
}

/// Writes a table's rows, and returns what was read of them.
async fn fill(
    source: &mut SqliteConnection,
    target: &mut PgConnection,
    table: &'static Table,
    observer: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Sum> {
    let count = format!("SELECT COUNT(*) FROM {}", table.name);
    let (rows,): (i64,) = sqlx::query_as(AssertSqlSafe(count)).fetch_one(&mut *source).await?;
    let told =
        |done: u64| observer(Progress { table: table.name, step: Step::Copying, done, rows: rows.unsigned_abs() });
    told(0);
    let (mut sum, mut batch) = (Sum::default(), Batch::of(table));
    let mut stream = sqlx::query(AssertSqlSafe(table.select_on_sqlite())).fetch(source);
    while let Some(row) = stream.try_next().await? {
        let row = row::read(&row, table)?;
        sum.add(&row);
        batch.push(row);
        if batch.is_full() {
            insert(target, table, &mut batch).await?;
            told(sum.rows());
        }
    }
    if !batch.is_empty() {
        insert(target, table, &mut batch).await?;
        told(sum.rows());
    }
    Ok(sum)
}

async fn insert(target: &mut PgConnection, table: &Table, batch: &mut Batch) -> Result<()> {
    sqlx::query_with(AssertSqlSafe(table.insert()), batch.take()?).execute(target).await?;
    Ok(())
}

/// Reads a table of the target again, and refuses it if that is not what was written.
async fn compare(
    target: &mut PgConnection,
    table: &'static Table,
    written: &Sum,
    observer: &(dyn Fn(Progress) + Send + Sync),
) -> std::result::Result<(), CopyError> {
    let told = |step, done| observer(Progress { table: table.name, step, done, rows: written.rows() });
    let failed = |source| CopyError::Table { table: table.name, source };
    told(Step::Comparing, 0);
    let mut found = Sum::default();
    let mut stream = sqlx::query(AssertSqlSafe(table.select_on_postgres())).fetch(target);
    while let Some(row) = stream.try_next().await.map_err(Error::from).map_err(failed)? {
        found.add(&row::read(&row, table).map_err(failed)?);
        if found.rows() % TOLD_EVERY == 0 {
            told(Step::Comparing, found.rows());
        }
    }
    if (found.rows(), found.checksum()) != (written.rows(), written.checksum()) {
        let (source_rows, target_rows) = (written.rows(), found.rows());
        return Err(CopyError::Differs { table: table.name, source_rows, target_rows });
    }
    told(Step::Compared, found.rows());
    Ok(())
}
