//! Redriving by hand: making one delivery due now, or cancelling it; cancelling or expunging an event ([`event`]).
//!
//! Each verb on a delivery is one unit of database work: the delivery is read, its state checked, the row and one log row written and
//! committed. What the engine does to deliveries by itself is not here.

mod event;

use std::sync::Arc;

pub use self::event::{EventCancelled, cancel_event, expunge_event};
use crate::{
    model::{
        Delivery, DeliveryKey, DeliveryState, EndpointStatus, LogBody, LogEntry, LogEvent, ShownState, Standing,
        TenantKey, Timestamp, TransitionKind,
    },
    repeat::{Call, Reused},
    shared::Shared,
    store::{self, DeliveryRow, LaneRow, Tx},
};

/// Why a delivery stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tenant has no such delivery.
    #[error("no such delivery")]
    NotFound,
    /// The tenant has no such event.
    #[error("no such event")]
    NoEvent,
    /// The delivery's event was expunged: there is nothing to deliver.
    #[error("the event was expunged")]
    EventExpunged,
    /// The delivery's event has expired.
    #[error("the event has expired")]
    EventExpired,
    /// The delivery's state does not allow it.
    #[error("the delivery's state does not allow it")]
    State(ShownState),
    /// The state of the delivery's endpoint does not allow it.
    #[error("the endpoint's state does not allow it")]
    EndpointState(EndpointStatus),
    /// The call's request id was used for another.
    #[error(transparent)]
    Reused(#[from] Reused),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What a cancellation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// No further request will be made.
    Now,
    /// The delivery ends with the attempt that is in flight.
    WithAttempt,
}

/// Makes a delivery due now, or when its event is to be delivered if that is still to come, and returns it: one that is dead
/// or cancelled starts its schedule anew, a pending one goes on with its schedule.
///
/// # Errors
/// [`Error::EventExpunged`], [`Error::State`] if it is delivered or in flight, [`Error::EndpointState`] if its endpoint is
/// paused, disabled or deleted, [`Error::EventExpired`], [`Error::NotFound`], [`Error::Reused`], [`Error::Store`].
pub async fn retry<R: Send + Sync + 'static>(
    shared: &Arc<Shared>,
    call: impl Into<Call<Delivery, R>>,
    key: DeliveryKey,
) -> Result<R, Error> {
    let (call, at) = (call.into(), shared.clone());
    let tenant = call.tenant();
    let unit = call.write(shared, move |tx, answer| {
        Box::pin(async move {
            let (row, endpoint) = read(tx, tenant, key).await?;
            let times = store::event_time::get(tx.conn(), key.event).await?;
            if times.expunged.is_some() {
                return Err(Error::EventExpunged);
            }
            match row.state {
                DeliveryState::Pending | DeliveryState::Dead | DeliveryState::Cancelled => {}
                DeliveryState::InFlight | DeliveryState::Delivered => {
                    return Err(Error::State(row.shown_state(endpoint)));
                }
            }
            if endpoint.status != EndpointStatus::Enabled {
                return Err(Error::EndpointState(endpoint.status));
            }
            let mut now = at.clock.now();
            if row.is_skipped(endpoint) {
                // It has ended, whether that is written yet or not, and must not read as skipped again.
                store::delivery::cancel(tx, key, now).await?;
                now = endpoint.skipped.map_or(now, |skipped| now.max(skipped.at));
            }
            let due = times.deliver_at.map_or(now, |deliver_at| deliver_at.max(now));
            if times.expires.is_some_and(|expires| expires <= due) {
                return Err(Error::EventExpired);
            }
            store::delivery::make_due(tx, key, due, now).await?;
            store::lane::lower(tx, &[LaneRow { endpoint: key.endpoint, next_at: due }]).await?;
            let (row, _) = read(tx, tenant, key).await?;
            let answer = answer.with(tx, row.shown(endpoint)).await?;
            commit(tx, &at, now, &row, ShownState::Pending, TransitionKind::RetryRequested).await?;
            at.wake.due(due);
            Ok(answer)
        })
    });
    unit.await
}

/// Cancels a delivery, or has it end with the attempt that is in flight, and returns it. One that is cancelled already
/// stays as it is.
///
/// # Errors
/// [`Error::State`] if it is delivered or dead, [`Error::NotFound`], [`Error::Reused`], [`Error::Store`].
pub async fn cancel<R: Send + Sync + 'static>(
    shared: &Arc<Shared>,
    call: impl Into<Call<(Cancelled, Delivery), R>>,
    key: DeliveryKey,
) -> Result<R, Error> {
    let (call, at) = (call.into(), shared.clone());
    let tenant = call.tenant();
    let unit = call.write(shared, move |tx, answer| {
        Box::pin(async move {
            let (row, endpoint) = read(tx, tenant, key).await?;
            let shown = row.shown_state(endpoint);
            let (result, state, kind) = match shown {
                ShownState::Pending | ShownState::Held => {
                    (Cancelled::Now, ShownState::Cancelled, TransitionKind::Cancelled)
                }
                ShownState::InFlight if row.cancel => {
                    return Ok(answer.unchanged(tx, (Cancelled::WithAttempt, row.shown(endpoint))).await?);
                }
                ShownState::InFlight => (Cancelled::WithAttempt, ShownState::InFlight, TransitionKind::CancelRequested),
                ShownState::Cancelled => {
                    return Ok(answer.unchanged(tx, (Cancelled::Now, row.shown(endpoint))).await?);
                }
                ShownState::Delivered | ShownState::Dead => return Err(Error::State(shown)),
            };
            let now = at.clock.now();
            store::delivery::cancel(tx, key, now).await?;
            let (row, _) = read(tx, tenant, key).await?;
            let answer = answer.with(tx, (result, row.shown(endpoint))).await?;
            commit(tx, &at, now, &row, state, kind).await?;
            at.wake.now();
            Ok(answer)
        })
    });
    unit.await
}

/// A delivery of the tenant's and where its endpoint stands; an endpoint without a row is deleted.
async fn read(tx: &mut Tx, tenant: TenantKey, key: DeliveryKey) -> Result<(DeliveryRow, Standing), Error> {
    let row = store::delivery::get(tx.conn(), tenant, key).await?.ok_or(Error::NotFound)?;
    let endpoint = store::endpoint::get(tx.conn(), tenant, key.endpoint).await?;
    Ok((row, endpoint.map_or(Standing::DELETED, |endpoint| endpoint.standing())))
}

async fn commit(
    tx: &mut Tx,
    shared: &Shared,
    now: Timestamp,
    row: &DeliveryRow,
    state: ShownState,
    kind: TransitionKind,
) -> Result<(), Error> {
    let event = LogEvent { key: row.key.event.0, id: row.event_id.to_string(), event_type: row.event_type.to_string() };
    let entry = LogEntry {
        tenant: row.tenant.0,
        endpoint: row.key.endpoint.0,
        kind: kind as i32,
        event: 0,
        state: state as i32,
        attempt: row.attempt,
        next_attempt_micros: row.ready_at.map(Timestamp::as_micros),
        ..LogEntry::default()
    };
    let body = LogBody { events: vec![event], entries: vec![entry] };
    let seq = store::log::commit(tx, now, &body).await?;
    shared.head.committed(seq);
    Ok(())
}

#[cfg(test)]
mod tests;
