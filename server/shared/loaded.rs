//! The configuration as a start reads it.
//!
//! Endpoints come by pages, so that no more of their rows than one page's are held beside them. While one page is opened,
//! on a thread of its own, the database reads the next: with very many endpoints either takes about as long as the other.

use std::{collections::HashMap, sync::Arc};

use tokio::task::JoinHandle;

use crate::{
    access::Access,
    model::{ApiKey, Credentials, CustomHeader, EndpointKey, Secret, Tenant, TenantKey},
    publish::{EndpointEntry, Routes},
    store::{self, Conn, Error, Keyring, ListedEndpoint, PublishRule, Result, SealedSecret},
};

/// Endpoints are loaded by as many at a time; in unit tests by so few that they make several pages.
const ENDPOINTS_PER_PAGE: i64 = if cfg!(test) { 2 } else { 1_000 };

/// Keys are loaded by as many at a time.
const KEYS_PER_PAGE: i64 = 1_000;

/// What a start reads of the database.
pub(super) struct Loaded {
    pub(super) cfg: i64,
    pub(super) head: i64,
    pub(super) tenants: Vec<Tenant>,
    pub(super) routes: Routes,
    pub(super) rules: Vec<PublishRule>,
    keys: Vec<ApiKey>,
}

/// Some endpoints and what belongs to them, most of it still as it is stored.
struct Page {
    endpoints: Vec<ListedEndpoint>,
    /// By endpoint, newest first within each. Those of endpoints that are not loaded are among them.
    secrets: Vec<SealedSecret>,
    headers: HashMap<EndpointKey, Vec<CustomHeader>>,
    credentials: HashMap<EndpointKey, Credentials>,
}

/// Opens pages and puts what they hold into its place.
struct Opener {
    routes: Routes,
    keyring: Keyring,
    alike: store::endpoint::Alike,
}

impl Loaded {
    /// Reads everything. Nobody writes meanwhile.
    pub(super) async fn read(conn: &mut Conn, keyring: &Keyring) -> Result<Self> {
        let cfg = store::meta::cfg(conn).await?;
        let (head, ..) = store::log::head(conn).await?;
        let tenants = store::tenant::all(conn).await?;
        let routes = Routes::new(cfg, tenants.iter().map(|tenant| (tenant.id.clone(), tenant.key)).collect());
        let routes = read_endpoints(conn, keyring, routes).await?;
        // A failing time of an earlier activation is forgotten.
        for (key, health) in store::health::all(conn).await? {
            if routes.endpoint(key).is_some_and(|entry| entry.endpoint.generation == health.generation) {
                routes.set_failing(key, Some(health));
            }
        }
        let rules = store::event_type::rules(conn).await?;
        let mut keys: Vec<ApiKey> = Vec::new();
        loop {
            let after = keys.last().map_or(0, |last| last.key);
            let page = store::api_key::list(conn, None, after, KEYS_PER_PAGE).await?;
            if page.is_empty() {
                break;
            }
            keys.extend(page);
        }
        Ok(Self { cfg, head, tenants, routes, rules, keys })
    }

    /// Who may call, by what was loaded.
    pub(super) fn access(&self) -> Access {
        let access = Access::default();
        let ids: HashMap<TenantKey, &str> =
            self.tenants.iter().map(|tenant| (tenant.key, tenant.id.as_str())).collect();
        for key in &self.keys {
            let id = key.tenant.and_then(|tenant| ids.get(&tenant).copied());
            // A key whose tenant is gone lets nobody in: without a tenant it would be an operator's.
            if key.tenant.is_none() || id.is_some() {
                access.apply(key, id);
            }
        }
        access
    }
}

/// Puts all endpoints into `routes`.
async fn read_endpoints(conn: &mut Conn, keyring: &Keyring, routes: Routes) -> Result<Routes> {
    let opener = Opener { routes, keyring: keyring.clone(), alike: store::endpoint::Alike::default() };
    let mut opening: JoinHandle<Result<Opener>> = tokio::task::spawn_blocking(|| Ok(opener));
    let mut after = 0;
    loop {
        let page = Page::read(conn, keyring, after).await?;
        let mut opener = opening.await.map_err(|_| Error::Panicked)??;
        let Some(page) = page else { return Ok(opener.routes) };
        after = page.endpoints.last().map_or(after, |last| last.key().0);
        opening = tokio::task::spawn_blocking(|| opener.open(page).map(|()| opener));
    }
}

impl Page {
    /// The endpoints after `after`; `None` if there are no more.
    async fn read(conn: &mut Conn, keyring: &Keyring, after: i64) -> Result<Option<Self>> {
        let endpoints = store::endpoint::load(conn, after, ENDPOINTS_PER_PAGE).await?;
        let (Some(first), Some(last)) = (endpoints.first(), endpoints.last()) else { return Ok(None) };
        let (first, last) = (first.key(), last.key());
        Ok(Some(Self {
            secrets: store::secret::load(conn, first, last).await?,
            headers: store::header::load(conn, keyring, first, last).await?,
            credentials: store::credentials::load(conn, keyring, first, last).await?,
            endpoints,
        }))
    }
}

impl Opener {
    fn open(&mut self, page: Page) -> Result<()> {
        let Page { endpoints, secrets, mut headers, mut credentials } = page;
        let mut secrets = secrets.into_iter().peekable();
        for endpoint in endpoints {
            let endpoint = endpoint.read_alike(&mut self.alike)?;
            let mut own: Vec<Secret> = Vec::new();
            while let Some(secret) = secrets.next_if(|secret| secret.endpoint() <= endpoint.key) {
                if secret.endpoint() == endpoint.key {
                    let mut secret = secret.open(&self.keyring)?;
                    if let Some(scheme) = endpoint.settings.style.scheme(&secret.scheme) {
                        // The same text, of which there are few.
                        secret.scheme = scheme.name.clone();
                    }
                    own.push(secret);
                }
            }
            // Few endpoints have more than one, and a vector that grows makes room for four.
            own.shrink_to_fit();
            let headers = headers.remove(&endpoint.key).unwrap_or_default();
            let credentials = credentials.remove(&endpoint.key).map(Arc::new);
            self.routes.apply(EndpointEntry { endpoint, secrets: own, headers, credentials });
        }
        Ok(())
    }
}
