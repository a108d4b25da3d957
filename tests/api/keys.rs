//! Keys: who is let in, to what, and for how long.

use std::{collections::BTreeSet, time::Duration};

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use tidings::{
    client::{Bearer, KeyedChannel},
    model::{Clock, Scope, Timestamp},
    proto::{
        admin_service_client::AdminServiceClient, watch_deliveries_response::Message,
        webhook_service_client::WebhookServiceClient, *,
    },
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    arbitrary::{
        call::{Answer, Caller},
        methods,
    },
    support::{Api, OTHER_TENANT, key::ADMIN_KEY, plain_channel, soon},
};

/// What a tenant's key may have.
pub(crate) fn tenant_scopes() -> Vec<Scope> {
    Scope::ALL.into_iter().filter(|scope| *scope != Scope::Admin).collect()
}

fn key_request(tenant: &str, scopes: &[Scope]) -> CreateKeyRequest {
    CreateKeyRequest {
        tenant_id: tenant.to_owned(),
        scopes: scopes.iter().map(Scope::to_string).collect(),
        ..Default::default()
    }
}

impl Api {
    async fn key(&self, request: CreateKeyRequest) -> CreateKeyResponse {
        self.admin.clone().create_key(request).await.unwrap().into_inner()
    }

    pub(crate) async fn tenants_key(&self, tenant: &str, scopes: &[Scope]) -> CreateKeyResponse {
        self.key(key_request(tenant, scopes)).await
    }

    async fn revoke(&self, key: &CreateKeyResponse) {
        let key_id = key.key.as_ref().unwrap().id.clone();
        self.admin.clone().revoke_key(RevokeKeyRequest { key_id, ..Default::default() }).await.unwrap();
    }

    async fn over(&self, key: &str) -> KeyedChannel {
        Bearer::new(key).unwrap().over(plain_channel(self.address()).await)
    }

    pub(crate) async fn calling_with(&self, key: &str) -> WebhookServiceClient<KeyedChannel> {
        WebhookServiceClient::new(self.over(key).await)
    }

    async fn administering_with(&self, key: &str) -> AdminServiceClient<KeyedChannel> {
        AdminServiceClient::new(self.over(key).await)
    }
}

pub(crate) fn pool() -> DescriptorPool {
    DescriptorPool::decode(DESCRIPTORS).unwrap()
}

pub(crate) fn empty(method: &MethodDescriptor) -> DynamicMessage {
    DynamicMessage::new(method.input())
}

pub(crate) fn refusal(answer: Answer) -> Status {
    match answer {
        Answer::Refused(status) => status,
        answered => panic!("{answered:?}"),
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test]
async fn every_method_refuses_every_kind_of_bad_key_in_the_same_words() {
    let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
    let api = Api::start_by(clock.clone()).await;
    let soon_over = CreateKeyRequest {
        operator: true,
        expire_time: Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 }),
        ..key_request("", &[Scope::Admin])
    };
    let (expired, revoked) = (api.key(soon_over).await, api.tenants_key("", &tenant_scopes()).await);
    let mut lives = Caller::with(&revoked.secret, api.address()).await;
    let list = pool().get_service_by_name("tidings.v1.WebhookService").unwrap();
    let list = list.methods().find(|method| method.name() == "ListEndpoints").unwrap();
    assert!(matches!(lives.call(&list, &empty(&list)).await, Answer::Message(_)));
    api.revoke(&revoked).await;
    // Until the database's time is led by Postgres's the clock stands still; it is moved beyond the end of the key.
    clock.advance(Duration::from_secs(4_000_000_000));
    let unknown = tidings::access::new_key().text().to_string();
    let wrong = format!("{}{}", &ADMIN_KEY[..31], &unknown[31..]);
    let bad = [expired.secret, revoked.secret, unknown, wrong, "tdk_nonsense".to_owned(), "tdd_AAAA".to_owned()];
    let mut said = BTreeSet::new();
    for key in &bad {
        let mut caller = Caller::with(key, api.address()).await;
        for method in methods(&pool()) {
            let status = refusal(caller.call(&method, &empty(&method)).await);
            assert_eq!((status.code(), reason(&status)), (Code::Unauthenticated, "KEY_INVALID".to_owned()));
            said.insert((status.message().to_owned(), status.details().to_vec()));
        }
    }
    assert_eq!(said.len(), 1, "nobody is told which");
    let mut nobody = Caller::without(api.address()).await;
    for method in methods(&pool()) {
        let status = refusal(nobody.call(&method, &empty(&method)).await);
        assert_eq!((status.code(), reason(&status)), (Code::Unauthenticated, "KEY_MISSING".to_owned()));
        assert!(status.message().contains("authorization: Bearer"), "it says the expected form");
    }
    // The key that goes on is good all the while.
    api.client.clone().list_endpoints(ListEndpointsRequest::default()).await.unwrap();
}

#[tokio::test]
async fn every_method_lets_in_who_has_its_scope_and_nobody_else() {
    let api = Api::start().await;
    let mut let_in: Vec<(Scope, BTreeSet<String>)> = Vec::new();
    let mut asked: BTreeSet<(String, String)> = BTreeSet::new();
    for scope in tenant_scopes() {
        let key = api.tenants_key("", &[scope]).await;
        let mut caller = Caller::with(&key.secret, api.address()).await;
        let mut methods_let_in = BTreeSet::new();
        for method in methods(&pool()) {
            match caller.call(&method, &empty(&method)).await {
                Answer::Refused(status) if status.code() == Code::PermissionDenied => {
                    let info = status.get_details_error_info().unwrap();
                    assert_eq!(info.reason, "SCOPE_MISSING");
                    let named = info.metadata["scope"].clone();
                    assert!(named != scope.name() && status.message().contains(&named), "{status:?}");
                    asked.insert((method.name().to_owned(), named));
                }
                _ => drop(methods_let_in.insert(method.name().to_owned())),
            }
        }
        let_in.push((scope, methods_let_in));
    }
    for method in methods(&pool()) {
        let name = method.name();
        let by: Vec<&str> =
            let_in.iter().filter(|(_, methods)| methods.contains(name)).map(|(scope, _)| scope.name()).collect();
        let named: Vec<&str> = asked.iter().filter(|(of, _)| of == name).map(|(_, scope)| scope.as_str()).collect();
        assert_eq!(named.len(), 1, "{name}");
        assert!(by == named || (by.is_empty() && named == ["admin"]), "{name}: {by:?} {named:?}");
    }
    assert!(let_in.iter().all(|(_, methods)| !methods.is_empty()));
    let of_operators: Vec<&str> =
        asked.iter().filter(|(_, scope)| scope == "admin").map(|(method, _)| method.as_str()).collect();
    let expected = [
        "CreateKey",
        "CreateTenant",
        "DeleteTenant",
        "ListAuditEntries",
        "ListKeys",
        "ListTenants",
        "RevokeKey",
        "UpdateTenant",
    ];
    assert_eq!(of_operators, expected, "no tenant's key can have this scope");

    let operator = CreateKeyRequest { operator: true, ..key_request("", &[Scope::DeliveriesRead]) };
    let operator = api.key(operator).await;
    let mut admin = api.administering_with(&operator.secret).await;
    let refused = admin.list_keys(ListKeysRequest::default()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::PermissionDenied, "SCOPE_MISSING".to_owned()));
}

#[tokio::test]
async fn streams_end_when_their_key_expires() {
    // The server's clock stands still, so that the key is good for as long as it takes to open the stream.
    let api = Api::start_by(Clock::manual(Timestamp::from_micros(1_700_000_000_000_000))).await;
    let expire_time = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 300_000_000 });
    let key = api.key(CreateKeyRequest { expire_time, ..key_request("", &[Scope::DeliveriesRead]) }).await;
    let mut client = api.calling_with(&key.secret).await;
    let mut watch = client.watch_deliveries(WatchDeliveriesRequest::default()).await.unwrap().into_inner();
    let end = async {
        loop {
            if let Err(end) = watch.message().await {
                return end;
            }
        }
    };
    let end = soon(end).await;
    assert_eq!((end.code(), reason(&end)), (Code::Unauthenticated, "KEY_INVALID".to_owned()));
}

#[tokio::test]
async fn streams_end_when_their_key_is_revoked() {
    let api = Api::start().await;
    let key = api.tenants_key("", &[Scope::DeliveriesRead, Scope::EventsPublish]).await;
    let mut client = api.calling_with(&key.secret).await;
    let mut others = api.client.clone().watch_deliveries(WatchDeliveriesRequest::default()).await.unwrap().into_inner();
    let mut watch = client.watch_deliveries(WatchDeliveriesRequest::default()).await.unwrap().into_inner();
    assert!(matches!(watch.message().await.unwrap().unwrap().message, Some(Message::Heartbeat(_))));
    let (requests, sent) = tokio::sync::mpsc::channel(1);
    let sent = tokio_stream::wrappers::ReceiverStream::new(sent);
    let mut acknowledged = client.publish_event_stream(sent).await.unwrap().into_inner();
    api.revoke(&key).await;
    for ended in [soon(watch.message()).await.unwrap_err(), soon(acknowledged.message()).await.unwrap_err()] {
        assert_eq!((ended.code(), reason(&ended)), (Code::Unauthenticated, "KEY_INVALID".to_owned()));
    }
    drop(requests);
    assert!(soon(others.message()).await.unwrap().is_some(), "those of others go on");
    let call = client.list_deliveries(ListDeliveriesRequest::default());
    api.refuses("a call", call, Code::Unauthenticated, "KEY_INVALID", &[]).await;
}

#[tokio::test]
async fn key_is_shown_once_and_listed_until_it_is_revoked() {
    let api = Api::start().await;
    let mut admin = api.admin.clone();
    let expire_time = Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 });
    let request = CreateKeyRequest {
        display_name: "the shop's".to_owned(),
        expire_time,
        request_id: "once".to_owned(),
        ..key_request(OTHER_TENANT, &[Scope::EventsPublish, Scope::EndpointsRead])
    };
    let made = api.key(request.clone()).await;
    assert_eq!(api.key(request).await, made, "a repeat gets the same key");
    let key = made.key.clone().unwrap();
    assert_eq!((key.tenant_id.as_str(), key.display_name.as_str()), (OTHER_TENANT, "the shop's"));
    assert_eq!(key.scopes, ["events:publish", "endpoints:read"]);
    assert_eq!((key.expire_time, made.secret.len()), (expire_time, 83));
    assert!(made.secret[4..].starts_with(&key.id[4..]));
    assert!(!api.database_holds(&made.secret[31..]).await && api.database_holds(&key.id[4..]).await);

    let others: Vec<ApiKey> =
        futures_util::future::join_all((0..4).map(|_| api.tenants_key("", &[Scope::EndpointsRead])))
            .await
            .into_iter()
            .map(|made| made.key.unwrap())
            .collect();
    let mut listed = Vec::new();
    let mut request = ListKeysRequest { page_size: 2, ..Default::default() };
    loop {
        let page = admin.list_keys(request.clone()).await.unwrap().into_inner();
        assert!(page.keys.len() <= 2);
        listed.extend(page.keys);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(listed.len(), 5);
    assert!(listed[0] == key && others.iter().all(|other| listed.contains(other)));
    let of_other = ListKeysRequest { tenant_id: OTHER_TENANT.to_owned(), ..Default::default() };
    assert_eq!(admin.list_keys(of_other.clone()).await.unwrap().into_inner().keys, [key]);
    let foreign = ListKeysRequest { page_token: request.page_token, ..of_other.clone() };
    let call = admin.list_keys(foreign);
    api.refuses("another's token", call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &["page_token"]).await;

    let api = api.restart().await;
    let mut client = api.calling_with(&made.secret).await;
    client.list_endpoints(ListEndpointsRequest::default()).await.unwrap();
    api.revoke(&made).await;
    assert!(api.admin.clone().list_keys(of_other).await.unwrap().into_inner().keys.is_empty());
    let key_id = made.key.unwrap().id;
    let mut admin = api.admin.clone();
    for id in [key_id.as_str(), "key_00000000000000000000000000"] {
        let call = admin.revoke_key(RevokeKeyRequest { key_id: id.to_owned(), ..Default::default() });
        api.refuses(id, call, Code::NotFound, "NOT_FOUND", &[]).await;
    }
}

#[tokio::test]
async fn bad_keys_are_refused_field_by_field() {
    let api = Api::start().await;
    let mut admin = api.admin.clone();
    let past = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    let scopes = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let cases: Vec<(CreateKeyRequest, &[&str])> = vec![
        (CreateKeyRequest::default(), &["scopes"]),
        (key_request("", &[Scope::Admin]), &["scopes"]),
        (
            CreateKeyRequest {
                operator: true,
                tenant_id: OTHER_TENANT.to_owned(),
                scopes: scopes(&["admin", "Admin", "", "admin"]),
                display_name: "\0".to_owned(),
                expire_time: past,
                ..Default::default()
            },
            &["tenant_id", "display_name", "scopes[1]", "scopes[2]", "scopes[3]", "expire_time"],
        ),
        (
            CreateKeyRequest {
                display_name: "x".repeat(1_025),
                expire_time: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
                ..key_request("", &[Scope::EventsPublish])
            },
            &["display_name", "expire_time"],
        ),
    ];
    for (request, fields) in cases {
        let case = format!("{request:?}");
        let call = admin.create_key(request);
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", fields).await;
    }
    let call = admin.create_key(key_request("nobody", &[Scope::EventsPublish]));
    api.refuses("of nobody", call, Code::NotFound, "NOT_FOUND", &[]).await;
    for id in ["", "ep_00000000000000000000000000", "key_", "key_0", "' OR 1=1"] {
        let call = admin.revoke_key(RevokeKeyRequest { key_id: id.to_owned(), ..Default::default() });
        api.refuses(id, call, Code::InvalidArgument, "INVALID_REQUEST", &["key_id"]).await;
    }
    for request in [-1, 59, 86_401].map(|seconds| CreateDashboardTokenRequest {
        lifetime: Some(prost_types::Duration { seconds, nanos: 0 }),
        scopes: scopes(&["events:publish", "deliveries:read"]),
        ..Default::default()
    }) {
        let call = admin.create_dashboard_token(request);
        api.refuses("a token", call, Code::InvalidArgument, "INVALID_REQUEST", &["lifetime", "scopes[0]"]).await;
    }
}

#[tokio::test]
async fn dashboard_token_looks_at_its_tenant_and_does_nothing_else() {
    let api = Api::start().await;
    let key = api.tenants_key(OTHER_TENANT, &[Scope::DeliveriesRead, Scope::EndpointsWrite]).await;
    let mut maker = api.administering_with(&key.secret).await;
    let made = maker.create_dashboard_token(CreateDashboardTokenRequest::default()).await.unwrap().into_inner();
    assert_eq!((made.tenant_id.as_str(), made.scopes), (OTHER_TENANT, vec!["deliveries:read".to_owned()]));
    let mut client = api.calling_with(&made.token).await;
    client.list_deliveries(ListDeliveriesRequest::default()).await.unwrap();
    let call = client.list_endpoints(ListEndpointsRequest::default());
    api.refuses("its maker may not either", call, Code::PermissionDenied, "SCOPE_MISSING", &[]).await;
    let call = client.create_endpoint(crate::create(""));
    api.refuses("its maker may", call, Code::PermissionDenied, "SCOPE_MISSING", &[]).await;
    let call = client.list_deliveries(ListDeliveriesRequest { tenant_id: "default".to_owned(), ..Default::default() });
    api.refuses("another tenant", call, Code::NotFound, "NOT_FOUND", &[]).await;
    let mut holder = api.administering_with(&made.token).await;
    let call = holder.create_dashboard_token(CreateDashboardTokenRequest::default());
    api.refuses("a token of a token", call, Code::PermissionDenied, "KEY_REQUIRED", &[]).await;
    let foreign = CreateDashboardTokenRequest { tenant_id: "default".to_owned(), ..Default::default() };
    let call = maker.create_dashboard_token(foreign);
    api.refuses("for another tenant", call, Code::NotFound, "NOT_FOUND", &[]).await;

    let of_operator = CreateDashboardTokenRequest { tenant_id: OTHER_TENANT.to_owned(), ..Default::default() };
    let of_operator = api.admin.clone().create_dashboard_token(of_operator).await.unwrap().into_inner();
    assert_eq!(of_operator.scopes, ["endpoints:read", "deliveries:read"]);
    let mut looking = api.calling_with(&of_operator.token).await;
    looking.list_endpoints(ListEndpointsRequest::default()).await.unwrap();
    assert!(!api.database_holds(&made.token).await);

    api.revoke(&key).await;
    let call = client.list_deliveries(ListDeliveriesRequest::default());
    api.refuses("its maker's key is revoked", call, Code::Unauthenticated, "KEY_INVALID", &[]).await;
    let api = api.restart().await;
    let mut looking = api.calling_with(&of_operator.token).await;
    looking.list_endpoints(ListEndpointsRequest::default()).await.unwrap();
}

#[tokio::test]
async fn key_is_named_by_the_call_that_repeats_its_own() {
    let api = Api::start().await;
    let keys = [api.tenants_key("", &tenant_scopes()).await, api.tenants_key("", &tenant_scopes()).await];
    let mut first = api.calling_with(&keys[0].secret).await;
    let mut second = api.calling_with(&keys[1].secret).await;
    let request = CreateEndpointRequest { request_id: "a".to_owned(), ..crate::create("") };
    let made = first.create_endpoint(request.clone()).await.unwrap().into_inner();
    assert_eq!(first.create_endpoint(request.clone()).await.unwrap().into_inner(), made);
    let call = second.create_endpoint(request);
    api.refuses("another key", call, Code::AlreadyExists, "REQUEST_ID_REUSED", &[]).await;
}

#[tokio::test]
async fn key_that_would_expire_at_once_is_refused_and_one_is_good_until_its_end() {
    let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
    let api = Api::start_by(clock.clone()).await;
    let until = |nanos| CreateKeyRequest {
        expire_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos }),
        ..key_request("", &[Scope::EndpointsRead])
    };
    let mut admin = api.admin.clone();
    let call = admin.create_key(until(0));
    api.refuses("now", call, Code::InvalidArgument, "INVALID_REQUEST", &["expire_time"]).await;
    let key = api.key(until(1_000)).await;
    let mut client = api.calling_with(&key.secret).await;
    client.list_endpoints(ListEndpointsRequest::default()).await.unwrap();
    clock.advance(Duration::from_micros(1));
    let call = client.list_endpoints(ListEndpointsRequest::default());
    api.refuses("over", call, Code::Unauthenticated, "KEY_INVALID", &[]).await;
}
