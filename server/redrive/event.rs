//! Ending all deliveries of an event at once, and erasing its payload.
//!
//! An event may have very many deliveries, so they are ended range by range, each in a unit of work of its own with its log
//! row. The units go on when the caller stops waiting. Once the first unit of an expunging is committed nothing of the
//! payload is left and no attempt can start any more, whatever becomes of the others. Nothing remembers those: if the server
//! ends midway, answers of later ranges and deliveries that wait stay as they are until the call is repeated, as its caller,
//! who got no answer, is told to do.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use super::Error;
use crate::{
    audit::Change,
    model::{
        DeliveryState, EndpointKey, EndpointStatus, Event, EventKey, LogBody, LogEntry, LogEvent, ShownState,
        TenantKey, Timestamp, TransitionKind,
    },
    shared::Shared,
    store::{self, CancelledRow, Tx},
};

/// Deliveries that one unit of work cancels.
const CANCELLED_PER_UNIT: i64 = 1_000;

/// Deliveries whose answers one unit of work erases: each may have many attempts of 16 KiB.
const ERASED_PER_UNIT: i64 = 100;

/// Before all endpoints.
const FIRST: EndpointKey = EndpointKey(0);

/// What was done to the deliveries of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCancelled {
    /// So many were waiting and are cancelled.
    pub cancelled: u32,
    /// So many end with the attempts that are in flight.
    pub requested: u32,
}

/// Cancels all deliveries of an event that have not ended. What is in flight ends with its attempt. `change` is the entry that
/// the call leaves in the audit log, with its first unit of work.
///
/// # Errors
/// [`Error::NoEvent`], [`Error::Store`]; what was cancelled until then stays so.
pub async fn cancel_event(
    shared: &Arc<Shared>,
    tenant: TenantKey,
    id: &str,
    change: Option<Change>,
) -> Result<EventCancelled, Error> {
    let shared = shared.clone();
    let id = id.to_owned();
    let task = tokio::spawn(async move {
        let key = find(&shared, tenant, &id).await?;
        end_all(&shared, tenant, (key, id), Ending::Cancel, change).await
    });
    task.await.unwrap_or(Err(Error::Store(store::Error::Panicked)))
}

/// Erases an event's payload and labels for good, and what was answered to it; cancels its deliveries that have not ended.
/// What is in flight ends with its attempt. Returns the event as it is then. `change` is as with [`cancel_event`].
///
/// # Errors
/// [`Error::NoEvent`], [`Error::Store`]; if the latter, payload and labels are erased or nothing is.
pub async fn expunge_event(
    shared: &Arc<Shared>,
    tenant: TenantKey,
    id: &str,
    change: Option<Change>,
) -> Result<(EventCancelled, Event), Error> {
    let shared = shared.clone();
    let id = id.to_owned();
    let task = tokio::spawn(async move {
        let key = find(&shared, tenant, &id).await?;
        let done = end_all(&shared, tenant, (key, id.clone()), Ending::Expunge, change).await;
        shared.erased.store(true, Ordering::Relaxed);
        let done = done?;
        let read = shared.db.read(move |conn| Box::pin(async move { store::event::get(conn, tenant, &id).await }));
        Ok((done, read.await?.ok_or(Error::NoEvent)?))
    });
    task.await.unwrap_or(Err(Error::Store(store::Error::Panicked)))
}

/// What becomes of an event whose deliveries are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Cancel,
    Expunge,
}

async fn find(shared: &Shared, tenant: TenantKey, id: &str) -> Result<EventKey, Error> {
    let id = id.to_owned();
    let read = shared.db.read(move |conn| Box::pin(async move { store::event::find(conn, tenant, &id).await }));
    read.await?.ok_or(Error::NoEvent)
}

/// Ends all deliveries of an event, unit by unit.
async fn end_all(
    shared: &Arc<Shared>,
    tenant: TenantKey,
    (event, id): (EventKey, String),
    ending: Ending,
    mut change: Option<Change>,
) -> Result<EventCancelled, Error> {
    let mut done = EventCancelled::default();
    let mut after = Some(FIRST);
    while let Some(from) = after {
        let (at, id, change) = (shared.clone(), id.clone(), change.take());
        let unit = shared.db.write_checked(move |tx| {
            Box::pin(
                async move { Unit { shared: &at, tenant, event, id: &id, ending, change }.end_some(tx, from).await },
            )
        });
        let (some, next) = unit.await?;
        done.cancelled += some.cancelled;
        done.requested += some.requested;
        after = next;
    }
    if done != EventCancelled::default() {
        shared.wake.now();
    }
    Ok(done)
}

/// One unit of work on an event's deliveries.
struct Unit<'a> {
    shared: &'a Shared,
    tenant: TenantKey,
    event: EventKey,
    id: &'a str,
    ending: Ending,
    change: Option<Change>,
}

impl Unit<'_> {
    /// Ends the next deliveries after an endpoint; says what was done, and where to go on.
    async fn end_some(&self, tx: &mut Tx, after: EndpointKey) -> Result<(EventCancelled, Option<EndpointKey>), Error> {
        let now = self.shared.clock.now();
        if self.ending == Ending::Expunge && after == FIRST {
            store::event_time::expunge(tx, self.event, now).await?;
        }
        let limit = match self.ending {
            Ending::Cancel => CANCELLED_PER_UNIT,
            Ending::Expunge => ERASED_PER_UNIT,
        };
        let Some(range) = store::event_delivery::next_range(tx.conn(), self.event, after, limit).await? else {
            self.audit(tx, now).await?;
            tx.commit().await?;
            return Ok((EventCancelled::default(), None));
        };
        let over = self.cancelled_before(store::event_delivery::pending(tx.conn(), range).await?);
        let rows = store::event_delivery::cancel(tx, range, now).await?;
        if self.ending == Ending::Expunge {
            store::event_delivery::erase_answers(tx, range).await?;
        }
        let done = self.commit(tx, now, &rows, &over).await?;
        Ok((done, Some(range.last)))
    }

    /// To which endpoints deliveries that are stored as pending were cancelled before, as far as anybody can tell: what waits
    /// behind a deleted endpoint, and what an activation has skipped.
    fn cancelled_before(&self, pending: Vec<(EndpointKey, Timestamp)>) -> HashSet<EndpointKey> {
        let over = |endpoint, updated| {
            let standing = self.shared.routes.standing(endpoint);
            standing.status == EndpointStatus::Deleted || standing.skips(self.event, updated)
        };
        pending
            .into_iter()
            .filter(|(endpoint, updated)| over(*endpoint, *updated))
            .map(|(endpoint, _)| endpoint)
            .collect()
    }

    /// Commits with one transition for each of `rows`. Deliveries to the endpoints `over` were cancelled before: they are not
    /// counted, but their cancellation is told here and nowhere else.
    async fn commit(
        &self,
        tx: &mut Tx,
        now: Timestamp,
        rows: &[CancelledRow],
        over: &HashSet<EndpointKey>,
    ) -> Result<EventCancelled, Error> {
        let mut done = EventCancelled::default();
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            let (kind, state) = if row.state == DeliveryState::InFlight {
                done.requested += 1;
                (TransitionKind::CancelRequested, ShownState::InFlight)
            } else {
                done.cancelled += u32::from(!over.contains(&row.key.endpoint));
                (TransitionKind::Cancelled, ShownState::Cancelled)
            };
            entries.push(LogEntry {
                tenant: self.tenant.0,
                endpoint: row.key.endpoint.0,
                kind: kind as i32,
                event: 0,
                state: state as i32,
                attempt: row.attempt,
                ..LogEntry::default()
            });
        }
        let heading = store::event::headings(tx, &[self.event]).await?.pop();
        self.audit(tx, now).await?;
        match heading {
            Some(heading) if !entries.is_empty() => {
                let event_type = heading.event_type.to_string();
                let events = vec![LogEvent { key: self.event.0, id: self.id.to_owned(), event_type }];
                let seq = store::log::commit(tx, now, &LogBody { events, entries }).await?;
                self.shared.head.committed(seq);
            }
            _ => tx.commit().await?,
        }
        Ok(done)
    }

    async fn audit(&self, tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
        if let Some(change) = &self.change {
            change.clone().write(tx, now).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
