//! Watching: streams of what was committed, in the order of commits, without gap or repeat, resumable exactly.
//!
//! A stream is a place in the log. [`Tail`] reads each new row once into a ring that all streams share; a stream that is
//! older than the ring reads the table, and one that a row does not concern is not woken by it (`bells`). What comes from memory is only ever a copy of what the table says, so starting,
//! resuming, catching up and being live are one path (`feed`). A reader that is slow, or gone, costs a few messages.

mod bells;
mod feed;
mod filter;
mod live;
mod ring;
mod table;
mod tail;
#[cfg(test)]
mod tests;
mod token;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::{
    sync::{Notify, Semaphore, mpsc, watch},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

pub use self::tail::Tail;
use self::{
    feed::{Feed, MESSAGES_MAX},
    filter::Selector,
    live::{Ear, Live},
    ring::Limits,
    table::{Origin, Table},
    token::Tokens,
};
pub use crate::store::LOG_BEGAN;
use crate::{
    model::{DeliveryFilter, LogEntry, LogEvent, TenantKey, Timestamp},
    signal::Head,
    store::{self, Db},
};

/// How watching behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a stream is silent before it sends a heartbeat. Default 15 s.
    pub heartbeat: Duration,
    /// How long a reader may take nothing before its stream is ended. Default 10 min.
    pub stall: Duration,
    /// How often the log is looked at without being told to. Default 1 s.
    pub poll: Duration,
    /// Streams open at once. Default 1,000.
    pub streams_max: usize,
    /// Rows that all streams share in memory. Default 4,096.
    pub ring_rows_max: usize,
    /// Bytes that those rows take. Default 16 MiB.
    pub ring_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            stall: Duration::from_secs(600),
            poll: Duration::from_secs(1),
            streams_max: 1_000,
            ring_rows_max: 4_096,
            ring_bytes_max: 16 * 1024 * 1024,
        }
    }
}

/// Opens streams. Cheap to clone.
#[derive(Clone)]
pub struct Watch {
    table: Table,
    live: Arc<watch::Sender<Live>>,
    demand: Arc<Notify>,
    open: Arc<Semaphore>,
    token_key: Zeroizing<[u8; 32]>,
    heartbeat: Duration,
    stall: Duration,
    shutdown: CancellationToken,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("available", &self.open.available_permits()).finish_non_exhaustive()
    }
}

/// Where a stream starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what is committed from now on.
    Now,
    /// With the first transition committed at or after this time, past or future.
    Time(Timestamp),
    /// With the oldest transition kept.
    Oldest,
    /// Right after the message that carried this token.
    Token(String),
}

/// One message of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchItem {
    /// Starts a stream right after this message.
    pub resume_token: String,
    /// When what the message tells was committed; for a heartbeat, the latest commit that the stream has passed, or
    /// [`LOG_BEGAN`]. Never falls.
    pub time: Timestamp,
    /// What the message tells.
    pub message: WatchMessage,
}

/// What a message tells.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchMessage {
    /// A delivery changed.
    Delivery {
        /// Its event.
        event: LogEvent,
        /// The transition.
        entry: LogEntry,
    },
    /// An endpoint changed.
    Endpoint(LogEntry),
    /// Nothing that the filter selects happened for a while, or the stream has just begun.
    Heartbeat,
}

/// Why a stream is not opened, or ends. Whatever ends it, the last message's token resumes it.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The token is not one of this database's, tenant's and filter's.
    #[error("the resume token is not one that a stream with this tenant and filter returned")]
    InvalidToken,
    /// What follows the token is not kept any more.
    #[error("what follows the resume token is no longer kept")]
    Expired,
    /// The database was restored to a state before the token.
    #[error("the database was restored to a state before the resume token")]
    Rewound,
    /// As many streams are open as may be.
    #[error("as many streams are open as the server allows")]
    TooManyStreams,
    /// The reader took nothing for too long.
    #[error("the stream's reader made no progress for too long")]
    SlowConsumer {
        /// Resumes after the last message that was sent.
        resume_token: String,
    },
    /// The server is stopping.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The log could not be read.
    #[error(transparent)]
    Storage(#[from] store::Error),
    /// The stream's task panicked.
    #[error("the stream failed")]
    Panicked,
}

impl Watch {
    /// Streams of the log of `db`, and the tail that they need: spawn its [`Tail::run`].
    ///
    /// `head` announces commits, `token_key` authenticates resume tokens, and `shutdown` ends every stream with
    /// [`WatchError::ShuttingDown`].
    pub fn new(
        config: &Config,
        db: Db,
        head: Head,
        token_key: Zeroizing<[u8; 32]>,
        shutdown: CancellationToken,
    ) -> (Self, Tail) {
        let limits = Limits { rows_max: config.ring_rows_max, bytes_max: config.ring_bytes_max };
        let live = Arc::new(watch::Sender::new(Live::new(limits)));
        let demand = Arc::new(Notify::new());
        let tail = Tail { db: db.clone(), head, live: live.clone(), demand: demand.clone(), poll: config.poll };
        let watch = Self {
            table: Table::new(db),
            live,
            demand,
            open: Arc::new(Semaphore::new(config.streams_max)),
            token_key,
            heartbeat: config.heartbeat,
            stall: config.stall,
            shutdown,
        };
        (watch, tail)
    }

    /// Opens a stream of what `filter` selects of the tenant's. Its first message is a heartbeat: what is committed after
    /// it will be sent. An error is the last thing that it yields; it never just ends.
    ///
    /// # Errors
    /// [`WatchError::InvalidToken`], [`WatchError::Expired`], [`WatchError::Rewound`], [`WatchError::TooManyStreams`],
    /// [`WatchError::ShuttingDown`] or [`WatchError::Storage`].
    pub async fn subscribe(
        &self,
        tenant: TenantKey,
        filter: &DeliveryFilter,
        start: Start,
    ) -> Result<impl Stream<Item = Result<WatchItem, WatchError>> + Send + use<>, WatchError> {
        if self.shutdown.is_cancelled() {
            return Err(WatchError::ShuttingDown);
        }
        let open = self.open.clone().try_acquire_owned().map_err(|_| WatchError::TooManyStreams)?;
        let selector = Selector::new(tenant, filter);
        let tokens = Tokens::new(&self.token_key, &selector);
        let place = self.table.locate(Origin::new(start, |token| tokens.read(token))?).await?;
        let (messages, received) = mpsc::channel(MESSAGES_MAX);
        let ear = Ear::new(&self.live, &selector);
        self.demand.notify_one();
        let feed = Feed {
            selector,
            tokens,
            place,
            ear,
            table: self.table.clone(),
            page: VecDeque::new(),
            messages,
            heartbeat: self.heartbeat,
            heartbeat_at: Instant::now(),
            stall: self.stall,
            shutdown: self.shutdown.clone(),
            _open: open,
        };
        // A task of its own notices a reader that stalls; it ends with the stream, and by `shutdown`.
        let feed = tokio::spawn(feed.run());
        let end = stream::once(feed).filter_map(async |end| end.unwrap_or(Some(WatchError::Panicked)));
        Ok(ReceiverStream::new(received).map(Ok).chain(end.map(Err)))
    }
}
