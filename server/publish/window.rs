//! What a stream has taken in and not acknowledged yet: bounded, in the order of the requests.
//!
//! Answers come in any order and are sent in that of the requests, as many at once as are there: a turn answers hundreds
//! of events in one go, and each message by itself would wake its reader as often.

use std::{
    collections::VecDeque,
    future::{Future as _, poll_fn},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{PublishError, Published, Warning, queue::Answer};

/// Acknowledgements sent at once at most.
const SENT_AT_ONCE_MAX: usize = 256;

/// What became of one request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome<R> {
    /// It was published, with these warnings, or could not be.
    Answered(Result<Published, PublishError>, Vec<Warning>),
    /// It was no event.
    Refused(R),
}

/// What became of one request, and which it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Acknowledgement<R> {
    /// The request's number, from 1.
    pub(crate) sequence: i64,
    /// What became of it.
    pub(crate) outcome: Outcome<R>,
}

/// The reader of the acknowledgements made no progress for too long.
#[derive(Debug)]
pub(super) struct Stalled;

/// What is unacknowledged of one stream.
#[derive(Debug)]
pub(super) struct Window<R> {
    waiting: VecDeque<Waiting<R>>,
    /// Of what waits, as its publishers count it.
    bytes: usize,
    events_max: usize,
    bytes_max: usize,
    /// The number of the request acknowledged last.
    sequence: i64,
    acknowledgements: mpsc::Sender<Vec<Acknowledgement<R>>>,
    stall: Duration,
    /// When the reader is left, if it makes no progress until then.
    left_at: Option<Instant>,
}

#[derive(Debug)]
struct Waiting<R> {
    bytes: usize,
    state: State<R>,
}

#[derive(Debug)]
enum State<R> {
    Submitted(Answer, Vec<Warning>),
    Over(Outcome<R>),
}

impl<R> Window<R> {
    pub(super) fn new(
        events_max: usize,
        bytes_max: usize,
        stall: Duration,
        acknowledgements: mpsc::Sender<Vec<Acknowledgement<R>>>,
    ) -> Self {
        let waiting = VecDeque::new();
        Self { waiting, bytes: 0, events_max, bytes_max, sequence: 0, acknowledgements, stall, left_at: None }
    }

    /// Whether another request may be taken in.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < self.events_max && self.bytes < self.bytes_max
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds an event that was submitted.
    pub(super) fn submitted(&mut self, bytes: usize, answer: Answer, warnings: Vec<Warning>) {
        self.bytes += bytes;
        self.waiting.push_back(Waiting { bytes, state: State::Submitted(answer, warnings) });
    }

    /// Adds a request that is refused.
    pub(super) fn refused(&mut self, refusal: R) {
        self.waiting.push_back(Waiting { bytes: 0, state: State::Over(Outcome::Refused(refusal)) });
    }

    /// Waits until the first request is over, and sends its acknowledgement with those behind it that are over too. Never
    /// completes if nothing waits. Nothing is lost when the wait is given up.
    pub(super) async fn acknowledge(&mut self) -> Result<(), Stalled> {
        poll_fn(|cx| self.waiting.front_mut().map_or(Poll::Pending, |first| first.poll(cx))).await;
        if self.acknowledgements.capacity() == 0 {
            let left_at = *self.left_at.get_or_insert_with(|| Instant::now() + self.stall);
            // A reader that has gone away is noticed by whoever runs the stream.
            drop(timeout_at(left_at, self.acknowledgements.reserve()).await.map_err(|_| Stalled)?);
        }
        self.left_at = None;
        let over = self.take_over();
        // There is room: only this window fills the channel, and it has looked.
        let sent = self.acknowledgements.try_send(over);
        debug_assert!(!matches!(sent, Err(mpsc::error::TrySendError::Full(_))), "room was made before");
        Ok(())
    }

    /// Takes the requests that are over, up to the first that is not.
    fn take_over(&mut self) -> Vec<Acknowledgement<R>> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut over = Vec::new();
        while over.len() < SENT_AT_ONCE_MAX
            && let Some(first) = self.waiting.pop_front_if(|first| first.poll(&mut cx).is_ready())
        {
            self.bytes -= first.bytes;
            self.sequence += 1;
            if let State::Over(outcome) = first.state {
                over.push(Acknowledgement { sequence: self.sequence, outcome });
            }
        }
        over
    }
}

impl<R> Waiting<R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let State::Submitted(answer, warnings) = &mut self.state {
            let Poll::Ready(answer) = Pin::new(answer).poll(cx) else { return Poll::Pending };
            self.state = State::Over(Outcome::Answered(answer, std::mem::take(warnings)));
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests;
