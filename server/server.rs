//! Wiring: what a server consists of, in which order it starts and in which it stops. The only place that spawns what lives
//! as long as the server.
//!
//! Start: lock and open the database, release what an earlier life had leased, then the committer, the dispatcher, the
//! watchers, and last the listener. Stop: no new calls, streams end with their tokens, what is in flight ends and is
//! settled, the database closes. Each step has a deadline; what is cut off then is released at the next start.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    access::{self, AdminConfig, AdminKeyError},
    api::{self, WebhookApi},
    dispatch::{self, Dispatcher, InFlight, Room},
    egress::{Egress, EgressConfig, EgressError},
    heartbeat, listen,
    model::{Clock, UrlPolicy},
    publish, repeat,
    shared::{SKEW_MAX, Shared},
    store,
    turn::{self, Checkpoints, CommitterTask, Engine},
    watch::{self, Watch},
};

/// How long what is in flight may take to end once the server stops: the longest timeout of an endpoint, and a little.
const DRAIN: Duration = Duration::from_secs(32);

/// How long open calls may take to end once the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// How long the last turns may take.
const SETTLE: Duration = Duration::from_secs(10);

/// How often the clocks are compared, and how far apart they may be.
const DRIFT_INTERVAL: Duration = Duration::from_secs(10);

/// A pause before a long-lived task that ended is started again.
const RESTART_PAUSE: Duration = Duration::from_millis(200);

/// The settings of all components.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database, and the key that seals its secrets.
    pub database: store::Config,
    /// Which connections there may be.
    pub listen: listen::Config,
    /// Which URLs endpoints may have.
    pub urls: UrlPolicy,
    /// Where requests may go and whom they trust.
    pub egress: EgressConfig,
    /// How much may be in flight in all.
    pub room: Room,
    /// Limits on what calls may ask for.
    pub limits: api::Limits,
    /// How watching behaves.
    pub watch: watch::Config,
    /// The time.
    pub clock: Clock,
    /// Where the first operator's key comes from.
    pub admin: AdminConfig,
    /// It may listen beyond loopback without TLS, where keys can be read on their way.
    pub allow_plaintext: bool,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database could not be opened.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The HTTP client could not be set up.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The listener is not usable.
    #[error("the listener cannot be used")]
    Listener(#[from] std::io::Error),
    /// The address is reachable from elsewhere, and what is said there would not be encrypted.
    #[error(
        "{0} is not a loopback address, and keys would cross the network unencrypted: give --tls-cert, listen on loopback \
         behind a proxy that speaks TLS, or say --allow-plaintext where the network is your own"
    )]
    Plaintext(SocketAddr),
    /// There is no operator's key.
    #[error(transparent)]
    Admin(#[from] AdminKeyError),
    /// The reflection service refused the descriptors.
    #[error("the reflection service could not be made")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A server that runs.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    dispatcher: Dispatcher,
    /// Ends the calls and streams.
    calls: CancellationToken,
    /// Ends what asks the committer for work.
    askers: CancellationToken,
    /// Ends the committer, and what works beside it.
    engine: CancellationToken,
    /// Cancelled when something ended that a server cannot be without.
    broken: CancellationToken,
    grpc: JoinHandle<()>,
    committer: JoinHandle<()>,
}

impl Server {
    /// Starts a server on a bound listener.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing runs then.
    pub async fn start(mut config: Config, listener: TcpListener) -> Result<Self, StartError> {
        let address = listener.local_addr()?;
        config.urls.addresses.listeners.push(address);
        config.egress.addresses.listeners.push(address);
        if !address.ip().is_loopback() && config.listen.tls.is_none() && !config.allow_plaintext {
            return Err(StartError::Plaintext(address));
        }
        let egress = Egress::new(config.egress)?;
        let shared = Arc::new(Shared::open(&config.database, config.clock).await?);
        match access::ensure_admin(&shared, &config.admin).await {
            Ok(Some(file)) => tracing::info!(file = %file.display(), "an operator's key was made; the file holds it"),
            Ok(None) => {}
            Err(error) => {
                // So that the next start does not take this one for a server that lives.
                shared.close().await;
                return Err(error.into());
            }
        }
        let in_flight = Arc::new(InFlight::new(config.room));
        in_flight.lanes().suspect(shared.routes.all_failing());
        let engine = Engine::open(shared.clone(), in_flight.clone()).await?;
        let released = turn::release_earlier(&engine).await?;
        if released > 0 {
            tracing::info!(released, "released what an earlier life of the server had in flight");
        }

        let (publisher, submissions) = publish::queue();
        let (committer, inbox) = dispatch::inbox();
        let dispatcher = Dispatcher::new(shared.clone(), in_flight.clone(), egress, committer.clone());
        let checkpoints = Checkpoints::default();
        let (calls, askers, stop) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let token_key = shared.keys.tokens.clone();
        let (watch, tail) = Watch::new(&config.watch, shared.db.clone(), shared.head.clone(), token_key, calls.clone());
        let api = WebhookApi::new(shared.clone(), publisher, watch, config.urls, config.limits, calls.clone());
        let tls = config.listen.tls.clone();
        let grpc = api::serve(api, listener, config.listen, shared.fit.subscribe(), calls.clone())?;

        let broken = CancellationToken::new();
        let task = CommitterTask::new(engine.clone(), dispatcher.clone(), checkpoints.clone(), submissions, inbox);
        let (guard, stop_) = (broken.clone().drop_guard(), stop.clone());
        let committer_task = tokio::spawn(async move {
            task.run(stop_).await;
            drop(guard);
        });
        let guard = broken.clone().drop_guard();
        let grpc = tokio::spawn(async move {
            if let Err(error) = grpc.await {
                tracing::error!(error = &error as &dyn std::error::Error, "the listener failed");
            }
            drop(guard);
        });
        let (shared_, committer_, askers_) = (shared.clone(), committer.clone(), askers.clone());
        keep_up("pacer", &askers, move || dispatch::pace(shared_.clone(), committer_.clone(), askers_.clone()));
        let (shared_, askers_) = (shared.clone(), askers.clone());
        keep_up("audit", &askers, move || {
            dispatch::audit(shared_.clone(), in_flight.clone(), committer.clone(), askers_.clone())
        });
        let (dispatcher_, askers_) = (dispatcher.clone(), askers.clone());
        keep_up("overdue", &askers, move || dispatcher_.clone().give_back_overdue(askers_.clone()));
        let (shared_, stop_) = (shared.clone(), stop.clone());
        keep_up("checkpoint", &stop, move || turn::checkpoint(shared_.clone(), checkpoints.clone(), stop_.clone()));
        let stop_ = stop.clone();
        keep_up("tail", &stop, move || tail.clone().run(stop_.clone()));
        if let Some(tls) = tls {
            let stop_ = stop.clone();
            keep_up("certificates", &stop, move || tls.clone().follow(stop_.clone()));
        }
        let (shared_, stop_) = (shared.clone(), stop.clone());
        keep_up("drift", &stop, move || warn_of_drift(shared_.clone(), stop_.clone()));
        let (shared_, stop_) = (shared.clone(), stop.clone());
        keep_up("repeats", &stop, move || repeat::erase(shared_.clone(), stop_.clone()));
        let (shared_, stop_) = (shared.clone(), stop.clone());
        keep_up("backlogs", &stop, move || publish::count_backlogs(shared_.clone(), stop_.clone()));
        let (shared_, stop_) = (shared.clone(), stop.clone());
        if shared.db.is_shared() {
            keep_up("heartbeat", &stop, move || heartbeat::beat(shared_.clone(), engine.clone(), stop_.clone()));
        }

        Ok(Self { address, shared, dispatcher, calls, askers, engine: stop, broken, grpc, committer: committer_task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its parts share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Completes if the server cannot go on by itself. It should be stopped then.
    pub async fn failed(&self) {
        tokio::select! {
            () = self.broken.cancelled() => {}
            () = self.shared.fenced.cancelled() => {}
        }
    }

    /// Whether another server has taken over from this one. It is to be dropped then: what it has in flight is the other's.
    pub fn is_fenced(&self) -> bool {
        self.shared.fenced.is_cancelled()
    }

    /// Stops: no new calls, streams end, what is in flight ends and is settled, the database closes.
    pub async fn stop(self) {
        self.calls.cancel();
        if timeout(GRACE, self.grpc).await.is_err() {
            tracing::warn!("some calls did not end in time");
        }
        self.askers.cancel();
        if timeout(DRAIN, self.dispatcher.drain()).await.is_err() {
            tracing::warn!("some requests did not end in time; they are sent again after the next start");
        }
        self.engine.cancel();
        if timeout(SETTLE, self.committer).await.is_err() {
            tracing::warn!("the last outcomes were not written in time");
        }
        self.shared.close().await;
    }
}

/// Warns when the wall clock, by which signatures are dated, has moved away from the clock by which deliveries are due. A
/// server that goes by its database's clock is not fit to be called then.
async fn warn_of_drift(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut warned = false;
    while shutdown.run_until_cancelled(tokio::time::sleep(DRIFT_INTERVAL)).await.is_some() {
        let drift = shared.clock.drift();
        let far = drift > SKEW_MAX;
        if far && !warned {
            tracing::warn!(
                ?drift,
                "the wall clock was set, or drifts: receivers may refuse signatures as too old or new"
            );
        }
        if shared.clock.is_led() {
            shared.fit.send_if_modified(|fit| std::mem::replace(fit, !far) == far);
        }
        warned = far;
    }
}

/// Spawns a long-lived task and starts it again should it end, by a panic say, before `shutdown`.
fn keep_up<F>(name: &'static str, shutdown: &CancellationToken, mut start: impl FnMut() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        while !shutdown.is_cancelled() {
            let ended = tokio::spawn(start()).await;
            if !shutdown.is_cancelled() {
                tracing::error!(name, ?ended, "a task ended and is started again");
                tokio::time::sleep(RESTART_PAUSE).await;
            }
        }
    });
}

#[cfg(test)]
mod tests;
