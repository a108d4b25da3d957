//! The newest rows of the log, decoded once and shared by everyone who watches.
//!
//! Pure. The rows are contiguous and end at the newest one that the tail has read. What falls out at the front, because
//! there are too many rows or bytes, is read from the table by those who still need it; nothing here is needed for
//! completeness.

use std::{collections::VecDeque, mem::size_of, sync::Arc};

use crate::{
    model::{LogEntry, LogEvent},
    store::LogRow,
};

/// How much the ring holds at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Rows.
    pub(crate) rows_max: usize,
    /// Bytes of memory that the rows take.
    pub(crate) bytes_max: usize,
}

/// What the ring says of a row.
#[derive(Debug)]
pub(crate) enum Next {
    /// Here it is.
    Row(Arc<LogRow>),
    /// It is older than what the ring holds: read the table.
    Behind,
    /// The tail has not read it yet: wait until the ring changes.
    Wait,
}

/// The newest rows of the log.
#[derive(Debug)]
pub(crate) struct Ring {
    limits: Limits,
    /// The last row read, whether it is still held or not; `None` while nobody reads.
    head: Option<i64>,
    /// Those that end at `head`, without a gap.
    rows: VecDeque<Arc<LogRow>>,
    bytes: usize,
}

impl Ring {
    /// A ring that nobody fills yet.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, head: None, rows: VecDeque::new(), bytes: 0 }
    }

    /// Forgets everything; what follows row `head` will be pushed. `None`: nothing will be, for now.
    pub(crate) fn restart(&mut self, head: Option<i64>) {
        *self = Self { head, ..Self::new(self.limits) };
    }

    /// The last row read; `None` while nobody reads.
    pub(crate) fn head(&self) -> Option<i64> {
        self.head
    }

    /// Takes the next row in. If it does not follow the last one, the ring starts anew with it.
    pub(crate) fn push(&mut self, row: Arc<LogRow>) {
        if self.head.is_none_or(|head| head + 1 != row.seq) {
            self.restart(Some(row.seq - 1));
        }
        self.head = Some(row.seq);
        self.bytes += weight(&row);
        self.rows.push_back(row);
        while self.rows.len() > self.limits.rows_max || self.bytes > self.limits.bytes_max {
            let Some(oldest) = self.rows.pop_front() else { break };
            self.bytes -= weight(&oldest);
        }
    }

    /// Looks row `seq` up.
    pub(crate) fn row(&self, seq: i64) -> Next {
        let Some(head) = self.head else { return Next::Wait };
        if seq > head {
            return Next::Wait;
        }
        let from_end = usize::try_from(head - seq).unwrap_or(usize::MAX);
        let index = self.rows.len().checked_sub(1).and_then(|last| last.checked_sub(from_end));
        match index.and_then(|index| self.rows.get(index)) {
            Some(row) => Next::Row(row.clone()),
            None => Next::Behind,
        }
    }
}

/// The memory that a row takes, in bytes.
pub(crate) fn weight(row: &LogRow) -> usize {
    let events = row.body.events.iter().map(|event| size_of::<LogEvent>() + event.id.len() + event.event_type.len());
    size_of::<LogRow>() + row.body.entries.len() * size_of::<LogEntry>() + events.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{LogBody, Timestamp};

    fn row(seq: i64, entries: usize) -> Arc<LogRow> {
        let body = LogBody { events: Vec::new(), entries: vec![LogEntry::default(); entries] };
        Arc::new(LogRow { seq, time: Timestamp::from_micros(seq), mark: seq, body })
    }

    fn ring(rows_max: usize, bytes_max: usize) -> Ring {
        Ring::new(Limits { rows_max, bytes_max })
    }

    fn found(ring: &Ring, seq: i64) -> Option<i64> {
        match ring.row(seq) {
            Next::Row(row) => Some(row.seq),
            Next::Behind | Next::Wait => None,
        }
    }

    #[test]
    fn nobody_reading_means_wait_for_every_row() {
        let ring = ring(10, 10_000);
        assert!(matches!(ring.row(1), Next::Wait));
        assert_eq!(ring.head(), None);
    }

    #[test]
    fn rows_before_the_start_are_behind_and_after_the_head_are_awaited() {
        let mut ring = ring(10, 10_000);
        ring.restart(Some(7));
        assert!(matches!(ring.row(7), Next::Behind));
        assert!(matches!(ring.row(8), Next::Wait));
        ring.push(row(8, 1));
        assert!(matches!(ring.row(7), Next::Behind));
        assert_eq!(found(&ring, 8), Some(8));
        assert!(matches!(ring.row(9), Next::Wait));
    }

    #[test]
    fn oldest_rows_make_room_by_count_and_by_bytes() {
        let mut by_count = ring(2, usize::MAX);
        by_count.restart(Some(0));
        (1..=3).for_each(|seq| by_count.push(row(seq, 0)));
        assert!(matches!(by_count.row(1), Next::Behind));
        assert_eq!((found(&by_count, 2), found(&by_count, 3)), (Some(2), Some(3)));

        let mut by_bytes = ring(100, weight(&row(1, 4)) * 2);
        by_bytes.restart(Some(0));
        (1..=3).for_each(|seq| by_bytes.push(row(seq, 4)));
        assert!(matches!(by_bytes.row(1), Next::Behind));
        assert_eq!((found(&by_bytes, 2), found(&by_bytes, 3)), (Some(2), Some(3)));
    }

    #[test]
    fn row_too_large_for_the_ring_is_left_to_the_table() {
        let mut ring = ring(100, weight(&row(1, 4)));
        ring.restart(Some(0));
        ring.push(row(1, 4));
        ring.push(row(2, 5));
        assert!(matches!(ring.row(1), Next::Behind));
        assert!(matches!(ring.row(2), Next::Behind));
        assert_eq!(ring.head(), Some(2));
        ring.push(row(3, 1));
        assert_eq!(found(&ring, 3), Some(3));
        assert!(matches!(ring.row(2), Next::Behind));
    }

    #[test]
    fn row_that_does_not_follow_starts_the_ring_anew() {
        let mut ring = ring(100, 100_000);
        ring.restart(Some(0));
        ring.push(row(1, 1));
        ring.push(row(5, 1));
        assert!(matches!(ring.row(1), Next::Behind));
        assert!(matches!(ring.row(4), Next::Behind));
        assert_eq!(found(&ring, 5), Some(5));
    }

    proptest! {
        #[test]
        fn limits_hold_and_no_row_is_mistaken_for_another(
            sizes in prop::collection::vec(0_usize..20, 1..60), rows_max in 0_usize..10, bytes_max in 0_usize..6_000,
        ) {
            let mut ring = ring(rows_max, bytes_max);
            ring.restart(Some(0));
            for (seq, size) in (1..).zip(&sizes) {
                ring.push(row(seq, *size));
                prop_assert!(ring.rows.len() <= rows_max);
                prop_assert!(ring.bytes <= bytes_max);
                prop_assert_eq!(ring.bytes, ring.rows.iter().map(|row| weight(row)).sum::<usize>());
                for other in 1..=seq {
                    prop_assert!(found(&ring, other).is_none_or(|found| found == other));
                }
                prop_assert!(matches!(ring.row(seq + 1), Next::Wait));
            }
        }
    }
}
