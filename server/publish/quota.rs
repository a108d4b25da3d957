//! Quotas of publishing: how many events and bytes a tenant may publish in a second, and how many of its deliveries may wait.
//!
//! All of it is in memory, looked at before an event is queued, whichever way it comes. Rates are token buckets, of each
//! server by itself: they begin full, and a change of the quotas begins them anew. What waits is counted beside
//! ([`super::backlog`]); between two counts all that is published here is added, so that a burst cannot pass. When that comes
//! to much of what is allowed, the next count comes early.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::model::{self, Tenant, TenantKey, Timestamp};

/// What was published since the last count has the next come early when it is this part of what may wait: a quarter.
const EARLY: i64 = 4;

/// Which quota an event would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// Deliveries that wait.
    PendingDeliveries {
        /// So many may wait.
        max: i64,
    },
    /// Events in a second.
    Events {
        /// So many may be published in a second.
        per_second: i64,
        /// From then on one may be published.
        after: Duration,
    },
    /// Bytes in a second.
    Bytes {
        /// So many may be published in a second.
        per_second: i64,
        /// From then on this event may be published.
        after: Duration,
    },
}

/// The quotas of tenants that have some, and how far they are used.
#[derive(Debug, Default)]
pub struct Quotas {
    tenants: Mutex<HashMap<TenantKey, Used>>,
    /// Told when what waits should be counted.
    count: Notify,
}

#[derive(Debug)]
struct Used {
    quotas: model::Quotas,
    events: Bucket,
    bytes: Bucket,
    /// Deliveries that waited when they were counted last.
    counted: i64,
    /// Deliveries published since that count began, and before the one that is under way.
    since: i64,
    /// How many of them were published before the count that is under way began.
    before: i64,
}

impl Used {
    fn pending(&self) -> i64 {
        self.counted.saturating_add(self.since)
    }
}

/// A token bucket. A payload that is larger than the bucket may pass when it is full, and leaves it in debt.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    filled: Timestamp,
}

impl Bucket {
    fn fill(&mut self, rate: f64, size: f64, now: Timestamp) {
        self.tokens = (self.tokens + rate * now.since(self.filled).as_secs_f64()).min(size);
        self.filled = self.filled.max(now);
    }

    /// How long to wait until `wanted` tokens, or as many as there can be, are there; `None` if they are.
    fn wait(&self, wanted: f64, rate: f64, size: f64) -> Option<Duration> {
        let missing = wanted.min(size) - self.tokens;
        // A microsecond more, for a time that is rounded down finds the token not quite there.
        (missing > 0.0).then(|| Duration::from_secs_f64(missing / rate) + Duration::from_micros(1))
    }
}

impl Quotas {
    /// The quotas of these tenants.
    pub fn of(tenants: &[Tenant], now: Timestamp) -> Self {
        let quotas = Self::default();
        tenants.iter().for_each(|tenant| quotas.set(tenant.key, tenant.quotas, now));
        quotas
    }

    /// Takes over a tenant's quotas. Those that did not change go on as far as they are used.
    pub fn set(&self, tenant: TenantKey, quotas: model::Quotas, now: Timestamp) {
        let mut all = self.lock();
        if quotas.is_none() {
            all.remove(&tenant);
        } else if all.get(&tenant).is_none_or(|used| used.quotas != quotas) {
            let full = |size: f64| Bucket { tokens: size, filled: now };
            let counted = all.get(&tenant).map_or(0, Used::pending);
            let (events, bytes) = (full(burst(&quotas)), full(rate(quotas.bytes_per_second)));
            all.insert(tenant, Used { quotas, events, bytes, counted, since: 0, before: 0 });
            self.count.notify_one();
        }
    }

    /// Takes over the quotas of all tenants.
    pub(crate) fn replace(&self, tenants: &[Tenant], now: Timestamp) {
        self.lock().retain(|key, _| tenants.iter().any(|tenant| tenant.key == *key));
        tenants.iter().for_each(|tenant| self.set(tenant.key, tenant.quotas, now));
    }

    /// Takes an event of so many bytes into account, or says which quota it exceeds; then nothing was taken. `fanout` says for
    /// how many endpoints it is; it is asked only if that counts.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub(crate) fn take(
        &self,
        tenant: TenantKey,
        bytes: usize,
        fanout: impl FnOnce() -> usize,
        now: Timestamp,
    ) -> Result<(), Exceeded> {
        let mut all = self.lock();
        let Some(used) = all.get_mut(&tenant) else { return Ok(()) };
        if let Some(max) = used.quotas.pending_deliveries
            && used.pending() >= max
        {
            self.count.notify_one();
            return Err(Exceeded::PendingDeliveries { max });
        }
        let Used { quotas, events, bytes: bucket, since, .. } = used;
        let (events_rate, bytes_rate) = (rate(quotas.events_per_second), rate(quotas.bytes_per_second));
        let burst = burst(quotas);
        let wanted = bytes as f64;
        if let Some(per_second) = quotas.events_per_second {
            events.fill(events_rate, burst, now);
            if let Some(after) = events.wait(1.0, events_rate, burst) {
                return Err(Exceeded::Events { per_second, after });
            }
        }
        if let Some(per_second) = quotas.bytes_per_second {
            bucket.fill(bytes_rate, bytes_rate, now);
            if let Some(after) = bucket.wait(wanted, bytes_rate, bytes_rate) {
                return Err(Exceeded::Bytes { per_second, after });
            }
        }
        events.tokens -= 1.0;
        bucket.tokens -= wanted;
        if let Some(max) = quotas.pending_deliveries {
            *since = since.saturating_add(i64::try_from(fanout()).unwrap_or(i64::MAX));
            if since.saturating_mul(EARLY) >= max {
                self.count.notify_one();
            }
        }
        Ok(())
    }

    /// Waits until a count should come early.
    pub(crate) async fn wants_count(&self) {
        self.count.notified().await;
    }

    /// A count begins: the tenants whose deliveries are to be counted, and up to which number that is worth while.
    pub(crate) fn to_count(&self) -> Vec<(TenantKey, i64)> {
        let mut all = self.lock();
        let counted = all.iter_mut().filter_map(|(key, used)| {
            used.before = used.since;
            Some((*key, used.quotas.pending_deliveries?))
        });
        counted.collect()
    }

    /// So many deliveries of a tenant's wait, by the count that began last.
    pub(crate) fn counted(&self, tenant: TenantKey, pending: i64) {
        if let Some(used) = self.lock().get_mut(&tenant) {
            used.counted = pending;
            used.since -= std::mem::take(&mut used.before);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantKey, Used>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rate(quota: Option<i64>) -> f64 {
    quota.unwrap_or(0) as f64
}

/// How many events may be published at once.
fn burst(quotas: &model::Quotas) -> f64 {
    rate(quotas.events_burst.or(quotas.events_per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantKey = TenantKey(2);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1_000)
    }

    fn quotas(of: model::Quotas) -> Quotas {
        let quotas = Quotas::default();
        quotas.set(TENANT, of, at(0));
        quotas
    }

    /// How many events of `bytes` pass in a minute in which one is tried every millisecond.
    fn passed(quotas: &Quotas, bytes: usize) -> usize {
        (0..60_000).filter(|millis| quotas.take(TENANT, bytes, || 1, at(*millis)).is_ok()).count()
    }

    #[test]
    fn events_pass_at_their_rate_after_a_burst() {
        let limited = quotas(model::Quotas { events_per_second: Some(10), ..Default::default() });
        assert_eq!(passed(&limited, 1), 10 + 599);
        let burst = model::Quotas { events_per_second: Some(10), events_burst: Some(1), ..Default::default() };
        assert_eq!(passed(&quotas(burst), 1), 600);
        assert_eq!(passed(&quotas(model::Quotas { endpoints: Some(1), ..Default::default() }), 1), 60_000);
        assert_eq!(limited.take(TenantKey(3), 1, || 1, at(0)), Ok(()), "another's");
    }

    #[test]
    fn wait_that_is_told_is_long_enough() {
        let limited = quotas(model::Quotas {
            events_per_second: Some(3),
            events_burst: Some(1),
            bytes_per_second: Some(1_000),
            ..Default::default()
        });
        let mut now = at(0);
        for _ in 0..100 {
            limited.take(TENANT, 700, || 1, now).unwrap();
            while let Err(exceeded) = limited.take(TENANT, 700, || 1, now) {
                let (Exceeded::Events { after, .. } | Exceeded::Bytes { after, .. }) = exceeded else {
                    panic!("{exceeded:?}")
                };
                now = now.plus(after);
            }
            now = now.plus(Duration::from_secs(1));
        }
    }

    #[test]
    fn payload_beyond_the_bucket_passes_when_it_is_full_and_is_paid_for_afterwards() {
        let limited = quotas(model::Quotas { bytes_per_second: Some(100), ..Default::default() });
        limited.take(TENANT, 1_000, || 1, at(0)).unwrap();
        let Err(Exceeded::Bytes { per_second: 100, after }) = limited.take(TENANT, 1, || 1, at(0)) else {
            panic!("it was not paid for")
        };
        assert!(after > Duration::from_millis(9_009) && after < Duration::from_millis(9_012), "{after:?}");
        assert_eq!(limited.take(TENANT, 1, || 1, at(0).plus(after)), Ok(()));
    }

    #[test]
    fn backlog_holds_what_was_counted_and_what_was_published_since() {
        let limited = quotas(model::Quotas { pending_deliveries: Some(10), ..Default::default() });
        assert_eq!(limited.to_count(), [(TENANT, 10)]);
        for _ in 0..3 {
            limited.take(TENANT, 1, || 4, at(0)).unwrap();
        }
        assert_eq!(limited.take(TENANT, 1, || 0, at(0)), Err(Exceeded::PendingDeliveries { max: 10 }));
        assert_eq!(limited.to_count(), [(TENANT, 10)]);
        limited.counted(TENANT, 9);
        assert_eq!(limited.take(TENANT, 1, || 0, at(0)), Ok(()));
        limited.to_count();
        assert_eq!(limited.take(TENANT, 1, || 1, at(0)), Ok(()), "while it is counted");
        limited.counted(TENANT, 9);
        assert!(limited.take(TENANT, 1, || 0, at(0)).is_err());
        limited.set(TENANT, model::Quotas { pending_deliveries: Some(11), ..Default::default() }, at(0));
        assert_eq!(limited.take(TENANT, 1, || 1, at(0)), Ok(()), "the number outlives a change of the quota");
        limited.set(TENANT, model::Quotas::default(), at(0));
        assert!(limited.to_count().is_empty() && limited.take(TENANT, 1, || 1, at(0)).is_ok());
    }

    #[test]
    fn quotas_that_stay_are_used_as_before() {
        let same = model::Quotas { events_per_second: Some(1), ..Default::default() };
        let limited = quotas(same);
        limited.take(TENANT, 1, || 1, at(0)).unwrap();
        limited.set(TENANT, same, at(0));
        assert!(limited.take(TENANT, 1, || 1, at(0)).is_err());
        limited.replace(&[], at(0));
        assert!(limited.take(TENANT, 1, || 1, at(0)).is_ok(), "a tenant that is gone has none");
    }
}
