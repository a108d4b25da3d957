//! Publishing: from a checked event to its acknowledgement.
//!
//! Events queue for the next turn of the committer, within bounds on their number and bytes; who publishes beyond them is
//! told to come back. An acknowledgement is given only after the commit.

mod routes;

use std::sync::Arc;

pub use self::routes::{EndpointEntry, Routes};
use crate::model::{DeliveryKey, EndpointKey, NewEvent, TenantKey};

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

/// The publishing side of the committer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Publisher {}

impl Publisher {
    /// Stores an event and its deliveries durably.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish(&self, event: NewEvent) -> Result<Published, PublishError> {
        let _ = event;
        todo!()
    }

    /// Sends a `test.ping` to an endpoint now, and returns its delivery once its one attempt has ended and is recorded.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn ping(&self, tenant: TenantKey, endpoint: EndpointKey) -> Result<DeliveryKey, PublishError> {
        let _ = (tenant, endpoint);
        todo!()
    }
}
