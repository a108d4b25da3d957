//! What is live: the ring of the newest rows and the bells of the streams, under one lock, so that whoever looks at a row
//! knows who was told of it.

use std::sync::Arc;

use tokio::sync::watch;

use super::{
    bells::{Bell, Bells},
    filter::Selector,
    ring::{Limits, Next, Ring},
};
use crate::store::LogRow;

/// The newest rows and the bells. The tail changes it, streams read it.
#[derive(Debug)]
pub(crate) struct Live {
    ring: Ring,
    bells: Bells,
}

impl Live {
    /// A ring that nobody fills yet, and no bells.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { ring: Ring::new(limits), bells: Bells::default() }
    }

    /// Forgets all rows; what follows row `head` will be pushed. `None`: nothing will be, for now.
    pub(crate) fn restart(&mut self, head: Option<i64>) {
        self.ring.restart(head);
        self.bells.blind(blind_to(head));
    }

    /// Takes the next row in, and rings the bells of those that it may concern.
    pub(crate) fn push(&mut self, row: Arc<LogRow>) {
        if self.ring.head().is_none_or(|head| head + 1 != row.seq) {
            self.restart(Some(row.seq - 1));
        }
        self.ring.push(row.clone());
        self.bells.ring(&row);
    }

    /// The last row read; `None` while nobody reads.
    pub(crate) fn head(&self) -> Option<i64> {
        self.ring.head()
    }

    /// Looks row `seq` up.
    #[cfg(test)]
    pub(crate) fn row(&self, seq: i64) -> Next {
        self.ring.row(seq)
    }
}

/// While nobody reads, no row that follows is known.
fn blind_to(head: Option<i64>) -> i64 {
    head.unwrap_or(i64::MAX)
}

/// A stream's ear: tells it what follows, and when. Takes its bell down when it is dropped.
#[derive(Debug)]
pub(crate) struct Ear {
    /// Also counts as somebody who watches.
    live: watch::Receiver<Live>,
    bells: Arc<watch::Sender<Live>>,
    bell: Arc<Bell>,
    selector: Selector,
}

impl Ear {
    /// The ear of a stream of what `selector` selects.
    pub(crate) fn new(bells: &Arc<watch::Sender<Live>>, selector: &Selector) -> Self {
        let (live, bell) = (bells.subscribe(), Arc::default());
        bells.send_if_modified(|live| {
            let blind_to = blind_to(live.ring.head());
            live.bells.hang(selector, &bell, blind_to);
            false
        });
        Self { live, bells: bells.clone(), bell, selector: selector.clone() }
    }

    /// The next row from `seq` on that may concern the stream, with its number; what comes between does not.
    pub(crate) fn next(&self, seq: i64) -> (i64, Next) {
        let live = self.live.borrow();
        match self.bell.next(seq) {
            Some(seq) => (seq, live.ring.row(seq)),
            None => (seq, Next::Wait),
        }
    }

    /// The newest row, if nothing from `seq` up to it concerns the stream.
    pub(crate) fn silence(&self, seq: i64) -> Option<Arc<LogRow>> {
        let live = self.live.borrow();
        if self.bell.next(seq).is_some() {
            return None;
        }
        match live.ring.head().map(|head| live.ring.row(head)) {
            Some(Next::Row(row)) if row.seq >= seq => Some(row),
            _ => None,
        }
    }

    /// Completes when there may be something for the stream that was not there when it last completed.
    pub(crate) async fn rung(&self) {
        self.bell.rung().await;
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.bells.send_if_modified(|live| {
            live.bells.take_down(&self.selector, &self.bell);
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{DeliveryFilter, EndpointKey, LogBody, LogEntry, TenantKey, Timestamp};

    fn row(seq: i64, endpoints: &[i64]) -> Arc<LogRow> {
        let entry = |&endpoint| LogEntry { tenant: 1, endpoint, ..LogEntry::default() };
        let body = LogBody { events: Vec::new(), entries: endpoints.iter().map(entry).collect() };
        Arc::new(LogRow { seq, time: Timestamp::from_micros(seq), mark: seq, body })
    }

    fn live(rows_max: usize) -> Arc<watch::Sender<Live>> {
        Arc::new(watch::Sender::new(Live::new(Limits { rows_max, bytes_max: usize::MAX })))
    }

    fn of_endpoint(endpoint: i64) -> Selector {
        let endpoints = vec![EndpointKey(endpoint)];
        Selector::new(TenantKey(1), &DeliveryFilter { endpoints, ..DeliveryFilter::default() })
    }

    fn push(live: &watch::Sender<Live>, seq: i64, endpoints: &[i64]) {
        live.send_modify(|live| live.push(row(seq, endpoints)));
    }

    #[test]
    fn silence_reaches_to_the_newest_row_unless_something_concerns_the_stream() {
        let live = live(10);
        let ear = Ear::new(&live, &of_endpoint(1));
        assert!(ear.silence(1).is_none(), "nobody reads");
        live.send_modify(|live| live.restart(Some(3)));
        assert!(ear.silence(3).is_none(), "row 3 was not looked at");
        push(&live, 4, &[2]);
        push(&live, 5, &[2]);
        assert_eq!(ear.silence(4).map(|row| row.seq), Some(5));
        assert!(ear.silence(6).is_none(), "it has passed all");
        push(&live, 6, &[1]);
        push(&live, 7, &[2]);
        assert!(ear.silence(6).is_none());
        assert_eq!(ear.silence(7).map(|row| row.seq), Some(7));
    }

    #[test]
    fn ear_that_is_dropped_takes_its_bell_down() {
        let live = live(10);
        let (ear, other) = (Ear::new(&live, &of_endpoint(1)), Ear::new(&live, &of_endpoint(1)));
        drop(ear);
        assert_eq!(live.borrow().bells.ring(&row(1, &[1])), 1);
        drop(other);
        assert_eq!(live.borrow().bells.ring(&row(2, &[1])), 0);
        assert_eq!(live.receiver_count(), 0);
    }

    proptest! {
        /// A stream that goes by its ear, at whatever pace, comes by every row that concerns it and never waits while
        /// there is one.
        #[test]
        fn no_row_that_concerns_a_stream_is_passed_over(
            rows in prop::collection::vec((prop::collection::vec(1_i64..4, 0..3), 0_u8..4, 0_u8..20), 1..60),
            begins in 0_usize..20, rows_max in 1_usize..6,
        ) {
            let live = live(rows_max);
            let (mut ear, mut at, mut come_by) = (None, 0, Vec::new());
            let concerns = |row: &(Vec<i64>, u8, u8)| row.0.contains(&1);
            for (index, row) in rows.iter().enumerate() {
                let seq = index as i64 + 1;
                if index == begins {
                    (ear, at) = (Some(Ear::new(&live, &of_endpoint(1))), seq);
                }
                match row.2 {
                    // Rows that the tail did not read, and one that it reads without having read what precedes.
                    0 => live.send_modify(|live| live.restart(Some(seq))),
                    1 => live.send_modify(|live| live.restart(None)),
                    _ => push(&live, seq, &row.0),
                }
                let Some(ear) = &ear else { continue };
                for _ in 0..row.1 {
                    let (next, found) = ear.next(at);
                    prop_assert!(next >= at);
                    let passed = &rows[at as usize - 1..next as usize - 1];
                    prop_assert!(!passed.iter().any(concerns), "{at} to {next}");
                    match found {
                        Next::Row(_) | Next::Behind => {
                            come_by.push(next);
                            at = next + 1;
                        }
                        Next::Wait => {
                            let head = live.borrow().head().unwrap_or(at - 1).max(at - 1) as usize;
                            prop_assert!(!rows[at as usize - 1..head].iter().any(concerns), "{at} to {head}");
                            break;
                        }
                    }
                }
            }
            prop_assert!(come_by.is_sorted());
        }
    }
}
