//! Pausing, disabling and activating endpoints.

use std::sync::Arc;

use super::{Configurator, Error, check_etag, commit, disabled_on_request, entry, live};
use crate::{
    model::{
        Activation, Backlog, Drain, Endpoint, EndpointKey, EndpointStatus, EventKey, OnBacklog, Timestamp,
        TransitionKind,
    },
    repeat::{Answer, Call},
    shared::Shared,
    store::{self, Tx},
};

impl Configurator {
    /// Pauses an endpoint and returns it: events go on being routed to it, or are again if it was disabled, and what is
    /// pending is held. One that is paused already stays as it is, with its first time. With `expected` the endpoint's present
    /// etag must be that.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Reused`], [`Error::Store`].
    pub async fn pause_endpoint<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<Endpoint, R>>,
        key: EndpointKey,
        expected: Option<String>,
    ) -> Result<R, Error> {
        self.hold_endpoint(call.into(), key, expected, Holding::Pause).await
    }

    /// Disables an endpoint and returns it: nothing new is routed to it, and what is pending is held. One that is disabled
    /// already stays as it is, with its first reason and time. With `expected` the endpoint's present etag must be that.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Reused`], [`Error::Store`].
    pub async fn disable_endpoint<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<Endpoint, R>>,
        key: EndpointKey,
        expected: Option<String>,
    ) -> Result<R, Error> {
        self.hold_endpoint(call.into(), key, expected, Holding::Disable).await
    }

    async fn hold_endpoint<R: Send + Sync + 'static>(
        &self,
        call: Call<Endpoint, R>,
        key: EndpointKey,
        expected: Option<String>,
        holding: Holding,
    ) -> Result<R, Error> {
        let (tenant, shared) = (call.tenant(), self.shared.clone());
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let mut endpoint = live(tx, tenant, key).await?;
                check_etag(&shared, &endpoint, expected)?;
                let now = shared.clock.now();
                let before = endpoint.status;
                let (status, kind) = match (holding, before) {
                    (Holding::Pause, EndpointStatus::Paused { .. })
                    | (Holding::Disable, EndpointStatus::Disabled { .. }) => {
                        return Ok(answer.unchanged(tx, endpoint).await?);
                    }
                    (Holding::Pause, _) => (EndpointStatus::Paused { since: now }, TransitionKind::EndpointPaused),
                    (Holding::Disable, _) => (disabled_on_request(now), TransitionKind::EndpointDisabled),
                };
                endpoint.updated = now;
                endpoint.hold(status, now);
                change(tx, &shared, endpoint, (before, kind), answer).await
            })
        });
        unit.await
    }

    /// Enables an endpoint, forgets since when it failed, does with what was held as `on` says, and returns the endpoint.
    /// Without `on`, what was held is delivered as fast as may be.
    ///
    /// One that is enabled already stays as it is, unless `on` is given and a drain is under way: then it applies to what the
    /// drain has left. With `expected` the endpoint's present etag must be that.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Reused`], [`Error::Store`].
    pub async fn activate_endpoint<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<Endpoint, R>>,
        key: EndpointKey,
        expected: Option<String>,
        on: Option<OnBacklog>,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let tenant = call.tenant();
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let mut endpoint = live(tx, tenant, key).await?;
                check_etag(&shared, &endpoint, expected)?;
                let now = shared.clock.now();
                let before = endpoint.status;
                if before == EndpointStatus::Enabled {
                    let Some(backlog) = on.and_then(|on| redirected(*endpoint.backlog, on)) else {
                        return Ok(answer.unchanged(tx, endpoint).await?);
                    };
                    endpoint.backlog = backlog.into();
                    endpoint.updated = now;
                    return change(tx, &shared, endpoint, (before, TransitionKind::EndpointUpdated), answer).await;
                }
                endpoint.updated = now;
                endpoint.status = EndpointStatus::Enabled;
                let last_event = EventKey(store::meta::last_key(tx.conn(), "event").await?);
                endpoint.backlog = released(*endpoint.backlog, on, Activation { at: now, last_event }).into();
                // Outcomes of attempts begun before do not disable the endpoint again.
                endpoint.generation += 1;
                store::health::clear(tx, key).await?;
                let at_once = !matches!(on, Some(OnBacklog::Drain(Some(_)) | OnBacklog::Skip));
                let more = at_once && store::delivery::make_held_due(tx, key, now, DUE_PER_UNIT).await? == DUE_PER_UNIT;
                let answer = change(tx, &shared, endpoint, (before, TransitionKind::EndpointActivated), answer).await?;
                if more {
                    tokio::spawn(make_rest_due(shared.clone(), key, now));
                }
                Ok(answer)
            })
        });
        unit.await
    }
}

/// How an endpoint is to hold what is pending.
#[derive(Clone, Copy, Debug)]
enum Holding {
    Pause,
    Disable,
}

/// The backlog of an endpoint that is activated.
fn released(backlog: Backlog, on: Option<OnBacklog>, activation: Activation) -> Backlog {
    let released = Backlog { held_since: None, drain: None, ..backlog };
    match on {
        Some(OnBacklog::Skip) => Backlog { skipped: Some(activation), skipping: true, ..released },
        Some(OnBacklog::Drain(Some(rate))) => Backlog { drain: Some(Drain { rate, activation }), ..released },
        Some(OnBacklog::Drain(None)) | None => released,
    }
}

/// The backlog of an endpoint that is enabled, for what is left of a drain; `None` if nothing changes.
fn redirected(backlog: Backlog, on: OnBacklog) -> Option<Backlog> {
    let drain = backlog.drain?;
    match on {
        // What the drain has begun has changed since the activation; it goes on with its schedule.
        OnBacklog::Skip => Some(Backlog { drain: None, skipped: Some(drain.activation), skipping: true, ..backlog }),
        OnBacklog::Drain(None) => Some(Backlog { drain: None, ..backlog }),
        OnBacklog::Drain(Some(rate)) if rate == drain.rate => None,
        OnBacklog::Drain(Some(rate)) => Some(Backlog { drain: Some(Drain { rate, ..drain }), ..backlog }),
    }
}

/// Writes and commits an endpoint whose status was `before`, with the answer of the call that changed it, and has its lane
/// looked at.
async fn change<R>(
    tx: &mut Tx,
    shared: &Shared,
    mut endpoint: Endpoint,
    (before, kind): (EndpointStatus, TransitionKind),
    answer: Answer<Endpoint, R>,
) -> Result<R, Error> {
    endpoint.version = store::meta::raise_cfg(tx).await?;
    store::endpoint::update(tx, &endpoint, endpoint.status.is_routed() != before.is_routed()).await?;
    store::lane::wake(tx, endpoint.key, endpoint.updated).await?;
    let entry = entry(tx, shared, endpoint.clone()).await?;
    let answer = answer.with(tx, endpoint).await?;
    commit(tx, shared, entry, kind).await?;
    shared.wake.now();
    Ok(answer)
}

/// Deliveries that one unit of database work makes due, so that no activation holds the write lock for long.
const DUE_PER_UNIT: u64 = 2_048;

/// Makes the rest of a large backlog due, unit by unit. What a crash leaves out goes on with its schedule.
async fn make_rest_due(shared: Arc<Shared>, key: EndpointKey, now: Timestamp) {
    loop {
        let unit = shared.db.write(move |tx| {
            Box::pin(async move {
                let made = store::delivery::make_held_due(tx, key, now, DUE_PER_UNIT).await?;
                store::lane::wake(tx, key, now).await?;
                tx.commit().await?;
                Ok(made)
            })
        });
        let made = unit.await;
        shared.wake.now();
        match made {
            Ok(DUE_PER_UNIT) => {}
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, "part of what was held goes on with its schedule");
                return;
            }
        }
    }
}
