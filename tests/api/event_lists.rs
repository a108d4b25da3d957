//! ListEvents: filters and pages.

use prost_types::Timestamp;
use tidings::proto::*;
use tonic::Code;

use crate::support::{Api, OTHER_TENANT};

async fn publish(api: &Api, tenant: &str, id: &str, event_type: &str, label: Option<&str>) {
    let event = Event {
        id: id.to_owned(),
        r#type: event_type.to_owned(),
        payload: b"{\"n\":1}".as_slice().into(),
        labels: label.map(|value| ("label".to_owned(), value.to_owned())).into_iter().collect(),
        ..Default::default()
    };
    let request = PublishEventRequest { tenant_id: tenant.to_owned(), event: Some(event) };
    api.client.clone().publish_event(request).await.unwrap();
}

async fn list(api: &Api, filter: EventFilter) -> Vec<Event> {
    let request = ListEventsRequest { filter: Some(filter), ..Default::default() };
    api.client.clone().list_events(request).await.unwrap().into_inner().events
}

fn ids(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.id.as_str()).collect()
}

fn labelled(value: &str) -> EventFilter {
    EventFilter { labels: [("label".to_owned(), value.to_owned())].into(), ..Default::default() }
}

#[tokio::test]
async fn bad_filters_and_pages_are_refused() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let filter = EventFilter::default;
    let at = |seconds, nanos| Some(Timestamp { seconds, nanos });
    let many = (0..65).map(|n| (n.to_string(), String::new())).collect();
    let cases: Vec<(EventFilter, &[&str])> = vec![
        (EventFilter { event_types: vec!["a".to_owned(), String::new()], ..filter() }, &["filter.event_types[1]"]),
        (EventFilter { event_types: vec!["' OR 1=1".to_owned()], ..filter() }, &["filter.event_types[0]"]),
        (EventFilter { labels: many, ..filter() }, &["filter.labels"]),
        (EventFilter { labels: [(String::new(), String::new())].into(), ..filter() }, &["filter.labels[\"\"]"]),
        (EventFilter { start_time: at(0, 1_000_000_000), ..filter() }, &["filter.start_time"]),
        (EventFilter { end_time: at(253_402_300_800, 0), ..filter() }, &["filter.end_time"]),
        (EventFilter { start_time: at(1, 1_000), end_time: at(1, 0), ..filter() }, &["filter.end_time"]),
        (
            EventFilter { start_time: at(0, -1), end_time: at(0, -1), ..filter() },
            &["filter.start_time", "filter.end_time"],
        ),
    ];
    for (filter, fields) in cases {
        let case = format!("{filter:?}");
        let call = client.list_events(ListEventsRequest { filter: Some(filter), ..Default::default() });
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", fields).await;
    }
    for token in ["garbage", "' OR 1=1", "AAAA"] {
        let request = ListEventsRequest { page_size: -1, page_token: token.to_owned(), ..Default::default() };
        let call = client.list_events(request);
        let fields = ["page_size", "page_token"];
        api.refuses(token, call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &fields).await;
    }
    assert_eq!(list(&api, labelled("' OR 1=1")).await, []);
}

#[tokio::test]
async fn events_are_listed_newest_first_without_their_payloads() {
    let api = Api::start().await;
    publish(&api, "", "one", "user.created", Some("a")).await;
    publish(&api, OTHER_TENANT, "foreign", "user.created", Some("a")).await;
    publish(&api, "", "two", "user.deleted", Some("b")).await;
    publish(&api, "", "three", "order.paid", None).await;
    let all = list(&api, EventFilter::default()).await;
    assert_eq!(ids(&all), ["three", "two", "one"]);
    assert!(all.iter().all(|event| event.payload.is_empty() && event.payload_bytes == 7));
    let request = GetEventRequest { event_id: "two".to_owned(), ..Default::default() };
    let got = api.client.clone().get_event(request).await.unwrap().into_inner().event.unwrap();
    assert_eq!(Event { payload: Default::default(), ..got }, all[1], "the rest of it is there");

    assert_eq!(ids(&list(&api, labelled("a")).await), ["one"]);
    let types = |types: &[&str]| types.iter().map(|pattern| (*pattern).to_owned()).collect();
    let users = EventFilter { event_types: types(&["user.*"]), ..Default::default() };
    assert_eq!(ids(&list(&api, users).await), ["two", "one"]);
    let neither = EventFilter { event_types: types(&["order.*"]), ..labelled("a") };
    assert_eq!(list(&api, neither).await, []);

    let time = |index: usize| all[index].create_time;
    let range = |start, end| EventFilter { start_time: start, end_time: end, ..Default::default() };
    assert_eq!(ids(&list(&api, range(time(1), None)).await), ["three", "two"]);
    assert_eq!(ids(&list(&api, range(None, time(1))).await), ["one"]);
    assert_eq!(ids(&list(&api, range(time(2), time(0))).await), ["two", "one"]);
    assert_eq!(list(&api, range(time(1), time(1))).await, []);

    let request = ExpungeEventRequest { event_id: "one".to_owned(), ..Default::default() };
    api.client.clone().expunge_event(request).await.unwrap();
    let last = list(&api, EventFilter::default()).await.pop().unwrap();
    assert!(last.payload_bytes == 0 && last.expunge_time.is_some() && last.labels.is_empty());
}

#[tokio::test]
async fn page_tokens_are_bound_to_tenant_and_filter() {
    let api = Api::start().await;
    for number in 0..5 {
        publish(&api, "", &format!("e{number}"), "user.created", Some("a")).await;
    }
    let mut client = api.client.clone();
    let filter =
        EventFilter { labels: (0..1).map(|_| ("label".to_owned(), "a".to_owned())).collect(), ..Default::default() };
    let request = |token: &str, filter: &EventFilter| ListEventsRequest {
        filter: Some(filter.clone()),
        page_size: 2,
        page_token: token.to_owned(),
        ..Default::default()
    };
    let (mut all, mut token) = (Vec::new(), String::new());
    let mut tokens = Vec::new();
    loop {
        let page = client.list_events(request(&token, &filter)).await.unwrap().into_inner();
        assert!(page.events.len() <= 2);
        all.extend(page.events);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        tokens.push(token.clone());
    }
    assert_eq!((ids(&all), tokens.len()), (vec!["e4", "e3", "e2", "e1", "e0"], 2));
    let foreign = [
        request(&tokens[0], &EventFilter::default()),
        request(&tokens[0], &labelled("b")),
        ListEventsRequest { tenant_id: OTHER_TENANT.to_owned(), ..request(&tokens[0], &filter) },
    ];
    for request in foreign {
        let call = client.list_events(request);
        api.refuses("foreign", call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &["page_token"]).await;
    }
}
