//! Tenants: their lives, their settings, and how much they may ask for.

use tidings::proto::*;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    create, created, mask,
    support::{Api, OTHER_TENANT, soon},
};

/// What has payloads of the tenant checked in this way.
pub(crate) fn checking(id: &str, check: SchemaCheck) -> UpdateTenantRequest {
    let tenant = Tenant { id: id.to_owned(), schema_check: check as i32, ..Default::default() };
    UpdateTenantRequest { tenant: Some(tenant), update_mask: mask(&["schema_check"]), ..Default::default() }
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
        (UpdateTenantRequest { tenant: tenant(1), update_mask: mask(&[]), ..Default::default() }, &["update_mask"]),
        (
            UpdateTenantRequest {
                tenant: tenant(1),
                update_mask: mask(&["schema_check", "name", "id", "etag"]),
                ..Default::default()
            },
            &["update_mask.paths[1]", "update_mask.paths[2]", "update_mask.paths[3]"],
        ),
        (
            UpdateTenantRequest {
                tenant: tenant(999),
                update_mask: mask(&["schema_check", "*"]),
                ..Default::default()
            },
            &["update_mask.paths[1]", "tenant.schema_check"],
        ),
        (
            UpdateTenantRequest { tenant: tenant(-1), update_mask: mask(&["schema_check"]), ..Default::default() },
            &["tenant.schema_check"],
        ),
        (
            UpdateTenantRequest {
                tenant: Some(Tenant {
                    display_name: "a\0".to_owned(),
                    quotas: Some(TenantQuotas { events_burst: Some(0), max_endpoints: Some(-1), ..Default::default() }),
                    ..Default::default()
                }),
                update_mask: mask(&["display_name", "quotas"]),
                ..Default::default()
            },
            &[
                "tenant.display_name",
                "tenant.quotas.events_burst",
                "tenant.quotas.max_endpoints",
                "tenant.quotas.events_burst",
            ],
        ),
    ];
    for (request, fields) in cases {
        let case = format!("{request:?}");
        let call = admin.update_tenant(request);
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", fields).await;
    }
}

fn creating(id: &str) -> CreateTenantRequest {
    let tenant = Tenant { id: id.to_owned(), display_name: "of a test".to_owned(), ..Default::default() };
    CreateTenantRequest { tenant: Some(tenant), ..Default::default() }
}

fn deleting(id: &str) -> DeleteTenantRequest {
    DeleteTenantRequest { tenant_id: id.to_owned(), ..Default::default() }
}

fn event(id: &str) -> Event {
    Event { id: id.to_owned(), r#type: "a.b".to_owned(), payload: "{}".into(), ..Default::default() }
}

fn publishing(tenant: &str) -> PublishEventRequest {
    PublishEventRequest { tenant_id: tenant.to_owned(), event: Some(event("")) }
}

/// The quota that a refusal names, and whether it says when to try again.
fn quota(status: &Status) -> (Code, String, String, bool) {
    let details = status.get_error_details();
    let info = details.error_info().expect("every status has one");
    assert!(!details.quota_failure().expect("it says which").violations.is_empty());
    (status.code(), info.reason.clone(), info.metadata["quota"].clone(), details.retry_info().is_some())
}

fn exceeded(quota: &str, later: bool) -> (Code, String, String, bool) {
    (Code::ResourceExhausted, "QUOTA_EXCEEDED".to_owned(), quota.to_owned(), later)
}

impl Api {
    async fn limit(&self, id: &str, quotas: TenantQuotas) {
        let tenant = Tenant { id: id.to_owned(), quotas: Some(quotas), ..Default::default() };
        let update = UpdateTenantRequest { tenant: Some(tenant), update_mask: mask(&["quotas"]), ..Default::default() };
        let tenant = self.admin.clone().update_tenant(update).await.unwrap().into_inner().tenant.unwrap();
        assert_eq!(tenant.quotas, Some(quotas));
    }
}

#[tokio::test]
async fn tenant_lives_and_is_deleted_with_nothing_of_it_left_to_its_successor() {
    let api = Api::start().await;
    let (mut admin, mut client) = (api.admin.clone(), api.client.clone());
    let once = CreateTenantRequest { request_id: "once".to_owned(), ..creating("acme") };
    let made = admin.create_tenant(once.clone()).await.unwrap().into_inner();
    assert_eq!(admin.create_tenant(once).await.unwrap().into_inner(), made);
    let made = made.tenant.unwrap();
    assert_eq!((made.id.as_str(), made.display_name.as_str(), made.quotas), ("acme", "of a test", None));
    assert!(made.create_time.is_some() && made.update_time.is_none());
    assert_eq!(api.tenant("acme").await, made);
    for id in ["acme", "default", OTHER_TENANT] {
        api.refuses(id, admin.create_tenant(creating(id)), Code::AlreadyExists, "TENANT_EXISTS", &[]).await;
    }
    let endpoint = created(&api, "acme").await;
    client.publish_event(publishing("acme")).await.unwrap();

    let mut listed = Vec::new();
    let mut request = ListTenantsRequest { page_size: 2, ..Default::default() };
    loop {
        let page = admin.list_tenants(request.clone()).await.unwrap().into_inner();
        listed.extend(page.tenants.into_iter().map(|tenant| tenant.id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(listed, ["default", OTHER_TENANT, "acme"]);

    let call = admin.delete_tenant(deleting("acme"));
    api.refuses("it has an endpoint", call, Code::FailedPrecondition, "TENANT_NOT_EMPTY", &[]).await;
    let delete = DeleteEndpointRequest { tenant_id: "acme".to_owned(), endpoint_id: endpoint.id, ..Default::default() };
    client.delete_endpoint(delete).await.unwrap();
    let stale = DeleteTenantRequest { etag: "x".to_owned(), ..deleting("acme") };
    api.refuses("stale", admin.delete_tenant(stale), Code::Aborted, "ETAG_MISMATCH", &[]).await;
    let delete = DeleteTenantRequest { etag: made.etag, request_id: "gone".to_owned(), ..deleting("acme") };
    admin.delete_tenant(delete.clone()).await.unwrap();
    admin.delete_tenant(delete).await.expect("a repeat gets the first answer");
    api.refuses("again", admin.delete_tenant(deleting("acme")), Code::NotFound, "NOT_FOUND", &[]).await;
    let call = client.publish_event(publishing("acme"));
    api.refuses("published", call, Code::NotFound, "NOT_FOUND", &[]).await;

    admin.create_tenant(creating("acme")).await.unwrap();
    let events = ListEventsRequest { tenant_id: "acme".to_owned(), ..Default::default() };
    assert!(client.list_events(events).await.unwrap().into_inner().events.is_empty());
}

#[tokio::test]
async fn bad_tenants_are_refused_field_by_field() {
    let api = Api::start().await;
    let mut admin = api.admin.clone();
    for (id, field) in [("", "tenant_id"), ("default", "tenant_id")] {
        api.refuses(id, admin.delete_tenant(deleting(id)), Code::InvalidArgument, "INVALID_REQUEST", &[field]).await;
    }
    for id in ["", "a b", "a/b", "é", &"x".repeat(129)] {
        let call = admin.create_tenant(creating(id));
        api.refuses(id, call, Code::InvalidArgument, "INVALID_REQUEST", &["tenant.id"]).await;
    }
    let tenant = Tenant {
        display_name: "x".repeat(1_025),
        schema_check: 9,
        quotas: Some(TenantQuotas { bytes_per_second: Some(0), ..Default::default() }),
        ..Default::default()
    };
    let call = admin.create_tenant(CreateTenantRequest { tenant: Some(tenant), ..Default::default() });
    let fields = ["tenant.id", "tenant.display_name", "tenant.schema_check", "tenant.quotas.bytes_per_second"];
    api.refuses("all", call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
    let call = admin.list_tenants(ListTenantsRequest { page_size: -1, page_token: "x".to_owned() });
    api.refuses("list", call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &["page_size", "page_token"]).await;
}

#[tokio::test]
async fn endpoints_beyond_the_quota_are_refused() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let first = created(&api, "").await;
    api.limit("", TenantQuotas { max_endpoints: Some(2), ..Default::default() }).await;
    created(&api, "").await;
    let refused = client.create_endpoint(create("")).await.unwrap_err();
    assert_eq!(quota(&refused), exceeded("max_endpoints", false));
    created(&api, OTHER_TENANT).await;
    client.delete_endpoint(DeleteEndpointRequest { endpoint_id: first.id, ..Default::default() }).await.unwrap();
    created(&api, "").await;
    let api = api.restart().await;
    let refused = api.client.clone().create_endpoint(create("")).await.unwrap_err();
    assert_eq!(quota(&refused), exceeded("max_endpoints", false));
}

#[tokio::test]
async fn rates_are_kept_by_each_way_of_publishing() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    for (quotas, named) in [
        (TenantQuotas { events_per_second: Some(1), events_burst: Some(2), ..Default::default() }, "events_per_second"),
        (TenantQuotas { bytes_per_second: Some(4), ..Default::default() }, "bytes_per_second"),
    ] {
        // Each begins with a full bucket, which two events empty.
        let refill = async || {
            api.limit("", TenantQuotas::default_of_none()).await;
            api.limit("", quotas).await;
        };
        refill().await;
        let mut refused = None;
        for _ in 0..3 {
            refused = client.publish_event(publishing("")).await.err();
        }
        assert_eq!(quota(&refused.unwrap()), exceeded(named, true));
        client.publish_event(publishing(OTHER_TENANT)).await.unwrap();

        refill().await;
        let events = ["a", "b", "c"].map(|id| event(&format!("{id}-{named}"))).to_vec();
        let batch = BatchPublishEventsRequest { events: events.clone(), ..Default::default() };
        let results = client.batch_publish_events(batch).await.unwrap().into_inner().results;
        let refused: Vec<bool> = results
            .iter()
            .map(|result| matches!(result.result, Some(batch_publish_result::Result::Error(_))))
            .collect();
        assert_eq!(refused, [false, false, true], "{results:?}");

        refill().await;
        let requests: Vec<_> = events
            .into_iter()
            .map(|event| PublishEventStreamRequest {
                event: Some(Event { id: String::new(), ..event }),
                ..Default::default()
            })
            .collect();
        let answers = client.publish_event_stream(tokio_stream::iter(requests)).await.unwrap().into_inner();
        let answers: Vec<_> = soon(futures_util::StreamExt::collect(answers)).await;
        let refused: Vec<bool> = answers
            .into_iter()
            .map(|answer: Result<PublishEventStreamResponse, Status>| {
                matches!(answer.unwrap().result, Some(publish_event_stream_response::Result::Error(_)))
            })
            .collect();
        assert_eq!(refused, [false, false, true]);
    }
}

trait NoQuota {
    fn default_of_none() -> Self;
}

impl NoQuota for TenantQuotas {
    /// One that limits nothing that is tested here.
    fn default_of_none() -> Self {
        Self { max_endpoints: Some(1_000), ..Self::default() }
    }
}

#[tokio::test]
async fn nothing_is_published_while_too_much_waits() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let endpoint_id = created(&api, "").await.id;
    client
        .pause_endpoint(PauseEndpointRequest { endpoint_id: endpoint_id.clone(), ..Default::default() })
        .await
        .unwrap();
    api.limit("", TenantQuotas { max_pending_deliveries: Some(3), ..Default::default() }).await;
    let mut refused = None;
    for _ in 0..20 {
        if let Err(status) = client.publish_event(publishing("")).await {
            refused = Some(status);
            break;
        }
    }
    let listed = client.list_deliveries(ListDeliveriesRequest::default()).await.unwrap().into_inner().deliveries;
    // One more than three: what was published while a count was under way may not have been seen by it.
    assert!(listed.len() == 3 || listed.len() == 4, "{}", listed.len());
    assert_eq!(quota(&refused.unwrap()), exceeded("max_pending_deliveries", true));
    client.publish_event(publishing(OTHER_TENANT)).await.unwrap();
    // What was there at a start counts as well, as soon as it has been counted.
    let api = api.restart().await;
    let mut client = api.client.clone();
    let again = async {
        loop {
            if let Err(status) = client.publish_event(publishing("")).await {
                return status;
            }
        }
    };
    assert_eq!(quota(&soon(again).await), exceeded("max_pending_deliveries", true));
    // Room is made by whoever ends deliveries.
    let skip = activate_endpoint_request::Backlog::Skip(SkipBacklog {});
    let activate = ActivateEndpointRequest { endpoint_id, backlog: Some(skip), ..Default::default() };
    api.client.clone().activate_endpoint(activate).await.unwrap();
    let mut client = api.client.clone();
    let again = async {
        while let Err(status) = client.publish_event(publishing("")).await {
            // As the refusal says.
            tokio::time::sleep(status.get_details_retry_info().unwrap().retry_delay.unwrap()).await;
        }
    };
    soon(again).await;
}
