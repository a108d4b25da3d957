//! ListDeliveries and ListAttempts: filters and pages; RetryDelivery and CancelDelivery in every state. (Ids are in `any`.)

use std::time::Duration;

use tidings::{
    model::{Clock, Timestamp},
    proto::*,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    created,
    support::{Api, OTHER_TENANT, shown, soon},
};

#[tokio::test]
async fn bad_filters_are_refused_with_their_index() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let id = created(&api, "").await.id;
    let filter = DeliveryFilter::default;
    let time = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    let cases: Vec<(DeliveryFilter, &[&str])> = vec![
        (DeliveryFilter { states: vec![1, 999], ..filter() }, &["filter.states[1]"]),
        (DeliveryFilter { states: vec![0, -1], ..filter() }, &["filter.states[0]", "filter.states[1]"]),
        (DeliveryFilter { event_types: vec!["a".to_owned(), String::new()], ..filter() }, &["filter.event_types[1]"]),
        (DeliveryFilter { endpoint_ids: vec![id.clone(), "x".to_owned()], ..filter() }, &["filter.endpoint_ids[1]"]),
        (DeliveryFilter { endpoint_ids: vec![id.clone(); 101], ..filter() }, &["filter.endpoint_ids"]),
        (DeliveryFilter { event_ids: vec!["e".to_owned(), "a b".to_owned()], ..filter() }, &["filter.event_ids[1]"]),
        (DeliveryFilter { event_ids: vec![String::new()], ..filter() }, &["filter.event_ids[0]"]),
        (DeliveryFilter { event_ids: vec!["e".to_owned(); 101], ..filter() }, &["filter.event_ids"]),
        (
            DeliveryFilter { failure_kinds: vec![1, 0, 999, -1], ..filter() },
            &["filter.failure_kinds[1]", "filter.failure_kinds[2]", "filter.failure_kinds[3]"],
        ),
        (DeliveryFilter { start_create_time: time(0, -1), ..filter() }, &["filter.start_create_time"]),
        (DeliveryFilter { end_create_time: time(i64::MAX, 0), ..filter() }, &["filter.end_create_time"]),
        (
            DeliveryFilter { start_create_time: time(2, 0), end_create_time: time(1, 0), ..filter() },
            &["filter.end_create_time"],
        ),
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
async fn deliveries_are_listed_by_event_failure_and_time() {
    let (api, url) = Api::start_local().await;
    let mut client = api.client.clone();
    let endpoint = Endpoint { url, ..Default::default() };
    let create = CreateEndpointRequest { endpoint: Some(endpoint), disabled: true, ..Default::default() };
    let endpoint_id = client.create_endpoint(create).await.unwrap().into_inner().endpoint.unwrap().id;
    let mut pinged = Vec::new();
    for _ in 0..3 {
        let ping = PingEndpointRequest { endpoint_id: endpoint_id.clone(), ..Default::default() };
        pinged.push(client.ping_endpoint(ping).await.unwrap().into_inner().delivery.unwrap());
    }
    let all = DeliveryFilter::default;
    let ids = |which: &[usize]| which.iter().map(|index| pinged[*index].event_id.clone()).collect::<Vec<_>>();
    let (first, second) = (pinged[0].create_time, pinged[1].create_time);
    let cases: Vec<(DeliveryFilter, &[usize])> = vec![
        (all(), &[2, 1, 0]),
        (DeliveryFilter { event_ids: ids(&[0, 2, 0]), ..all() }, &[2, 0]),
        (DeliveryFilter { event_ids: vec!["nobodys".to_owned()], ..all() }, &[]),
        (DeliveryFilter { failure_kinds: vec![FailureKind::Connect as i32], ..all() }, &[2, 1, 0]),
        (DeliveryFilter { failure_kinds: vec![FailureKind::Dns as i32], ..all() }, &[]),
        (DeliveryFilter { start_create_time: second, ..all() }, &[2, 1]),
        (DeliveryFilter { end_create_time: second, ..all() }, &[0]),
        (DeliveryFilter { start_create_time: first, end_create_time: second, ..all() }, &[0]),
        (DeliveryFilter { start_create_time: first, end_create_time: first, ..all() }, &[]),
    ];
    for (filter, expected) in cases {
        let request = ListDeliveriesRequest { filter: Some(filter.clone()), ..Default::default() };
        let deliveries = client.list_deliveries(request).await.unwrap().into_inner().deliveries;
        let found: Vec<_> = deliveries.into_iter().map(|delivery| delivery.id).collect();
        let expected: Vec<_> = expected.iter().map(|index| pinged[*index].id.clone()).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    let elsewhere = ListDeliveriesRequest {
        tenant_id: OTHER_TENANT.to_owned(),
        filter: Some(DeliveryFilter { event_ids: ids(&[0]), ..all() }),
        ..Default::default()
    };
    assert_eq!(client.list_deliveries(elsewhere).await.unwrap().into_inner(), ListDeliveriesResponse::default());

    // A token is worth nothing with another filter.
    let list = |filter: DeliveryFilter, page_token: &str| ListDeliveriesRequest {
        filter: Some(filter),
        page_size: 1,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    let filter = DeliveryFilter { event_ids: ids(&[0, 2]), ..all() };
    let token = client.list_deliveries(list(filter.clone(), "")).await.unwrap().into_inner().next_page_token;
    let page = client.list_deliveries(list(filter, &token)).await.unwrap().into_inner();
    assert_eq!((&page.deliveries[0].id, page.next_page_token.as_str()), (&pinged[0].id, ""));
    for other in [
        DeliveryFilter { event_ids: ids(&[0, 1]), ..all() },
        DeliveryFilter { event_ids: ids(&[0, 2]), failure_kinds: vec![2], ..all() },
        DeliveryFilter { event_ids: ids(&[0, 2]), start_create_time: first, ..all() },
        DeliveryFilter { event_ids: ids(&[0, 2]), end_create_time: second, ..all() },
    ] {
        let case = format!("{other:?}");
        let call = client.list_deliveries(list(other, &token));
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &["page_token"]).await;
    }
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

/// The only delivery of a new event to a new endpoint at this URL.
async fn delivery_to(api: &Api, url: String, event: Event) -> Delivery {
    let mut client = api.client.clone();
    let endpoint = Some(Endpoint { url, ..Default::default() });
    let create = CreateEndpointRequest { endpoint, ..Default::default() };
    let endpoint_id = client.create_endpoint(create).await.unwrap().into_inner().endpoint.unwrap().id;
    client.publish_event(PublishEventRequest { event: Some(event), ..Default::default() }).await.unwrap();
    let filter = DeliveryFilter { endpoint_ids: vec![endpoint_id], ..Default::default() };
    let list = ListDeliveriesRequest { filter: Some(filter), ..Default::default() };
    client.list_deliveries(list).await.unwrap().into_inner().deliveries.remove(0)
}

fn event(id: &str) -> Event {
    Event { id: id.to_owned(), r#type: "a.b".to_owned(), payload: b"{}".as_slice().into(), ..Default::default() }
}

fn retry(delivery: &Delivery) -> RetryDeliveryRequest {
    RetryDeliveryRequest { delivery_id: delivery.id.clone(), request_id: "retry".to_owned(), ..Default::default() }
}

fn cancel(delivery: &Delivery) -> CancelDeliveryRequest {
    CancelDeliveryRequest { delivery_id: delivery.id.clone(), ..Default::default() }
}

/// Asserts that a status says in every way which state is in the way of what was asked for.
fn assert_names(status: &Status, subject: &str, state: &str) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.metadata.get("state").map(String::as_str), Some(state), "{status:?}");
    assert!(status.message().contains(state), "{status:?}");
    let violations = &details.precondition_failure().unwrap().violations;
    let told: Vec<_> = violations.iter().map(|violation| (&violation.r#type, violation.subject.as_str())).collect();
    assert_eq!(told, [(&info.reason, subject)]);
}

#[tokio::test]
async fn delivery_that_succeeded_is_neither_retried_nor_cancelled() {
    let (api, url) = Api::start_received().await;
    let mut client = api.client.clone();
    let start = Some(watch_deliveries_request::Start::FromOldest(true));
    let watch = WatchDeliveriesRequest { start, ..Default::default() };
    let mut watch = client.watch_deliveries(watch).await.unwrap().into_inner();
    let delivery = delivery_to(&api, url, event("one")).await;
    loop {
        let next = soon(watch.message()).await.unwrap().unwrap().message;
        if let Some(watch_deliveries_response::Message::Delivery(transition)) = next
            && transition.kind() == DeliveryTransitionKind::Delivered
        {
            break;
        }
    }
    let call = client.retry_delivery(retry(&delivery));
    let status = api.refuses("retry", call, Code::FailedPrecondition, "DELIVERY_STATE", &[]).await;
    assert_names(&status, "delivery", "DELIVERED");
    let call = client.cancel_delivery(cancel(&delivery));
    let status = api.refuses("cancel", call, Code::FailedPrecondition, "DELIVERY_STATE", &[]).await;
    assert_names(&status, "delivery", "DELIVERED");
}

#[tokio::test]
async fn delivery_in_flight_is_not_retried_and_cancelled_with_its_attempt() {
    let (api, url) = Api::start_received().await;
    let mut client = api.client.clone();
    let delivery = delivery_to(&api, format!("{url}/silent"), event("one")).await;
    assert_eq!(delivery.state(), DeliveryState::InFlight);
    let call = client.retry_delivery(retry(&delivery));
    let status = api.refuses("retry", call, Code::FailedPrecondition, "DELIVERY_STATE", &[]).await;
    assert_names(&status, "delivery", "IN_FLIGHT");
    for _ in 0..2 {
        let cancelled = client.cancel_delivery(cancel(&delivery)).await.unwrap().into_inner();
        assert_eq!(cancelled.result(), CancelResult::CancelRequested);
        assert!(cancelled.delivery.unwrap().cancel_requested);
    }
    let call = client.retry_delivery(retry(&delivery));
    let status = api.refuses("cancelled", call, Code::FailedPrecondition, "DELIVERY_STATE", &[]).await;
    assert_names(&status, "delivery", "IN_FLIGHT");
}

#[tokio::test]
async fn delivery_behind_an_endpoint_that_takes_nothing_is_not_retried() {
    let (api, url) = Api::start_local().await;
    let mut client = api.client.clone();
    let delivery = delivery_to(&api, url, event("one")).await;
    let endpoint_id = || delivery.endpoint_id.clone();
    let pause = PauseEndpointRequest { endpoint_id: endpoint_id(), ..Default::default() };
    client.pause_endpoint(pause).await.unwrap();
    client.cancel_delivery(cancel(&delivery)).await.unwrap();
    let refused = async |state: &str| {
        let mut client = api.client.clone();
        let status = client.retry_delivery(retry(&delivery)).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        assert!(shown(&status).contains("ENDPOINT_STATE"), "{}", shown(&status));
        assert_names(&status, "endpoint", state);
    };
    refused("PAUSED").await;
    let disable = DisableEndpointRequest { endpoint_id: endpoint_id(), ..Default::default() };
    client.disable_endpoint(disable).await.unwrap();
    refused("DISABLED").await;
    let delete = DeleteEndpointRequest { endpoint_id: endpoint_id(), ..Default::default() };
    client.delete_endpoint(delete).await.unwrap();
    refused("DELETED").await;
}

#[tokio::test]
async fn delivery_of_an_event_that_has_expired_is_not_retried() {
    let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
    let api = Api::start_by(clock.clone()).await;
    let mut client = api.client.clone();
    let at = |seconds: i64| Some(prost_types::Timestamp { seconds: 1_700_000_000 + seconds, nanos: 0 });
    // Nothing happens to it by itself before the clock is moved.
    let given = Event { deliver_time: at(3_600), expire_time: at(7_200), ..event("one") };
    let delivery = delivery_to(&api, "https://example.com/hook".to_owned(), given).await;
    client.cancel_delivery(cancel(&delivery)).await.unwrap();
    clock.advance(Duration::from_secs(7_200));
    let call = client.retry_delivery(retry(&delivery));
    let status = api.refuses("expired", call, Code::FailedPrecondition, "EVENT_EXPIRED", &[]).await;
    assert!(status.get_error_details().precondition_failure().is_some(), "{status:?}");
}
