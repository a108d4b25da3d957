//! Postgres: one connection that writes, a few that read, one for the heartbeat.
//!
//! Durability is the database's own; a server that gave it up is refused. Isolation is READ COMMITTED, said explicitly.
//! Every commit passes the gate ([`gate`]). Nothing waits without end: the database ends statements, waits for locks and
//! idle transactions by itself.

mod gate;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use sqlx::{
    Connection as _, Executor as _, PgConnection,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgDatabaseError, PgPool, PgPoolOptions},
};

pub(super) use self::gate::{Crossed, Gate, Pass};
use super::{
    error::{Error, Result},
    migrate::{self, AppliedStep, HistoryRow, Ledger, Progress, Recorded, Tables},
    replica,
    sql::{Texts, unlogged},
    tx::LeftOpen,
    writer::{Held, Writer},
};

/// Readers at most, as on SQLite.
pub(super) const READERS_MAX: u32 = 4;

/// More than there are statements.
const STATEMENTS_CACHED_MAX: usize = 256;

/// The oldest version that is tested, as the database numbers it.
const VERSION_MIN: i64 = 140_000;

/// SQLSTATE of a database that does not exist (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const INVALID_CATALOG_NAME: &str = "3D000";

/// How long a unit of work waits for a connection.
const ACQUIRE_MAX: Duration = Duration::from_secs(10);

/// A transaction whose server stopped in it is ended before it holds others up for long.
const COMMON: &str = "SET default_transaction_isolation = 'read committed'; SET statement_timeout = '30s'; \
                      SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '2s'; SET jit = off; \
                      SET client_min_messages = error;";

/// For all but the heartbeat. Plans made while tables are empty are kept for as long as the connection lives; without these
/// they read whole tables.
const HOT: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
                   SET enable_memoize = off; SET max_parallel_workers_per_gather = 0;";

/// Statements keep the plans that were made for any parameters. Postgres would plan those of turns anew each time as long as
/// turns are small, which takes longer than running them.
const WRITER: &str = "SET plan_cache_mode = force_generic_plan;";

/// Lists go down an index and stop at their LIMIT. Without these, plans made while tables are empty, or not counted yet, gather
/// all that could be selected and sort it.
const READER: &str = "SET default_transaction_read_only = on; SET enable_bitmapscan = off; SET enable_sort = off; \
                      SET enable_incremental_sort = off;";

/// An open Postgres database.
#[derive(Debug)]
pub struct Postgres {
    writer: Writer<sqlx::Postgres>,
    readers: PgPool,
    beats: PgPool,
    texts: Arc<Texts>,
    left_open: LeftOpen,
    gate: Arc<Gate>,
}

impl Postgres {
    /// Connects, makes sure that the database is fit, and brings it to the newest schema.
    pub(super) async fn open(url: &str) -> Result<Self> {
        let options = connect_options(url)?;
        migrate(&options).await?;
        let gate = Arc::new(Gate::default());
        let left_open = LeftOpen::default();
        let (known, ended) = (gate.clone(), left_open.clone());
        let writer = pool(1).after_connect(move |conn, _| {
            let (known, ended) = (known.clone(), ended.clone());
            Box::pin(async move {
                conn.execute(COMMON).await?;
                conn.execute(HOT).await?;
                conn.execute(WRITER).await?;
                // What the session before left open, the database has ended with it.
                ended.ended();
                known.met(conn).await
            })
        });
        let readers = pool(READERS_MAX).test_before_acquire(true).after_connect(|conn, _| {
            Box::pin(async move {
                conn.execute(COMMON).await?;
                conn.execute(HOT).await?;
                conn.execute(READER).await.map(drop)
            })
        });
        let beats = pool(1)
            .test_before_acquire(true)
            .after_connect(|conn, _| Box::pin(async move { conn.execute(COMMON).await.map(drop) }));
        Ok(Self {
            writer: Writer::new(writer.connect_with(options.clone()).await?, ACQUIRE_MAX),
            readers: readers.connect_with(options.clone()).await?,
            beats: beats.connect_with(options).await?,
            texts: Arc::default(),
            left_open,
            gate,
        })
    }

    /// The connection that writes.
    pub(super) async fn writer(&self) -> Result<Held<sqlx::Postgres>> {
        Ok(self.writer.acquire().await?)
    }

    /// Begins a transaction on the connection that writes.
    pub(super) async fn begin(&self, conn: &mut Held<sqlx::Postgres>) -> Result<()> {
        match self.try_begin(conn).await {
            // The session may have ended since it was used last; nothing has been asked of it yet.
            Err(Error::Unavailable(error)) if !matches!(error, sqlx::Error::PoolTimedOut) => {
                self.writer.renew(conn).await?;
                self.try_begin(conn).await
            }
            tried => tried,
        }
    }

    async fn try_begin(&self, conn: &mut Held<sqlx::Postgres>) -> Result<()> {
        // Whatever an abandoned unit left open ends here.
        let begin = match self.left_open.is_open() {
            true => "ROLLBACK; BEGIN ISOLATION LEVEL READ COMMITTED",
            false => "BEGIN ISOLATION LEVEL READ COMMITTED",
        };
        self.left_open.begun();
        conn.execute(begin).await.map(drop).map_err(|error| {
            conn.discard();
            error.into()
        })
    }

    pub(super) fn left_open(&self) -> LeftOpen {
        self.left_open.clone()
    }

    pub(super) async fn reader(&self) -> Result<Held<sqlx::Postgres>> {
        Ok(Held::Pooled(self.readers.acquire().await?))
    }

    /// The connection for the heartbeat, which waits for nobody's statements.
    pub(super) async fn beat(&self) -> Result<Held<sqlx::Postgres>> {
        Ok(Held::Pooled(self.beats.acquire().await?))
    }

    pub(super) fn texts(&self) -> Arc<Texts> {
        self.texts.clone()
    }

    pub(super) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// What the next commit is let through the gate with.
    pub(super) fn pass(&self) -> Pass {
        Pass::new(self.gate.clone(), self.beats.clone())
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        self.beats.close().await;
    }
}

/// Reads the URL. What is wrong with it is told without repeating it.
fn connect_options(url: &str) -> Result<PgConnectOptions> {
    let options: PgConnectOptions = url
        .parse()
        .map_err(|_| Error::Unsuitable("its URL is malformed: expected postgres://USER@HOST/DATABASE".to_owned()))?;
    Ok(unlogged(options.application_name("tidings").statement_cache_capacity(STATEMENTS_CACHED_MAX)))
}

fn pool(connections_max: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_MAX)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

async fn migrate(options: &PgConnectOptions) -> Result<()> {
    let mut conn = connect_to_migrate(options).await?;
    migrate::take_turn(&mut conn, &migrate::log).await?;
    let applied = migrate::apply_pending(&mut conn, &migrate::postgres(), &migrate::log).await;
    conn.close().await?;
    applied.map(drop)
}

/// Applies `steps`, in turn, unless servers use the database: the error within is their names.
pub(super) async fn migrate_alone(
    url: &str,
    steps: &Migrator,
    observer: &(dyn Fn(Progress) + Send + Sync),
) -> Result<std::result::Result<Vec<AppliedStep>, Vec<String>>> {
    let mut conn = take_turn(url, observer).await?;
    // Once it is our turn: a server that starts now waits for its own before it goes on.
    let servers = replica::living(&mut conn).await?;
    let applied = match servers.is_empty() {
        true => migrate::apply_pending(&mut conn, steps, observer).await.map(Ok),
        false => Ok(Err(servers)),
    };
    conn.close().await?;
    applied
}

/// A connection that holds the turn to migrate for as long as it lives: servers that start wait for theirs meanwhile.
pub(super) async fn take_turn(url: &str, observer: &(dyn Fn(Progress) + Send + Sync)) -> Result<PgConnection> {
    let mut conn = connect_to_migrate(&connect_options(url)?).await?;
    migrate::take_turn(&mut conn, observer).await?;
    Ok(conn)
}

async fn connect_to_migrate(options: &PgConnectOptions) -> Result<PgConnection> {
    let mut conn = PgConnection::connect_with(options).await?;
    check(&mut conn).await?;
    conn.execute("SET client_min_messages = warning").await?;
    Ok(conn)
}

/// A connection that changes nothing.
pub(super) async fn connect_to_look(url: &str) -> Result<PgConnection> {
    let mut conn = PgConnection::connect_with(&connect_options(url)?).await?;
    conn.execute(COMMON).await?;
    conn.execute(READER).await?;
    Ok(conn)
}

/// Whether an error says that the database does not exist.
pub(super) fn is_no_database(error: &sqlx::Error) -> bool {
    let answer = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    answer.is_some_and(|answer| answer.code() == INVALID_CATALOG_NAME)
}

impl Ledger for PgConnection {
    fn tables(&mut self) -> BoxFuture<'_, sqlx::Result<Tables>> {
        // Tables that belong to an extension are nobody's.
        let sql = "SELECT COALESCE(bool_or(relname = '_sqlx_migrations'), false), \
                   COALESCE(bool_or(relname = 'gate'), false), COALESCE(bool_or(relname <> '_sqlx_migrations'), false) \
                   FROM pg_class WHERE relkind IN ('r', 'p') AND pg_table_is_visible(oid) \
                   AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) \
                   AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid \
                   AND deptype = 'e')";
        Box::pin(async move {
            let (history, gate, others) = sqlx::query_as(sql).fetch_one(self).await?;
            Ok(Tables { history, gate, others })
        })
    }

    fn recorded(&mut self) -> BoxFuture<'_, sqlx::Result<Vec<Recorded>>> {
        let sql = "SELECT version, description, (extract(epoch FROM installed_on) * 1000000)::bigint, success, checksum \
                   FROM _sqlx_migrations ORDER BY version";
        Box::pin(async move {
            let rows: Vec<HistoryRow> = sqlx::query_as(sql).fetch_all(self).await?;
            Ok(rows.into_iter().map(Recorded::from).collect())
        })
    }
}

/// Refuses databases that could not keep what Tidings promises.
async fn check(conn: &mut PgConnection) -> Result<()> {
    let sql = "SELECT current_setting('server_version_num')::bigint, current_setting('server_encoding'), \
               current_setting('fsync'), current_setting('synchronous_commit'), pg_is_in_recovery()";
    let (version, encoding, fsync, synchronous_commit, standby): (i64, String, String, String, bool) =
        sqlx::query_as(sql).fetch_one(conn).await?;
    let fault = if version < VERSION_MIN {
        format!("it is of version {}, and the oldest that works is {}", version / 10_000, VERSION_MIN / 10_000)
    } else if encoding != "UTF8" {
        format!("its encoding is {encoding}; create one with ENCODING 'UTF8'")
    } else if fsync == "off" || synchronous_commit == "off" {
        format!("a crash could lose what was acknowledged: fsync is {fsync}, synchronous_commit {synchronous_commit}")
    } else if standby {
        "it is a standby, which only reads".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Unsuitable(fault))
}

#[cfg(test)]
mod tests;
