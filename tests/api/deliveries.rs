//! ListDeliveries and ListAttempts: filters and pages. (Ids are in `any`.)

use tidings::proto::*;
use tonic::Code;

use crate::{
    created,
    support::{Api, shown},
};

#[tokio::test]
async fn bad_filters_are_refused_with_their_index() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let id = created(&api, "").await.id;
    let filter = DeliveryFilter::default;
    let cases: Vec<(DeliveryFilter, &[&str])> = vec![
        (DeliveryFilter { states: vec![1, 999], ..filter() }, &["filter.states[1]"]),
        (DeliveryFilter { states: vec![0, -1], ..filter() }, &["filter.states[0]", "filter.states[1]"]),
        (DeliveryFilter { event_types: vec!["a".to_owned(), String::new()], ..filter() }, &["filter.event_types[1]"]),
        (DeliveryFilter { endpoint_ids: vec![id.clone(), "x".to_owned()], ..filter() }, &["filter.endpoint_ids[1]"]),
        (DeliveryFilter { endpoint_ids: vec![id.clone(); 101], ..filter() }, &["filter.endpoint_ids"]),
    ];
    for (filter, fields) in cases {
        let case = format!("{filter:?}");
        let request = ListDeliveriesRequest { filter: Some(filter), ..Default::default() };
        let call = client.list_deliveries(request);
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", fields).await;
    }
    let request = ListDeliveriesRequest {
        filter: Some(DeliveryFilter { endpoint_ids: vec![id], states: vec![1, 1, 6], ..filter() }),
        ..Default::default()
    };
    assert_eq!(client.list_deliveries(request).await.unwrap().into_inner(), ListDeliveriesResponse::default());
}

#[tokio::test]
async fn bad_pages_are_refused() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    for token in ["garbage", "' OR 1=1", "AAAA"] {
        let request = ListDeliveriesRequest { page_size: -1, page_token: token.to_owned(), ..Default::default() };
        let call = client.list_deliveries(request);
        let fields = ["page_size", "page_token"];
        api.refuses(token, call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &fields).await;
        let request = ListAttemptsRequest { page_size: -1, page_token: token.to_owned(), ..Default::default() };
        let call = client.list_attempts(request);
        let fields = ["delivery_id", "page_size", "page_token"];
        api.refuses(token, call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &fields).await;
    }
}

#[tokio::test]
async fn a_ping_tells_what_came_of_its_attempt() {
    let (api, url) = Api::start_local().await;
    let mut client = api.client.clone();
    // Neither the filter nor the state keeps a ping from being sent.
    let endpoint = Endpoint { url, event_types: vec!["order.*".to_owned()], ..Default::default() };
    let create = CreateEndpointRequest { endpoint: Some(endpoint), disabled: true, ..Default::default() };
    let endpoint_id = client.create_endpoint(create).await.unwrap().into_inner().endpoint.unwrap().id;
    let ping = PingEndpointRequest { endpoint_id, ..Default::default() };
    let answer = client.ping_endpoint(ping).await.unwrap().into_inner();
    let (delivery, attempt) = (answer.delivery.unwrap(), answer.attempt.unwrap());
    assert_eq!((delivery.event_type.as_str(), delivery.state()), ("test.ping", DeliveryState::Dead));
    assert_eq!((attempt.number, attempt.outcome()), (1, AttemptOutcome::Failed));
    assert_eq!((attempt.failure_kind(), delivery.failure_kind()), (FailureKind::Connect, FailureKind::Connect));

    let list = ListAttemptsRequest { delivery_id: delivery.id.clone(), ..Default::default() };
    assert_eq!(client.list_attempts(list).await.unwrap().into_inner().attempts, [attempt]);
    let event = GetEventRequest { event_id: delivery.event_id.clone(), ..Default::default() };
    let routes = client.get_event(event).await.unwrap().into_inner().routes;
    assert_eq!((routes[0].reason(), &routes[0].delivery_id), (RouteReason::Ping, &delivery.id));

    let cancel = CancelDeliveryRequest { delivery_id: delivery.id.clone(), ..Default::default() };
    let refused = client.cancel_delivery(cancel).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(shown(&refused).contains("DELIVERY_STATE") && refused.message().contains("DEAD"), "{refused:?}");
    let retry = || RetryDeliveryRequest { delivery_id: delivery.id.clone(), ..Default::default() };
    let call = client.retry_delivery(retry());
    api.refuses("disabled", call, Code::FailedPrecondition, "ENDPOINT_STATE", &[]).await;
    let activate = ActivateEndpointRequest { endpoint_id: delivery.endpoint_id.clone(), ..Default::default() };
    client.activate_endpoint(activate).await.unwrap();
    let retried = client.retry_delivery(retry()).await.unwrap().into_inner().delivery.unwrap();
    assert_eq!((retried.state(), retried.attempt_count), (DeliveryState::Pending, 1));
    assert!(retried.next_attempt_time.is_some());
}
