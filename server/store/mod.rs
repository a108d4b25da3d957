//! Where everything is kept: one file per table, one SQL text for every database.
//!
//! Every unit of work runs in a task of its own ([`Db::write`], [`Db::read`]), because a future of sqlx's that is dropped
//! midway can leave its connection inside an open transaction, and callers' futures are dropped at their deadlines.
//! There is one writer at a time. A unit that returns without [`Tx::commit`] or [`log::commit`] changes nothing.

pub(crate) mod api_key;
pub(crate) mod attempt;
pub(crate) mod audit;
pub(crate) mod backlog;
#[cfg(test)]
mod conformance;
pub mod copy;
pub(crate) mod credentials;
pub(crate) mod delivery;
pub(crate) mod endpoint;
mod error;
pub(crate) mod event;
pub(crate) mod event_delivery;
pub(crate) mod event_era;
pub(crate) mod event_time;
pub(crate) mod event_type;
pub(crate) mod header;
pub(crate) mod health;
pub(crate) mod hot;
pub(crate) mod lane;
pub(crate) mod lease;
#[cfg(test)]
mod lists;
mod location;
pub(crate) mod log;
pub(crate) mod meta;
pub mod migrate;
pub(crate) mod name;
mod packed;
mod policy;
mod postgres;
pub(crate) mod replica;
pub(crate) mod request;
pub mod reseal;
mod seal;
pub(crate) mod secret;
mod sql;
mod sqlite;
pub(crate) mod tenant;
#[cfg(test)]
mod tests;
mod tx;
mod writer;

use std::sync::Arc;

use futures_util::future::BoxFuture;

#[cfg(test)]
pub(crate) use self::sql::{execute, fetch_all, fetch_optional};
pub(crate) use self::{
    attempt::micros,
    hot::{TurnTx, Writing},
};
pub use self::{
    audit::AuditPosition,
    delivery::{DeliveryRow, Position},
    endpoint::{EndpointVersion, ListedEndpoint},
    error::{Error, Result},
    event::{EventHeading, StoredEvent},
    event_delivery::{CancelledRow, EndpointRange},
    event_era::EraRange,
    event_type::{CatalogueSize, PublishRule, Upserted},
    health::{Health, Warning},
    hot::{DeliveryInsert, Ending, EventInsert, Handoff, Overdue, Settled, Settlement, TurnEnd},
    lane::LaneRow,
    lease::{Claimed, Leased},
    location::{Config, KeySource, Location},
    log::{LOG_BEGAN, LogRow},
    meta::DatabaseKeys,
    postgres::Postgres,
    request::{AnsweredRequest, RequestKey},
    seal::{KeyFileError, KeyId, Keyring, Place, SealError, SealedTable},
    secret::SealedSecret,
    sqlite::Sqlite,
    tx::Tx,
    writer::Held,
};

use crate::model::Incarnation;

/// A database. Cheap to clone; clones share its connections.
#[derive(Clone, Debug)]
pub struct Db(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// A connection to whichever database it is.
#[derive(Debug)]
pub enum Conn {
    /// To SQLite.
    Sqlite(Held<sqlx::Sqlite>),
    /// To Postgres.
    Postgres(Held<sqlx::Postgres>),
}

impl Db {
    /// Opens a database and migrates it. A SQLite database is made if it is not there.
    pub async fn open(location: &Location) -> Result<Self> {
        Ok(Self(Arc::new(match location {
            Location::Sqlite(path) => Kind::Sqlite(Sqlite::open(path).await?),
            Location::Postgres(url) => Kind::Postgres(Postgres::open(url).await?),
        })))
    }

    /// Whether several servers can use it.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(&*self.0, Kind::Postgres(_))
    }

    /// From now on commits are those of `incarnation`, made under configuration `cfg`; the log reaches to row `seq` at
    /// least. To be told while nobody else writes.
    pub(crate) fn enter(&self, incarnation: Incarnation, cfg: i64, seq: i64) {
        if let Kind::Postgres(postgres) = &*self.0 {
            postgres.gate().enter(incarnation);
            postgres.gate().know(cfg, seq);
        }
    }

    /// Runs `unit` in a task of its own with a write transaction, which the unit commits itself.
    ///
    /// The unit runs to its end even if the caller stops waiting. It holds the one write lock until it returns, so what
    /// it does after its commit happens before any other write begins.
    pub async fn write<T, F>(&self, unit: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'tx> FnOnce(&'tx mut Tx) -> BoxFuture<'tx, Result<T>> + Send + 'static,
    {
        self.write_checked(unit).await
    }

    /// As [`Db::write`], for a unit that may refuse what it is asked for, with an error of its caller's own.
    pub async fn write_checked<T, E, F>(&self, unit: F) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'tx> FnOnce(&'tx mut Tx) -> BoxFuture<'tx, std::result::Result<T, E>> + Send + 'static,
    {
        let db = self.clone();
        let task = tokio::spawn(async move {
            let mut tx = db.writer().await?;
            db.begin(&mut tx).await?;
            let result = unit(&mut tx).await;
            if result.is_err() {
                tx.abandon().await;
            }
            result
        });
        task.await.unwrap_or_else(|_| Err(Error::Panicked.into()))
    }

    /// As [`Db::write`], for a turn of `owner`'s, whose transaction may not be needed.
    pub(crate) async fn write_turn<T, F>(&self, owner: Incarnation, writing: Writing, unit: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'tx> FnOnce(&'tx mut TurnTx) -> BoxFuture<'tx, Result<T>> + Send + 'static,
    {
        let db = self.clone();
        let task = tokio::spawn(async move {
            let mut tx = TurnTx::open(db, owner, writing).await?;
            let result = unit(&mut tx).await;
            if result.is_err() {
                tx.abandon().await;
            }
            result
        });
        task.await.unwrap_or(Err(Error::Panicked))
    }

    /// Runs `unit` in a task of its own with a connection for reading.
    pub async fn read<T, F>(&self, unit: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'conn> FnOnce(&'conn mut Conn) -> BoxFuture<'conn, Result<T>> + Send + 'static,
    {
        let db = self.clone();
        let task = tokio::spawn(async move {
            let mut conn = match &*db.0 {
                Kind::Sqlite(sqlite) => Conn::Sqlite(sqlite.reader().await?),
                Kind::Postgres(postgres) => Conn::Postgres(postgres.reader().await?),
            };
            unit(&mut conn).await
        });
        task.await.unwrap_or(Err(Error::Panicked))
    }

    /// The connection that writes, before its transaction begins.
    async fn writer(&self) -> Result<Tx> {
        Ok(match &*self.0 {
            Kind::Sqlite(sqlite) => Tx {
                conn: Conn::Sqlite(sqlite.writer().await?),
                texts: sqlite.texts(),
                left_open: sqlite.left_open(),
                pass: None,
            },
            Kind::Postgres(postgres) => Tx {
                conn: Conn::Postgres(postgres.writer().await?),
                texts: postgres.texts(),
                left_open: postgres.left_open(),
                pass: Some(postgres.pass()),
            },
        })
    }

    async fn begin(&self, tx: &mut Tx) -> Result<()> {
        match (&*self.0, &mut tx.conn) {
            (Kind::Postgres(postgres), Conn::Postgres(conn)) => postgres.begin(conn).await,
            (_, conn) => {
                tx.left_open.begun();
                sql::execute!(conn, "BEGIN IMMEDIATE").map(drop)
            }
        }
    }

    /// Moves what was committed from the write-ahead log into the database file. `from_writer` does it on the writer's
    /// own connection, between two writes, which is what lets the log start over; otherwise it happens beside them.
    /// Returns how many pages the log holds; Postgres sees to its own.
    pub async fn checkpoint(&self, from_writer: bool) -> Result<u64> {
        let db = self.clone();
        let task = tokio::spawn(async move {
            match &*db.0 {
                Kind::Sqlite(sqlite) => sqlite.checkpoint(from_writer).await,
                Kind::Postgres(_) => Ok(0),
            }
        });
        task.await.unwrap_or(Err(Error::Panicked))
    }

    /// Moves everything that was committed into the database file and empties the write-ahead log, so that nothing stands
    /// there any more that was erased. Returns whether it could; whoever reads at that moment keeps it from it. Postgres sees
    /// to its own.
    pub async fn empty_log(&self) -> Result<bool> {
        let db = self.clone();
        let task = tokio::spawn(async move {
            match &*db.0 {
                Kind::Sqlite(sqlite) => sqlite.empty_log().await,
                Kind::Postgres(_) => Ok(true),
            }
        });
        task.await.unwrap_or(Err(Error::Panicked))
    }

    /// Closes every connection; the last one folds the write-ahead log into the database.
    pub async fn close(&self) {
        match &*self.0 {
            Kind::Sqlite(sqlite) => sqlite.close().await,
            Kind::Postgres(postgres) => postgres.close().await,
        }
    }
}
