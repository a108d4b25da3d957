//! Streams of events: as many as their window holds are taken in ahead of their acknowledgements.
//!
//! A stream that may take in no more, because its window or the queue is full, stops reading; the transport's flow control
//! carries that to the publisher. It never stops acknowledging while it waits for room, nor waits for its reader while it
//! holds a place in the queue, so that neither side can hold the other up. What a stream has submitted is stored even if
//! the stream breaks: its publisher sends what was not acknowledged again, under the same ids.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{
    Publisher, Warning,
    queue::Answer,
    window::{Acknowledgement, Stalled, Window},
};
use crate::model::NewEvent;

/// Bundles of acknowledgements that wait for their reader.
const BUNDLES_MAX: usize = 1;

/// How much streams of events may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Streams open at once. Default 256.
    pub streams_max: usize,
    /// Events of one stream that are not acknowledged. Default 1,024: two turns' worth, so that one can be written while
    /// the next gathers.
    pub events_max: usize,
    /// Payloads and labels of one stream that are not acknowledged, in bytes; the last event may go beyond it. Default
    /// 8 MiB, what a turn takes.
    pub bytes_max: usize,
    /// How long a reader may leave acknowledgements unread before its stream is ended. Default 10 min.
    pub stall: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self { streams_max: 256, events_max: 1_024, bytes_max: 8 << 20, stall: Duration::from_secs(600) }
    }
}

/// How the requests of one stream are read.
pub(crate) trait Reader<Q>: Send + 'static {
    /// Why a request is refused.
    type Refusal: Send + 'static;
    /// Why the stream cannot go on.
    type End: Send + 'static;

    /// Reads the next request. Whatever it waits for, acknowledgements go on meanwhile; if it is given up, the request
    /// was not taken.
    fn read(&mut self, request: Q) -> impl Future<Output = Request<Self::Refusal, Self::End>> + Send;
}

/// What a request is read as.
#[derive(Debug)]
pub(crate) enum Request<R, E> {
    /// An event, and what its publisher is to be warned of.
    Event(NewEvent, Vec<Warning>),
    /// Something that is refused, and the stream goes on.
    Refused(R),
    /// Something after which the stream cannot go on.
    End(E),
}

/// Why a stream ends before its publisher closes it.
#[derive(Debug)]
pub(crate) enum StreamEnd<E> {
    /// As many streams are open as may be.
    TooMany,
    /// Its requests came to a bad end.
    Requests(E),
    /// Acknowledgements were not read for too long.
    SlowConsumer,
    /// The server is stopping.
    ShuttingDown,
    /// The stream's task panicked.
    Panicked,
}

/// What a stream yields whose requests `R` reads.
pub(crate) type Item<Q, R> = Result<Acknowledgement<<R as Reader<Q>>::Refusal>, StreamEnd<<R as Reader<Q>>::End>>;

/// Opens streams. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct PublishStreams {
    publisher: Publisher,
    limits: StreamLimits,
    open: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl PublishStreams {
    /// Streams into `publisher`'s queue. `shutdown` ends them, once what they have taken in is acknowledged.
    pub(crate) fn new(publisher: Publisher, limits: StreamLimits, shutdown: CancellationToken) -> Self {
        Self { publisher, limits, open: Arc::new(Semaphore::new(limits.streams_max)), shutdown }
    }

    /// Publishes what `requests` hold as `reader` reads them, and acknowledges each, in their order. An error is the last
    /// thing that is yielded; without one, all requests are acknowledged.
    ///
    /// # Errors
    /// [`StreamEnd::TooMany`] or [`StreamEnd::ShuttingDown`].
    pub(crate) fn open<S, Q, R>(
        &self,
        requests: S,
        reader: R,
    ) -> Result<impl Stream<Item = Item<Q, R>> + Send + use<S, Q, R>, StreamEnd<R::End>>
    where
        S: Stream<Item = Result<Q, R::End>> + Send + Unpin + 'static,
        Q: Send + 'static,
        R: Reader<Q>,
    {
        if self.shutdown.is_cancelled() {
            return Err(StreamEnd::ShuttingDown);
        }
        let open = self.open.clone().try_acquire_owned().map_err(|_| StreamEnd::TooMany)?;
        let StreamLimits { events_max, bytes_max, stall, .. } = self.limits;
        let (acknowledgements, received) = mpsc::channel(BUNDLES_MAX);
        let intake = Intake {
            requests,
            reader,
            publisher: self.publisher.clone(),
            window: Window::new(events_max, bytes_max, stall, acknowledgements.clone()),
            shutdown: self.shutdown.clone(),
            _open: open,
        };
        // A task of its own goes on submitting what was taken in and notices a reader that stalls; it ends with the
        // stream, and by `shutdown`.
        let intake = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = acknowledgements.closed() => None,
                end = intake.run() => end,
            }
        });
        let end = stream::once(intake).filter_map(async |end| end.unwrap_or(Some(StreamEnd::Panicked)));
        Ok(ReceiverStream::new(received).flat_map(stream::iter).map(Ok).chain(end.map(Err)))
    }
}

/// One stream's work.
struct Intake<S, R, F> {
    requests: S,
    reader: R,
    publisher: Publisher,
    window: Window<F>,
    shutdown: CancellationToken,
    /// Counts the stream as open.
    _open: OwnedSemaphorePermit,
}

/// What became of a request that was read.
enum Taken<F, E> {
    Submitted(usize, Answer, Vec<Warning>),
    Refused(F),
    End(StreamEnd<E>),
}

impl<S, Q, R> Intake<S, R, R::Refusal>
where
    S: Stream<Item = Result<Q, R::End>> + Unpin,
    R: Reader<Q>,
{
    /// Takes in and acknowledges until something ends the stream, and acknowledges the rest. Returns what ended it, or
    /// `None` if the publisher did.
    async fn run(mut self) -> Option<StreamEnd<R::End>> {
        let end = self.take_in().await;
        if matches!(end, Some(StreamEnd::SlowConsumer)) {
            return end;
        }
        while !self.window.is_empty() {
            if let Err(Stalled) = self.window.acknowledge().await {
                return Some(StreamEnd::SlowConsumer);
            }
        }
        end
    }

    async fn take_in(&mut self) -> Option<StreamEnd<R::End>> {
        let Self { requests, reader, publisher, window, shutdown, .. } = self;
        let mut stopping = pin!(shutdown.cancelled());
        loop {
            let request = tokio::select! {
                biased;
                () = &mut stopping => return Some(StreamEnd::ShuttingDown),
                // What is there is taken in before anything is acknowledged, so that a turn gets all of it.
                request = requests.next(), if window.has_room() => request,
                acknowledged = window.acknowledge() => match acknowledged {
                    Ok(()) => continue,
                    Err(Stalled) => return Some(StreamEnd::SlowConsumer),
                },
            };
            let request = match request {
                None => return None,
                Some(Err(end)) => return Some(StreamEnd::Requests(end)),
                Some(Ok(request)) => request,
            };
            let mut taking = pin!(take(reader, publisher, request));
            let taken = loop {
                tokio::select! {
                    biased;
                    taken = &mut taking => break taken,
                    // The event was not taken, and so is not acknowledged.
                    () = &mut stopping => return Some(StreamEnd::ShuttingDown),
                    acknowledged = window.acknowledge() => match acknowledged {
                        Ok(()) => {}
                        Err(Stalled) => return Some(StreamEnd::SlowConsumer),
                    },
                }
            };
            match taken {
                Taken::Submitted(bytes, answer, warnings) => window.submitted(bytes, answer, warnings),
                Taken::Refused(refusal) => window.refused(refusal),
                Taken::End(end) => return Some(end),
            }
        }
    }
}

/// Reads a request and submits the event that it is.
async fn take<Q, R: Reader<Q>>(reader: &mut R, publisher: &Publisher, request: Q) -> Taken<R::Refusal, R::End> {
    match reader.read(request).await {
        Request::Event(event, warnings) => {
            let bytes = event.bytes();
            match publisher.submit_streamed(event).await {
                Ok(answer) => Taken::Submitted(bytes, answer, warnings),
                Err(_) => Taken::End(StreamEnd::ShuttingDown),
            }
        }
        Request::Refused(refusal) => Taken::Refused(refusal),
        Request::End(end) => Taken::End(StreamEnd::Requests(end)),
    }
}

#[cfg(test)]
mod tests;
