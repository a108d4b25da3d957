//! Bells: which streams are woken by a new row of the log, and where each of them reads on.
//!
//! With a thousand streams open, waking all of them for each row would cost more than the deliveries that the rows tell
//! of. So each stream hangs up a bell under the endpoints that its filter names, or under its tenant if it names none, and
//! the tail rings those that a row may concern. A bell remembers from which row on it was rung, so that its stream passes
//! over all rows before that without looking at them. It says nothing of rows that were there before it, or were never
//! pushed: up to those a stream looks at each.
//!
//! Whoever uses a bell holds the lock of what is live (`live.rs`), so rows and bells are always in step.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::filter::Selector;
use crate::{
    model::{EndpointKey, TenantKey},
    store::LogRow,
};

/// A stream's bell.
#[derive(Debug)]
pub(crate) struct Bell {
    told: Mutex<Told>,
    notify: Notify,
}

#[derive(Debug)]
struct Told {
    /// Of the rows up to this one the bell says nothing.
    blind_to: i64,
    /// The first and the last row after that by which it was rung, and which its stream has not passed yet.
    rows: Option<(i64, i64)>,
}

impl Default for Bell {
    /// A bell that says nothing of any row, until it is hung up.
    fn default() -> Self {
        Self { told: Mutex::new(Told { blind_to: i64::MAX, rows: None }), notify: Notify::new() }
    }
}

impl Bell {
    /// The first row from `seq` on that may concern the stream, as far as rows have been pushed: none of those between
    /// does. The stream has passed what comes before `seq`.
    pub(crate) fn next(&self, seq: i64) -> Option<i64> {
        let mut told = self.told();
        if seq <= told.blind_to {
            return Some(seq);
        }
        let (first, last) = told.rows?;
        if seq > last {
            told.rows = None;
            return None;
        }
        Some(first.max(seq))
    }

    /// Completes when it has been rung since this last completed.
    pub(crate) async fn rung(&self) {
        self.notify.notified().await;
    }

    /// Rings it for a row. Whether it was not rung for this row before.
    fn ring(&self, seq: i64) -> bool {
        let mut told = self.told();
        if told.rows.is_some_and(|(_, last)| last == seq) {
            return false;
        }
        let first = told.rows.map_or(seq, |(first, _)| first);
        told.rows = Some((first, seq));
        drop(told);
        self.notify.notify_one();
        true
    }

    fn blind(&self, to: i64) {
        *self.told() = Told { blind_to: to, rows: None };
        self.notify.notify_one();
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bells of all streams.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    of_endpoints: HashMap<EndpointKey, Vec<Arc<Bell>>>,
    of_tenants: HashMap<TenantKey, Vec<Arc<Bell>>>,
}

impl Bells {
    /// Hangs up the bell of a stream that wants what `selector` selects. It says nothing of rows up to `blind_to`.
    pub(crate) fn hang(&mut self, selector: &Selector, bell: &Arc<Bell>, blind_to: i64) {
        bell.blind(blind_to);
        for endpoint in selector.endpoints() {
            self.of_endpoints.entry(*endpoint).or_default().push(bell.clone());
        }
        if selector.endpoints().is_empty() {
            self.of_tenants.entry(selector.tenant()).or_default().push(bell.clone());
        }
    }

    /// Takes down a bell that was hung up for what `selector` selects.
    pub(crate) fn take_down(&mut self, selector: &Selector, bell: &Arc<Bell>) {
        for endpoint in selector.endpoints() {
            remove(&mut self.of_endpoints, endpoint, bell);
        }
        remove(&mut self.of_tenants, &selector.tenant(), bell);
    }

    /// Rings for a row that was pushed. Returns how many were rung.
    pub(crate) fn ring(&self, row: &LogRow) -> usize {
        let mut rung = 0;
        let mut tenants = HashSet::new();
        for entry in &row.body.entries {
            let mut bells = self.of_endpoints.get(&EndpointKey(entry.endpoint)).into_iter().flatten();
            rung += bells.by_ref().filter(|bell| bell.ring(row.seq)).count();
            if !self.of_tenants.is_empty() && tenants.insert(entry.tenant) {
                let bells = self.of_tenants.get(&TenantKey(entry.tenant)).into_iter().flatten();
                rung += bells.filter(|bell| bell.ring(row.seq)).count();
            }
        }
        rung
    }

    /// Rows up to `to` were not pushed: rings all, and says nothing of those.
    pub(crate) fn blind(&self, to: i64) {
        self.of_endpoints.values().chain(self.of_tenants.values()).flatten().for_each(|bell| bell.blind(to));
    }
}

fn remove<K: std::hash::Hash + Eq + Copy>(bells: &mut HashMap<K, Vec<Arc<Bell>>>, under: &K, bell: &Arc<Bell>) {
    let Some(hung) = bells.get_mut(under) else { return };
    hung.retain(|other| !Arc::ptr_eq(other, bell));
    if hung.is_empty() {
        bells.remove(under);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeliveryFilter, LogBody, LogEntry, Timestamp};

    fn selector(tenant: i64, endpoints: &[i64]) -> Selector {
        let endpoints = endpoints.iter().map(|key| EndpointKey(*key)).collect();
        Selector::new(TenantKey(tenant), &DeliveryFilter { endpoints, ..DeliveryFilter::default() })
    }

    fn hung(bells: &mut Bells, selector: &Selector, blind_to: i64) -> Arc<Bell> {
        let bell = Arc::default();
        bells.hang(selector, &bell, blind_to);
        bell
    }

    /// A row with a transition for each of these tenants' endpoints.
    fn row(seq: i64, of: &[(i64, i64)]) -> LogRow {
        let entry = |&(tenant, endpoint)| LogEntry { tenant, endpoint, ..LogEntry::default() };
        let body = LogBody { events: Vec::new(), entries: of.iter().map(entry).collect() };
        LogRow { seq, time: Timestamp::from_micros(seq), mark: seq, body }
    }

    #[test]
    fn row_rings_only_the_streams_that_it_may_concern() {
        let mut bells = Bells::default();
        let of_endpoints: Vec<_> = (1..=1_000).map(|endpoint| hung(&mut bells, &selector(1, &[endpoint]), 0)).collect();
        let (all, others) = (hung(&mut bells, &selector(1, &[]), 0), hung(&mut bells, &selector(2, &[]), 0));
        assert_eq!(bells.ring(&row(1, &[(1, 7), (1, 7), (1, 9)])), 3);
        let rung = |bell: &Arc<Bell>| bell.next(1) == Some(1);
        assert_eq!(
            of_endpoints.iter().enumerate().filter(|(_, bell)| rung(bell)).map(|(at, _)| at).collect::<Vec<_>>(),
            [6, 8]
        );
        assert!(rung(&all) && !rung(&others));
        assert_eq!(bells.ring(&row(2, &[])), 0);
    }

    #[test]
    fn bell_under_several_endpoints_is_rung_once_a_row() {
        let mut bells = Bells::default();
        let bell = hung(&mut bells, &selector(1, &[1, 2]), 0);
        assert_eq!(bells.ring(&row(1, &[(1, 1), (1, 2)])), 1);
        assert_eq!(bells.ring(&row(2, &[(1, 2)])), 1);
        assert_eq!((bell.next(1), bell.next(2), bell.next(3)), (Some(1), Some(2), None));
    }

    #[test]
    fn stream_passes_over_rows_before_the_first_by_which_it_was_rung() {
        let mut bells = Bells::default();
        let bell = hung(&mut bells, &selector(1, &[1]), 0);
        for (seq, endpoint) in [(1, 2), (2, 1), (3, 2), (4, 1), (5, 2)] {
            bells.ring(&row(seq, &[(1, endpoint)]));
        }
        assert_eq!((bell.next(1), bell.next(2)), (Some(2), Some(2)));
        assert_eq!((bell.next(3), bell.next(4)), (Some(3), Some(4)), "those between are looked at");
        assert_eq!(bell.next(5), None);
        bells.ring(&row(6, &[(1, 1)]));
        assert_eq!(bell.next(5), Some(6));
    }

    #[test]
    fn rows_that_were_there_before_the_bell_are_looked_at_one_by_one() {
        let mut bells = Bells::default();
        let bell = hung(&mut bells, &selector(1, &[1]), 5);
        assert_eq!((bell.next(4), bell.next(5), bell.next(6)), (Some(4), Some(5), None));
        bells.ring(&row(6, &[(1, 2)]));
        assert_eq!(bell.next(6), None);
        bells.blind(9);
        assert_eq!(
            (bell.next(6), bell.next(9), bell.next(10)),
            (Some(6), Some(9), None),
            "so are those that were missed"
        );
    }

    #[tokio::test]
    async fn bell_rung_before_somebody_listens_is_heard() {
        let mut bells = Bells::default();
        let (bell, other) = (hung(&mut bells, &selector(1, &[1]), 0), hung(&mut bells, &selector(1, &[2]), 0));
        bells.ring(&row(1, &[(1, 1)]));
        bell.rung().await;
        bells.blind(7);
        bell.rung().await;
        other.rung().await;
    }

    #[test]
    fn bell_that_was_taken_down_is_not_rung() {
        let mut bells = Bells::default();
        for selector in [selector(1, &[1, 2]), selector(1, &[])] {
            let (bell, other) = (hung(&mut bells, &selector, 0), hung(&mut bells, &selector, 0));
            bells.take_down(&selector, &bell);
            assert_eq!(bells.ring(&row(1, &[(1, 1), (1, 2)])), 1);
            bells.take_down(&selector, &other);
        }
        assert!(bells.of_endpoints.is_empty() && bells.of_tenants.is_empty());
    }
}
