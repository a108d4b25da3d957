//! Publishing: from a checked event to its acknowledgement.
//!
//! Events queue for the next turn of the committer, within bounds on their number and bytes; who publishes beyond them is
//! told to come back, or waits if it is a stream. An acknowledgement is given only after the commit. Before it queues an event
//! is held against its type's description ([`check`]) and its tenant's quotas ([`Quotas`]).

mod backlog;
mod catalogue;
mod check;
mod fingerprint;
mod queue;
mod quota;
mod routes;
mod stream;
mod window;

use std::sync::Arc;

use crate::{model::NewEvent, shared::Shared};

pub(crate) use self::{
    backlog::count_backlogs,
    fingerprint::fingerprint,
    queue::{Share, Submission, queue},
    stream::{PublishStreams, Reader, Request, StreamEnd},
    window::{Acknowledgement, Outcome},
};
pub use self::{
    catalogue::{Catalogue, TypeRule},
    check::{VIOLATIONS_MAX, Verdict, WARNINGS_MAX, Warning, check},
    queue::Publisher,
    quota::{Exceeded, Quotas},
    routes::{EndpointEntry, Routes},
    stream::StreamLimits,
};

/// The type of the event that a ping sends.
pub const PING_TYPE: &str = "test.ping";

/// The body of the event that a ping sends.
const PING_PAYLOAD: &str = r#"{"type":"test.ping","data":{"message":"A test of this endpoint."}}"#;

/// Takes an event into account of its tenant's quotas. To be asked once for each event, last before it is queued.
///
/// # Errors
/// [`PublishError::Quota`].
pub(crate) fn admit(shared: &Shared, event: &NewEvent) -> Result<(), PublishError> {
    let fanout = || shared.routes.wanting(event.tenant, &event.event_type).0.len();
    let taken = shared.quotas.take(event.tenant, event.payload.len(), fanout, shared.clock.now());
    taken.map_err(PublishError::Quota)
}

/// An event that is stored durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its public id.
    pub id: Arc<str>,
    /// How many endpoints it goes to.
    pub fanout: i64,
    /// It had been published before, with the same content.
    pub duplicate: bool,
}

/// Why an event was not published. Nothing of it was stored, unless the variant says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The queue is full; try again.
    #[error("the publish queue is full")]
    Overloaded,
    /// The tenant would exceed a quota.
    #[error("the tenant has reached a quota: {0:?}")]
    Quota(Exceeded),
    /// It has expired: no attempt could begin any more.
    #[error("the event has expired")]
    Expired,
    /// The id was used for another event.
    #[error("an event with this id and other content was published before")]
    IdReused,
    /// The disk is full; try again when there is space.
    #[error("the database's disk is full")]
    StorageFull,
    /// The database cannot be written at the moment, or it is not known whether it was; try again with the same event id.
    #[error("the database is not available")]
    StorageUnavailable,
    /// The server is stopping; try again.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The database refuses this one event.
    #[error("the event could not be stored")]
    Internal,
}
