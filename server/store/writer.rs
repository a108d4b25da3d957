//! The one connection that writes. It is kept out of its pool between two units of work: a pool pings every connection that
//! it gets back, and the next unit would wait for that round trip.
//!
//! A connection whose last unit did not end its transaction goes back to the pool all the same, which tests it and, if it
//! does not answer, makes another.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use sqlx::{Database, Pool, pool::PoolConnection};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The connection that writes: one unit of work has it at a time.
#[derive(Debug)]
pub(super) struct Writer<DB: Database> {
    pool: Pool<DB>,
    kept: Arc<Mutex<Option<PoolConnection<DB>>>>,
    /// How long a unit waits for those before it.
    wait_max: Duration,
}

/// A connection in somebody's hands.
#[derive(Debug)]
pub enum Held<DB: Database> {
    /// It goes back to its pool.
    Pooled(PoolConnection<DB>),
    /// It stays with its writer.
    Kept(OwnedMutexGuard<Option<PoolConnection<DB>>>),
}

impl<DB: Database> Writer<DB> {
    /// A writer over a pool of one connection.
    pub(super) fn new(pool: Pool<DB>, wait_max: Duration) -> Self {
        Self { pool, kept: Arc::default(), wait_max }
    }

    /// Waits for the connection.
    pub(super) async fn acquire(&self) -> sqlx::Result<Held<DB>> {
        let waiting = tokio::time::timeout(self.wait_max, self.kept.clone().lock_owned());
        let mut kept = waiting.await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        if self.pool.is_closed() {
            return Err(sqlx::Error::PoolClosed);
        }
        if kept.is_none() {
            *kept = Some(self.pool.acquire().await?);
        }
        Ok(Held::Kept(kept))
    }

    /// Another connection in the place of one that was discarded.
    pub(super) async fn renew(&self, held: &mut Held<DB>) -> sqlx::Result<()> {
        if let Held::Kept(kept) = held {
            **kept = Some(self.pool.acquire().await?);
        }
        Ok(())
    }

    /// Closes the connection once nobody has it.
    pub(super) async fn close(&self) {
        drop(self.kept.lock().await.take());
        self.pool.close().await;
    }
}

impl<DB: Database> Held<DB> {
    /// Gives the connection back to its pool, to be tested before it is used again.
    pub(super) fn discard(&mut self) {
        if let Self::Kept(kept) = self {
            drop(kept.take());
        }
    }
}

impl<DB: Database> Deref for Held<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        match self {
            Self::Pooled(conn) => conn,
            Self::Kept(kept) => kept.as_ref().expect("a connection is not used after it was discarded"),
        }
    }
}

impl<DB: Database> DerefMut for Held<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        match self {
            Self::Pooled(conn) => conn,
            Self::Kept(kept) => kept.as_mut().expect("a connection is not used after it was discarded"),
        }
    }
}
