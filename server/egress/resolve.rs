//! Resolving host names, with every address checked.
//!
//! A name is refused if **any** of its addresses is forbidden: one that mixes public and private addresses is either
//! broken or an attack, and the connector would be free to pick the private one.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::{net::lookup_host, sync::Semaphore, time::timeout};

use super::{
    guard::Blocked,
    phase::{Phase, Progress},
};
use crate::model::AddressPolicy;

/// How long a lookup may take: less than connecting may, so that a slow name server is told apart from a slow host.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(4);
/// Lookups at once. Each holds a thread of the runtime's blocking pool (512 by default).
const LOOKUPS_MAX: usize = 128;

/// Why a name has no addresses.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    #[error("the host name could not be resolved: {0}")]
    Failed(#[source] io::Error),
    #[error("the host name could not be resolved within {LOOKUP_TIMEOUT:?}")]
    Slow,
    #[error("the host name has no addresses")]
    NoAddresses,
}

/// A resolver that refuses names with a forbidden address.
pub(super) struct GuardedResolver<R> {
    names: R,
    addresses: Arc<AddressPolicy>,
}

impl<R> GuardedResolver<R> {
    pub(super) fn new(names: R, addresses: AddressPolicy) -> Self {
        Self { names, addresses: Arc::new(addresses) }
    }
}

impl<R: Resolve> Resolve for GuardedResolver<R> {
    fn resolve(&self, name: Name) -> Resolving {
        let looking_up = self.names.resolve(name);
        let policy = Arc::clone(&self.addresses);
        let progress = Progress::of_this_task();
        progress.enter(Phase::Resolving);
        Box::pin(async move {
            let found: Vec<SocketAddr> = looking_up.await?.collect();
            progress.enter(Phase::Connecting);
            if found.is_empty() {
                return Err(LookupError::NoAddresses.into());
            }
            if !found.iter().all(|address| policy.permits(address.ip())) {
                return Err(Blocked::Resolved.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The system's resolver (`getaddrinfo`), bounded in time and number.
pub(super) struct SystemResolver {
    permits: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let permits = Arc::clone(&self.permits);
        let lookup = async move {
            let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
            let host = name.as_str().to_owned();
            // In a task of its own, which keeps the permit until the thread is free: a lookup cannot be cancelled.
            let task = tokio::spawn(async move {
                let found = lookup_host((host.as_str(), 0)).await.map(Iterator::collect::<Vec<_>>);
                drop(permit);
                found
            });
            task.await.map_err(io::Error::other)?
        };
        Box::pin(async move {
            match timeout(LOOKUP_TIMEOUT, lookup).await {
                Ok(Ok(found)) => Ok(Box::new(found.into_iter()) as Addrs),
                Ok(Err(error)) => Err(LookupError::Failed(error).into()),
                Err(_elapsed) => Err(LookupError::Slow.into()),
            }
        })
    }
}
