//! Creating, updating and deleting endpoints.

use std::{sync::Arc, time::Duration};

use super::{Configurator, Error, commit, disabled_on_request, etag, live, secrets};
use crate::{
    model::{
        Endpoint, EndpointKey, EndpointSettings, EndpointStatus, RetrySchedule, Secret, SecretKey, TenantKey,
        TransitionKind, TypeFilter,
    },
    publish::EndpointEntry,
    signing, store,
};

/// An endpoint to create, checked.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// What its tenant says of it.
    pub settings: EndpointSettings,
    /// It is created disabled.
    pub disabled: bool,
    /// Its first secret.
    pub secret: Arc<signing::Secret>,
}

/// What to change of an endpoint, checked; `None` leaves a setting as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndpointPatch {
    /// A name for people.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Where to POST.
    pub url: Option<url::Url>,
    /// Which event types it wants.
    pub filter: Option<TypeFilter>,
    /// When failed attempts are repeated.
    pub retry: Option<RetrySchedule>,
    /// The limit over one whole exchange.
    pub timeout: Option<Duration>,
    /// Requests in flight at once.
    pub max_in_flight: Option<u32>,
    /// How long a delivery may be held.
    pub hold_duration: Option<Duration>,
}

impl EndpointPatch {
    fn apply(self, settings: &mut EndpointSettings) {
        let Self { display_name, description, url, filter, retry, timeout, max_in_flight, hold_duration } = self;
        set(&mut settings.display_name, display_name);
        set(&mut settings.description, description);
        set(&mut settings.url, url);
        set(&mut settings.filter, filter);
        set(&mut settings.policy.retry, retry);
        set(&mut settings.policy.timeout, timeout);
        set(&mut settings.policy.max_in_flight, max_in_flight);
        set(&mut settings.policy.hold_duration, hold_duration);
    }
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

impl Configurator {
    /// Creates an endpoint and its first secret.
    ///
    /// # Errors
    /// [`Error::Store`] only.
    pub async fn create_endpoint(&self, tenant: TenantKey, new: NewEndpoint) -> Result<Endpoint, Error> {
        let shared = self.shared.clone();
        let unit = self.shared.db.write_checked(move |tx| {
            Box::pin(async move {
                let now = shared.clock.now();
                let endpoint = Endpoint {
                    key: EndpointKey(store::meta::next_key(tx, "endpoint").await?),
                    tenant,
                    settings: new.settings,
                    status: if new.disabled { disabled_on_request(now) } else { EndpointStatus::Enabled },
                    generation: 1,
                    version: store::meta::raise_cfg(tx).await?,
                    created: now,
                    updated: now,
                };
                store::endpoint::insert(tx, &endpoint).await?;
                let key = SecretKey(store::meta::next_key(tx, "secret").await?);
                let secret = Secret { key, value: new.secret, created: now, expires: None };
                store::secret::insert(tx, &shared.keyring, tenant, endpoint.key, &secret).await?;
                let entry = EndpointEntry { endpoint: endpoint.clone(), secrets: vec![secret] };
                commit(tx, &shared, entry, TransitionKind::EndpointCreated).await?;
                Ok(endpoint)
            })
        });
        unit.await
    }

    /// Changes what `patch` names of an endpoint and returns it as it is then. With `expected` the endpoint's present
    /// [`etag`] must be that.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Store`].
    pub async fn update_endpoint(
        &self,
        tenant: TenantKey,
        key: EndpointKey,
        expected: Option<String>,
        patch: EndpointPatch,
    ) -> Result<Endpoint, Error> {
        let shared = self.shared.clone();
        let unit = self.shared.db.write_checked(move |tx| {
            Box::pin(async move {
                let mut endpoint = live(tx, tenant, key).await?;
                if expected.is_some_and(|expected| expected != etag(&shared.keys, &endpoint)) {
                    return Err(Error::Conflict);
                }
                let before = endpoint.settings.clone();
                patch.apply(&mut endpoint.settings);
                endpoint.version = store::meta::raise_cfg(tx).await?;
                endpoint.updated = shared.clock.now();
                store::endpoint::update(tx, &endpoint, endpoint.settings.filter != before.filter).await?;
                if endpoint.settings.policy.hold_duration != before.policy.hold_duration {
                    // What is held may have been held for too long already.
                    store::lane::wake(tx, key, endpoint.updated).await?;
                }
                let secrets = secrets(tx, &shared, key).await?;
                let entry = EndpointEntry { endpoint: endpoint.clone(), secrets };
                commit(tx, &shared, entry, TransitionKind::EndpointUpdated).await?;
                shared.wake.now();
                Ok(endpoint)
            })
        });
        unit.await
    }

    /// Deletes an endpoint: its secrets are erased, and its row stays as a tombstone while deliveries refer to it. The
    /// dispatcher cancels what is pending. With `expected` the endpoint's present [`etag`] must be that.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Store`].
    pub async fn delete_endpoint(
        &self,
        tenant: TenantKey,
        key: EndpointKey,
        expected: Option<String>,
    ) -> Result<(), Error> {
        let shared = self.shared.clone();
        let unit = self.shared.db.write_checked(move |tx| {
            Box::pin(async move {
                let mut endpoint = live(tx, tenant, key).await?;
                if expected.is_some_and(|expected| expected != etag(&shared.keys, &endpoint)) {
                    return Err(Error::Conflict);
                }
                endpoint.status = EndpointStatus::Deleted;
                endpoint.version = store::meta::raise_cfg(tx).await?;
                endpoint.updated = shared.clock.now();
                store::endpoint::update(tx, &endpoint, true).await?;
                store::secret::delete_all(tx, key).await?;
                store::health::clear(tx, key).await?;
                store::lane::wake(tx, key, endpoint.updated).await?;
                let entry = EndpointEntry { endpoint, secrets: Vec::new() };
                commit(tx, &shared, entry, TransitionKind::EndpointDeleted).await?;
                shared.routes.set_failing(key, None);
                shared.wake.now();
                Ok(())
            })
        });
        unit.await
    }
}
