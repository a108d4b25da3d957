//! What every part of a running server shares.

use std::path::{Path, PathBuf};

use crate::{
    model::{Clock, EndpointKey, IdCodec, Incarnation, TenantKey},
    publish::{EndpointEntry, Routes},
    signal::{Head, Wake},
    store::{self, Conn, DatabaseKeys, Db, Health, Keyring, OpenOptions},
};

/// Endpoints are loaded by as many at a time, so that a start holds no more of their rows than that.
const ENDPOINTS_PER_PAGE: i64 = 1_000;

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

impl Shared {
    /// Locks, opens and migrates the SQLite database at `database`, which is made if it is not there, opens its keys
    /// with `key_file`, begins a new life of the server and loads the configuration.
    ///
    /// # Errors
    /// [`store::Error::InUse`] if another process has the database, [`store::Error::Key`] if the key file is missing or
    /// another one, and whatever else the database says.
    pub async fn open(database: &Path, key_file: &Path, clock: Clock) -> store::Result<Self> {
        let db = Db::open_sqlite(OpenOptions { path: database.to_owned() }).await?;
        let key_file: PathBuf = key_file.to_owned();
        let (keys, keyring, incarnation) = db
            .write(move |tx| {
                Box::pin(async move {
                    let (keys, keyring) = DatabaseKeys::open(tx, &key_file).await?;
                    let incarnation = store::meta::next_incarnation(tx).await?;
                    tx.commit().await?;
                    Ok((keys, keyring, incarnation))
                })
            })
            .await?;
        let opener = keyring.clone();
        let loaded = db.read(move |conn| Box::pin(async move { Loaded::read(conn, &opener).await })).await?;
        Ok(Self {
            db,
            incarnation,
            clock,
            routes: Routes::new(loaded.cfg, loaded.tenants).filled(loaded.endpoints, &loaded.failing),
            ids: IdCodec::new(&keys.ids),
            keys,
            keyring,
            head: Head::new(loaded.head),
            wake: Wake::default(),
        })
    }
}

/// What a start reads of the database.
struct Loaded {
    cfg: i64,
    head: i64,
    tenants: Vec<(String, TenantKey)>,
    endpoints: Vec<EndpointEntry>,
    failing: Vec<(EndpointKey, Health)>,
}

impl Loaded {
    async fn read(conn: &mut Conn, keyring: &Keyring) -> store::Result<Self> {
        let cfg = store::meta::cfg(conn).await?;
        let (head, ..) = store::log::head(conn).await?;
        let tenants = store::tenant::all(conn).await?;
        let mut endpoints = Vec::new();
        let mut after = 0;
        loop {
            let page = store::endpoint::load(conn, after, ENDPOINTS_PER_PAGE).await?;
            let (Some(first), Some(last)) = (page.first(), page.last()) else { break };
            let (first, last) = (first.key, last.key);
            let mut secrets = store::secret::load(conn, keyring, first, last).await?.into_iter().peekable();
            let mut headers = store::header::load(conn, keyring, first, last).await?;
            // Both come by endpoint; secrets of endpoints that are not loaded are passed over.
            for endpoint in page {
                let mut own = Vec::new();
                while let Some((of, secret)) = secrets.next_if(|(of, _)| *of <= endpoint.key) {
                    if of == endpoint.key {
                        own.push(secret);
                    }
                }
                let headers = headers.remove(&endpoint.key).unwrap_or_default();
                endpoints.push(EndpointEntry { endpoint, secrets: own, headers });
            }
            after = last.0;
        }
        Ok(Self { cfg, head, tenants, endpoints, failing: store::health::all(conn).await? })
    }
}

impl Routes {
    /// Takes over what was loaded; a failing time of an earlier activation is forgotten.
    fn filled(self, endpoints: Vec<EndpointEntry>, failing: &[(EndpointKey, Health)]) -> Self {
        for entry in endpoints {
            self.apply(entry);
        }
        for (key, health) in failing {
            if self.endpoint(*key).is_some_and(|entry| entry.endpoint.generation == health.generation) {
                self.set_failing(*key, Some(*health));
            }
        }
        self
    }
}
