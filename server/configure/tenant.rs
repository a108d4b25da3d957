//! Changing the settings of tenants.

use super::{Configurator, Error, etag::tenant_etag};
use crate::{
    model::{SchemaCheck, Tenant},
    repeat::Call,
    store,
};

/// What to change of a tenant, checked; `None` leaves a setting as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct TenantPatch {
    /// Whether payloads are checked.
    pub schema_check: Option<SchemaCheck>,
}

impl Configurator {
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
                tenant.schema_check = patch.schema_check.unwrap_or(tenant.schema_check);
                tenant.version = store::meta::raise_cfg(tx).await?;
                tenant.updated = Some(shared.clock.now());
                store::tenant::update(tx, &tenant).await?;
                let (version, schema_check) = (tenant.version, tenant.schema_check);
                let answer = answer.with(tx, tenant).await?;
                tx.commit().await?;
                shared.routes.advance(version);
                shared.catalogue.set_check(key, schema_check);
                Ok(answer)
            })
        });
        unit.await
    }
}
