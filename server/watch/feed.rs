//! One stream's work: find the next row, send what the filter selects of it, remember how far that was.
//!
//! Catching up and live are one path: a row comes from the ring if it is there and from the table if it is older. While
//! it waits for its reader a stream holds nothing but a few messages: no row of the ring, and a page of the table only
//! for as long as a reader that keeps up would make it wait.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    WatchError, WatchItem, WatchMessage,
    filter::{Selector, message},
    live::Ear,
    ring::Next,
    table::{Place, Table},
    token::Tokens,
};
use crate::{faults::panic_point, model::Timestamp, store::LogRow};

/// How many messages wait for their reader.
pub(crate) const MESSAGES_MAX: usize = 32;

/// How long a stream that waits for its reader holds on to a page of the table.
const PATIENCE: Duration = Duration::from_millis(500);

/// One stream.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) selector: Selector,
    pub(crate) tokens: Tokens,
    /// How far the stream has come.
    pub(crate) place: Place,
    /// Tells where the next row is that may concern the stream, and wakes it.
    pub(crate) ear: Ear,
    pub(crate) table: Table,
    /// Rows read from the table, not consumed yet.
    pub(crate) page: VecDeque<Arc<LogRow>>,
    pub(crate) messages: mpsc::Sender<WatchItem>,
    /// After this long without a message a heartbeat is sent.
    pub(crate) heartbeat: Duration,
    pub(crate) heartbeat_at: Instant,
    /// A reader that takes nothing for this long is left.
    pub(crate) stall: Duration,
    pub(crate) shutdown: CancellationToken,
    /// Counts the stream as open.
    pub(crate) _open: OwnedSemaphorePermit,
}

impl Feed {
    /// Sends until something ends the stream: returns what, or `None` if the reader went away.
    pub(crate) async fn run(mut self) -> Option<WatchError> {
        let (shutdown, messages) = (self.shutdown.clone(), self.messages.clone());
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Some(WatchError::ShuttingDown),
            () = messages.closed() => None,
            error = self.send_on() => Some(error),
        }
    }

    async fn send_on(&mut self) -> WatchError {
        panic_point!("watching");
        // The first message is a heartbeat: it says from where on everything will be sent.
        self.heartbeat_at = Instant::now();
        loop {
            if let Err(error) = self.step().await {
                return error;
            }
            // A long way through rows that nobody here wants must not keep a thread for itself.
            tokio::task::consume_budget().await;
        }
    }

    async fn step(&mut self) -> Result<(), WatchError> {
        self.room().await?;
        if Instant::now() >= self.heartbeat_at {
            self.pass_silence();
            self.send(WatchMessage::Heartbeat);
            return Ok(());
        }
        match self.next_row().await? {
            Some(row) => self.send_selected(&row),
            None => {
                // Completes at either: there is something to look at.
                let _ = timeout_at(self.heartbeat_at, self.ear.rung()).await;
            }
        }
        Ok(())
    }

    /// Waits until there is room for a message.
    pub(super) async fn room(&mut self) -> Result<(), WatchError> {
        let patience = PATIENCE.min(self.stall);
        if timeout(patience, self.messages.reserve()).await.is_ok() {
            return Ok(());
        }
        self.page = VecDeque::new();
        match timeout(self.stall.saturating_sub(patience), self.messages.reserve()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(WatchError::SlowConsumer { resume_token: self.tokens.write(&self.place.position) }),
        }
    }

    /// Passes the rows that are there and do not concern the stream.
    fn pass_silence(&mut self) {
        if let Some(row) = self.ear.silence(self.place.position.next_seq()) {
            self.advance(&row, None);
        }
    }

    /// The row to go on with; `None` if it is not committed yet. Rows that do not concern the stream are passed over, and
    /// the place does not move on with them: they are looked at no more, unless somebody resumes from it.
    async fn next_row(&mut self) -> Result<Option<Arc<LogRow>>, WatchError> {
        // What is pushed from here on rings, and so ends the wait for it.
        let (seq, next) = self.ear.next(self.place.position.next_seq());
        while self.page.front().is_some_and(|row| row.seq < seq) {
            self.page.pop_front();
        }
        if let Some(row) = self.page.front() {
            return Ok(Some(row.clone()));
        }
        match next {
            Next::Row(row) => Ok(Some(row)),
            Next::Wait => Ok(None),
            Next::Behind => {
                self.page = self.table.page(seq).await?.into_iter().map(Arc::new).collect();
                Ok(self.page.front().cloned())
            }
        }
    }

    /// Sends what is selected of the rest of a row, as far as there is room.
    fn send_selected(&mut self, row: &LogRow) {
        let begun = self.place.position.seq == row.seq;
        let mut index = match self.place.position.index {
            Some(index) if begun => self.selected_from(row, index as usize + 1),
            _ => self.selected_from(row, 0),
        };
        while let Some(present) = index {
            if self.messages.capacity() == 0 {
                return;
            }
            index = self.selected_from(row, present + 1);
            // With its last selected transition the whole row is consumed.
            let consumed = index.and_then(|_| u32::try_from(present).ok());
            self.advance(row, consumed);
            if let Some(message) = message(&row.body, present) {
                self.send(message);
            }
        }
        self.advance(row, None);
    }

    /// The first selected transition of a row that is not before `from`.
    fn selected_from(&self, row: &LogRow, from: usize) -> Option<usize> {
        if row.time < self.place.position.not_before {
            return None;
        }
        (from..row.body.entries.len()).find(|index| self.selector.selects(&row.body, *index))
    }

    fn advance(&mut self, row: &LogRow, index: Option<u32>) {
        let position = super::token::Position { seq: row.seq, mark: row.mark, index, ..self.place.position };
        self.place = Place { position, time: row.time };
    }

    /// Sends a message with the token of the present place. There is room: only this stream fills the channel, and it
    /// has looked.
    fn send(&mut self, message: WatchMessage) {
        let resume_token = self.tokens.write(&self.place.position);
        let time: Timestamp = self.place.time;
        let sent = self.messages.try_send(WatchItem { resume_token, time, message });
        debug_assert!(!matches!(sent, Err(mpsc::error::TrySendError::Full(_))), "room was made before");
        self.heartbeat_at = Instant::now() + self.heartbeat;
    }
}
