//! Servers by the names that they keep over restarts. On SQLite there is one, and no row of it.

use sqlx::PgConnection;

use super::{
    Conn, Db, Error, Kind, Result, Tx, meta,
    sql::{execute, fetch_all},
};
use crate::model::{Incarnation, Timestamp};

/// A server whose heart has not beaten for so long may be taken over from, in microseconds.
pub(crate) const LAPSE_MICROS: i64 = 30_000_000;

/// The database's clock, in microseconds since the Unix epoch.
macro_rules! clock {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    };
}

/// What a heartbeat learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pulse {
    /// The time by the database's clock.
    pub(crate) now: Timestamp,
    /// The version of the configuration.
    pub(crate) cfg: i64,
    /// The configuration that this server knows.
    pub(crate) known: i64,
    /// Whether there are servers to be taken over from.
    pub(crate) lapsed: bool,
}

/// Begins a new life of the server called `name`. Earlier lives of it, and servers whose hearts have stopped, cannot commit
/// any more once this has.
pub(crate) async fn begin(tx: &mut Tx, name: &str) -> Result<Incarnation> {
    let incarnation = Incarnation(meta::next_key(tx, "incarnation").await?);
    if matches!(tx.conn, Conn::Postgres(_)) {
        execute!(&mut tx.conn, "DELETE FROM replica WHERE name = $1", name)?;
        fence_lapsed(tx).await?;
        // Those that ended by themselves go too.
        let sql = "UPDATE gate SET live = array_append(ARRAY(SELECT unnest(live) INTERSECT \
                   SELECT incarnation FROM replica), $1) WHERE one = 1";
        execute!(&mut tx.conn, sql, incarnation.0)?;
        let sql = concat!("INSERT INTO replica (incarnation, name, beat, cfg) VALUES ($1, $2, ", clock!(), ", 0)");
        execute!(&mut tx.conn, sql, incarnation.0, name)?;
    }
    Ok(incarnation)
}

/// The names of the other servers that live.
pub(crate) async fn others(conn: &mut Conn, present: Incarnation) -> Result<Vec<String>> {
    if matches!(conn, Conn::Sqlite(_)) {
        return Ok(Vec::new());
    }
    let sql = "SELECT name FROM replica WHERE incarnation <> $1 ORDER BY name";
    let rows: Vec<(String,)> = fetch_all!(conn, sql, present.0)?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

/// The names of the servers that live, in a database that may have no tables yet.
pub(super) async fn living(conn: &mut PgConnection) -> Result<Vec<String>> {
    let (made,): (bool,) = sqlx::query_as("SELECT to_regclass('replica') IS NOT NULL").fetch_one(&mut *conn).await?;
    if !made {
        return Ok(Vec::new());
    }
    let sql = concat!("SELECT name FROM replica WHERE beat >= ", clock!(), " - $1 ORDER BY name");
    let rows: Vec<(String,)> = sqlx::query_as(sql).bind(LAPSE_MICROS).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

/// Ends this life of the server: nobody has to wait for its heart to stop.
pub(crate) async fn end(tx: &mut Tx, incarnation: Incarnation) -> Result<()> {
    if matches!(tx.conn, Conn::Postgres(_)) {
        execute!(&mut tx.conn, "DELETE FROM replica WHERE incarnation = $1", incarnation.0)?;
    }
    Ok(())
}

/// Takes over from servers whose hearts have stopped; their leases are released afterwards. Returns how many.
pub(crate) async fn fence_lapsed(tx: &mut Tx) -> Result<usize> {
    if matches!(tx.conn, Conn::Sqlite(_)) {
        return Ok(0);
    }
    let sql = concat!("DELETE FROM replica WHERE beat < ", clock!(), " - $1 RETURNING incarnation");
    let lapsed: Vec<(i64,)> = fetch_all!(&mut tx.conn, sql, LAPSE_MICROS)?;
    for (incarnation,) in &lapsed {
        execute!(&mut tx.conn, "UPDATE gate SET live = array_remove(live, $1) WHERE one = 1", *incarnation)?;
    }
    Ok(lapsed.len())
}

impl Db {
    /// The time by the database's clock; `None` if it has none of its own.
    pub(crate) async fn clock(&self) -> Result<Option<Timestamp>> {
        let Kind::Postgres(postgres) = &*self.0 else { return Ok(None) };
        let mut conn = postgres.beat().await?;
        let (micros,): (i64,) = sqlx::query_as(concat!("SELECT ", clock!())).fetch_one(&mut *conn).await?;
        Ok(Some(Timestamp::from_micros(micros)))
    }

    /// Lets the heart of `incarnation` beat; `None` on SQLite, where nobody listens.
    ///
    /// # Errors
    /// [`Error::Fenced`] if another server has taken over.
    pub(crate) async fn beat(&self, incarnation: Incarnation) -> Result<Option<Pulse>> {
        let Kind::Postgres(postgres) = &*self.0 else { return Ok(None) };
        let known = postgres.gate().cfg();
        let mut conn = postgres.beat().await?;
        let sql = concat!(
            "UPDATE replica SET beat = ",
            clock!(),
            ", cfg = $2 WHERE incarnation = $1 RETURNING beat, \
             (SELECT cfg FROM gate), EXISTS (SELECT FROM replica other WHERE other.beat < ",
            clock!(),
            " - $3)"
        );
        let query = sqlx::query_as(sql).bind(incarnation.0).bind(known).bind(LAPSE_MICROS);
        let row: Option<(i64, i64, bool)> = query.fetch_optional(&mut *conn).await?;
        let (now, cfg, lapsed) = row.ok_or(Error::Fenced)?;
        Ok(Some(Pulse { now: Timestamp::from_micros(now), cfg, known, lapsed }))
    }
}
