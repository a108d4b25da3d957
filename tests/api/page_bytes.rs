//! Pages of what is long: whatever a list holds, a client reads all of it that takes answers of 4 MiB, as gRPC's clients do
//! unless they are told otherwise, and that asks for the largest pages.

use std::collections::BTreeSet;

use prost::Message;
use tidings::proto::{retry_schedule::Schedule, *};

use crate::{create, created, span, support::Api};

/// Larger than any page may be.
const LARGEST: i32 = i32::MAX;

/// What a page of long items comes to, and what may come on top of it: the longest item, or what is fixed in a thousand.
const PAGE_BYTES: usize = 2 * 1024 * 1024;
const BEYOND_BYTES: usize = 768 * 1024;

/// Reads a list to its end. Gives all items, and how many each page had.
macro_rules! all {
    ($client:expr, $method:ident, $request:expr, $items:ident) => {{
        let (mut items, mut counts, mut request) = (Vec::new(), Vec::new(), $request);
        loop {
            let page = $client.$method(request.clone()).await.expect(stringify!($method)).into_inner();
            assert_bounded(&page);
            counts.push(page.$items.len());
            items.extend(page.$items);
            if page.next_page_token.is_empty() {
                break (items, counts);
            }
            request.page_token = page.next_page_token;
        }
    }};
}

fn assert_bounded(page: &impl Message) {
    assert!(page.encoded_len() <= PAGE_BYTES + BEYOND_BYTES, "{} bytes", page.encoded_len());
}

#[tokio::test]
async fn attempts_with_long_answers_come_in_pages_of_bounded_bytes() {
    const ATTEMPTS: i32 = 300;
    const WRITE: &str = "INSERT INTO attempt (event, endpoint, n, result, status, latency, kind, ended, truncated, detail, \
                         response, note) \
                         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 300) \
                         SELECT event, endpoint, n, 3, 500, 5, 7, 1, 1, 'status 500', $1, 0 FROM numbers CROSS JOIN delivery";
    let api = Api::start().await;
    let mut client = api.client.clone();
    let endpoint_id = created(&api, "").await.id;
    client.pause_endpoint(PauseEndpointRequest { endpoint_id, ..Default::default() }).await.unwrap();
    let event = Event { r#type: "a.b".to_owned(), payload: b"{}".as_slice().into(), ..Default::default() };
    client.publish_event(PublishEventRequest { event: Some(event), ..Default::default() }).await.unwrap();
    let delivery = client.list_deliveries(ListDeliveriesRequest::default()).await.unwrap().into_inner().deliveries;
    api.execute(WRITE, &[b'x'; 16 * 1024]).await;

    let list = |page_size| ListAttemptsRequest {
        delivery_id: delivery[0].id.clone(),
        page_size,
        ..ListAttemptsRequest::default()
    };
    let (attempts, counts) = all!(client, list_attempts, list(LARGEST), attempts);
    assert!(attempts.iter().all(|attempt| attempt.response_body.len() == 16 * 1024));
    let numbers: Vec<i32> = attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, (1..=ATTEMPTS).collect::<Vec<_>>());
    assert_eq!(counts, [125, 125, 50], "each as many as fit, the last the rest");
    // A page that is small enough is as long as it was asked to be.
    assert_eq!(all!(client, list_attempts, list(100), attempts), (attempts.clone(), vec![100; 3]));
    assert_eq!(all!(client, list_attempts, list(120), attempts), (attempts, vec![120, 120, 60]));
}

#[tokio::test]
async fn endpoints_that_are_longer_shown_than_stored_come_in_pages_of_bounded_bytes() {
    const COPY: &str = "INSERT INTO endpoint (key, tenant, display_name, description, url, filter, policy, state, reason, \
                        since, generation, version, created, updated, style, header_names, labels) \
                        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 399) \
                        SELECT 1000 + n, tenant, CAST($1 AS TEXT), description, url, filter, policy, state, reason, since, \
                        generation, version, created, updated, style, header_names, labels \
                        FROM numbers CROSS JOIN endpoint";
    let api = Api::start().await;
    let mut request = create("");
    let schedule = Schedule::Delays(RetryDelays { delays: vec![span(0, 1_000_000); 999] });
    let policy = DeliveryPolicy { retry: Some(RetrySchedule { schedule: Some(schedule) }), ..Default::default() };
    request.endpoint.as_mut().unwrap().policy = Some(policy);
    let mut client = api.client.clone();
    let first = client.create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap();
    api.execute(COPY, b"").await;

    let list = ListEndpointsRequest { page_size: LARGEST, ..Default::default() };
    let (endpoints, counts) = all!(client, list_endpoints, list, endpoints);
    assert!(endpoints[0] == first && endpoints.iter().all(|other| other.effective_policy == first.effective_policy));
    let ids: BTreeSet<&str> = endpoints.iter().map(|endpoint| endpoint.id.as_str()).collect();
    assert_eq!((ids.len(), endpoints.len()), (400, 400));
    assert_eq!(counts.len(), 3, "{counts:?} endpoints of {} bytes", first.encoded_len());
}

#[tokio::test]
async fn events_with_many_labels_come_in_pages_of_bounded_bytes() {
    const EVENTS: usize = 80;
    let api = Api::start().await;
    let mut client = api.client.clone();
    let labels = |number: usize| (format!("{number:02}{}", "k".repeat(126)), "v".repeat(1_024));
    for _ in 0..EVENTS {
        let event = Event {
            r#type: "a.b".to_owned(),
            payload: b"{}".as_slice().into(),
            labels: (0..64).map(labels).collect(),
            ..Default::default()
        };
        client.publish_event(PublishEventRequest { event: Some(event), ..Default::default() }).await.unwrap();
    }
    let list = ListEventsRequest { page_size: LARGEST, ..Default::default() };
    let (events, counts) = all!(client, list_events, list, events);
    assert!(events.len() == EVENTS && events.iter().all(|event| event.labels.len() == 64));
    assert!(counts.len() > 2, "{counts:?}");
}

#[tokio::test]
async fn audit_entries_with_many_names_come_in_pages_of_bounded_bytes() {
    const COPY: &str = "INSERT INTO audit_entry (key, time, actor, caller, tenant, method, resources, resource_count, fields, \
                        remote, request_id) \
                        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1999) \
                        SELECT key + n, time, actor, caller, tenant, method, resources, resource_count, fields, \
                        CAST($1 AS TEXT), request_id FROM numbers CROSS JOIN audit_entry";
    let api = Api::start().await;
    let named = |number: usize| EventType { name: format!("{number:02}{}", "x".repeat(126)), ..Default::default() };
    let import = ImportEventTypesRequest {
        event_types: (0..20).map(named).collect(),
        request_id: "r".repeat(128),
        ..Default::default()
    };
    api.client.clone().import_event_types(import).await.unwrap();
    api.execute(COPY, b"").await;

    let list = ListAuditEntriesRequest { page_size: LARGEST, ..Default::default() };
    let mut admin = api.admin.clone();
    let (entries, counts) = all!(admin, list_audit_entries, list, entries);
    let ids: BTreeSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!((ids.len(), entries.len()), (2_000, 2_000));
    assert!(entries.iter().all(|entry| entry.resources.len() == 16 && entry.method == "ImportEventTypes"));
    assert_eq!(counts.len(), 3, "{counts:?} entries of {} bytes", entries[0].encoded_len());
    assert!(counts.iter().all(|count| *count < 1_000), "cut short by their bytes: {counts:?}");
}
