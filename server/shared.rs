//! What every part of a running server shares.

use crate::{
    model::{Clock, IdCodec, Incarnation},
    publish::Routes,
    signal::{Head, Wake},
    store::{DatabaseKeys, Db, Keyring},
};

/// What every part of a running server shares; used behind an `Arc`.
#[derive(Debug)]
pub struct Shared {
    /// The database.
    pub db: Db,
    /// This life of the server.
    pub incarnation: Incarnation,
    /// The time.
    pub clock: Clock,
    /// The configuration in memory.
    pub routes: Routes,
    /// Makes and reads public ids.
    pub ids: IdCodec,
    /// The database's own random keys.
    pub keys: DatabaseKeys,
    /// Seals and opens secrets.
    pub keyring: Keyring,
    /// How far the log reaches: told after every commit that appended to it.
    pub head: Head,
    /// Wakes the dispatcher: told after every commit that made a delivery due.
    pub wake: Wake,
}
