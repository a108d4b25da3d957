//! Tenants: get, update.

use super::{
    WebhookApi,
    convert::timestamp,
    error::{Error, Resource},
    idempotent::Once,
    mask::TenantMask,
};
use crate::{
    configure::{TenantPatch, tenant_etag},
    model::{SchemaCheck, Tenant},
    proto::{self, GetTenantRequest, GetTenantResponse, UpdateTenantRequest, UpdateTenantResponse},
    store,
};

impl WebhookApi {
    pub(super) async fn get_tenant(&self, request: GetTenantRequest) -> Result<GetTenantResponse, Error> {
        let key = self.tenant(&request.tenant_id)?.key;
        let read = self.shared.db.read(move |conn| Box::pin(store::tenant::get(conn, key)));
        let tenant = read.await?.ok_or(Error::NotFound(Resource::Tenant))?;
        Ok(GetTenantResponse { tenant: Some(self.show_tenant(tenant)) })
    }

    pub(super) async fn update_tenant(
        &self,
        request: UpdateTenantRequest,
        once: Once<UpdateTenantRequest>,
    ) -> Result<UpdateTenantResponse, Error> {
        let mut violations = once.violations();
        let mask = TenantMask::read(request.update_mask.as_ref(), &mut violations);
        let Some(given) = request.tenant else {
            violations.add("tenant", "is required");
            return Err(Error::Invalid(violations));
        };
        let mut patch = TenantPatch::default();
        if mask.schema_check {
            patch.schema_check = violations.take("tenant.schema_check", read_check(given.schema_check));
        }
        violations.check()?;
        let expected = (!given.etag.is_empty()).then_some(given.etag);
        let call = once.call(|api, _, updated| UpdateTenantResponse { tenant: Some(api.show_tenant(updated)) })?;
        Ok(self.configurator.update_tenant(call, expected, patch).await?)
    }

    fn show_tenant(&self, tenant: Tenant) -> proto::Tenant {
        let schema_check = match tenant.schema_check {
            SchemaCheck::Off => proto::SchemaCheck::Off,
            SchemaCheck::Warn => proto::SchemaCheck::Warn,
            SchemaCheck::Reject => proto::SchemaCheck::Reject,
        };
        proto::Tenant {
            etag: tenant_etag(&self.shared.keys, &tenant),
            id: tenant.id,
            schema_check: schema_check as i32,
            create_time: tenant.created.map(timestamp),
            update_time: tenant.updated.map(timestamp),
        }
    }
}

/// Reads the setting; what is not said is the default.
fn read_check(number: i32) -> Result<SchemaCheck, &'static str> {
    match proto::SchemaCheck::try_from(number) {
        Ok(proto::SchemaCheck::Unspecified | proto::SchemaCheck::Off) => Ok(SchemaCheck::Off),
        Ok(proto::SchemaCheck::Warn) => Ok(SchemaCheck::Warn),
        Ok(proto::SchemaCheck::Reject) => Ok(SchemaCheck::Reject),
        Err(_) => Err("must be a value of SchemaCheck"),
    }
}
