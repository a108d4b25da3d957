//! What holds for every call: ids, tenants, pages.

use tidings::proto::*;
use tonic::{Code, Status};

use crate::{
    created,
    support::{Api, OTHER_TENANT, shown},
};

/// Calls every method that takes an endpoint's id, and returns what each answered.
async fn with_endpoint_id(api: &Api, id: &str, secret_id: &str) -> Vec<(&'static str, &'static str, Status)> {
    let mut client = api.client.clone();
    macro_rules! call {
        ($method:ident, $request:ident) => {{
            let request = $request { endpoint_id: id.to_owned(), ..Default::default() };
            (stringify!($method), "endpoint_id", client.$method(request).await.expect_err(stringify!($method)))
        }};
    }
    let mut answers = vec![
        call!(get_endpoint, GetEndpointRequest),
        call!(delete_endpoint, DeleteEndpointRequest),
        call!(pause_endpoint, PauseEndpointRequest),
        call!(disable_endpoint, DisableEndpointRequest),
        call!(activate_endpoint, ActivateEndpointRequest),
        call!(ping_endpoint, PingEndpointRequest),
        call!(rotate_endpoint_secret, RotateEndpointSecretRequest),
        call!(list_endpoint_secrets, ListEndpointSecretsRequest),
    ];
    macro_rules! call_with_secret {
        ($method:ident, $request:ident) => {{
            let request =
                $request { endpoint_id: id.to_owned(), secret_id: secret_id.to_owned(), ..Default::default() };
            (stringify!($method), "endpoint_id", client.$method(request).await.expect_err(stringify!($method)))
        }};
    }
    answers.push(call_with_secret!(activate_endpoint_secret, ActivateEndpointSecretRequest));
    answers.push(call_with_secret!(revoke_endpoint_secret, RevokeEndpointSecretRequest));
    let endpoint = Endpoint { id: id.to_owned(), ..Default::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["description".to_owned()] });
    let request = UpdateEndpointRequest { endpoint: Some(endpoint), update_mask, ..Default::default() };
    let update = client.update_endpoint(request).await.expect_err("update_endpoint");
    answers.push(("update_endpoint", "endpoint.id", update));
    answers
}

/// The id of a secret that is no longer.
async fn secret_like(api: &Api) -> String {
    let mut client = api.client.clone();
    let endpoint_id = created(api, "").await.id;
    let request = ListEndpointSecretsRequest { endpoint_id: endpoint_id.clone(), ..Default::default() };
    let secrets = client.list_endpoint_secrets(request).await.unwrap().into_inner().secrets;
    client.delete_endpoint(DeleteEndpointRequest { endpoint_id, ..Default::default() }).await.unwrap();
    secrets[0].id.clone()
}

/// Lists the deliveries to an endpoint that the tenant does not have.
async fn list_with_endpoint_id(api: &Api, id: &str) -> Status {
    let filter = DeliveryFilter { endpoint_ids: vec![id.to_owned()], ..Default::default() };
    let request = ListDeliveriesRequest { filter: Some(filter), ..Default::default() };
    api.client.clone().list_deliveries(request).await.expect_err("list_deliveries")
}

/// Calls every method that takes a delivery's id.
async fn with_delivery_id(api: &Api, id: &str) -> Vec<(&'static str, &'static str, Status)> {
    let mut client = api.client.clone();
    macro_rules! call {
        ($method:ident, $request:ident) => {{
            let request = $request { delivery_id: id.to_owned(), ..Default::default() };
            (stringify!($method), "delivery_id", client.$method(request).await.expect_err(stringify!($method)))
        }};
    }
    vec![
        call!(get_delivery, GetDeliveryRequest),
        call!(list_attempts, ListAttemptsRequest),
        call!(retry_delivery, RetryDeliveryRequest),
        call!(cancel_delivery, CancelDeliveryRequest),
    ]
}

#[tokio::test]
async fn malformed_ids_are_invalid_everywhere() {
    let api = Api::start().await;
    let real = created(&api, "").await.id;
    let secret = secret_like(&api).await;
    let before = api.written().await;
    let delivery_like = real.replacen("ep_", "dlv_", 1);
    for id in ["", "x", "ep_", "' OR 1=1", "ep_00000000000000000000000000", delivery_like.as_str(), "EP_x", "ep_é"] {
        let list = ("list_deliveries", "filter.endpoint_ids[0]", list_with_endpoint_id(&api, id).await);
        for (method, field, status) in with_endpoint_id(&api, id, &secret).await.into_iter().chain([list]) {
            let answer = async { Err::<tonic::Response<()>, _>(status) };
            api.refuses(&format!("{method} {id:?}"), answer, Code::InvalidArgument, "INVALID_REQUEST", &[field]).await;
        }
    }
    for id in ["", "x", "dlv_", "' OR 1=1", real.as_str(), delivery_like.as_str()] {
        for (method, field, status) in with_delivery_id(&api, id).await {
            let answer = async { Err::<tonic::Response<()>, _>(status) };
            api.refuses(&format!("{method} {id:?}"), answer, Code::InvalidArgument, "INVALID_REQUEST", &[field]).await;
        }
    }
    assert_eq!(api.written().await, before);
}

#[tokio::test]
async fn another_tenants_endpoint_is_as_good_as_none() {
    let api = Api::start().await;
    let foreign = created(&api, OTHER_TENANT).await.id;
    let gone = created(&api, "").await.id;
    let request = DeleteEndpointRequest { endpoint_id: gone.clone(), ..Default::default() };
    api.client.clone().delete_endpoint(request).await.unwrap();
    let secret = secret_like(&api).await;
    let before = api.written().await;
    let nobody = with_endpoint_id(&api, &gone, &secret).await;
    // The deliveries to a deleted endpoint may still be listed, so there the one answer stands alone.
    let list = list_with_endpoint_id(&api, &foreign).await;
    assert_eq!(shown(&list), shown(&nobody[0].2));
    for ((method, _, foreign), (_, _, nobody)) in with_endpoint_id(&api, &foreign, &secret).await.iter().zip(&nobody) {
        assert_eq!(foreign.code(), Code::NotFound, "{method}");
        assert_eq!(shown(foreign), shown(nobody), "{method}");
        assert_eq!(foreign.details(), nobody.details(), "{method}");
    }
    assert_eq!(api.written().await, before);
}

#[tokio::test]
async fn another_tenants_delivery_is_as_good_as_none() {
    let (api, url) = Api::start_local().await;
    let mut client = api.client.clone();
    let mut pinged = Vec::new();
    for tenant_id in [OTHER_TENANT, ""] {
        let endpoint = Some(Endpoint { url: url.clone(), ..Default::default() });
        let request = CreateEndpointRequest { tenant_id: tenant_id.to_owned(), endpoint, ..Default::default() };
        let endpoint_id = client.create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap().id;
        let request = PingEndpointRequest { tenant_id: tenant_id.to_owned(), endpoint_id };
        pinged.push(client.ping_endpoint(request).await.unwrap().into_inner());
    }
    let before = api.written().await;
    let foreign = pinged[0].delivery.as_ref().unwrap();
    let answers = with_delivery_id(&api, &foreign.id).await;
    for (method, _, status) in &answers {
        assert_eq!(status.code(), Code::NotFound, "{method}");
        assert_eq!((shown(status), status.details()), (shown(&answers[0].2), answers[0].2.details()), "{method}");
        assert!(!shown(status).contains(&foreign.id), "{method}");
    }
    let list = ListDeliveriesRequest {
        filter: Some(DeliveryFilter { event_ids: vec![foreign.event_id.clone()], ..Default::default() }),
        ..Default::default()
    };
    assert_eq!(client.list_deliveries(list).await.unwrap().into_inner(), ListDeliveriesResponse::default());
    assert_eq!(api.written().await, before);
    // Each is there for its own tenant.
    let own = GetDeliveryRequest { delivery_id: pinged[1].delivery.as_ref().unwrap().id.clone(), ..Default::default() };
    client.get_delivery(own).await.unwrap();
    let theirs = GetDeliveryRequest { tenant_id: OTHER_TENANT.to_owned(), delivery_id: foreign.id.clone() };
    client.get_delivery(theirs).await.unwrap();
}

#[tokio::test]
async fn another_endpoints_secret_is_as_good_as_none() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let mut secrets = Vec::new();
    let (own, other) = (created(&api, "").await.id, created(&api, "").await.id);
    for (endpoint_id, tenant) in [(other, ""), (created(&api, OTHER_TENANT).await.id, OTHER_TENANT)] {
        let request = ListEndpointSecretsRequest { tenant_id: tenant.to_owned(), endpoint_id, ..Default::default() };
        secrets.push(client.list_endpoint_secrets(request).await.unwrap().into_inner().secrets[0].id.clone());
    }
    secrets.push(secret_like(&api).await);
    let before = api.written().await;
    let mut texts = Vec::new();
    for secret_id in secrets {
        let endpoint_id = own.clone();
        let request = RevokeEndpointSecretRequest { endpoint_id, secret_id, ..Default::default() };
        let (endpoint_id, secret_id) = (request.endpoint_id.clone(), request.secret_id.clone());
        let call = client.revoke_endpoint_secret(request);
        texts.push(shown(&api.refuses("revoke", call, Code::NotFound, "NOT_FOUND", &[]).await));
        let request = ActivateEndpointSecretRequest { endpoint_id, secret_id, ..Default::default() };
        let call = client.activate_endpoint_secret(request);
        texts.push(shown(&api.refuses("activate", call, Code::NotFound, "NOT_FOUND", &[]).await));
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(api.written().await, before);
}

#[tokio::test]
async fn unknown_tenant_is_not_found_everywhere() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    for tenant_id in ["nobody", "DEFAULT", " default", "' OR 1=1"] {
        macro_rules! refused {
            ($($method:ident $request:ident),* $(,)?) => {$({
                let request = $request { tenant_id: tenant_id.to_owned(), ..Default::default() };
                let call = client.$method(request);
                api.refuses(stringify!($method), call, Code::NotFound, "NOT_FOUND", &[]).await;
            })*};
        }
        refused!(
            create_endpoint CreateEndpointRequest,
            get_endpoint GetEndpointRequest,
            list_endpoints ListEndpointsRequest,
            update_endpoint UpdateEndpointRequest,
            delete_endpoint DeleteEndpointRequest,
            pause_endpoint PauseEndpointRequest,
            disable_endpoint DisableEndpointRequest,
            activate_endpoint ActivateEndpointRequest,
            ping_endpoint PingEndpointRequest,
            rotate_endpoint_secret RotateEndpointSecretRequest,
            activate_endpoint_secret ActivateEndpointSecretRequest,
            list_endpoint_secrets ListEndpointSecretsRequest,
            revoke_endpoint_secret RevokeEndpointSecretRequest,
            create_event_type CreateEventTypeRequest,
            update_event_type UpdateEventTypeRequest,
            delete_event_type DeleteEventTypeRequest,
            import_event_types ImportEventTypesRequest,
            get_event_type GetEventTypeRequest,
            list_event_types ListEventTypesRequest,
            publish_event PublishEventRequest,
            batch_publish_events BatchPublishEventsRequest,
            get_event GetEventRequest,
            list_events ListEventsRequest,
            cancel_event CancelEventRequest,
            expunge_event ExpungeEventRequest,
            get_delivery GetDeliveryRequest,
            list_deliveries ListDeliveriesRequest,
            list_attempts ListAttemptsRequest,
            retry_delivery RetryDeliveryRequest,
            cancel_delivery CancelDeliveryRequest,
        );
        let mut admin = api.admin.clone();
        let call = admin.get_tenant(GetTenantRequest { tenant_id: tenant_id.to_owned() });
        api.refuses("get_tenant", call, Code::NotFound, "NOT_FOUND", &[]).await;
        let tenant = Tenant { id: tenant_id.to_owned(), ..Default::default() };
        let call =
            admin.update_tenant(UpdateTenantRequest { tenant: Some(tenant), update_mask: None, ..Default::default() });
        api.refuses("update_tenant", call, Code::NotFound, "NOT_FOUND", &[]).await;
    }
}
