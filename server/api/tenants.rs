//! Tenants: create, get, list, update, delete.

use super::{
    WebhookApi,
    convert::timestamp,
    error::{Error, Resource},
    events::check_id,
    idempotent::Once,
    mask::TenantMask,
    page::{List, Place, Scope, read_size},
    quotas::{read_quotas, show_quotas},
    tenant::DEFAULT,
    violation::{Violations, check_text},
};
use crate::{
    configure::{NewTenant, TenantPatch, tenant_etag},
    model::{SchemaCheck, Tenant, TenantKey},
    proto::{
        self, CreateTenantRequest, CreateTenantResponse, DeleteTenantRequest, DeleteTenantResponse, GetTenantRequest,
        GetTenantResponse, ListTenantsRequest, ListTenantsResponse, UpdateTenantRequest, UpdateTenantResponse,
    },
    store,
};

/// The longest name for people, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 1_024;

impl WebhookApi {
    pub(super) async fn create_tenant(
        &self,
        request: CreateTenantRequest,
        once: Once<CreateTenantRequest>,
    ) -> Result<CreateTenantResponse, Error> {
        let mut violations = once.violations();
        let Some(given) = request.tenant else {
            violations.add("tenant", "is required");
            return Err(Error::Invalid(violations));
        };
        violations.take("tenant.id", check_id(&given.id));
        let id = given.id.clone();
        let all = TenantMask { display_name: true, schema_check: true, quotas: true };
        let settings = read_patch(given, all, &mut violations);
        violations.check()?;
        let call = once.call(|api, _, created| CreateTenantResponse { tenant: Some(api.show_tenant(created)) })?;
        Ok(self.configurator.create_tenant(call, NewTenant { id, settings }).await?)
    }

    pub(super) async fn get_tenant(&self, request: GetTenantRequest) -> Result<GetTenantResponse, Error> {
        let key = self.tenant(&request.tenant_id)?.key;
        let read = self.shared.db.read(move |conn| Box::pin(store::tenant::get(conn, key)));
        let tenant = read.await?.ok_or(Error::NotFound(Resource::Tenant))?;
        Ok(GetTenantResponse { tenant: Some(self.show_tenant(tenant)) })
    }

    pub(super) async fn list_tenants(&self, request: ListTenantsRequest) -> Result<ListTenantsResponse, Error> {
        let mut violations = Violations::default();
        let size = read_size(request.page_size, &mut violations);
        let key = &self.shared.keys.tokens;
        let scope = Scope { key, list: List::Tenants, tenant: TenantKey::OPERATORS, filter: &[] };
        let Place(after, _) = scope.read(&request.page_token, &mut violations).unwrap_or_default();
        violations.check()?;

        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let mut tenants = self.shared.db.read(move |conn| Box::pin(store::tenant::list(conn, after, limit))).await?;
        let more = tenants.len() > size;
        tenants.truncate(size);
        let next = tenants.last().filter(|_| more).map(|last| scope.write(Place(last.key.0, 0)));
        Ok(ListTenantsResponse {
            tenants: tenants.into_iter().map(|tenant| self.show_tenant(tenant)).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    pub(super) async fn update_tenant(
        &self,
        request: UpdateTenantRequest,
        once: Once<UpdateTenantRequest>,
    ) -> Result<UpdateTenantResponse, Error> {
        let mut violations = once.violations();
        let mask = TenantMask::read(request.update_mask.as_ref(), &mut violations);
        let Some(mut given) = request.tenant else {
            violations.add("tenant", "is required");
            return Err(Error::Invalid(violations));
        };
        let expected = Some(std::mem::take(&mut given.etag)).filter(|etag| !etag.is_empty());
        let patch = read_patch(given, mask, &mut violations);
        violations.check()?;
        let call = once.call(|api, _, updated| UpdateTenantResponse { tenant: Some(api.show_tenant(updated)) })?;
        Ok(self.configurator.update_tenant(call, expected, patch).await?)
    }

    pub(super) async fn delete_tenant(
        &self,
        request: DeleteTenantRequest,
        once: Once<DeleteTenantRequest>,
    ) -> Result<DeleteTenantResponse, Error> {
        let mut violations = once.violations();
        match request.tenant_id.as_str() {
            "" => violations.add("tenant_id", "is required"),
            DEFAULT => violations.add("tenant_id", "must not be `default`, which always exists"),
            _ => {}
        }
        violations.check()?;
        let key = self.tenant(&request.tenant_id)?.key;
        let expected = (!request.etag.is_empty()).then_some(request.etag);
        let call = once.call(|_, _, ()| DeleteTenantResponse {})?;
        Ok(self.configurator.delete_tenant(call, key, expected).await?)
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
            display_name: tenant.display_name,
            schema_check: schema_check as i32,
            quotas: show_quotas(&tenant.quotas),
            create_time: tenant.created.map(timestamp),
            update_time: tenant.updated.map(timestamp),
        }
    }
}

/// Reads what the mask names of a tenant.
fn read_patch(given: proto::Tenant, mask: TenantMask, violations: &mut Violations) -> TenantPatch {
    let mut patch = TenantPatch::default();
    if mask.display_name {
        violations.take("tenant.display_name", check_text(&given.display_name, NAME_BYTES_MAX));
        patch.display_name = Some(given.display_name);
    }
    if mask.schema_check {
        patch.schema_check = violations.take("tenant.schema_check", read_check(given.schema_check));
    }
    if mask.quotas {
        patch.quotas = Some(read_quotas(given.quotas, violations));
    }
    patch
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
