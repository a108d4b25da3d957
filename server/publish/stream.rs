//! Streams of events: as many as their window holds are taken in ahead of their acknowledgements.
//!
//! A stream that may take in no more, because its window or the queue is full, stops reading; the transport's flow control
//! carries that to the publisher. It never stops acknowledging while it waits for room, nor waits for its reader while it
//! holds a place in the queue, so that neither side can hold the other up. What a stream has submitted is stored even if
//! the stream breaks: its publisher sends what was not acknowledged again, under the same ids.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{
    Publisher,
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

/// What a request is read as.
#[derive(Debug)]
pub(crate) enum Request<R, E> {
    /// An event.
    Event(NewEvent),
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

    /// Publishes what `requests` hold as `read` reads them, and acknowledges each, in their order. An error is the last
    /// thing that is yielded; without one, all requests are acknowledged.
    ///
    /// # Errors
    /// [`StreamEnd::TooMany`] or [`StreamEnd::ShuttingDown`].
    pub(crate) fn open<S, F, Q, E, R>(
        &self,
        requests: S,
        read: F,
    ) -> Result<impl Stream<Item = Result<Acknowledgement<R>, StreamEnd<E>>> + Send + use<S, F, Q, E, R>, StreamEnd<E>>
    where
        S: Stream<Item = Result<Q, E>> + Send + Unpin + 'static,
        F: FnMut(Q) -> Request<R, E> + Send + 'static,
        Q: Send + 'static,
        E: Send + 'static,
        R: Send + 'static,
    {
        if self.shutdown.is_cancelled() {
            return Err(StreamEnd::ShuttingDown);
        }
        let open = self.open.clone().try_acquire_owned().map_err(|_| StreamEnd::TooMany)?;
        let StreamLimits { events_max, bytes_max, stall, .. } = self.limits;
        let (acknowledgements, received) = mpsc::channel(BUNDLES_MAX);
        let intake = Intake {
            requests,
            read,
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
struct Intake<S, F, R> {
    requests: S,
    read: F,
    publisher: Publisher,
    window: Window<R>,
    shutdown: CancellationToken,
    /// Counts the stream as open.
    _open: OwnedSemaphorePermit,
}

impl<S, F, R, Q, E> Intake<S, F, R>
where
    S: Stream<Item = Result<Q, E>> + Unpin,
    F: FnMut(Q) -> Request<R, E>,
{
    /// Takes in and acknowledges until something ends the stream, and acknowledges the rest. Returns what ended it, or
    /// `None` if the publisher did.
    async fn run(mut self) -> Option<StreamEnd<E>> {
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

    async fn take_in(&mut self) -> Option<StreamEnd<E>> {
        let Self { requests, read, publisher, window, shutdown, .. } = self;
        let mut stopping = pin!(shutdown.cancelled());
        loop {
            let request = tokio::select! {
                biased;
                () = &mut stopping => return Some(StreamEnd::ShuttingDown),
                // What is there is taken in before anything is acknowledged, so that a turn gets all of it.
                request = requests.next(), if window.has_room() => request,
                stalled = window.acknowledge() => match stalled {
                    Ok(()) => continue,
                    Err(Stalled) => return Some(StreamEnd::SlowConsumer),
                },
            };
            let event = match request.map(|request| request.map(&mut *read)) {
                None => return None,
                Some(Err(end) | Ok(Request::End(end))) => return Some(StreamEnd::Requests(end)),
                Some(Ok(Request::Refused(refusal))) => {
                    window.refused(refusal);
                    continue;
                }
                Some(Ok(Request::Event(event))) => event,
            };
            let bytes = event.bytes();
            let mut submitting = pin!(publisher.submit_streamed(event));
            let answer = loop {
                tokio::select! {
                    biased;
                    answer = &mut submitting => break answer,
                    // The event was not taken, and so is not acknowledged.
                    () = &mut stopping => return Some(StreamEnd::ShuttingDown),
                    stalled = window.acknowledge() => match stalled {
                        Ok(()) => {}
                        Err(Stalled) => return Some(StreamEnd::SlowConsumer),
                    },
                }
            };
            match answer {
                Ok(answer) => window.submitted(bytes, answer),
                Err(_) => return Some(StreamEnd::ShuttingDown),
            }
        }
    }
}

#[cfg(test)]
mod tests;
