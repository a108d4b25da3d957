//! GetTenant and UpdateTenant.

use prost_types::FieldMask;
use tidings::proto::*;
use tonic::Code;

use crate::support::{Api, OTHER_TENANT};

/// What has payloads of the tenant checked in this way.
pub(crate) fn checking(id: &str, check: SchemaCheck) -> UpdateTenantRequest {
    let tenant = Tenant { id: id.to_owned(), schema_check: check as i32, ..Default::default() };
    UpdateTenantRequest { tenant: Some(tenant), update_mask: Some(mask(&["schema_check"])), ..Default::default() }
}

fn mask(paths: &[&str]) -> FieldMask {
    FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() }
}

impl Api {
    async fn tenant(&self, id: &str) -> Tenant {
        let request = GetTenantRequest { tenant_id: id.to_owned() };
        self.admin.clone().get_tenant(request).await.unwrap().into_inner().tenant.unwrap()
    }

    pub(crate) async fn check_schemas(&self, id: &str, check: SchemaCheck) -> Tenant {
        self.admin.clone().update_tenant(checking(id, check)).await.unwrap().into_inner().tenant.unwrap()
    }
}

#[tokio::test]
async fn setting_is_kept_and_is_the_tenants_own() {
    let api = Api::start().await;
    let fresh = api.tenant("").await;
    assert_eq!((fresh.id.as_str(), fresh.schema_check()), ("default", SchemaCheck::Off));
    assert_eq!((fresh.create_time, fresh.update_time), (None, None));
    assert_eq!(api.tenant("default").await, fresh);

    let updated = api.check_schemas("", SchemaCheck::Reject).await;
    assert_eq!(updated.schema_check(), SchemaCheck::Reject);
    assert!(updated.update_time.is_some() && updated.etag != fresh.etag);
    assert_eq!(api.tenant(OTHER_TENANT).await.schema_check(), SchemaCheck::Off);
    let other = api.check_schemas(OTHER_TENANT, SchemaCheck::Warn).await;
    assert!(other.etag != updated.etag && other.etag != fresh.etag);

    let api = api.restart().await;
    assert_eq!(api.tenant("").await, updated);
    assert_eq!(api.tenant(OTHER_TENANT).await, other);
    assert_eq!(api.check_schemas("", SchemaCheck::Unspecified).await.schema_check(), SchemaCheck::Off);
}

#[tokio::test]
async fn etag_guards_an_update() {
    let api = Api::start().await;
    let mut admin = api.admin.clone();
    let with = |etag: &str| {
        let mut request = checking("", SchemaCheck::Warn);
        request.tenant.as_mut().unwrap().etag = etag.to_owned();
        request
    };
    let stale = api.tenant("").await.etag;
    admin.update_tenant(with(&stale)).await.unwrap();
    for etag in [stale, "x".to_owned(), api.tenant(OTHER_TENANT).await.etag] {
        api.refuses(&etag, admin.update_tenant(with(&etag)), Code::Aborted, "ETAG_MISMATCH", &[]).await;
    }
    admin.update_tenant(with(&api.tenant("").await.etag)).await.unwrap();
}

#[tokio::test]
async fn bad_updates_are_refused_field_by_field() {
    let api = Api::start().await;
    let mut admin = api.admin.clone();
    let tenant = |check: i32| Some(Tenant { schema_check: check, ..Default::default() });
    let cases: Vec<(UpdateTenantRequest, &[&str])> = vec![
        (UpdateTenantRequest::default(), &["update_mask", "tenant"]),
        (UpdateTenantRequest { tenant: tenant(1), update_mask: None, ..Default::default() }, &["update_mask"]),
        (
            UpdateTenantRequest { tenant: tenant(1), update_mask: Some(mask(&[])), ..Default::default() },
            &["update_mask"],
        ),
        (
            UpdateTenantRequest {
                tenant: tenant(1),
                update_mask: Some(mask(&["schema_check", "name", "id", "etag"])),
                ..Default::default()
            },
            &["update_mask.paths[1]", "update_mask.paths[2]", "update_mask.paths[3]"],
        ),
        (
            UpdateTenantRequest {
                tenant: tenant(999),
                update_mask: Some(mask(&["schema_check", "*"])),
                ..Default::default()
            },
            &["update_mask.paths[1]", "tenant.schema_check"],
        ),
        (
            UpdateTenantRequest {
                tenant: tenant(-1),
                update_mask: Some(mask(&["schema_check"])),
                ..Default::default()
            },
            &["tenant.schema_check"],
        ),
    ];
    for (request, fields) in cases {
        let case = format!("{request:?}");
        let call = admin.update_tenant(request);
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", fields).await;
    }
}
