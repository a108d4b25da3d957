//! Reads the log from its table for streams: where they start, and what is older than the ring.
//!
//! However many streams there are, only a few of them read at a time; the others wait their turn.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::Semaphore;

use super::{Start, WatchError, token::Position};
use crate::{
    model::Timestamp,
    store::{self, Conn, Db, LogRow, log},
};

/// How many streams read at once. There are four connections for reading; lists and the tail need the others.
const READERS_MAX: usize = 2;

/// A page is at most this many rows …
const PAGE_ROWS_MAX: i64 = 128;
/// … and, but for its first row, this many bytes as they are stored.
const PAGE_BYTES_MAX: i64 = 256 * 1024;

/// The log's table. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    db: Db,
    readers: Arc<Semaphore>,
}

/// A place in the log, and when what precedes it was committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) position: Position,
    pub(crate) time: Timestamp,
}

/// Where a stream is to start, its token read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    Now,
    Time(Timestamp),
    Oldest,
    After(Position),
}

/// Why the log cannot be read on from a position.
#[derive(Clone, Copy, Debug)]
enum Lost {
    Expired,
    Rewound,
}

impl Origin {
    /// Reads the token of `start`, if it has one, with `read`.
    pub(crate) fn new(start: Start, read: impl FnOnce(&str) -> Option<Position>) -> Result<Self, WatchError> {
        Ok(match start {
            Start::Now => Self::Now,
            Start::Time(time) => Self::Time(time),
            Start::Oldest => Self::Oldest,
            Start::Token(token) => Self::After(read(&token).ok_or(WatchError::InvalidToken)?),
        })
    }
}

impl Table {
    /// The table of this database's log.
    pub(crate) fn new(db: Db) -> Self {
        Self { db, readers: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    /// Finds the place to start from.
    pub(crate) async fn locate(&self, origin: Origin) -> Result<Place, WatchError> {
        let place = self.read(move |conn| locate(conn, origin).boxed()).await?;
        place.map_err(|lost| match lost {
            Lost::Expired => WatchError::Expired,
            Lost::Rewound => WatchError::Rewound,
        })
    }

    /// A page of rows that begins with row `seq`.
    ///
    /// # Errors
    /// [`WatchError::Expired`] if row `seq` is not kept any more.
    pub(crate) async fn page(&self, seq: i64) -> Result<Vec<LogRow>, WatchError> {
        let rows = self.read(move |conn| page_after(conn, seq.saturating_sub(1)).boxed()).await?;
        if rows.first().is_some_and(|row| row.seq == seq) { Ok(rows) } else { Err(WatchError::Expired) }
    }

    async fn read<T, F>(&self, unit: F) -> Result<T, WatchError>
    where
        T: Send + 'static,
        F: for<'conn> FnOnce(&'conn mut Conn) -> BoxFuture<'conn, store::Result<T>> + Send + 'static,
    {
        let Ok(permit) = self.readers.clone().acquire_owned().await else { return Err(WatchError::ShuttingDown) };
        let read = self.db.read(move |conn| {
            let unit = unit(conn);
            // Moved into the unit, which runs to its end even if the stream goes away.
            async move {
                let _permit = permit;
                unit.await
            }
            .boxed()
        });
        Ok(read.await?)
    }
}

/// A page of the rows after `seq`, whichever is the first of them.
pub(crate) async fn page_after(conn: &mut Conn, seq: i64) -> store::Result<Vec<LogRow>> {
    log::after(conn, seq, PAGE_ROWS_MAX, PAGE_BYTES_MAX).await
}

async fn locate(conn: &mut Conn, origin: Origin) -> store::Result<Result<Place, Lost>> {
    match origin {
        Origin::Now => {
            let (seq, time, mark) = log::head(conn).await?;
            Ok(Ok(Place { position: whole(seq, mark), time }))
        }
        Origin::Time(start) => {
            let seq = log::last_before(conn, start).await?;
            // Also keeps out what is committed before `start` while that is still to come.
            after_row(conn, seq)
                .await
                .map(|place| Ok(Place { position: Position { not_before: start, ..place.position }, ..place }))
        }
        Origin::Oldest => {
            let (seq, ..) = log::oldest(conn).await?;
            after_row(conn, seq - 1).await.map(Ok)
        }
        Origin::After(position) => resume(conn, position).await,
    }
}

fn whole(seq: i64, mark: i64) -> Position {
    Position { seq, mark, index: None, not_before: Timestamp::default() }
}

/// The place after row `seq`, which is kept, or is the one before the oldest.
async fn after_row(conn: &mut Conn, seq: i64) -> store::Result<Place> {
    if let Some((time, mark)) = log::stamp(conn, seq).await? {
        return Ok(Place { position: whole(seq, mark), time });
    }
    // What precedes is gone. The oldest row's own time is the latest that is not after anything that follows.
    let (oldest, time, _) = log::oldest(conn).await?;
    Ok(Place { position: whole(oldest - 1, 0), time })
}

async fn resume(conn: &mut Conn, position: Position) -> store::Result<Result<Place, Lost>> {
    let (head, ..) = log::head(conn).await?;
    if position.seq > head {
        return Ok(Err(Lost::Rewound));
    }
    if let Some((time, mark)) = log::stamp(conn, position.seq).await? {
        return Ok(if mark == position.mark { Ok(Place { position, time }) } else { Err(Lost::Rewound) });
    }
    // The row is gone. That does not matter if it was consumed whole and the next one is there.
    match log::stamp(conn, position.next_seq()).await? {
        Some((time, _)) => Ok(Ok(Place { position, time })),
        None => Ok(Err(Lost::Expired)),
    }
}
