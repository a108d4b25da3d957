//! A write transaction.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{Conn, Result, postgres::Pass, sql};

/// A write transaction: the only one of this server, until it is dropped.
#[derive(Debug)]
pub struct Tx {
    pub(super) conn: Conn,
    pub(super) texts: Arc<sql::Texts>,
    pub(super) left_open: LeftOpen,
    /// What its commit is let through the gate with; only on Postgres.
    pub(super) pass: Option<Pass>,
}

/// Whether the writer's connection may be inside a transaction that nobody will end. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct LeftOpen(Arc<AtomicBool>);

impl LeftOpen {
    /// A transaction is about to begin.
    pub(super) fn begun(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// It has ended.
    pub(super) fn ended(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether it may still be open.
    pub(super) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Tx {
    /// A connection whose transaction was not ended is to be tested before it is used again.
    fn drop(&mut self) {
        if self.left_open.is_open() {
            match &mut self.conn {
                Conn::Sqlite(conn) => conn.discard(),
                Conn::Postgres(conn) => conn.discard(),
            }
        }
    }
}

impl Tx {
    /// The transaction's connection, for the functions of this module that only read.
    pub fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Makes what was written durable. The write lock stays held until the transaction is dropped. What watchers are to
    /// see is committed with [`super::log::commit`] instead.
    pub async fn commit(&mut self) -> Result<()> {
        match (&mut self.conn, &mut self.pass) {
            (Conn::Postgres(conn), Some(pass)) => pass.commit(conn, "").await?,
            (conn, _) => drop(sql::execute!(conn, "COMMIT")?),
        }
        self.left_open.ended();
        Ok(())
    }

    /// Undoes what was written and not committed.
    pub async fn abandon(&mut self) {
        // Fails if the unit had committed already, or the database rolled back by itself; both are fine.
        if self.left_open.is_open() && sql::execute!(&mut self.conn, "ROLLBACK").is_ok() {
            self.left_open.ended();
        }
    }
}
