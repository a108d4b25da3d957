//! PauseEndpoint, DisableEndpoint, ActivateEndpoint: what each does to an endpoint and to what waits behind it.

use tidings::proto::{activate_endpoint_request::Backlog, watch_deliveries_response::Message, *};
use tonic::Code;

use crate::{
    create, created, endpoint,
    support::{Api, soon},
};

fn pause(endpoint: &Endpoint) -> PauseEndpointRequest {
    PauseEndpointRequest { endpoint_id: endpoint.id.clone(), ..Default::default() }
}

fn disable(endpoint: &Endpoint) -> DisableEndpointRequest {
    DisableEndpointRequest { endpoint_id: endpoint.id.clone(), ..Default::default() }
}

fn activate(endpoint: &Endpoint, backlog: Option<Backlog>) -> ActivateEndpointRequest {
    ActivateEndpointRequest { endpoint_id: endpoint.id.clone(), backlog, ..Default::default() }
}

fn drain(rate_per_second: f64) -> Option<Backlog> {
    Some(Backlog::Drain(DrainBacklog { rate_per_second }))
}

fn skip() -> Option<Backlog> {
    Some(Backlog::Skip(SkipBacklog {}))
}

/// Creates an endpoint at this URL.
async fn at(api: &Api, url: String) -> Endpoint {
    let endpoint = Some(Endpoint { url, ..endpoint() });
    let request = CreateEndpointRequest { endpoint, ..create("") };
    api.client.clone().create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap()
}

impl Api {
    async fn paused(&self, endpoint: &Endpoint) -> Endpoint {
        let call = self.client.clone().pause_endpoint(pause(endpoint)).await;
        call.unwrap().into_inner().endpoint.unwrap()
    }

    async fn disabled(&self, endpoint: &Endpoint) -> Endpoint {
        let call = self.client.clone().disable_endpoint(disable(endpoint)).await;
        call.unwrap().into_inner().endpoint.unwrap()
    }

    async fn activated(&self, endpoint: &Endpoint, backlog: Option<Backlog>) -> Endpoint {
        let call = self.client.clone().activate_endpoint(activate(endpoint, backlog)).await;
        call.unwrap().into_inner().endpoint.unwrap()
    }

    /// Publishes an event and returns its only delivery.
    async fn held(&self, id: &str) -> Delivery {
        let mut client = self.client.clone();
        let payload = b"{}".as_slice().into();
        let event = Event { id: id.to_owned(), r#type: "a.b".to_owned(), payload, ..Default::default() };
        let publish = PublishEventRequest { event: Some(event), ..Default::default() };
        assert_eq!(client.publish_event(publish).await.unwrap().into_inner().delivery_count, 1);
        let event = GetEventRequest { event_id: id.to_owned(), ..Default::default() };
        let routes = client.get_event(event).await.unwrap().into_inner().routes;
        assert_eq!(routes[0].reason(), RouteReason::Matched);
        self.delivery(&routes[0].delivery_id).await
    }

    async fn delivery(&self, id: &str) -> Delivery {
        let request = GetDeliveryRequest { delivery_id: id.to_owned(), ..Default::default() };
        self.client.clone().get_delivery(request).await.unwrap().into_inner().delivery.unwrap()
    }

    async fn in_state(&self, state: DeliveryState) -> usize {
        let filter = DeliveryFilter { states: vec![state as i32], ..Default::default() };
        let request = ListDeliveriesRequest { filter: Some(filter), ..Default::default() };
        self.client.clone().list_deliveries(request).await.unwrap().into_inner().deliveries.len()
    }
}

#[tokio::test]
async fn an_endpoint_goes_from_state_to_state_and_says_since_when() {
    let api = Api::start().await;
    let made = created(&api, "").await;
    let paused = api.paused(&made).await;
    assert_eq!((paused.state(), paused.disable_reason()), (EndpointState::Paused, DisableReason::Unspecified));
    assert!(paused.pause_time.is_some() && paused.disable_time.is_none() && paused.etag != made.etag);
    assert_eq!((paused.pause_time, api.paused(&made).await), (paused.update_time, paused.clone()), "once");

    let disabled = api.disabled(&made).await;
    assert_eq!((disabled.state(), disabled.disable_reason()), (EndpointState::Disabled, DisableReason::Requested));
    assert!(disabled.pause_time.is_none() && disabled.disable_time.is_some());
    let again = api.paused(&made).await;
    assert_eq!((again.state(), again.disable_reason()), (EndpointState::Paused, DisableReason::Unspecified));
    assert!(again.pause_time.is_some() && again.disable_time.is_none() && again.etag != paused.etag);

    let active = api.activated(&made, None).await;
    assert_eq!((active.state(), active.pause_time), (EndpointState::Enabled, None));
    for backlog in [None, skip(), drain(5.0)] {
        assert_eq!(api.activated(&made, backlog).await, active, "it is enabled, and nothing is held");
    }
}

#[tokio::test]
async fn stale_etags_change_no_state() {
    let api = Api::start().await;
    let made = created(&api, "").await;
    let mut client = api.client.clone();
    let stale = || "AAAAAAAAAAAA".to_owned();
    let call = client.pause_endpoint(PauseEndpointRequest { etag: stale(), ..pause(&made) });
    api.refuses("pause", call, Code::Aborted, "ETAG_MISMATCH", &[]).await;
    let mut client = api.client.clone();
    let call = client.disable_endpoint(DisableEndpointRequest { etag: stale(), ..disable(&made) });
    api.refuses("disable", call, Code::Aborted, "ETAG_MISMATCH", &[]).await;
    let mut client = api.client.clone();
    let call = client.activate_endpoint(ActivateEndpointRequest { etag: stale(), ..activate(&made, None) });
    api.refuses("activate", call, Code::Aborted, "ETAG_MISMATCH", &[]).await;

    let request = PauseEndpointRequest { etag: made.etag.clone(), ..pause(&made) };
    let paused = api.client.clone().pause_endpoint(request).await.unwrap().into_inner().endpoint.unwrap();
    let mut client = api.client.clone();
    let call = client.pause_endpoint(PauseEndpointRequest { etag: made.etag.clone(), ..pause(&made) });
    api.refuses("paused already", call, Code::Aborted, "ETAG_MISMATCH", &[]).await;
    let request = DisableEndpointRequest { etag: paused.etag, ..disable(&made) };
    let disabled = api.client.clone().disable_endpoint(request).await.unwrap().into_inner().endpoint.unwrap();
    let request = ActivateEndpointRequest { etag: disabled.etag, ..activate(&made, None) };
    let active = api.client.clone().activate_endpoint(request).await.unwrap().into_inner().endpoint.unwrap();
    assert_eq!(active.state(), EndpointState::Enabled);
}

#[tokio::test]
async fn bad_rates_are_refused_with_all_else_that_is_wrong() {
    let (api, url) = Api::start_local().await;
    let made = api.paused(&at(&api, url).await).await;
    for rate in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -1e-300, 0.000_9, 10_000.001, f64::MAX] {
        let mut client = api.client.clone();
        let call = client.activate_endpoint(activate(&made, drain(rate)));
        let field = ["drain.rate_per_second"];
        api.refuses(&rate.to_string(), call, Code::InvalidArgument, "INVALID_REQUEST", &field).await;
    }
    let mut client = api.client.clone();
    let call = client.activate_endpoint(activate(&Endpoint::default(), drain(f64::NAN)));
    let fields = ["drain.rate_per_second", "endpoint_id"];
    api.refuses("all", call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
    for (number, (rate, shown)) in
        [(0.001, Some(0.001)), (10_000.0, Some(10_000.0)), (0.0, None)].into_iter().enumerate()
    {
        let made = api.paused(&made).await;
        api.held(&format!("evt-{number}")).await;
        let active = api.activated(&made, drain(rate)).await;
        assert_eq!(active.backlog_drain.as_ref().map(|drain| drain.rate_per_second), shown);
        assert_eq!(active.backlog_drain.and_then(|drain| drain.activate_time), shown.and(active.update_time));
    }
}

#[tokio::test]
async fn paused_endpoint_holds_what_it_gets_and_says_so() {
    let api = Api::start().await;
    let made = api.paused(&created(&api, "").await).await;
    let held = api.held("one").await;
    assert_eq!((held.state(), held.next_attempt_time, held.attempt_count), (DeliveryState::Held, None, 0));
    assert_eq!((api.in_state(DeliveryState::Held).await, api.in_state(DeliveryState::Pending).await), (1, 0));
    let mut client = api.client.clone();
    let call = client.retry_delivery(RetryDeliveryRequest { delivery_id: held.id.clone(), ..Default::default() });
    let refused = api.refuses("paused", call, Code::FailedPrecondition, "ENDPOINT_STATE", &[]).await;
    assert!(refused.message().contains("PAUSED"), "{refused:?}");
    let cancel = CancelDeliveryRequest { delivery_id: held.id.clone(), ..Default::default() };
    let answer = api.client.clone().cancel_delivery(cancel).await.unwrap().into_inner();
    assert_eq!(answer.result(), CancelResult::Cancelled);
    assert_eq!(api.disabled(&made).await.state(), EndpointState::Disabled);
}

#[tokio::test]
async fn what_is_skipped_reads_as_cancelled_everywhere_and_can_be_made_due_again() {
    let (api, url) = Api::start_local().await;
    let made = at(&api, url).await;
    let watch = WatchDeliveriesRequest::default();
    let mut stream = api.client.clone().watch_deliveries(watch).await.unwrap().into_inner();
    soon(stream.message()).await.unwrap();

    api.paused(&made).await;
    let mut held = Vec::new();
    for number in 0..5 {
        held.push(api.held(&format!("evt-{number}")).await.id);
    }
    api.activated(&made, skip()).await;
    assert_eq!((api.in_state(DeliveryState::Cancelled).await, api.in_state(DeliveryState::Held).await), (5, 0));
    for id in &held {
        assert_eq!(api.delivery(id).await.state(), DeliveryState::Cancelled);
        let cancel = CancelDeliveryRequest { delivery_id: id.clone(), ..Default::default() };
        let cancelled = api.client.clone().cancel_delivery(cancel).await.unwrap().into_inner();
        assert_eq!(cancelled.result(), CancelResult::Cancelled);
    }

    let mut told = Vec::new();
    while told.len() < 12 {
        match soon(stream.message()).await.unwrap().unwrap().message.unwrap() {
            Message::Endpoint(endpoint) => told.push(format!("{:?}", endpoint.kind())),
            Message::Delivery(delivery) => told.push(format!("{:?} {:?}", delivery.kind(), delivery.state())),
            Message::Heartbeat(_) => {}
        }
    }
    let expected = [vec!["Paused"], vec!["Queued Held"; 5], vec!["Activated"], vec!["Cancelled Cancelled"; 5]];
    assert_eq!(told, expected.concat());

    let retry = RetryDeliveryRequest { delivery_id: held[0].clone(), ..Default::default() };
    let retried = api.client.clone().retry_delivery(retry).await.unwrap().into_inner().delivery.unwrap();
    assert_eq!(retried.state(), DeliveryState::Pending);
}
