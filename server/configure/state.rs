//! Disabling and activating endpoints.

use std::sync::Arc;

use super::{Configurator, Error, commit, disabled_on_request, entry, live};
use crate::{
    model::{Endpoint, EndpointKey, EndpointStatus, Timestamp, TransitionKind},
    repeat::Call,
    shared::Shared,
    store,
};

impl Configurator {
    /// Disables an endpoint and returns it. One that is disabled already stays as it is, with its first reason and time.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Reused`], [`Error::Store`].
    pub async fn disable_endpoint<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<Endpoint, R>>,
        key: EndpointKey,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let tenant = call.tenant();
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let mut endpoint = live(tx, tenant, key).await?;
                if endpoint.status != EndpointStatus::Enabled {
                    return Ok(answer.unchanged(tx, endpoint).await?);
                }
                endpoint.updated = shared.clock.now();
                endpoint.status = disabled_on_request(endpoint.updated);
                endpoint.version = store::meta::raise_cfg(tx).await?;
                store::endpoint::update(tx, &endpoint, true).await?;
                // What is held may reach its age limit before it would have been due.
                store::lane::wake(tx, key, endpoint.updated).await?;
                let entry = entry(tx, &shared, endpoint.clone()).await?;
                let answer = answer.with(tx, endpoint).await?;
                commit(tx, &shared, entry, TransitionKind::EndpointDisabled).await?;
                shared.wake.now();
                Ok(answer)
            })
        });
        unit.await
    }

    /// Enables an endpoint, forgets since when it failed, makes what was held due, and returns the endpoint. One that is
    /// enabled already stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Reused`], [`Error::Store`].
    pub async fn activate_endpoint<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<Endpoint, R>>,
        key: EndpointKey,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let (tenant, rest) = (call.tenant(), shared.clone());
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let mut endpoint = live(tx, tenant, key).await?;
                if endpoint.status == EndpointStatus::Enabled {
                    return Ok(answer.unchanged(tx, endpoint).await?);
                }
                endpoint.updated = shared.clock.now();
                endpoint.status = EndpointStatus::Enabled;
                // Outcomes of attempts begun before do not disable the endpoint again.
                endpoint.generation += 1;
                endpoint.version = store::meta::raise_cfg(tx).await?;
                store::endpoint::update(tx, &endpoint, true).await?;
                store::health::clear(tx, key).await?;
                store::lane::wake(tx, key, endpoint.updated).await?;
                let more =
                    store::delivery::make_held_due(tx, key, endpoint.updated, DUE_PER_UNIT).await? == DUE_PER_UNIT;
                let entry = entry(tx, &shared, endpoint.clone()).await?;
                let answer = answer.with(tx, endpoint.clone()).await?;
                commit(tx, &shared, entry, TransitionKind::EndpointActivated).await?;
                shared.wake.now();
                if more {
                    tokio::spawn(make_rest_due(rest, key, endpoint.updated));
                }
                Ok(answer)
            })
        });
        unit.await
    }
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
