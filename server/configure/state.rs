//! Disabling and activating endpoints.

use super::{Configurator, Error, commit, disabled_on_request, live, secrets};
use crate::{
    model::{Endpoint, EndpointKey, EndpointStatus, TenantKey, TransitionKind},
    publish::EndpointEntry,
    store,
};

impl Configurator {
    /// Disables an endpoint and returns it. One that is disabled already stays as it is, with its first reason and time.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn disable_endpoint(&self, tenant: TenantKey, key: EndpointKey) -> Result<Endpoint, Error> {
        let shared = self.shared.clone();
        let unit = self.shared.db.write_checked(move |tx| {
            Box::pin(async move {
                let mut endpoint = live(tx, tenant, key).await?;
                if endpoint.status != EndpointStatus::Enabled {
                    return Ok(endpoint);
                }
                endpoint.updated = shared.clock.now();
                endpoint.status = disabled_on_request(endpoint.updated);
                endpoint.version = store::meta::raise_cfg(tx).await?;
                store::endpoint::update(tx, &endpoint, true).await?;
                // What is held may reach its age limit before it would have been due.
                store::lane::wake(tx, key, endpoint.updated).await?;
                let secrets = secrets(tx, &shared, key).await?;
                let entry = EndpointEntry { endpoint: endpoint.clone(), secrets };
                commit(tx, &shared, entry, TransitionKind::EndpointDisabled).await?;
                shared.wake.now();
                Ok(endpoint)
            })
        });
        unit.await
    }

    /// Enables an endpoint, forgets since when it failed, makes what was held due, and returns the endpoint. One that is
    /// enabled already stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn activate_endpoint(&self, tenant: TenantKey, key: EndpointKey) -> Result<Endpoint, Error> {
        let shared = self.shared.clone();
        let unit = self.shared.db.write_checked(move |tx| {
            Box::pin(async move {
                let mut endpoint = live(tx, tenant, key).await?;
                if endpoint.status == EndpointStatus::Enabled {
                    return Ok(endpoint);
                }
                endpoint.updated = shared.clock.now();
                endpoint.status = EndpointStatus::Enabled;
                // Outcomes of attempts begun before do not disable the endpoint again.
                endpoint.generation += 1;
                endpoint.version = store::meta::raise_cfg(tx).await?;
                store::endpoint::update(tx, &endpoint, true).await?;
                store::health::clear(tx, key).await?;
                store::lane::wake(tx, key, endpoint.updated).await?;
                let secrets = secrets(tx, &shared, key).await?;
                let entry = EndpointEntry { endpoint: endpoint.clone(), secrets };
                commit(tx, &shared, entry, TransitionKind::EndpointActivated).await?;
                shared.wake.now();
                Ok(endpoint)
            })
        });
        unit.await
    }
}
