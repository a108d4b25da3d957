//! The configuration in memory: which tenants and endpoints there are, and which endpoints want an event.
//!
//! What is committed is applied here right after its commit, while the write lock is still held, so that no turn routes
//! by an older configuration than the one it commits under. Entries are immutable and shared; a change replaces one.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{
    model::{
        Backlog, Credentials, CustomHeader, Endpoint, EndpointKey, EndpointStatus, Secret, Standing, TenantKey,
        Timestamp, signing,
    },
    store::Health,
};

/// An endpoint with all that an attempt needs to know of it.
#[derive(Clone, Debug)]
pub struct EndpointEntry {
    /// Its configuration.
    pub endpoint: Endpoint,
    /// Its secrets, newest first, those that have expired included until they are erased.
    pub secrets: Vec<Secret>,
    /// Its own headers.
    pub headers: Vec<CustomHeader>,
    /// By what the server is known to it.
    pub credentials: Option<Arc<Credentials>>,
}

/// The configuration in memory.
#[derive(Debug, Default)]
pub struct Routes(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The newest configuration version applied.
    cfg: i64,
    tenants: HashMap<Arc<str>, TenantKey>,
    tenant_ids: HashMap<TenantKey, Arc<str>>,
    endpoints: HashMap<EndpointKey, Arc<EndpointEntry>>,
    routes: HashMap<TenantKey, TenantRoutes>,
    failing: HashMap<EndpointKey, Health>,
}

/// The endpoints of one tenant that receive events, by what they want.
#[derive(Debug, Default)]
struct TenantRoutes {
    /// Those that want a list of exact types.
    exact: HashMap<String, Wanting>,
    /// Those that want everything, or whatever matches a pattern.
    patterns: Vec<EndpointKey>,
}

/// The endpoints that want a type. Most types are wanted by one endpoint of their tenant, which needs no list.
#[derive(Debug)]
enum Wanting {
    One(EndpointKey),
    Many(Vec<EndpointKey>),
}

impl Wanting {
    fn keys(&self) -> &[EndpointKey] {
        match self {
            Self::One(key) => std::slice::from_ref(key),
            Self::Many(keys) => keys,
        }
    }

    fn add(&mut self, key: EndpointKey) {
        match self {
            Self::One(first) => *self = Self::Many(vec![*first, key]),
            Self::Many(keys) => keys.push(key),
        }
    }

    /// Takes an endpoint out; whether none is left.
    fn remove(&mut self, key: EndpointKey) -> bool {
        match self {
            Self::One(only) => *only == key,
            Self::Many(keys) => {
                keys.retain(|other| *other != key);
                keys.is_empty()
            }
        }
    }
}

impl EndpointEntry {
    /// The secrets with which the scheme of this name signs at `now`, newest first.
    pub fn signing_secrets(&self, scheme: &str, now: Timestamp) -> Vec<&Secret> {
        let joins =
            self.endpoint.settings.style.scheme(scheme).is_some_and(|scheme| scheme.scheme().joins_signatures());
        signing(self.secrets.iter().filter(|secret| &*secret.scheme == scheme), joins, now)
    }
}

impl Routes {
    /// An empty configuration of version `cfg`, with these tenants.
    pub fn new(cfg: i64, tenants: Vec<(String, TenantKey)>) -> Self {
        let routes = Self(RwLock::new(Inner { cfg, ..Inner::default() }));
        tenants.into_iter().for_each(|(id, key)| routes.add_tenant(&id, key));
        routes
    }

    /// There is a tenant with this public id.
    pub fn add_tenant(&self, id: &str, key: TenantKey) {
        let (mut inner, id) = (self.write(), Arc::<str>::from(id));
        inner.tenants.insert(id.clone(), key);
        inner.tenant_ids.insert(key, id);
    }

    /// There is no such tenant any more.
    pub fn remove_tenant(&self, key: TenantKey) {
        let mut inner = self.write();
        if let Some(id) = inner.tenant_ids.remove(&key) {
            inner.tenants.remove(&id);
        }
    }

    /// The tenant with this public id.
    pub fn tenant(&self, id: &str) -> Option<TenantKey> {
        self.read().tenants.get(id).copied()
    }

    /// The public id of a tenant.
    pub fn tenant_id(&self, key: TenantKey) -> Option<Arc<str>> {
        self.read().tenant_ids.get(&key).cloned()
    }

    /// An endpoint of any tenant that has not been deleted.
    pub fn endpoint(&self, key: EndpointKey) -> Option<Arc<EndpointEntry>> {
        self.read().endpoints.get(&key).cloned()
    }

    /// Whether an endpoint receives events; one that is not known is deleted.
    pub fn status(&self, key: EndpointKey) -> EndpointStatus {
        self.standing(key).status
    }

    /// What the shown states of an endpoint's deliveries depend on; one that is not known is deleted.
    pub fn standing(&self, key: EndpointKey) -> Standing {
        self.read().endpoints.get(&key).map_or(Standing::DELETED, |entry| entry.endpoint.standing())
    }

    /// The endpoints that want an event of this type, by key, and the configuration version that says so.
    pub fn wanting(&self, tenant: TenantKey, event_type: &str) -> (Vec<EndpointKey>, i64) {
        let inner = self.read();
        let mut wanting = Vec::new();
        if let Some(routes) = inner.routes.get(&tenant) {
            wanting.extend(routes.exact.get(event_type).into_iter().flat_map(Wanting::keys));
            wanting.extend(routes.patterns.iter().filter(|key| {
                inner.endpoints.get(key).is_some_and(|entry| entry.endpoint.settings.filter.matches(event_type))
            }));
            wanting.sort_unstable();
        }
        (wanting, inner.cfg)
    }

    /// The newest configuration version applied.
    pub fn cfg(&self) -> i64 {
        self.read().cfg
    }

    /// A configuration of version `cfg` was committed in which no endpoint changed.
    pub fn advance(&self, cfg: i64) {
        let mut inner = self.write();
        inner.cfg = inner.cfg.max(cfg);
    }

    /// Takes a committed endpoint over; one that was deleted is forgotten. An entry older than the one that is there changes
    /// nothing.
    pub fn apply(&self, entry: EndpointEntry) {
        let mut inner = self.write();
        let key = entry.endpoint.key;
        if let Some(present) = inner.endpoints.get(&key).cloned() {
            if present.endpoint.version > entry.endpoint.version {
                return;
            }
            if present.endpoint.generation != entry.endpoint.generation {
                inner.failing.remove(&key);
            }
            inner.unroute(&present.endpoint);
        }
        inner.cfg = inner.cfg.max(entry.endpoint.version);
        if entry.endpoint.status == EndpointStatus::Deleted {
            inner.endpoints.remove(&key);
            inner.failing.remove(&key);
            return;
        }
        inner.route(&entry.endpoint);
        inner.endpoints.insert(key, Arc::new(entry));
    }

    /// Takes over what has become of an endpoint's backlog, which is no change of its configuration.
    pub(crate) fn set_backlog(&self, key: EndpointKey, backlog: Backlog) {
        if let Some(entry) = self.write().endpoints.get_mut(&key) {
            Arc::make_mut(entry).endpoint.backlog = backlog.into();
        }
    }

    /// Takes a configuration over as a whole.
    pub(crate) fn replace(&self, other: Self) {
        *self.write() = other.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    }

    /// Since when an endpoint fails, under its present activation.
    pub fn failing(&self, key: EndpointKey) -> Option<Health> {
        self.read().failing.get(&key).copied()
    }

    /// All endpoints that fail.
    pub fn all_failing(&self) -> Vec<EndpointKey> {
        self.read().failing.keys().copied().collect()
    }

    /// Records that an endpoint fails, or fares well again.
    pub fn set_failing(&self, key: EndpointKey, health: Option<Health>) {
        let mut inner = self.write();
        match health {
            Some(health) => inner.failing.insert(key, health),
            None => inner.failing.remove(&key),
        };
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn route(&mut self, endpoint: &Endpoint) {
        if !endpoint.status.is_routed() {
            return;
        }
        let routes = self.routes.entry(endpoint.tenant).or_default();
        match endpoint.settings.filter.exact_types() {
            Some(types) => {
                for event_type in types {
                    match routes.exact.get_mut(event_type) {
                        Some(wanting) => wanting.add(endpoint.key),
                        None => {
                            routes.exact.insert(event_type.clone(), Wanting::One(endpoint.key));
                        }
                    }
                }
            }
            None => routes.patterns.push(endpoint.key),
        }
    }

    fn unroute(&mut self, endpoint: &Endpoint) {
        let Some(routes) = self.routes.get_mut(&endpoint.tenant) else { return };
        for event_type in endpoint.settings.filter.exact_types().into_iter().flatten() {
            if routes.exact.get_mut(event_type).is_some_and(|wanting| wanting.remove(endpoint.key)) {
                routes.exact.remove(event_type);
            }
        }
        routes.patterns.retain(|key| *key != endpoint.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_is_wanted_by_whoever_was_added_and_not_taken_out() {
        let [a, b, c] = [1, 2, 3].map(EndpointKey);
        let mut wanting = Wanting::One(a);
        assert_eq!(wanting.keys(), [a]);
        assert!(!wanting.remove(b), "it was not there");
        wanting.add(b);
        wanting.add(c);
        assert_eq!(wanting.keys(), [a, b, c]);
        assert!(!wanting.remove(b) && !wanting.remove(a));
        assert_eq!(wanting.keys(), [c]);
        assert!(wanting.remove(c));
        assert!(Wanting::One(a).remove(a));
    }
}
