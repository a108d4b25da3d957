//! Request ids: what a repeat gets, and what else may not bear the same id.

use std::time::Duration;

use prost::Message as _;
use prost_types::{FieldMask, FileDescriptorSet};
use tidings::{
    model::{Clock, Timestamp},
    proto::*,
};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    create, created, span,
    support::{Api, OTHER_TENANT},
};

fn creating(id: &str) -> CreateEndpointRequest {
    CreateEndpointRequest { request_id: id.to_owned(), ..create("") }
}

/// Makes a call and repeats it; gives its one answer.
macro_rules! twice {
    ($api:expr, $method:ident, $request:expr) => {{
        let (mut client, request) = ($api.client.clone(), $request);
        let first = client.$method(request.clone()).await.unwrap().into_inner();
        let again = client.$method(request).await.unwrap().into_inner();
        assert_eq!(again.encode_to_vec(), first.encode_to_vec(), stringify!($method));
        first
    }};
}

/// As `twice`, where nothing else is going on: the repeat writes nothing.
macro_rules! quietly_twice {
    ($api:expr, $method:ident, $request:expr) => {{
        let request = $request;
        let first = $api.client.clone().$method(request.clone()).await.unwrap().into_inner();
        let written = $api.written().await;
        assert_eq!(twice!($api, $method, request), first, stringify!($method));
        assert_eq!($api.written().await, written, stringify!($method));
        first
    }};
}

#[tokio::test]
async fn repeat_of_a_change_gets_the_first_answer_whatever_has_happened_since() {
    let api = Api::start().await;
    let id = |id: &str| id.to_owned();
    let made = quietly_twice!(api, create_endpoint, creating("create"));
    assert!(made.secret.starts_with("whsec_"));
    let endpoint_id = made.endpoint.as_ref().unwrap().id.clone();
    let changed = Endpoint { id: endpoint_id.clone(), description: "new".to_owned(), ..Default::default() };
    let update = UpdateEndpointRequest {
        endpoint: Some(changed),
        update_mask: Some(FieldMask { paths: vec!["description".to_owned()] }),
        request_id: id("update"),
        ..Default::default()
    };
    quietly_twice!(api, update_endpoint, update);
    let rotate = RotateEndpointSecretRequest {
        endpoint_id: endpoint_id.clone(),
        request_id: id("rotate"),
        ..Default::default()
    };
    let rotated = quietly_twice!(api, rotate_endpoint_secret, rotate.clone());
    assert!(rotated.secret.starts_with("whsec_") && rotated.secret != made.secret);
    assert!(rotated.secrets.iter().all(|secret| secret.state() == SecretState::Active));
    let activate = ActivateEndpointSecretRequest {
        endpoint_id: endpoint_id.clone(),
        secret_id: rotated.secrets[0].id.clone(),
        request_id: id("activate-secret"),
        ..Default::default()
    };
    quietly_twice!(api, activate_endpoint_secret, activate);
    let revoke = RevokeEndpointSecretRequest {
        endpoint_id: endpoint_id.clone(),
        secret_id: rotated.secrets[1].id.clone(),
        request_id: id("revoke"),
        ..Default::default()
    };
    quietly_twice!(api, revoke_endpoint_secret, revoke);
    let disable =
        DisableEndpointRequest { endpoint_id: endpoint_id.clone(), request_id: id("disable"), ..Default::default() };
    quietly_twice!(api, disable_endpoint, disable);
    let pause =
        PauseEndpointRequest { endpoint_id: endpoint_id.clone(), request_id: id("pause"), ..Default::default() };
    quietly_twice!(api, pause_endpoint, pause.clone());
    let drain = activate_endpoint_request::Backlog::Drain(DrainBacklog { rate_per_second: 5.0 });
    let activate = ActivateEndpointRequest {
        endpoint_id: endpoint_id.clone(),
        backlog: Some(drain),
        request_id: id("activate"),
        ..Default::default()
    };
    quietly_twice!(api, activate_endpoint, activate);
    assert_eq!(twice!(api, pause_endpoint, pause).endpoint.unwrap().state(), EndpointState::Paused, "as it was");
    let import = ImportEventTypesRequest {
        event_types: vec![EventType { name: "a".to_owned(), ..Default::default() }],
        request_id: id("import"),
        ..Default::default()
    };
    assert_eq!(quietly_twice!(api, import_event_types, import).created_count, 1);
    let delete = DeleteEndpointRequest { endpoint_id, request_id: id("delete"), ..Default::default() };
    quietly_twice!(api, delete_endpoint, delete);

    // The endpoint is gone, and the server another.
    let api = api.restart().await;
    assert_eq!(quietly_twice!(api, create_endpoint, creating("create")), made);
    assert_eq!(quietly_twice!(api, rotate_endpoint_secret, rotate), rotated);
}

#[tokio::test]
async fn repeat_of_a_redrive_gets_the_first_answer() {
    let (api, url) = Api::start_local().await;
    let mut client = api.client.clone();
    let schedule = retry_schedule::Schedule::Delays(RetryDelays { delays: vec![span(3_600, 0)] });
    let policy = DeliveryPolicy { retry: Some(RetrySchedule { schedule: Some(schedule) }), ..Default::default() };
    let endpoint = Endpoint { url, policy: Some(policy), ..Default::default() };
    let create = CreateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
    let endpoint_id = client.create_endpoint(create).await.unwrap().into_inner().endpoint.unwrap().id;
    let ping = PingEndpointRequest { endpoint_id: endpoint_id.clone(), ..Default::default() };
    let dead = client.ping_endpoint(ping).await.unwrap().into_inner().delivery.unwrap();
    assert_eq!(dead.state(), DeliveryState::Dead);
    let request_id = "redrive".to_owned();
    let retry =
        RetryDeliveryRequest { delivery_id: dead.id.clone(), request_id: request_id.clone(), ..Default::default() };
    assert_eq!(twice!(api, retry_delivery, retry).delivery.unwrap().state(), DeliveryState::Pending);

    let event = Event { r#type: "a".to_owned(), payload: b"{}".as_slice().into(), ..Default::default() };
    let publish = PublishEventRequest { event: Some(event), ..Default::default() };
    client.publish_event(publish).await.unwrap();
    let filter = DeliveryFilter { event_types: vec!["a".to_owned()], ..Default::default() };
    let list = ListDeliveriesRequest { filter: Some(filter), ..Default::default() };
    let delivery_id = client.list_deliveries(list).await.unwrap().into_inner().deliveries[0].id.clone();
    let cancel = CancelDeliveryRequest {
        delivery_id: delivery_id.clone(),
        request_id: "cancel".to_owned(),
        ..Default::default()
    };
    twice!(api, cancel_delivery, cancel);
    let cancel = CancelDeliveryRequest { delivery_id, request_id, ..Default::default() };
    let call = client.cancel_delivery(cancel).await.unwrap_err();
    assert_eq!(call.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn id_of_another_call_is_refused() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let first = client.create_endpoint(creating("a")).await.unwrap().into_inner();
    let other = CreateEndpointRequest { disabled: true, ..creating("a") };
    let call = client.create_endpoint(other);
    api.refuses("other content", call, Code::AlreadyExists, "REQUEST_ID_REUSED", &[]).await;
    let endpoint_id = first.endpoint.unwrap().id;
    let disable = DisableEndpointRequest { endpoint_id, request_id: "a".to_owned(), ..Default::default() };
    let call = client.disable_endpoint(disable);
    api.refuses("another method", call, Code::AlreadyExists, "REQUEST_ID_REUSED", &[]).await;
    let foreign = CreateEndpointRequest { tenant_id: OTHER_TENANT.to_owned(), ..creating("a") };
    assert_ne!(client.create_endpoint(foreign).await.unwrap().into_inner().secret, first.secret);
}

#[tokio::test]
async fn call_that_failed_can_be_repeated_under_its_id() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let mut bad = creating("a");
    bad.endpoint.as_mut().unwrap().url = "nonsense".to_owned();
    let call = client.create_endpoint(bad);
    api.refuses("bad", call, Code::InvalidArgument, "INVALID_REQUEST", &["endpoint.url"]).await;
    let endpoint = client.create_endpoint(creating("a")).await.unwrap().into_inner().endpoint.unwrap();

    let delete = |etag: &str| DeleteEndpointRequest {
        endpoint_id: endpoint.id.clone(),
        etag: etag.to_owned(),
        request_id: "b".to_owned(),
        ..Default::default()
    };
    api.refuses("stale", client.delete_endpoint(delete("stale")), Code::Aborted, "ETAG_MISMATCH", &[]).await;
    client.delete_endpoint(delete(&endpoint.etag)).await.unwrap();
    client.delete_endpoint(delete(&endpoint.etag)).await.unwrap();
    let anew = DeleteEndpointRequest { request_id: "c".to_owned(), ..delete("") };
    api.refuses("gone", client.delete_endpoint(anew), Code::NotFound, "NOT_FOUND", &[]).await;
}

#[tokio::test]
async fn of_repeats_at_once_one_acts_and_all_get_its_secret() {
    let api = Api::start().await;
    let endpoint_id = created(&api, "").await.id;
    let rotate = RotateEndpointSecretRequest {
        endpoint_id: endpoint_id.clone(),
        request_id: "at-once".to_owned(),
        ..Default::default()
    };
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let (mut client, rotate) = (api.client.clone(), rotate.clone());
        calls.spawn(async move { client.rotate_endpoint_secret(rotate).await.unwrap().into_inner() });
    }
    let mut answers = calls.join_all().await;
    answers.dedup();
    assert_eq!(answers.len(), 1);
    let list = ListEndpointSecretsRequest { endpoint_id, ..Default::default() };
    let secrets = api.client.clone().list_endpoint_secrets(list).await.unwrap().into_inner().secrets;
    assert_eq!(secrets.len(), 2, "the first, and the one");
    assert_eq!(secrets, answers[0].secrets);
}

#[tokio::test]
async fn id_is_forgotten_after_a_day() {
    let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
    let api = Api::start_by(clock.clone()).await;
    let mut client = api.client.clone();
    let first = client.create_endpoint(creating("a")).await.unwrap().into_inner();
    clock.advance(Duration::from_secs(24 * 3_600 - 1));
    assert_eq!(client.create_endpoint(creating("a")).await.unwrap().into_inner(), first);
    clock.advance(Duration::from_secs(1));
    let other = CreateEndpointRequest { disabled: true, ..creating("a") };
    assert_ne!(client.create_endpoint(other).await.unwrap().into_inner().secret, first.secret);
}

#[tokio::test]
async fn secret_in_a_kept_answer_stands_in_no_plain_file() {
    let api = Api::start().await;
    let style = EndpointStyle { preset: StylePreset::Slack as i32, ..Default::default() };
    let mut request =
        CreateEndpointRequest { secret: Some("canary of a secret".to_owned()), ..creating("recognisable") };
    request.endpoint.as_mut().unwrap().style = Some(style);
    let answer = quietly_twice!(api, create_endpoint, request);
    assert_eq!(answer.secret, "canary of a secret");
    assert!(api.database_holds("recognisable").await, "the id itself is there");
    assert!(!api.database_holds("canary").await);
}

#[tokio::test]
async fn bad_request_ids_are_refused_everywhere_among_what_else_is_wrong() {
    let api = Api::start().await;
    let long = "x".repeat(129);
    let mut calls = 0;
    for request_id in ["a b", "é", "a\0", "' OR 1=1", ".", "a\r\nb", long.as_str()] {
        calls = 0;
        macro_rules! refused {
            ($service:ident: $($method:ident $request:ident [$($field:literal),*]),* $(,)?) => {$({
                let request = $request { request_id: request_id.to_owned(), ..Default::default() };
                let mut client = api.$service.clone();
                let call = client.$method(request);
                let fields = ["request_id", $($field),*];
                api.refuses(stringify!($method), call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
                calls += 1;
            })*};
        }
        refused!(
            client:
            create_endpoint CreateEndpointRequest ["endpoint"],
            update_endpoint UpdateEndpointRequest ["update_mask", "endpoint"],
            delete_endpoint DeleteEndpointRequest ["endpoint_id"],
            pause_endpoint PauseEndpointRequest ["endpoint_id"],
            disable_endpoint DisableEndpointRequest ["endpoint_id"],
            activate_endpoint ActivateEndpointRequest ["endpoint_id"],
            rotate_endpoint_secret RotateEndpointSecretRequest ["endpoint_id"],
            activate_endpoint_secret ActivateEndpointSecretRequest ["endpoint_id", "secret_id"],
            revoke_endpoint_secret RevokeEndpointSecretRequest ["endpoint_id", "secret_id"],
            create_event_type CreateEventTypeRequest ["event_type"],
            import_event_types ImportEventTypesRequest ["event_types"],
            update_event_type UpdateEventTypeRequest ["update_mask", "event_type"],
            delete_event_type DeleteEventTypeRequest ["name"],
            retry_delivery RetryDeliveryRequest ["delivery_id"],
            cancel_delivery CancelDeliveryRequest ["delivery_id"],
        );
        refused!(
            admin:
            create_tenant CreateTenantRequest ["tenant"],
            update_tenant UpdateTenantRequest ["update_mask", "tenant"],
            delete_tenant DeleteTenantRequest ["tenant_id"],
            create_key CreateKeyRequest ["scopes"],
            revoke_key RevokeKeyRequest ["key_id"],
        );
        let mut client = api.client.clone();
        let bad = client.create_endpoint(creating(request_id));
        api.refuses("alone", bad, Code::InvalidArgument, "INVALID_REQUEST", &["request_id"]).await;
    }
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
    let with_id = files
        .iter()
        .flat_map(|file| &file.message_type)
        .filter(|message| message.name().ends_with("Request"))
        .filter(|message| message.field.iter().any(|field| field.name() == "request_id"));
    assert_eq!(with_id.count(), calls, "every request that has one is tried");
}
