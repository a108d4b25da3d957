//! Creating, updating and deleting endpoints.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Configurator, CredentialsPatch, Error, check_etag, commit, credentials, disabled_on_request, entry,
    header::{self, HeaderPatch},
    live,
    scheme::{self, NewSecret, Owner},
    secrets,
};
use crate::{
    model::{
        Backlog, Credentials, CustomHeader, Endpoint, EndpointKey, EndpointSettings, EndpointStatus, EndpointUrl,
        RetrySchedule, Secret, Style, TransitionKind, TypeFilter,
    },
    publish::EndpointEntry,
    repeat::Call,
    store,
};

/// An endpoint to create, checked.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// What its tenant says of it.
    pub settings: EndpointSettings,
    /// It is created disabled.
    pub disabled: bool,
    /// Secrets to import for its schemes; the others get new ones.
    pub secrets: Vec<NewSecret>,
    /// Its own headers, those that `settings` name.
    pub headers: Vec<CustomHeader>,
    /// By what the server is known to it; `settings` have their summary.
    pub credentials: Credentials,
}

/// What to change of an endpoint, checked; `None` leaves a setting as it is.
#[derive(Clone, Debug, Default)]
pub struct EndpointPatch {
    /// A name for people.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// All of its labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Where to POST.
    pub url: Option<EndpointUrl>,
    /// Which event types it wants.
    pub filter: Option<TypeFilter>,
    /// How its webhooks look on the wire.
    pub style: Option<Style>,
    /// Secrets to import for schemes that are new with the style.
    pub secrets: Vec<NewSecret>,
    /// All of its own headers.
    pub headers: Option<Vec<HeaderPatch>>,
    /// Parts of its credentials.
    pub credentials: CredentialsPatch,
    /// When failed attempts are repeated; `Some(None)` as its style has it.
    pub retry: Option<Option<RetrySchedule>>,
    /// The limit over one whole exchange; `Some(None)` as its style has it.
    pub timeout: Option<Option<Duration>>,
    /// Requests in flight at once.
    pub max_in_flight: Option<u32>,
    /// How long a delivery may be held.
    pub hold_duration: Option<Duration>,
    /// After how many dead deliveries in a row it is disabled; `Some(None)` as its style has it.
    pub disable_after_dead: Option<Option<u32>>,
}

impl EndpointPatch {
    /// Changes the settings; what else there is to change is given back.
    fn apply(self, settings: &mut EndpointSettings) -> Apart {
        let Self { display_name, description, labels, url, filter, style, secrets, headers, credentials, .. } = self;
        let Self { retry, timeout, max_in_flight, hold_duration, disable_after_dead, .. } = self;
        set(&mut settings.display_name, display_name);
        set(&mut settings.description, description);
        set(&mut settings.labels, labels);
        set(&mut settings.url, url);
        set(&mut settings.filter, filter);
        set(&mut settings.style, style);
        let policy = Arc::make_mut(&mut settings.policy);
        set(&mut policy.retry, retry);
        set(&mut policy.timeout, timeout);
        set(&mut policy.max_in_flight, max_in_flight);
        set(&mut policy.hold_duration, hold_duration);
        set(&mut policy.disable_after_dead, disable_after_dead);
        Apart { secrets, headers, credentials }
    }
}

/// What is changed apart from the settings.
struct Apart {
    secrets: Vec<NewSecret>,
    headers: Option<Vec<HeaderPatch>>,
    credentials: CredentialsPatch,
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

impl Configurator {
    /// Creates an endpoint, and returns it and the first secret of each of its schemes, in their order.
    ///
    /// # Errors
    /// [`Error::EndpointQuota`], [`Error::Refused`], [`Error::Reused`], [`Error::Store`].
    pub async fn create_endpoint<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<(Endpoint, Vec<Secret>), R>>,
        new: NewEndpoint,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let tenant = call.tenant();
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let quota = store::tenant::get(tx.conn(), tenant).await?.and_then(|tenant| tenant.quotas.endpoints);
                if let Some(max) = quota
                    && store::endpoint::count_live(tx.conn(), tenant).await? >= max
                {
                    return Err(Error::EndpointQuota { max });
                }
                let now = shared.clock.now();
                let backlog = Backlog { held_since: new.disabled.then_some(now), ..Backlog::default() };
                let endpoint = Endpoint {
                    key: EndpointKey(store::meta::next_key(tx, "endpoint").await?),
                    tenant,
                    settings: new.settings,
                    status: if new.disabled { disabled_on_request(now) } else { EndpointStatus::Enabled },
                    backlog: backlog.into(),
                    generation: 1,
                    version: store::meta::raise_cfg(tx).await?,
                    created: now,
                    updated: now,
                };
                store::endpoint::insert(tx, &endpoint).await?;
                let owner = Owner { tenant, endpoint: endpoint.key, now };
                let style = &endpoint.settings.style;
                let issued = scheme::settle(tx, &shared, owner, style, &[], &new.secrets).await?;
                store::header::replace(tx, &shared.keyring, tenant, endpoint.key, &new.headers).await?;
                store::credentials::replace(tx, &shared.keyring, tenant, endpoint.key, &new.credentials).await?;
                let entry = entry(tx, &shared, endpoint.clone()).await?;
                let answer = answer.with(tx, (endpoint, issued)).await?;
                commit(tx, &shared, entry, TransitionKind::EndpointCreated).await?;
                Ok(answer)
            })
        });
        unit.await
    }

    /// Changes what `patch` names of an endpoint, and returns it as it is then and the secrets that schemes got by the change.
    /// With `expected` the endpoint's present etag must be that.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Refused`], [`Error::Reused`], [`Error::Store`].
    pub async fn update_endpoint<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<(Endpoint, Vec<Secret>), R>>,
        key: EndpointKey,
        expected: Option<String>,
        patch: EndpointPatch,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let tenant = call.tenant();
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let mut endpoint = live(tx, tenant, key).await?;
                check_etag(&shared, &endpoint, expected)?;
                let before = endpoint.settings.clone();
                let Apart { secrets: imported, headers, credentials: patch } = patch.apply(&mut endpoint.settings);
                endpoint.updated = shared.clock.now();
                let mut refused = Vec::new();
                let headers = match headers {
                    Some(patches) => {
                        Some(header::merge(patches, &header::stored(tx, &shared, key).await?, &mut refused))
                    }
                    None => None,
                };
                if let Some(headers) = &headers {
                    endpoint.settings.header_names = headers.iter().map(|header| header.name.clone()).collect();
                }
                header::check_free(&endpoint.settings, headers.is_some(), &mut refused);
                let settings = &mut endpoint.settings;
                let credentials =
                    credentials::change(tx, &shared, key, patch, settings, headers.is_some(), &mut refused).await?;
                let present = secrets(tx, &shared, key).await?;
                let owner = Owner { tenant, endpoint: key, now: endpoint.updated };
                scheme::check_imports(&endpoint.settings.style, &imported, &present, owner.now, &mut refused);
                if !refused.is_empty() {
                    return Err(Error::Refused(refused));
                }
                if let Some(headers) = headers {
                    store::header::replace(tx, &shared.keyring, tenant, key, &headers).await?;
                }
                if let Some(credentials) = credentials {
                    store::credentials::replace(tx, &shared.keyring, tenant, key, &credentials).await?;
                }
                let mut issued = Vec::new();
                if endpoint.settings.style != before.style {
                    issued = scheme::settle(tx, &shared, owner, &endpoint.settings.style, &present, &imported).await?;
                }
                endpoint.version = store::meta::raise_cfg(tx).await?;
                store::endpoint::update(tx, &endpoint, endpoint.settings.filter != before.filter).await?;
                if endpoint.settings.policy.hold_duration != before.policy.hold_duration {
                    // What is held may have been held for too long already.
                    store::lane::wake(tx, key, endpoint.updated).await?;
                }
                store::secret::delete_expired(tx, key, endpoint.updated).await?;
                let entry = entry(tx, &shared, endpoint.clone()).await?;
                let answer = answer.with(tx, (endpoint, issued)).await?;
                commit(tx, &shared, entry, TransitionKind::EndpointUpdated).await?;
                shared.wake.now();
                Ok(answer)
            })
        });
        unit.await
    }

    /// Deletes an endpoint: its secrets are erased, and its row stays as a tombstone while deliveries refer to it. The
    /// dispatcher cancels what is pending. With `expected` the endpoint's present etag must be that.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Reused`], [`Error::Store`].
    pub async fn delete_endpoint<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<(), R>>,
        key: EndpointKey,
        expected: Option<String>,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let tenant = call.tenant();
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let mut endpoint = live(tx, tenant, key).await?;
                check_etag(&shared, &endpoint, expected)?;
                endpoint.status = EndpointStatus::Deleted;
                endpoint.version = store::meta::raise_cfg(tx).await?;
                endpoint.updated = shared.clock.now();
                store::endpoint::update(tx, &endpoint, true).await?;
                store::secret::delete_all(tx, key).await?;
                store::header::delete(tx, key).await?;
                store::credentials::delete(tx, key).await?;
                store::health::clear(tx, key).await?;
                store::lane::wake(tx, key, endpoint.updated).await?;
                let entry = EndpointEntry { endpoint, secrets: Vec::new(), headers: Vec::new(), credentials: None };
                let answer = answer.with(tx, ()).await?;
                commit(tx, &shared, entry, TransitionKind::EndpointDeleted).await?;
                shared.wake.now();
                Ok(answer)
            })
        });
        unit.await
    }
}
