//! PublishEvent and GetEvent.

use std::collections::HashMap;

use prost_types::Timestamp;
use tidings::proto::*;
use tonic::Code;

use crate::support::{Api, shown};

fn event() -> Event {
    Event { r#type: "user.created".to_owned(), payload: b"{}".as_slice().into(), ..Default::default() }
}

fn labels(count: usize, key: &str, value: &str) -> HashMap<String, String> {
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
        (media(&"x".repeat(256)), "event.content_type"),
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
