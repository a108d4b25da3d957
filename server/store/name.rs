//! Names that recur in many events (event types, media types), written once each.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Result, Tx,
    meta::next_key,
    sql::{execute, fetch_optional},
};

/// Names kept in memory at most; beyond that the memory starts over, since the table has them all.
const NAMES_CACHED_MAX: usize = 65_536;

/// The keys of the names met so far. Only committed names belong in it: see [`Names::forget`].
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<HashMap<Arc<str>, i64>>);

impl Names {
    /// The key of `name`, written now if it is new.
    pub(crate) async fn key(&self, tx: &mut Tx, name: &Arc<str>) -> Result<i64> {
        if let Some(key) = self.known(name) {
            return Ok(key);
        }
        let sql = "SELECT key FROM name WHERE text = $1";
        let key = match fetch_optional!(&mut tx.conn, sql, &**name)? {
            Some((key,)) => key,
            None => {
                let key = next_key(tx, "name").await?;
                execute!(&mut tx.conn, "INSERT INTO name (key, text) VALUES ($1, $2)", key, &**name)?;
                key
            }
        };
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= NAMES_CACHED_MAX {
            names.clear();
        }
        names.insert(name.clone(), key);
        Ok(key)
    }

    /// Forgets everything: what a transaction that was rolled back had added is not in the table.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The key of `name`, if it was met.
    pub(crate) fn known(&self, name: &Arc<str>) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }
}
