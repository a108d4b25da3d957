//! What publishing knows of event types in memory: which are deprecated, which have a schema, compiled, and whether a tenant
//! has payloads checked. Routing and attempts know nothing of it.
//!
//! What is committed is applied here right after its commit, while the write lock is still held, as with [`super::Routes`].
//! Event types that are neither deprecated nor have a schema are not here.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::Semaphore;

use crate::{
    model::{SchemaCheck, Tenant, TenantKey, schema::Schema},
    store::{self, PublishRule},
};

/// Checks of large payloads at once: each holds its payload as a tree, at many times its size.
const LARGE_CHECKS_MAX: usize = 4;

/// The catalogues of all tenants, as far as publishing reads them.
#[derive(Debug)]
pub struct Catalogue {
    tenants: RwLock<Tenants>,
    large: Arc<Semaphore>,
}

type Tenants = HashMap<TenantKey, TenantRules>;

#[derive(Debug, Default)]
struct TenantRules {
    check: SchemaCheck,
    types: HashMap<String, TypeRule>,
}

/// What publishing reads of an event type.
#[derive(Clone, Debug, Default)]
pub struct TypeRule {
    /// What payloads are to look like, if that is said.
    pub schema: Option<Arc<Schema>>,
    /// It should no longer be published.
    pub deprecated: bool,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self { tenants: RwLock::default(), large: Arc::new(Semaphore::new(LARGE_CHECKS_MAX)) }
    }
}

impl Catalogue {
    /// What publishing reads of an event type, and whether its tenant has payloads checked.
    pub fn rule(&self, tenant: TenantKey, event_type: &str) -> (SchemaCheck, TypeRule) {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let Some(rules) = tenants.get(&tenant) else { return Default::default() };
        (rules.check, rules.types.get(event_type).cloned().unwrap_or_default())
    }

    /// The schema of an event type, if it is compiled of this text.
    pub fn compiled(&self, tenant: TenantKey, event_type: &str, text: &str) -> Option<Arc<Schema>> {
        self.rule(tenant, event_type).1.schema.filter(|schema| schema.text() == text)
    }

    /// Takes over what was committed of an event type.
    pub fn apply(&self, tenant: TenantKey, event_type: &str, rule: TypeRule) {
        self.change(tenant, |rules| {
            if rule.schema.is_some() || rule.deprecated {
                rules.types.insert(event_type.to_owned(), rule);
            } else {
                rules.types.remove(event_type);
            }
        });
    }

    /// Takes over whether a tenant has payloads checked.
    pub fn set_check(&self, tenant: TenantKey, check: SchemaCheck) {
        self.change(tenant, |rules| rules.check = check);
    }

    /// Forgets a tenant.
    pub(crate) fn forget(&self, tenant: TenantKey) {
        self.tenants.write().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
    }

    /// Waits until a large payload may be checked.
    pub(super) async fn large(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        self.large.clone().acquire_owned().await.ok()
    }

    fn change(&self, tenant: TenantKey, change: impl FnOnce(&mut TenantRules)) {
        change(self.tenants.write().unwrap_or_else(PoisonError::into_inner).entry(tenant).or_default());
    }

    /// Takes over catalogues as a whole.
    pub(crate) fn replace(&self, other: Self) {
        let other = other.tenants.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.tenants.write().unwrap_or_else(PoisonError::into_inner) = other;
    }

    /// What was read of the database, its schemas compiled, those that `present` has compiled already taken from there. A
    /// schema that another version of the server had accepted and this one does not is logged, and its type is not checked.
    pub(crate) async fn load(
        present: Option<&Self>,
        tenants: &[Tenant],
        rules: Vec<PublishRule>,
    ) -> store::Result<Self> {
        let loaded = Self::default();
        for tenant in tenants {
            loaded.set_check(tenant.key, tenant.schema_check);
        }
        let known = |rule: &PublishRule| present?.compiled(rule.tenant, &rule.name, &rule.schema);
        let rules: Vec<_> = rules.into_iter().map(|rule| (known(&rule), rule)).collect();
        let compiling = tokio::task::spawn_blocking(move || {
            for (known, rule) in rules {
                let schema = known.or_else(|| compile(&rule));
                loaded.apply(rule.tenant, &rule.name, TypeRule { schema, deprecated: rule.deprecated });
            }
            loaded
        });
        compiling.await.map_err(|_| store::Error::Panicked)
    }
}

fn compile(rule: &PublishRule) -> Option<Arc<Schema>> {
    if rule.schema.is_empty() {
        return None;
    }
    match Schema::compile(&rule.schema) {
        Ok(schema) => Some(Arc::new(schema)),
        Err(error) => {
            let (tenant, event_type) = (rule.tenant.0, &rule.name);
            tracing::error!(tenant, event_type, %error, "a stored schema is not usable; its events are not checked");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantKey = TenantKey::DEFAULT;
    const OTHER: TenantKey = TenantKey(2);

    fn rule(name: &str, schema: &str, deprecated: bool) -> PublishRule {
        PublishRule { tenant: TENANT, name: name.to_owned(), schema: schema.to_owned(), deprecated }
    }

    #[test]
    fn a_rule_is_its_tenants_and_gone_when_it_says_nothing() {
        let catalogue = Catalogue::default();
        catalogue.apply(TENANT, "a", TypeRule { schema: None, deprecated: true });
        catalogue.set_check(OTHER, SchemaCheck::Reject);
        assert!(catalogue.rule(TENANT, "a").1.deprecated);
        assert!(!catalogue.rule(OTHER, "a").1.deprecated && !catalogue.rule(TENANT, "A").1.deprecated);
        assert_eq!(catalogue.rule(TENANT, "a").0, SchemaCheck::Off);
        assert_eq!(catalogue.rule(OTHER, "a").0, SchemaCheck::Reject);
        catalogue.apply(TENANT, "a", TypeRule::default());
        assert!(!catalogue.rule(TENANT, "a").1.deprecated);
    }

    #[tokio::test]
    async fn loading_anew_compiles_only_what_is_new() {
        let present = Catalogue::load(None, &[], vec![rule("a", "true", false), rule("b", "{}", true)]).await.unwrap();
        let rules = vec![rule("a", "true", true), rule("b", "false", false), rule("c", "no schema", true)];
        let loaded = Catalogue::load(Some(&present), &[], rules).await.unwrap();
        let schema = |catalogue: &Catalogue, name| catalogue.rule(TENANT, name).1.schema;
        assert!(Arc::ptr_eq(&schema(&present, "a").unwrap(), &schema(&loaded, "a").unwrap()));
        assert_eq!(schema(&loaded, "b").unwrap().text(), "false");
        let unusable = loaded.rule(TENANT, "c").1;
        assert!(unusable.schema.is_none() && unusable.deprecated);
        present.replace(loaded);
        assert_eq!(schema(&present, "b").unwrap().text(), "false");
    }
}
