//! The audit log: what leaves an entry, what does not, and how it is listed.

use std::{collections::BTreeSet, time::Duration};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tidings::{
    client::{Bearer, KeyedChannel},
    model::{Clock, Timestamp},
    proto::{admin_service_client::AdminServiceClient, webhook_service_client::WebhookServiceClient, *},
};
use tonic::Code;

use crate::{
    create, created, mask, span,
    support::{Api, OTHER_TENANT, plain_channel},
};

/// What a method's name begins with that leaves no entry, and which others leave none.
const READING: [&str; 3] = ["Get", "List", "Watch"];
const UNTOLD: [&str; 5] =
    ["PublishEvent", "PublishEventStream", "BatchPublishEvents", "PingEndpoint", "CreateDashboardToken"];

/// Whether a filter is to select an entry.
type Selects = fn(&AuditEntry) -> bool;

fn page_of(filter: AuditFilter, page_size: i32, page_token: &str) -> ListAuditEntriesRequest {
    ListAuditEntriesRequest { filter: Some(filter), page_size, page_token: page_token.to_owned() }
}

/// What a filter selects, newest first, read in pages of this size.
async fn listed(api: &Api, filter: AuditFilter, page_size: i32) -> Vec<AuditEntry> {
    let (mut entries, mut token) = (Vec::new(), String::new());
    loop {
        let request = page_of(filter.clone(), page_size, &token);
        let page = api.admin.clone().list_audit_entries(request).await.unwrap().into_inner();
        assert!(page.entries.len() <= usize::try_from(page_size).unwrap());
        entries.extend(page.entries);
        token = page.next_page_token;
        if token.is_empty() {
            return entries;
        }
    }
}

/// The log of a server, as far as it was looked at.
struct Log<'a> {
    api: &'a Api,
    known: usize,
    methods: BTreeSet<String>,
}

impl Log<'_> {
    /// The one entry that came since the last look, which is of this method.
    async fn next(&mut self, method: &str) -> AuditEntry {
        let entries = listed(self.api, AuditFilter::default(), 1_000).await;
        assert_eq!(entries.len(), self.known + 1, "{method}: {entries:?}");
        self.known += 1;
        let entry = entries[0].clone();
        assert_eq!(entry.method.to_lowercase(), method.replace('_', ""));
        assert!(entry.id.starts_with("aud_") && entry.create_time.is_some(), "{entry:?}");
        assert_eq!(entry.actor(), AuditActor::EnvironmentKey);
        assert_eq!(entry.key_id, "key_00000000000000000000000tst");
        assert!(entry.remote_address.starts_with("127.0.0.1:"), "{entry:?}");
        self.methods.insert(entry.method.clone());
        entry
    }

    async fn nothing_came(&self, case: &str) {
        let entries = listed(self.api, AuditFilter::default(), 1_000).await;
        assert_eq!(entries.len(), self.known, "{case}: {:?}", entries.first());
    }
}

/// Makes a call with a request id and repeats it: gives its answer, and its one entry.
macro_rules! change {
    ($log:ident, $client:ident, $method:ident, $request:expr) => {{
        let mut request = $request;
        request.request_id = format!("{}-{}", stringify!($method), $log.known);
        let answer = $log.api.$client.clone().$method(request.clone()).await.unwrap().into_inner();
        let entry = $log.next(stringify!($method)).await;
        assert_eq!(entry.request_id, request.request_id);
        assert_eq!($log.api.$client.clone().$method(request).await.unwrap().into_inner(), answer);
        $log.nothing_came(stringify!($method)).await;
        (answer, entry)
    }};
}

/// What an entry says of what was changed.
fn told(entry: &AuditEntry) -> (&str, Vec<&str>, Vec<&str>) {
    assert_eq!(usize::try_from(entry.resource_count).unwrap(), entry.resources.len());
    (
        &entry.tenant_id,
        entry.resources.iter().map(String::as_str).collect(),
        entry.fields.iter().map(String::as_str).collect(),
    )
}

async fn change_endpoints(log: &mut Log<'_>) {
    let (made, entry) = change!(log, client, create_endpoint, create(OTHER_TENANT));
    let endpoint_id = made.endpoint.unwrap().id;
    let id = endpoint_id.as_str();
    assert_eq!(told(&entry), (OTHER_TENANT, vec![id], vec![]));
    let tenant_id = OTHER_TENANT.to_owned();
    let header = EndpointHeader { name: "x-canary".to_owned(), value: Some("canary-value".to_owned()) };
    let changed = Endpoint { id: id.to_owned(), headers: vec![header], ..Default::default() };
    let update = UpdateEndpointRequest {
        tenant_id: tenant_id.clone(),
        endpoint: Some(changed),
        update_mask: mask(&["policy.timeout", "headers", "headers"]),
        ..Default::default()
    };
    let (_, entry) = change!(log, client, update_endpoint, update);
    assert_eq!(told(&entry), (OTHER_TENANT, vec![id], vec!["headers", "policy.timeout"]));
    assert!(!format!("{entry:?}").contains("canary"));
    macro_rules! of_endpoint {
        ($method:ident, $request:ident $(, $field:ident: $value:expr)?) => {{
            let request = $request {
                tenant_id: tenant_id.clone(),
                endpoint_id: endpoint_id.clone(),
                $($field: $value,)?
                ..Default::default()
            };
            change!(log, client, $method, request)
        }};
    }
    let (_, entry) = of_endpoint!(disable_endpoint, DisableEndpointRequest);
    assert_eq!(told(&entry), (OTHER_TENANT, vec![id], vec![]));
    // A call that finds everything as it asks for is told of as well.
    of_endpoint!(disable_endpoint, DisableEndpointRequest);
    of_endpoint!(pause_endpoint, PauseEndpointRequest);
    of_endpoint!(activate_endpoint, ActivateEndpointRequest);
    let (rotated, entry) = of_endpoint!(rotate_endpoint_secret, RotateEndpointSecretRequest);
    let secret = rotated.issued_secret.unwrap();
    assert_eq!(told(&entry), (OTHER_TENANT, vec![id, &secret.secret_id], vec![]));
    assert!(!format!("{entry:?}").contains(&secret.secret), "no secret is told");
    let secret_id = secret.secret_id;
    let (_, entry) =
        of_endpoint!(activate_endpoint_secret, ActivateEndpointSecretRequest, secret_id: secret_id.clone());
    assert_eq!(told(&entry), (OTHER_TENANT, vec![id, &secret_id], vec![]));
    let (_, entry) = of_endpoint!(revoke_endpoint_secret, RevokeEndpointSecretRequest, secret_id: secret_id.clone());
    assert_eq!(told(&entry), (OTHER_TENANT, vec![id, &secret_id], vec![]));
    of_endpoint!(delete_endpoint, DeleteEndpointRequest);
}

async fn change_event_types(log: &mut Log<'_>) {
    let named = |name: &str| EventType { name: name.to_owned(), ..Default::default() };
    let create = CreateEventTypeRequest { event_type: Some(named("a.b")), ..Default::default() };
    let (_, entry) = change!(log, client, create_event_type, create);
    assert_eq!(told(&entry), ("default", vec!["a.b"], vec![]));
    let event_types = (0..20).map(|number| named(&format!("t.{number}"))).collect();
    let (_, entry) =
        change!(log, client, import_event_types, ImportEventTypesRequest { event_types, ..Default::default() });
    assert_eq!((entry.resource_count, entry.resources.len()), (20, 16));
    assert_eq!(entry.resources[..2], ["t.0", "t.1"]);
    let update = UpdateEventTypeRequest {
        event_type: Some(named("a.b")),
        update_mask: mask(&["deprecated", "description"]),
        ..Default::default()
    };
    let (_, entry) = change!(log, client, update_event_type, update);
    assert_eq!(told(&entry), ("default", vec!["a.b"], vec!["deprecated", "description"]));
    let delete = DeleteEventTypeRequest { name: "a.b".to_owned(), ..Default::default() };
    let (_, entry) = change!(log, client, delete_event_type, delete);
    assert_eq!(told(&entry), ("default", vec!["a.b"], vec![]));
}

async fn change_deliveries(log: &mut Log<'_>, url: &str) {
    let mut client = log.api.client.clone();
    let schedule = retry_schedule::Schedule::Delays(RetryDelays { delays: vec![span(3_600, 0)] });
    let policy = DeliveryPolicy { retry: Some(RetrySchedule { schedule: Some(schedule) }), ..Default::default() };
    let endpoint = Endpoint { url: url.to_owned(), policy: Some(policy), ..Default::default() };
    let create = CreateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
    let endpoint_id = change!(log, client, create_endpoint, create).0.endpoint.unwrap().id;
    let ping = PingEndpointRequest { endpoint_id, ..Default::default() };
    let dead = client.ping_endpoint(ping).await.unwrap().into_inner().delivery.unwrap();
    log.nothing_came("a ping").await;
    let retry = RetryDeliveryRequest { delivery_id: dead.id.clone(), ..Default::default() };
    let (_, entry) = change!(log, client, retry_delivery, retry);
    assert_eq!(told(&entry), ("default", vec![dead.id.as_str()], vec![]));

    let event = Event {
        id: "evt-1".to_owned(),
        r#type: "a".to_owned(),
        payload: b"{}".as_slice().into(),
        ..Default::default()
    };
    client.publish_event(PublishEventRequest { event: Some(event), ..Default::default() }).await.unwrap();
    log.nothing_came("publishing").await;
    let filter = DeliveryFilter { event_types: vec!["a".to_owned()], ..Default::default() };
    let list = ListDeliveriesRequest { filter: Some(filter), ..Default::default() };
    let delivery_id = client.list_deliveries(list).await.unwrap().into_inner().deliveries[0].id.clone();
    let cancel = CancelDeliveryRequest { delivery_id: delivery_id.clone(), ..Default::default() };
    let (_, entry) = change!(log, client, cancel_delivery, cancel);
    assert_eq!(told(&entry), ("default", vec![delivery_id.as_str()], vec![]));
    let cancel = CancelEventRequest { event_id: "evt-1".to_owned(), ..Default::default() };
    client.cancel_event(cancel).await.unwrap();
    assert_eq!(told(&log.next("cancel_event").await), ("default", vec!["evt-1"], vec![]));
    let expunge = ExpungeEventRequest { event_id: "evt-1".to_owned(), ..Default::default() };
    client.expunge_event(expunge).await.unwrap();
    assert_eq!(told(&log.next("expunge_event").await), ("default", vec!["evt-1"], vec![]));
    // Neither has an event that is not there.
    let nobody = CancelEventRequest { event_id: "evt-2".to_owned(), ..Default::default() };
    log.api.refuses("cancel", client.cancel_event(nobody), Code::NotFound, "NOT_FOUND", &[]).await;
    log.nothing_came("an event that is not there").await;
}

async fn change_tenants_and_keys(log: &mut Log<'_>) {
    let tenant = Tenant { id: "acme".to_owned(), display_name: "Acme".to_owned(), ..Default::default() };
    let create = CreateTenantRequest { tenant: Some(tenant.clone()), ..Default::default() };
    assert_eq!(told(&change!(log, admin, create_tenant, create).1), ("acme", vec!["acme"], vec![]));
    let update = UpdateTenantRequest {
        tenant: Some(tenant),
        update_mask: mask(&["quotas", "display_name"]),
        ..Default::default()
    };
    let (_, entry) = change!(log, admin, update_tenant, update);
    assert_eq!(told(&entry), ("acme", vec!["acme"], vec!["display_name", "quotas"]));
    let update = UpdateTenantRequest {
        tenant: Some(Tenant::default()),
        update_mask: mask(&["display_name"]),
        ..Default::default()
    };
    let (_, entry) = change!(log, admin, update_tenant, update);
    assert_eq!(told(&entry), ("default", vec!["default"], vec!["display_name"]), "none is named");

    let scopes = vec!["endpoints:write".to_owned()];
    for (tenant_id, operator) in [("acme", false), ("", true)] {
        let request = CreateKeyRequest {
            tenant_id: tenant_id.to_owned(),
            operator,
            scopes: scopes.clone(),
            ..Default::default()
        };
        let (made, entry) = change!(log, admin, create_key, request);
        let key_id = made.key.unwrap().id;
        assert_eq!(told(&entry), (tenant_id, vec![key_id.as_str()], vec![]));
        assert!(!format!("{entry:?}").contains(&made.secret[31..]), "no key is told");
        let revoke = RevokeKeyRequest { key_id: key_id.clone(), ..Default::default() };
        let (_, entry) = change!(log, admin, revoke_key, revoke);
        assert_eq!(told(&entry), (tenant_id, vec![key_id.as_str()], vec![]));
    }
    let token = CreateDashboardTokenRequest::default();
    log.api.admin.clone().create_dashboard_token(token).await.unwrap();
    log.nothing_came("a token").await;
    let delete = DeleteTenantRequest { tenant_id: "acme".to_owned(), ..Default::default() };
    assert_eq!(told(&change!(log, admin, delete_tenant, delete).1), ("acme", vec!["acme"], vec![]));
    let left = listed(log.api, AuditFilter { tenant_id: "acme".to_owned(), ..Default::default() }, 1_000).await;
    assert_eq!(left.len(), 5, "what was done to a tenant outlives it");
}

#[tokio::test]
async fn every_method_that_changes_something_leaves_one_entry_and_its_repeat_none() {
    let (api, url) = Api::start_local().await;
    let mut log = Log { api: &api, known: 0, methods: BTreeSet::new() };
    log.nothing_came("nobody has called").await;
    change_event_types(&mut log).await;
    change_deliveries(&mut log, &url).await;
    change_tenants_and_keys(&mut log).await;
    let other = Api::start().await;
    let methods = std::mem::take(&mut log.methods);
    let mut log = Log { api: &other, known: 0, methods };
    change_endpoints(&mut log).await;

    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
    let services = files.iter().filter(|file| file.package() == "tidings.v1").flat_map(|file| &file.service);
    let methods = services.flat_map(|service| &service.method).map(|method| method.name());
    let tells = |method: &&str| !READING.iter().any(|reading| method.starts_with(reading)) && !UNTOLD.contains(method);
    let telling: BTreeSet<String> = methods.filter(tells).map(str::to_owned).collect();
    assert_eq!(log.methods, telling);
    for method in &telling {
        listed(&other, AuditFilter { method: method.clone(), ..Default::default() }, 50).await;
    }
}

#[tokio::test]
async fn call_that_fails_leaves_no_entry() {
    let api = Api::start().await;
    let id = created(&api, "").await.id;
    let log = Log { api: &api, known: 1, methods: BTreeSet::new() };
    log.nothing_came("the endpoint's own").await;
    let pause = |etag: &str, request_id: &str| PauseEndpointRequest {
        endpoint_id: id.clone(),
        etag: etag.to_owned(),
        request_id: request_id.to_owned(),
        ..Default::default()
    };
    let mut client = api.client.clone();
    api.refuses("etag", client.pause_endpoint(pause("old", "")), Code::Aborted, "ETAG_MISMATCH", &[]).await;
    let call = client.pause_endpoint(pause("", "not an id"));
    api.refuses("id", call, Code::InvalidArgument, "INVALID_REQUEST", &["request_id"]).await;
    log.nothing_came("refused").await;
    client.pause_endpoint(pause("", "one")).await.unwrap();
    let log = Log { known: 2, ..log };
    // The id is taken, by a call that asked for something else.
    client.pause_endpoint(pause("other", "one")).await.unwrap_err();
    log.nothing_came("an id that is taken").await;
}

#[tokio::test]
async fn entries_are_found_by_tenant_key_method_and_time() {
    let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
    let api = Api::start_by(clock.clone()).await;
    let scopes = vec!["endpoints:write".to_owned(), "endpoints:read".to_owned()];
    let request = CreateKeyRequest { tenant_id: OTHER_TENANT.to_owned(), scopes, ..Default::default() };
    let key = api.admin.clone().create_key(request).await.unwrap().into_inner();
    let key_id = key.key.unwrap().id;
    let channel: KeyedChannel = Bearer::new(&key.secret).unwrap().over(plain_channel(api.address()).await);
    let mut own = WebhookServiceClient::new(channel.clone());
    for _ in 0..3 {
        clock.advance(Duration::from_secs(60));
        let made = own.create_endpoint(create("")).await.unwrap().into_inner().endpoint.unwrap();
        let disable = DisableEndpointRequest { endpoint_id: made.id, ..Default::default() };
        own.disable_endpoint(disable).await.unwrap();
        created(&api, "").await;
    }
    let all = listed(&api, AuditFilter::default(), 1_000).await;
    assert_eq!(all.len(), 10);
    let newest_first = all.is_sorted_by_key(|entry| {
        let time = entry.create_time.unwrap();
        std::cmp::Reverse((time.seconds, time.nanos))
    });
    assert!(newest_first && all[9].method == "CreateKey");
    for size in [1, 3, 9, 10, 11] {
        assert_eq!(listed(&api, AuditFilter::default(), size).await, all, "pages of {size}");
    }

    let time = |entry: &AuditEntry| entry.create_time;
    let (tenant_id, method) = (OTHER_TENANT.to_owned(), "CreateEndpoint".to_owned());
    let filters: [(AuditFilter, Selects, usize); 6] = [
        (AuditFilter { key_id: key_id.clone(), ..Default::default() }, |it| it.actor() == AuditActor::Key, 6),
        (AuditFilter { tenant_id: tenant_id.clone(), ..Default::default() }, |it| it.tenant_id == OTHER_TENANT, 7),
        (AuditFilter { method: method.clone(), ..Default::default() }, |it| it.method == "CreateEndpoint", 6),
        (
            AuditFilter { tenant_id, method, ..Default::default() },
            |it| it.tenant_id == OTHER_TENANT && it.method == "CreateEndpoint",
            3,
        ),
        (AuditFilter { tenant_id: "never-there".to_owned(), ..Default::default() }, |_| false, 0),
        (AuditFilter { key_id: key_id.clone(), tenant_id: "default".to_owned(), ..Default::default() }, |_| false, 0),
    ];
    for (filter, selects, count) in filters {
        let expected: Vec<AuditEntry> = all.iter().filter(|entry| selects(entry)).cloned().collect();
        assert_eq!(expected.len(), count, "{filter:?}");
        for size in [1, 2, 1_000] {
            assert_eq!(listed(&api, filter.clone(), size).await, expected, "{filter:?}");
        }
    }
    // The three of the second minute: from then on, and before the third.
    let between = AuditFilter { start_time: time(&all[5]), end_time: time(&all[2]), ..Default::default() };
    assert_eq!(listed(&api, between, 2).await, all[3..6]);
    assert!(all[..9].iter().all(|entry| (entry.key_id == key_id) == (entry.tenant_id == OTHER_TENANT)));

    let status = AdminServiceClient::new(channel).list_audit_entries(ListAuditEntriesRequest::default()).await;
    assert_eq!(status.unwrap_err().code(), Code::PermissionDenied, "a tenant does not see who does what");
}

#[tokio::test]
async fn filters_that_cannot_be_meant_are_refused_all_at_once() {
    let api = Api::start().await;
    created(&api, "").await;
    created(&api, "").await;
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let filter = AuditFilter {
        tenant_id: "no id".to_owned(),
        key_id: "ep_x".to_owned(),
        method: "GetEndpoint".to_owned(),
        start_time: at(2),
        end_time: at(1),
    };
    let call = async { api.admin.clone().list_audit_entries(page_of(filter, -1, "")).await };
    let fields = ["page_size", "filter.tenant_id", "filter.key_id", "filter.method", "filter.end_time"];
    api.refuses("all", call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;

    let first = page_of(AuditFilter::default(), 1, "");
    let token = api.admin.clone().list_audit_entries(first).await.unwrap().into_inner().next_page_token;
    let others = AuditFilter { method: "CreateEndpoint".to_owned(), ..Default::default() };
    let call = async { api.admin.clone().list_audit_entries(page_of(others, 1, &token)).await };
    api.refuses("another's", call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &["page_token"]).await;
}
