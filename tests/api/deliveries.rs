//! ListDeliveries and ListAttempts: filters and pages. (Ids are in `any`.)

use tidings::proto::*;
use tonic::Code;

use crate::{created, support::Api};

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
