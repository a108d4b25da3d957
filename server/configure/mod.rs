//! Changing the configuration: endpoints and their secrets, catalogues of event types, tenants and API keys.
//!
//! Every change is one unit of database work: the row is read and checked, the configuration version raised, the row, its
//! secrets and one log row written, and all of it committed. What was committed is applied to the memory that routing and
//! attempts read before the unit gives the write lock up, so no later commit is routed by the older configuration.
//! Of catalogues and tenants publishing reads what it checks events by, so a change of one raises the version as well and is
//! applied likewise; it is no transition that watchers would see.

mod catalogue;
mod credentials;
mod endpoint;
mod etag;
mod header;
mod key;
mod rotation;
mod scheme;
mod secret;
mod state;
mod tenant;

use std::sync::Arc;

pub use self::{
    catalogue::{EVENT_TYPES_MAX, EventTypePatch, Imported, SCHEMAS_BYTES_MAX},
    credentials::CredentialsPatch,
    endpoint::{EndpointPatch, NewEndpoint},
    etag::{etag, event_type_etag, tenant_etag},
    header::HeaderPatch,
    key::{KEYS_MAX, NewKey},
    rotation::{OVERLAP_DEFAULT, OVERLAP_MAX, Rotation, SECRETS_MAX, Takeover},
    scheme::NewSecret,
    tenant::{NewTenant, TenantPatch},
};
use crate::{
    model::{
        DisableReason, Endpoint, EndpointKey, EndpointStatus, LogBody, LogEntry, Secret, TenantKey, Timestamp,
        TransitionKind,
    },
    publish::EndpointEntry,
    repeat::{Answer, Reused},
    shared::Shared,
    store::{self, Tx},
};

/// Why a change was refused; nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tenant has no such endpoint; read the list again.
    #[error("no such endpoint")]
    NotFound,
    /// Somebody else changed it since its etag was read; read it again.
    #[error("it changed since its etag was read")]
    Conflict,
    /// The change does not fit what the endpoint is; all that is wrong with it.
    #[error("the change does not fit the endpoint: {0:?}")]
    Refused(Vec<Refusal>),
    /// The endpoint's schemes changed since they were looked at; try again.
    #[error("the endpoint's schemes changed meanwhile")]
    SchemeChanged,
    /// The endpoint has no such secret.
    #[error("no such secret")]
    NoSuchSecret,
    /// The scheme has as many secrets as it may; wait until one expires, or revoke one.
    #[error("the scheme has {SECRETS_MAX} live secrets, which is the limit")]
    TooManySecrets,
    /// The scheme has a secret that waits to take over; activate or revoke it first.
    #[error("the scheme has a secret that does not sign yet")]
    SecretStaged,
    /// No other secret of the scheme signs.
    #[error("the scheme would be left without a secret that signs")]
    LastSecret,
    /// The catalogue would hold more event types than it may; import fewer that are new.
    #[error("the catalogue would hold {count} event types; the limit is {EVENT_TYPES_MAX}")]
    TooManyEventTypes {
        /// So many it would hold.
        count: usize,
    },
    /// The schemas of the catalogue would take more room than they may.
    #[error("the catalogue would hold {bytes} bytes of schemas; the limit is {SCHEMAS_BYTES_MAX}")]
    CatalogueTooLarge {
        /// So many bytes they would take.
        bytes: usize,
    },
    /// The catalogue has an event type of this name; update that one.
    #[error("the catalogue has this event type already")]
    EventTypeExists,
    /// The catalogue has no event type of this name.
    #[error("no such event type")]
    NoSuchEventType,
    /// There is no such tenant.
    #[error("no such tenant")]
    NoSuchTenant,
    /// A tenant of this id is there already.
    #[error("there is a tenant of this id already")]
    TenantExists,
    /// The tenant still has endpoints.
    #[error("the tenant still has endpoints")]
    TenantNotEmpty,
    /// The tenant has as many endpoints as it may.
    #[error("the tenant has {max} endpoints, which is its quota")]
    EndpointQuota {
        /// So many it may have.
        max: i64,
    },
    /// There is no such key.
    #[error("no such key")]
    NoSuchKey,
    /// Its owner has as many keys as it may; revoke one.
    #[error("there are {KEYS_MAX} keys already, which is the limit")]
    TooManyKeys,
    /// The call's request id was used for another.
    #[error(transparent)]
    Reused(#[from] Reused),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Why a part of a change does not fit an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The part, by the name that callers know it by.
    pub field: String,
    /// What is wrong with it, as the rest of a sentence.
    pub problem: String,
}

/// Changes endpoints and their secrets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Configurator {
    shared: Arc<Shared>,
}

impl Configurator {
    /// Changes what `shared` holds.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

/// An endpoint of a tenant's that has not been deleted.
async fn live(tx: &mut Tx, tenant: TenantKey, key: EndpointKey) -> Result<Endpoint, Error> {
    match store::endpoint::get(tx.conn(), tenant, key).await? {
        Some(endpoint) if endpoint.status != EndpointStatus::Deleted => Ok(endpoint),
        Some(_) | None => Err(Error::NotFound),
    }
}

/// Whether the endpoint is still the one that the caller looked at, if it said which that was.
fn check_etag(shared: &Shared, endpoint: &Endpoint, expected: Option<String>) -> Result<(), Error> {
    let conflicts = expected.is_some_and(|expected| expected != etag(&shared.keys, endpoint));
    if conflicts { Err(Error::Conflict) } else { Ok(()) }
}

/// The secrets of one endpoint, newest first, expired ones included.
async fn secrets(tx: &mut Tx, shared: &Shared, key: EndpointKey) -> Result<Vec<Secret>, Error> {
    let loaded = store::secret::load(tx.conn(), key, key).await?;
    Ok(loaded.into_iter().map(|secret| secret.open(&shared.keyring)).collect::<store::Result<_>>()?)
}

/// The endpoint with all that is stored of it.
async fn entry(tx: &mut Tx, shared: &Shared, endpoint: Endpoint) -> Result<EndpointEntry, Error> {
    let secrets = secrets(tx, shared, endpoint.key).await?;
    let headers = header::stored(tx, shared, endpoint.key).await?;
    let credentials = Some(credentials::stored(tx, shared, endpoint.key).await?);
    let credentials = credentials.filter(|credentials| !credentials.is_empty()).map(Arc::new);
    Ok(EndpointEntry { endpoint, secrets, headers, credentials })
}

/// Writes that an endpoint's secrets changed: attempts read them, so it is a new version of the endpoint. Answers with
/// its live secrets of `scheme`, newest first.
async fn commit_secrets<R>(
    tx: &mut Tx,
    shared: &Shared,
    mut endpoint: Endpoint,
    scheme: &str,
    kind: TransitionKind,
    answer: Answer<Vec<Secret>, R>,
) -> Result<R, Error> {
    endpoint.version = store::meta::raise_cfg(tx).await?;
    endpoint.updated = shared.clock.now();
    store::endpoint::update(tx, &endpoint, false).await?;
    store::secret::delete_expired(tx, endpoint.key, endpoint.updated).await?;
    let entry = entry(tx, shared, endpoint).await?;
    let now = entry.endpoint.updated;
    let live = entry.secrets.iter().filter(|secret| &*secret.scheme == scheme && secret.lives(now)).cloned().collect();
    let answer = answer.with(tx, live).await?;
    commit(tx, shared, entry, kind).await?;
    Ok(answer)
}

/// Appends the transition, commits, and applies what was committed while the write lock is still held.
async fn commit(tx: &mut Tx, shared: &Shared, entry: EndpointEntry, kind: TransitionKind) -> Result<(), Error> {
    let seq = store::log::commit(tx, entry.endpoint.updated, &transition(&entry.endpoint, kind)).await?;
    shared.routes.apply(entry);
    shared.head.committed(seq);
    Ok(())
}

fn transition(endpoint: &Endpoint, kind: TransitionKind) -> LogBody {
    let disable_reason = match endpoint.status {
        EndpointStatus::Disabled { reason, .. } if kind == TransitionKind::EndpointDisabled => reason as i32,
        EndpointStatus::Disabled { .. }
        | EndpointStatus::Paused { .. }
        | EndpointStatus::Enabled
        | EndpointStatus::Deleted => 0,
    };
    let entry = LogEntry {
        tenant: endpoint.tenant.0,
        endpoint: endpoint.key.0,
        kind: kind as i32,
        disable_reason,
        ..LogEntry::default()
    };
    LogBody { events: Vec::new(), entries: vec![entry] }
}

/// Disabled because somebody asked for it.
fn disabled_on_request(now: Timestamp) -> EndpointStatus {
    EndpointStatus::Disabled { reason: DisableReason::Requested, since: now }
}

#[cfg(test)]
mod tests;
