//! What this server holds: the deliveries leased to it, from before the commit that leases them until after the commit
//! that settles them. The audit compares it with the database.

use std::collections::HashMap;

use crate::model::DeliveryKey;

/// The deliveries that are leased to this server, and how many of each batch of hand-overs are left.
#[derive(Debug, Default)]
pub(crate) struct Held {
    deliveries: HashMap<DeliveryKey, Lease>,
    batches: HashMap<i64, usize>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    attempt: u32,
    batch: Option<i64>,
    /// Nobody works on it any more; it still counts in its batch until it is settled.
    lost: bool,
}

impl Held {
    /// A delivery is about to be leased for this attempt, handed over with `batch` or claimed.
    pub(crate) fn insert(&mut self, key: DeliveryKey, attempt: u32, batch: Option<i64>) {
        self.deliveries.insert(key, Lease { attempt, batch, lost: false });
        if let Some(batch) = batch {
            *self.batches.entry(batch).or_default() += 1;
        }
    }

    /// The attempt was settled, or its lease never came to be.
    pub(crate) fn remove(&mut self, key: DeliveryKey, attempt: u32) {
        if self.deliveries.get(&key).is_none_or(|lease| lease.attempt != attempt) {
            return;
        }
        let Some(batch) = self.deliveries.remove(&key).and_then(|lease| lease.batch) else { return };
        if let Some(left) = self.batches.get_mut(&batch) {
            *left -= 1;
            if *left == 0 {
                self.batches.remove(&batch);
            }
        }
    }

    /// Nobody works on the attempt any more, although it is not settled: the audit shall find it.
    pub(crate) fn lose(&mut self, key: DeliveryKey, attempt: u32) {
        if let Some(lease) = self.deliveries.get_mut(&key).filter(|lease| lease.attempt == attempt) {
            lease.lost = true;
        }
    }

    /// Whether this attempt is held by somebody who works on it.
    pub(crate) fn holds(&self, key: DeliveryKey, attempt: u32) -> bool {
        self.deliveries.get(&key).is_some_and(|lease| lease.attempt == attempt && !lease.lost)
    }

    /// The batches that will be finished once the attempts `settled` are removed.
    pub(crate) fn finished_by(&self, settled: impl Iterator<Item = (DeliveryKey, u32)>) -> Vec<i64> {
        let mut counts: HashMap<i64, usize> = HashMap::new();
        for (key, attempt) in settled {
            let lease = self.deliveries.get(&key).filter(|lease| lease.attempt == attempt);
            if let Some(batch) = lease.and_then(|lease| lease.batch) {
                *counts.entry(batch).or_default() += 1;
            }
        }
        counts
            .into_iter()
            .filter(|(batch, count)| self.batches.get(batch) == Some(count))
            .map(|(batch, _)| batch)
            .collect()
    }

    /// How many deliveries are held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.deliveries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EndpointKey, EventKey};

    fn key(event: i64) -> DeliveryKey {
        DeliveryKey { event: EventKey(event), endpoint: EndpointKey(1) }
    }

    #[test]
    fn batch_is_finished_by_its_last_delivery() {
        let mut held = Held::default();
        held.insert(key(1), 1, Some(7));
        held.insert(key(2), 1, Some(7));
        held.insert(key(3), 4, None);
        assert!(held.finished_by([(key(1), 1), (key(3), 4)].into_iter()).is_empty());
        assert_eq!(held.finished_by([(key(1), 1), (key(2), 1)].into_iter()), [7]);
        held.remove(key(1), 1);
        assert_eq!(held.finished_by([(key(2), 1)].into_iter()), [7]);
        held.remove(key(2), 1);
        assert!(held.batches.is_empty());
        assert_eq!(held.len(), 1);
    }

    #[test]
    fn lost_lease_is_not_held_but_keeps_its_batch() {
        let mut held = Held::default();
        held.insert(key(1), 1, Some(7));
        held.insert(key(2), 1, Some(7));
        held.lose(key(1), 1);
        assert!(!held.holds(key(1), 1));
        assert!(held.finished_by([(key(2), 1)].into_iter()).is_empty(), "its row in the database must be found");
        held.remove(key(2), 1);
        assert_eq!(held.finished_by([(key(1), 1)].into_iter()), [7]);
    }

    #[test]
    fn another_attempt_of_the_delivery_is_not_the_one_held() {
        let mut held = Held::default();
        held.insert(key(1), 2, None);
        assert!(held.holds(key(1), 2) && !held.holds(key(1), 1));
        held.remove(key(1), 1);
        assert!(held.holds(key(1), 2), "a stale settlement releases nothing");
    }
}
