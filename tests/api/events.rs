//! PublishEvent and GetEvent.

use std::collections::BTreeMap;

use prost_types::Timestamp;
use tidings::proto::*;
use tonic::Code;

use crate::support::{Api, shown};

fn event() -> Event {
    Event { r#type: "user.created".to_owned(), payload: b"{}".as_slice().into(), ..Default::default() }
}

fn labels(count: usize, key: &str, value: &str) -> BTreeMap<String, String> {
    (0..count)
        .map(|index| (if index == 0 { key.to_owned() } else { format!("{key}{index}") }, value.to_owned()))
        .collect()
}

#[tokio::test]
async fn bad_events_are_refused_field_by_field() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let id = |text: &str| Event { id: text.to_owned(), ..event() };
    let of_type = |text: &str| Event { r#type: text.to_owned(), ..event() };
    let media = |text: &str| Event { content_type: text.to_owned(), ..event() };
    let json = |text: &'static [u8]| Event { payload: text.into(), ..event() };
    let at = |seconds, nanos| Event { event_time: Some(Timestamp { seconds, nanos }), ..event() };
    let labelled = |labels| Event { labels, ..event() };
    let cases: Vec<(Event, &str)> = vec![
        (id("a.b"), "event.id"),
        (id("a b"), "event.id"),
        (id("a,b"), "event.id"),
        (id("a\r\nb"), "event.id"),
        (id("a\0"), "event.id"),
        (id("é"), "event.id"),
        (id(&"x".repeat(129)), "event.id"),
        (of_type(""), "event.type"),
        (of_type(&"x".repeat(129)), "event.type"),
        (of_type("a b"), "event.type"),
        (of_type("a..b"), "event.type"),
        (of_type(".a"), "event.type"),
        (of_type("user.*"), "event.type"),
        (media("text/plain\r\nx: y"), "event.content_type"),
        (media("text/plän"), "event.content_type"),
        (media(" application/json"), "event.content_type"),
        (media("application/json "), "event.content_type"),
        (media("nonsense"), "event.content_type"),
        (media("a/"), "event.content_type"),
        (media(&"x".repeat(256)), "event.content_type"),
        (media(&format!("text/{}", "x".repeat(251))), "event.content_type"),
        (media("/plain"), "event.content_type"),
        (media("text/plain/x"), "event.content_type"),
        (media("te xt/plain"), "event.content_type"),
        (json(b""), "event.payload"),
        (Event { payload: vec![b' '; 256 * 1024 + 1].into(), ..media("text/plain") }, "event.payload"),
        (json(b"{"), "event.payload"),
        (json(b"NaN"), "event.payload"),
        (json(b"\xef\xbb\xbf{}"), "event.payload"),
        (json(b"\"\xff\""), "event.payload"),
        (Event { payload: b"x".as_slice().into(), ..media("application/x+JSON; a=b") }, "event.payload"),
        (at(0, 1_000_000_000), "event.event_time"),
        (at(0, -1), "event.event_time"),
        (at(253_402_300_800, 0), "event.event_time"),
        (at(i64::MIN, i32::MIN), "event.event_time"),
        (labelled(labels(65, "key", "")), "event.labels"),
        (labelled(labels(1, "", "")), "event.labels[\"\"]"),
        (labelled(labels(1, "k", &"v".repeat(1_025))), "event.labels[\"k\"]"),
        (labelled(labels(1, "k", "\0")), "event.labels[\"k\"]"),
        (labelled(labels(1, "k\0", "")), "event.labels[\"k\\0\"]"),
    ];
    for (event, field) in cases {
        let case = format!("{field}: {:?} {:?} {:?}", event.id, event.r#type, event.content_type);
        let call = client.publish_event(PublishEventRequest { event: Some(event), ..Default::default() });
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", &[field]).await;
    }
    let call = client.publish_event(PublishEventRequest::default());
    api.refuses("no event", call, Code::InvalidArgument, "INVALID_REQUEST", &["event"]).await;
}

#[tokio::test]
async fn events_at_every_limit_are_taken() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let at = |seconds, nanos| Some(Timestamp { seconds, nanos });
    let taken = [
        Event { id: "x".repeat(128), ..event() },
        Event { id: "-_".to_owned(), ..event() },
        Event { r#type: "x".repeat(128), ..event() },
        Event { content_type: format!("text/{}", "x".repeat(250)), ..event() },
        Event { content_type: "text/plain; charset=\"a b\"".to_owned(), ..event() },
        Event { payload: vec![b' '; 256 * 1024].into(), content_type: "text/plain".to_owned(), ..event() },
        Event { event_time: at(-62_135_596_800, 0), ..event() },
        Event { event_time: at(253_402_300_799, 999_999_999), ..event() },
        Event { labels: labels(64, &"k".repeat(126), &"v".repeat(1_024)), ..event() },
        Event { labels: labels(1, &"k".repeat(128), "' OR 1=1"), ..event() },
    ];
    for event in taken {
        let case = format!("{:?} {:?} {:?}", event.id, event.r#type, event.content_type);
        let request = PublishEventRequest { event: Some(event), ..Default::default() };
        client.publish_event(request).await.unwrap_or_else(|status| panic!("{case}: {}", shown(&status)));
    }
}

#[tokio::test]
async fn refusals_tell_sizes_and_offsets() {
    let api = Api::start().await;
    let cases: [(Event, &[&str]); 2] = [
        (
            Event { payload: vec![b' '; 256 * 1024 + 1].into(), content_type: "a/b".to_owned(), ..event() },
            &["262144", "262145"],
        ),
        (Event { payload: b"{\"a\": NaN}".as_slice().into(), ..event() }, &["offset 6"]),
    ];
    for (event, told) in cases {
        let mut client = api.client.clone();
        let call = client.publish_event(PublishEventRequest { event: Some(event), ..Default::default() });
        let fields = ["event.payload"];
        let status = api.refuses("payload", call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
        for text in told {
            assert!(shown(&status).contains(text), "{}", shown(&status));
        }
    }
}

#[tokio::test]
async fn everything_wrong_is_told_at_once() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let event = Event {
        id: "a.b".to_owned(),
        r#type: String::new(),
        event_time: Some(Timestamp { seconds: 0, nanos: -1 }),
        content_type: "\n".to_owned(),
        ..Default::default()
    };
    let call = client.publish_event(PublishEventRequest { event: Some(event), ..Default::default() });
    let fields = ["event.id", "event.type", "event.content_type", "event.payload", "event.event_time"];
    api.refuses("all", call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
}

#[tokio::test]
async fn events_that_cannot_be_or_are_not_there_are_told_apart() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let get = |id: &str| GetEventRequest { event_id: id.to_owned(), ..Default::default() };
    for id in ["", "' OR 1=1", "a.b", &"x".repeat(129)] {
        let call = client.get_event(get(id));
        api.refuses(id, call, Code::InvalidArgument, "INVALID_REQUEST", &["event_id"]).await;
    }
    for id in ["unknown", "evt_unknown", &"x".repeat(128)] {
        api.refuses(id, client.get_event(get(id)), Code::NotFound, "NOT_FOUND", &[]).await;
    }
}

#[tokio::test]
async fn published_event_is_kept_byte_for_byte_and_told_where_it_went() {
    let (api, url) = Api::start_local().await;
    let mut client = api.client.clone();
    let create = || CreateEndpointRequest {
        endpoint: Some(Endpoint { url: url.clone(), ..Default::default() }),
        ..Default::default()
    };
    let all = client.create_endpoint(create()).await.unwrap().into_inner().endpoint.unwrap();
    let mut picky = create();
    picky.endpoint.as_mut().unwrap().event_types = vec!["order.*".to_owned()];
    let picky = client.create_endpoint(picky).await.unwrap().into_inner().endpoint.unwrap();
    let disabled = CreateEndpointRequest { disabled: true, ..create() };
    let disabled = client.create_endpoint(disabled).await.unwrap().into_inner().endpoint.unwrap();

    let given = Event {
        id: "own-id_1".to_owned(),
        payload: b" {\"a\" : \"\\u0000 \\ud800\", \"a\": 1e400}\n".as_slice().into(),
        content_type: "application/x+json; charset=utf-8".to_owned(),
        event_time: Some(Timestamp { seconds: -1, nanos: 5_000 }),
        labels: labels(64, "key", "value"),
        ..event()
    };
    let request = || PublishEventRequest { event: Some(given.clone()), ..Default::default() };
    let published = client.publish_event(request()).await.unwrap().into_inner();
    let expected = PublishEventResponse { event_id: "own-id_1".to_owned(), delivery_count: 1, ..Default::default() };
    assert_eq!(published, expected);
    let again = client.publish_event(request()).await.unwrap().into_inner();
    assert_eq!(again, PublishEventResponse { duplicate: true, ..expected });

    let request = GetEventRequest { event_id: "own-id_1".to_owned(), ..Default::default() };
    let answer = client.get_event(request).await.unwrap().into_inner();
    let kept = answer.event.unwrap();
    let payload_bytes = i64::try_from(given.payload.len()).unwrap();
    assert_eq!(Event { tenant_id: "default".to_owned(), create_time: kept.create_time, payload_bytes, ..given }, kept);
    let routes: Vec<_> = answer.routes.iter().map(|route| (route.endpoint_id.clone(), route.reason())).collect();
    let decided = [
        (all.id, RouteReason::Matched),
        (picky.id, RouteReason::TypeNotWanted),
        (disabled.id, RouteReason::EndpointDisabled),
    ];
    assert_eq!(routes, decided);

    let delivery_id = answer.routes[0].delivery_id.clone();
    let get = GetDeliveryRequest { delivery_id, ..Default::default() };
    let delivery = client.get_delivery(get).await.unwrap().into_inner().delivery.unwrap();
    let listed = client.list_deliveries(ListDeliveriesRequest::default()).await.unwrap().into_inner();
    let ids: Vec<_> = listed.deliveries.iter().map(|delivery| delivery.id.as_str()).collect();
    assert_eq!(ids, [delivery.id.as_str()]);
}

#[tokio::test]
async fn an_id_is_not_used_for_two_events() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let first = Event { id: "id".to_owned(), ..event() };
    let request = |event: Event| PublishEventRequest { event: Some(event), ..Default::default() };
    client.publish_event(request(first.clone())).await.unwrap();
    let others = [
        Event { r#type: "user.deleted".to_owned(), ..first.clone() },
        Event { payload: b"{ }".as_slice().into(), ..first.clone() },
        Event { content_type: "application/json".to_owned(), ..first.clone() },
        Event { labels: labels(1, "k", "v"), ..first.clone() },
        Event { event_time: Some(Timestamp::default()), ..first },
    ];
    for other in others {
        let case = format!("{other:?}");
        let call = client.publish_event(request(other));
        let status = call.await.expect_err(&case);
        assert_eq!(status.code(), Code::AlreadyExists, "{case}");
        assert!(shown(&status).contains("EVENT_ID_REUSED"), "{case}: {}", shown(&status));
    }
}

#[tokio::test]
async fn an_event_that_nobody_wants_is_stored_all_the_same() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let request = PublishEventRequest { event: Some(event()), ..Default::default() };
    let published = client.publish_event(request).await.unwrap().into_inner();
    assert_eq!((published.delivery_count, published.duplicate), (0, false));
    assert!(published.event_id.starts_with("evt_"), "{}", published.event_id);
    let request = GetEventRequest { event_id: published.event_id, ..Default::default() };
    let answer = client.get_event(request).await.unwrap().into_inner();
    assert_eq!(answer.event.unwrap().content_type, "application/json");
    assert_eq!(answer.routes, []);
}
