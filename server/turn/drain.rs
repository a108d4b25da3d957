//! Draining at a rate: of a lane whose endpoint was activated so, what was due by the activation is leased by a token bucket,
//! and what became due later as usual.
//!
//! The rate and the time of the activation are kept with the endpoint, the bucket in memory alone. A lane from which the
//! bucket lets nothing through is given back, due when it does again. Nothing of a lane that is drained is leased ahead of
//! its slots: what waits for them would begin at the pace at which they get free.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{bucket::Bucket, write::Turn};
use crate::{
    model::{Backlog, DeliveryKey, Drain, DrainRate, EndpointKey, Timestamp},
    store::{self, Result},
};

/// The buckets of the drains under way.
#[derive(Debug, Default)]
pub(super) struct Drains(Mutex<HashMap<EndpointKey, Bucket>>);

impl Drains {
    /// The drain of an endpoint is over.
    pub(super) fn forget(&self, endpoint: EndpointKey) {
        self.buckets().remove(&endpoint);
    }

    fn available(&self, endpoint: EndpointKey, rate: DrainRate, now: Timestamp) -> u32 {
        self.buckets().entry(endpoint).or_insert_with(|| Bucket::new(now)).available(rate, now)
    }

    fn take(&self, endpoint: EndpointKey, count: u32) {
        if let Some(bucket) = self.buckets().get_mut(&endpoint) {
            bucket.take(count);
        }
    }

    fn next(&self, endpoint: EndpointKey, rate: DrainRate, now: Timestamp) -> Timestamp {
        self.buckets().get(&endpoint).map_or(now, |bucket| bucket.next(rate))
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<EndpointKey, Bucket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of a lane may be leased.
pub(super) struct Due {
    /// The deliveries and the sizes of their payloads, what is drained first.
    pub(super) found: Vec<(DeliveryKey, u64)>,
    /// How many of them are drained.
    of_drain: usize,
}

impl Turn<'_> {
    /// How much of the `room` of a lane may be leased.
    pub(super) fn room_for(&self, endpoint: EndpointKey, room: u32) -> u32 {
        match self.present(endpoint).filter(|entry| entry.endpoint.backlog.drain.is_some()) {
            Some(entry) => {
                let cap = entry.endpoint.settings.policy.max_in_flight;
                room.min(self.engine.in_flight.lanes().free_slots(endpoint, cap))
            }
            None => room,
        }
    }

    /// What of a lane may be leased now, up to `room`.
    pub(super) async fn due(&mut self, endpoint: EndpointKey, room: u32) -> Result<Due> {
        let Some(drain) = self.drain_of(endpoint) else {
            let found = store::lease::due(self.tx.begun().await?.conn(), endpoint, self.now, i64::from(room)).await?;
            return Ok(Due { found, of_drain: 0 });
        };
        let allowed = self.engine.drains.available(endpoint, drain.rate, self.now).min(room);
        let mut found = Vec::new();
        if allowed > 0 {
            found = store::lease::due(self.tx.begun().await?.conn(), endpoint, drain.activation.at, i64::from(allowed))
                .await?;
            if found.is_empty() {
                self.end_drain(endpoint).await?;
            }
        }
        let (of_drain, after) = (found.len(), drain.activation.at);
        let rest = i64::from(room).saturating_sub(of_drain as i64);
        if rest > 0 {
            found.extend(
                store::backlog::due_after(self.tx.begun().await?.conn(), endpoint, after, self.now, rest).await?,
            );
        }
        Ok(Due { found, of_drain })
    }

    /// The first `taken` of what may be leased are.
    pub(super) fn take_due(&self, endpoint: EndpointKey, due: &Due, taken: usize) {
        let drained = taken.min(due.of_drain);
        if drained > 0 {
            self.engine.drains.take(endpoint, u32::try_from(drained).unwrap_or(u32::MAX));
        }
    }

    /// When a lane of which nothing more is due is to be looked at again; `None` if nothing is left of it.
    pub(super) async fn next_look(&mut self, endpoint: EndpointKey) -> Result<Option<Timestamp>> {
        let earliest = store::lane::earliest_work(self.tx.begun().await?.conn(), endpoint).await?;
        let Some(drain) = self.drain_of(endpoint) else { return Ok(earliest) };
        if earliest.is_none_or(|at| at > drain.activation.at) {
            self.end_drain(endpoint).await?;
            return Ok(earliest);
        }
        let next = self.engine.drains.next(endpoint, drain.rate, self.now);
        let later =
            store::backlog::earliest_after(self.tx.begun().await?.conn(), endpoint, drain.activation.at).await?;
        Ok(Some(later.map_or(next, |later| later.min(next))))
    }

    fn drain_of(&self, endpoint: EndpointKey) -> Option<Drain> {
        self.present(endpoint)?.endpoint.backlog.drain
    }

    /// Nothing is left of what was due by the activation, but what is in flight.
    async fn end_drain(&mut self, endpoint: EndpointKey) -> Result<()> {
        let Some(entry) = self.present(endpoint) else { return Ok(()) };
        self.set_backlog(endpoint, Backlog { drain: None, ..*entry.endpoint.backlog }).await
    }
}
