//! The bounded queue between publishers and the committer.
//!
//! Calls are refused when it is full; streams wait. So that streams, which always have more to send, do not keep it full
//! and calls out of it, they share a part of it.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{PublishError, Published};
use crate::model::{DeliveryKey, EndpointKey, NewEvent, TenantKey};

/// Events that wait for a turn at most. At 10,000 a second this is half a second's worth.
const EVENTS_MAX: usize = 4_096;

/// Payload and labels that wait for a turn at most, in KiB.
const KIBIBYTES_MAX: usize = 64 * 1024;

/// What the events of streams may take of that together, in KiB: half of it.
const STREAMED_KIBIBYTES_MAX: u32 = 32 * 1024;

/// What an event of a stream counts for at least, in KiB: so 2,048 of them wait at most, half the queue, which is four
/// turns' worth.
const STREAMED_KIBIBYTES_MIN: u32 = 16;

/// An event that waits for a turn.
#[derive(Debug)]
pub(crate) struct Submission {
    /// The event.
    pub(crate) event: NewEvent,
    /// The one endpoint it is for, if it is a ping, and who waits for the end of its attempt.
    pub(crate) ping: Option<(EndpointKey, oneshot::Sender<DeliveryKey>)>,
    /// Who waits for the acknowledgement.
    pub(crate) reply: oneshot::Sender<Result<Published, PublishError>>,
    /// Its share of the queue, given back when the turn is over.
    pub(crate) _share: Share,
}

/// What an event takes of the queue, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    _bytes: OwnedSemaphorePermit,
    _streamed: Option<OwnedSemaphorePermit>,
}

/// The acknowledgement of an event that was submitted, to be awaited.
#[derive(Debug)]
pub(crate) struct Answer(oneshot::Receiver<Result<Published, PublishError>>);

/// The publishing side of the committer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Publisher {
    queue: mpsc::Sender<Submission>,
    bytes: Arc<Semaphore>,
    streamed: Arc<Semaphore>,
}

/// Makes the queue: its publishing end and the committer's.
pub(crate) fn queue() -> (Publisher, mpsc::Receiver<Submission>) {
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    let publisher = Publisher {
        queue: sender,
        bytes: Arc::new(Semaphore::new(KIBIBYTES_MAX)),
        streamed: Arc::new(Semaphore::new(STREAMED_KIBIBYTES_MAX as usize)),
    };
    (publisher, receiver)
}

impl Publisher {
    /// Stores an event and its deliveries durably. If the caller stops waiting, the event may be stored all the same.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish(&self, event: NewEvent) -> Result<Published, PublishError> {
        self.submit(event)?.await
    }

    /// Queues an event. What becomes of it is told by the answer; it may be stored even if nobody waits for that.
    ///
    /// # Errors
    /// [`PublishError::Overloaded`] or [`PublishError::ShuttingDown`]. Nothing is stored then.
    pub(crate) fn submit(&self, event: NewEvent) -> Result<Answer, PublishError> {
        self.try_submit(event, None)
    }

    /// As [`Publisher::submit`], but waits for room, in the part of the queue that streams share. Whoever gives up the
    /// wait has submitted nothing; whoever waits must go on polling, for others wait behind it.
    ///
    /// # Errors
    /// [`PublishError::ShuttingDown`].
    pub(crate) async fn submit_streamed(&self, event: NewEvent) -> Result<Answer, PublishError> {
        let stopped = |_closed| PublishError::ShuttingDown;
        let kibibytes = kibibytes(&event);
        let part = kibibytes.clamp(STREAMED_KIBIBYTES_MIN, STREAMED_KIBIBYTES_MAX);
        let streamed = self.streamed.clone().acquire_many_owned(part).await.map_err(stopped)?;
        let all = kibibytes.min(KIBIBYTES_MAX as u32);
        let bytes = self.bytes.clone().acquire_many_owned(all).await.map_err(stopped)?;
        let place = self.queue.reserve().await.map_err(|_| PublishError::ShuttingDown)?;
        let (reply, answer) = oneshot::channel();
        let share = Share { _bytes: bytes, _streamed: Some(streamed) };
        place.send(Submission { event, ping: None, reply, _share: share });
        Ok(Answer(answer))
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
        self.try_submit(event, Some((endpoint, ended)))?.await?;
        end.await.map_err(|_| PublishError::ShuttingDown)
    }

    fn try_submit(
        &self,
        event: NewEvent,
        ping: Option<(EndpointKey, oneshot::Sender<DeliveryKey>)>,
    ) -> Result<Answer, PublishError> {
        let bytes =
            self.bytes.clone().try_acquire_many_owned(kibibytes(&event)).map_err(|_| PublishError::Overloaded)?;
        let (reply, answer) = oneshot::channel();
        let share = Share { _bytes: bytes, _streamed: None };
        let submission = Submission { event, ping, reply, _share: share };
        self.queue.try_send(submission).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => PublishError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => PublishError::ShuttingDown,
        })?;
        Ok(Answer(answer))
    }
}

impl Future for Answer {
    type Output = Result<Published, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or(Err(PublishError::ShuttingDown)))
    }
}

/// What an event takes of the queue's bytes, in KiB, rounded up.
fn kibibytes(event: &NewEvent) -> u32 {
    u32::try_from(event.bytes() / 1024 + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
