//! Creating tenants, changing their settings, deleting them.

use super::{Configurator, Error, etag::tenant_etag};
use crate::{
    model::{Quotas, SchemaCheck, Tenant, TenantKey},
    repeat::Call,
    store,
};

/// A tenant to create, checked.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// Its public id.
    pub id: String,
    /// What is set for it.
    pub settings: TenantPatch,
}

/// What to change of a tenant, checked; `None` leaves a setting as it is.
#[derive(Clone, Debug, Default)]
pub struct TenantPatch {
    /// A name for people.
    pub display_name: Option<String>,
    /// Whether payloads are checked.
    pub schema_check: Option<SchemaCheck>,
    /// How much it may ask for, all of it.
    pub quotas: Option<Quotas>,
}

impl TenantPatch {
    fn apply(self, tenant: &mut Tenant) {
        let Self { display_name, schema_check, quotas } = self;
        tenant.schema_check = schema_check.unwrap_or(tenant.schema_check);
        tenant.quotas = quotas.unwrap_or(tenant.quotas);
        if let Some(display_name) = display_name {
            tenant.display_name = display_name;
        }
    }
}

impl Configurator {
    /// Creates a tenant.
    ///
    /// # Errors
    /// [`Error::TenantExists`], [`Error::Reused`], [`Error::Store`].
    pub async fn create_tenant<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<Tenant, R>>,
        new: NewTenant,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let mut tenant = Tenant {
                    key: TenantKey(store::meta::next_key(tx, "tenant").await?),
                    id: new.id,
                    display_name: String::new(),
                    schema_check: SchemaCheck::default(),
                    quotas: Quotas::default(),
                    version: store::meta::raise_cfg(tx).await?,
                    created: Some(shared.clock.now()),
                    updated: None,
                };
                new.settings.apply(&mut tenant);
                if !store::tenant::insert(tx, &tenant).await? {
                    return Err(Error::TenantExists);
                }
                let answer = answer.with(tx, tenant.clone()).await?;
                tx.commit().await?;
                shared.routes.advance(tenant.version);
                shared.routes.add_tenant(&tenant.id, tenant.key);
                shared.catalogue.set_check(tenant.key, tenant.schema_check);
                shared.quotas.set(tenant.key, tenant.quotas, shared.clock.now());
                Ok(answer)
            })
        });
        unit.await
    }

    /// Changes what `patch` names of a tenant, and returns it as it is then. With `expected` its present [`tenant_etag`] must
    /// be that.
    ///
    /// # Errors
    /// [`Error::NoSuchTenant`], [`Error::Conflict`], [`Error::Reused`], [`Error::Store`].
    pub async fn update_tenant<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<Tenant, R>>,
        expected: Option<String>,
        patch: TenantPatch,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let key = call.tenant();
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let mut tenant = store::tenant::get(tx.conn(), key).await?.ok_or(Error::NoSuchTenant)?;
                if expected.is_some_and(|expected| expected != tenant_etag(&shared.keys, &tenant)) {
                    return Err(Error::Conflict);
                }
                patch.apply(&mut tenant);
                tenant.version = store::meta::raise_cfg(tx).await?;
                tenant.updated = Some(shared.clock.now());
                store::tenant::update(tx, &tenant).await?;
                let (version, schema_check, quotas) = (tenant.version, tenant.schema_check, tenant.quotas);
                let answer = answer.with(tx, tenant).await?;
                tx.commit().await?;
                shared.routes.advance(version);
                shared.catalogue.set_check(key, schema_check);
                shared.quotas.set(key, quotas, shared.clock.now());
                Ok(answer)
            })
        });
        unit.await
    }

    /// Deletes a tenant that has no endpoints: its keys, its catalogue and the answers kept for it go with it. Its events
    /// stay where they are, and nobody can ask for them. With `expected` its present [`tenant_etag`] must be that.
    ///
    /// # Errors
    /// [`Error::NoSuchTenant`], [`Error::TenantNotEmpty`], [`Error::Conflict`], [`Error::Reused`], [`Error::Store`].
    pub async fn delete_tenant<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<(), R>>,
        key: TenantKey,
        expected: Option<String>,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let tenant = store::tenant::get(tx.conn(), key).await?.ok_or(Error::NoSuchTenant)?;
                if expected.is_some_and(|expected| expected != tenant_etag(&shared.keys, &tenant)) {
                    return Err(Error::Conflict);
                }
                if store::endpoint::count_live(tx.conn(), key).await? > 0 {
                    return Err(Error::TenantNotEmpty);
                }
                let version = store::meta::raise_cfg(tx).await?;
                store::api_key::delete_of(tx, key).await?;
                store::event_type::delete_of(tx, key).await?;
                store::request::delete_of(tx, key).await?;
                store::tenant::delete(tx, key).await?;
                let answer = answer.with(tx, ()).await?;
                tx.commit().await?;
                shared.access.revoke_all(key);
                shared.routes.advance(version);
                shared.routes.remove_tenant(key);
                shared.catalogue.forget(key);
                shared.quotas.set(key, Quotas::default(), shared.clock.now());
                Ok(answer)
            })
        });
        unit.await
    }
}
