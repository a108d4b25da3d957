//! The bounded queue between publishers and the committer.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{PublishError, Published};
use crate::model::{DeliveryKey, EndpointKey, NewEvent, TenantKey};

/// Events that wait for a turn at most. At 10,000 a second this is half a second's worth.
const EVENTS_MAX: usize = 4_096;

/// Payload and labels that wait for a turn at most, in KiB.
const KIBIBYTES_MAX: usize = 64 * 1024;

/// An event that waits for a turn.
#[derive(Debug)]
pub(crate) struct Submission {
    /// The event.
    pub(crate) event: NewEvent,
    /// The one endpoint it is for, if it is a ping, and who waits for the end of its attempt.
    pub(crate) ping: Option<(EndpointKey, oneshot::Sender<DeliveryKey>)>,
    /// Who waits for the acknowledgement.
    pub(crate) reply: oneshot::Sender<Result<Published, PublishError>>,
    /// Its share of the queue's bytes, given back when the turn is over.
    pub(crate) _share: OwnedSemaphorePermit,
}

/// The publishing side of the committer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Publisher {
    queue: mpsc::Sender<Submission>,
    bytes: Arc<Semaphore>,
}

/// Makes the queue: its publishing end and the committer's.
pub(crate) fn queue() -> (Publisher, mpsc::Receiver<Submission>) {
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    (Publisher { queue: sender, bytes: Arc::new(Semaphore::new(KIBIBYTES_MAX)) }, receiver)
}

impl Publisher {
    /// Stores an event and its deliveries durably. If the caller stops waiting, the event may be stored all the same.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish(&self, event: NewEvent) -> Result<Published, PublishError> {
        self.submit(event, None).await
    }

    /// Sends a `test.ping` to an endpoint now, and returns its delivery once its one attempt has ended and is recorded.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn ping(&self, tenant: TenantKey, endpoint: EndpointKey) -> Result<DeliveryKey, PublishError> {
        let event = NewEvent {
            tenant,
            id: None,
            event_type: super::PING_TYPE.into(),
            content_type: None,
            payload: super::PING_PAYLOAD.into(),
            time: None,
            deliver_at: None,
            expires: None,
            labels: Default::default(),
        };
        let (ended, end) = oneshot::channel();
        self.submit(event, Some((endpoint, ended))).await?;
        end.await.map_err(|_| PublishError::ShuttingDown)
    }

    async fn submit(
        &self,
        event: NewEvent,
        ping: Option<(EndpointKey, oneshot::Sender<DeliveryKey>)>,
    ) -> Result<Published, PublishError> {
        let labels: usize = event.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        let kibibytes = u32::try_from((event.payload.len() + labels) / 1024 + 1).unwrap_or(u32::MAX);
        let share = self.bytes.clone().try_acquire_many_owned(kibibytes).map_err(|_| PublishError::Overloaded)?;
        let (reply, answer) = oneshot::channel();
        let submission = Submission { event, ping, reply, _share: share };
        self.queue.try_send(submission).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => PublishError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => PublishError::ShuttingDown,
        })?;
        answer.await.unwrap_or(Err(PublishError::ShuttingDown))
    }
}
