//! What every part of a running server shares.

mod loaded;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::loaded::Loaded;
use crate::{
    access::Access,
    model::{Clock, IdCodec, Incarnation, Timestamp},
    publish::{Catalogue, Quotas, Routes},
    signal::{Head, Wake},
    store::{self, DatabaseKeys, Db, Keyring},
};

/// How far the database's clock and this machine's may be apart: receivers refuse signatures that are minutes old.
pub(crate) const SKEW_MAX: Duration = Duration::from_secs(60);

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
    /// What publishing knows of event types.
    pub catalogue: Catalogue,
    /// Who may call.
    pub access: Access,
    /// How much tenants may publish.
    pub quotas: Quotas,
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
    /// Set when something was erased that SQLite's write-ahead log may still hold; whoever runs checkpoints sees to it.
    pub erased: AtomicBool,
    /// Cancelled when another server has taken over from this one, which must not go on.
    pub fenced: CancellationToken,
    /// Whether the server is fit to be called; told to whoever checks its health.
    pub fit: watch::Sender<bool>,
}

impl Shared {
    /// Opens and migrates the database, opens its keys, begins a new life of the server and loads the configuration.
    ///
    /// On Postgres the time is the database's, unless `clock` is one that tests move.
    ///
    /// # Errors
    /// [`store::Error::InUse`] if another process has the SQLite database, [`store::Error::Key`] if the key is missing or
    /// another one, [`store::Error::Unsuitable`] if the database is not fit, and whatever else the database says.
    pub async fn open(config: &store::Config, clock: Clock) -> store::Result<Self> {
        Self::open_if(config, clock, |others| match others {
            [] => Ok(()),
            [other, ..] => {
                let fault = format!("the server `{other}` uses it, and several at once are not supported yet");
                Err(store::Error::Unsuitable(fault))
            }
        })
        .await
    }

    /// As [`Shared::open`], if `allowed` says so of the names of the other servers that live.
    pub(crate) async fn open_if(
        config: &store::Config,
        clock: Clock,
        allowed: impl FnOnce(&[String]) -> store::Result<()> + Send + 'static,
    ) -> store::Result<Self> {
        let db = Db::open(&config.location).await?;
        let clock = match db.clock().await? {
            Some(now) => led(clock, now)?,
            None => clock,
        };
        let (key, replica) = (config.key.clone(), config.replica.clone());
        let (keys, keyring, incarnation) = db
            .write(move |tx| {
                Box::pin(async move {
                    let (keys, keyring) = DatabaseKeys::open(tx, &key).await?;
                    let incarnation = store::replica::begin(tx, &replica).await?;
                    allowed(&store::replica::others(tx.conn(), incarnation).await?)?;
                    tx.commit().await?;
                    Ok((keys, keyring, incarnation))
                })
            })
            .await?;
        let opener = keyring.clone();
        let mut loaded = db.read(move |conn| Box::pin(async move { Loaded::read(conn, &opener).await })).await?;
        db.enter(incarnation, loaded.cfg, loaded.head);
        let catalogue = Catalogue::load(None, &loaded.tenants, std::mem::take(&mut loaded.rules)).await?;
        let clock_now = clock.now();
        Ok(Self {
            db,
            incarnation,
            clock,
            head: Head::new(loaded.head),
            access: loaded.access(),
            quotas: Quotas::of(&loaded.tenants, clock_now),
            routes: loaded.routes,
            catalogue,
            ids: IdCodec::new(&keys.ids),
            keys,
            keyring,
            wake: Wake::default(),
            // A life before may have ended before it saw to it.
            erased: AtomicBool::new(true),
            fenced: CancellationToken::new(),
            fit: watch::Sender::new(true),
        })
    }
}

impl Shared {
    /// Ends this life of the server: the last that it does with its database.
    pub(crate) async fn close(&self) {
        let incarnation = self.incarnation;
        let ending = self.db.write(move |tx| {
            Box::pin(async move {
                store::replica::end(tx, incarnation).await?;
                tx.commit().await
            })
        });
        if let Err(error) = ending.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the end of this server could not be recorded");
        }
        self.db.close().await;
    }

    /// Reads the configuration anew, after somebody else has changed it, while nobody here writes.
    pub(crate) async fn catch_up(self: &Arc<Self>) -> store::Result<()> {
        let shared = self.clone();
        let unit = self.db.write(move |tx| {
            Box::pin(async move {
                if store::meta::cfg(tx.conn()).await? == shared.routes.cfg() {
                    tx.abandon().await;
                    return Ok(());
                }
                let mut loaded = Loaded::read(tx.conn(), &shared.keyring).await?;
                let rules = std::mem::take(&mut loaded.rules);
                let catalogue = Catalogue::load(Some(&shared.catalogue), &loaded.tenants, rules).await?;
                shared.db.enter(shared.incarnation, loaded.cfg, loaded.head);
                shared.head.committed(loaded.head);
                shared.access.replace(loaded.access());
                shared.quotas.replace(&loaded.tenants, shared.clock.now());
                shared.routes.replace(loaded.routes);
                shared.catalogue.replace(catalogue);
                tx.abandon().await;
                Ok(())
            })
        });
        unit.await
    }
}

/// A clock that goes by the database's, whose time is `now`.
fn led(clock: Clock, now: Timestamp) -> store::Result<Clock> {
    let clock = clock.led_by(now);
    let skew = clock.drift();
    if skew > SKEW_MAX {
        let fault = format!("its clock and this machine's are {} s apart; set the one that is wrong", skew.as_secs());
        return Err(store::Error::Unsuitable(fault));
    }
    Ok(clock)
}
