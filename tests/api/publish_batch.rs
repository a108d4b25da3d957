//! BatchPublishEvents.

use prost::Message as _;
use tidings::proto::*;
use tonic::{Code, Status};
use tonic_types::{RpcStatusExt as _, StatusExt as _};

use crate::{
    create,
    support::{Api, OTHER_TENANT, shown},
};

fn event(id: &str) -> Event {
    Event {
        id: id.to_owned(),
        r#type: "user.created".to_owned(),
        payload: b"{}".as_slice().into(),
        ..Default::default()
    }
}

fn batch(events: Vec<Event>) -> BatchPublishEventsRequest {
    BatchPublishEventsRequest { events, ..Default::default() }
}

async fn publish(api: &Api, events: Vec<Event>) -> Vec<batch_publish_result::Result> {
    let answer = api.client.clone().batch_publish_events(batch(events)).await.unwrap().into_inner();
    answer.results.into_iter().map(|result| result.result.expect("a result")).collect()
}

fn published(event_id: &str, delivery_count: i32, duplicate: bool) -> batch_publish_result::Result {
    let event_id = event_id.to_owned();
    batch_publish_result::Result::Published(PublishedEvent {
        event_id,
        delivery_count,
        duplicate,
        warnings: Vec::new(),
    })
}

#[tokio::test]
async fn batches_that_break_a_rule_are_refused_whole_with_every_violation() {
    let api = Api::start().await;
    let call = async |events| api.client.clone().batch_publish_events(batch(events)).await;
    let (code, reason) = (Code::InvalidArgument, "INVALID_REQUEST");
    api.refuses("none", call(vec![]), code, reason, &["events"]).await;
    let many = vec![event(""); 1_001];
    api.refuses("too many", call(many), code, reason, &["events"]).await;
    let mut events: Vec<_> = (0..20).map(|number| event(&format!("id-{number}"))).collect();
    events[3] = Event { r#type: String::new(), id: "a b".to_owned(), ..event("") };
    events[7].payload = b"NaN".as_slice().into();
    events[9].id = "id-8".to_owned();
    events[19].labels = [(String::new(), String::new())].into();
    let fields = ["events[9].id", "events[3].id", "events[3].type", "events[7].payload", "events[19].labels[\"\"]"];
    api.refuses("four of twenty", call(events), code, reason, &fields).await;
    let status = call(vec![Event::default(); 1_000]).await.unwrap_err();
    let told = status.get_error_details().bad_request().unwrap().field_violations.clone();
    let last = told.last().unwrap();
    let left_out = 2_000 - (told.len() - 1);
    assert!(last.description.contains(&format!("{left_out} violations")), "{last:?} after {}", told.len());
    assert!(status.details().len() < 8 * 1024, "{} bytes of details", status.details().len());
}

#[tokio::test]
async fn batch_that_is_too_large_is_refused_with_both_sizes() {
    let api = Api::start().await;
    let large = |payload_bytes: usize, count: usize| {
        let payload = vec![b'x'; payload_bytes].into();
        batch(vec![Event { payload, content_type: "text/plain".to_owned(), ..event("") }; count])
    };
    let limit = 8 * 1024 * 1024;
    let events = large(256 * 1024, 33);
    let call = async { api.client.clone().batch_publish_events(events).await };
    let status = api.refuses("payloads", call, Code::InvalidArgument, "INVALID_REQUEST", &["events"]).await;
    for size in [limit, 33 * 256 * 1024] {
        assert!(shown(&status).contains(&size.to_string()), "{}", shown(&status));
    }
    let before = api.written().await;
    let status = api.client.clone().batch_publish_events(large(256 * 1024, 50)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(status.message().contains(&(12 * 1024 * 1024).to_string()), "{}", status.message());
    assert_eq!(api.written().await, before);
    // As much as there may be is taken.
    let answer = api.client.clone().batch_publish_events(large(256 * 1024, 32)).await.unwrap().into_inner();
    assert_eq!(answer.results.len(), 32);
}

#[tokio::test]
async fn each_event_of_a_batch_stands_alone_and_is_answered_in_its_place() {
    let api = Api::start().await;
    api.client.clone().create_endpoint(create("")).await.unwrap();
    let given = || vec![event("one"), event("two"), event("three")];
    let once = [published("one", 1, false), published("two", 1, false), published("three", 1, false)];
    assert_eq!(publish(&api, given()).await, once);
    let again = once.clone().map(|result| match result {
        batch_publish_result::Result::Published(first) => {
            batch_publish_result::Result::Published(PublishedEvent { duplicate: true, ..first })
        }
        error => error,
    });
    assert_eq!(publish(&api, given()).await, again);

    let mut mixed = vec![event("four"), Event { payload: b"1".as_slice().into(), ..event("two") }, event("one")];
    mixed.push(event(""));
    let results = publish(&api, mixed).await;
    let [first, batch_publish_result::Result::Error(reused), third, batch_publish_result::Result::Published(own)] =
        results.as_slice()
    else {
        panic!("{results:?}")
    };
    assert_eq!((first, third), (&published("four", 1, false), &published("one", 1, true)));
    assert!(own.event_id.starts_with("evt_"), "{own:?}");
    assert_eq!(Code::from(reused.code), Code::AlreadyExists);
    let info = reused.get_details_error_info().expect("an ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("EVENT_ID_REUSED", "tidings.v1"));
    // The same words as PublishEvent's.
    let request = PublishEventRequest {
        event: Some(Event { payload: b"1".as_slice().into(), ..event("two") }),
        ..Default::default()
    };
    let alone: Status = api.client.clone().publish_event(request).await.unwrap_err();
    assert_eq!(alone.message(), reused.message);
}

#[tokio::test]
async fn thousand_events_are_one_batch() {
    let api = Api::start().await;
    let events: Vec<_> = (0..1_000).map(|number| event(&format!("id-{number}"))).collect();
    let results = publish(&api, events).await;
    for (number, result) in results.iter().enumerate() {
        assert_eq!(result, &published(&format!("id-{number}"), 0, false));
    }
    assert_eq!(results.len(), 1_000);
}

#[tokio::test]
async fn batch_is_of_the_tenant_that_it_names() {
    let api = Api::start().await;
    let request = BatchPublishEventsRequest { tenant_id: OTHER_TENANT.to_owned(), events: vec![event("theirs")] };
    api.client.clone().batch_publish_events(request).await.unwrap();
    let get = |tenant_id: &str| GetEventRequest {
        tenant_id: tenant_id.to_owned(),
        event_id: "theirs".to_owned(),
        ..Default::default()
    };
    assert!(api.client.clone().get_event(get(OTHER_TENANT)).await.is_ok());
    api.refuses("ours", async { api.client.clone().get_event(get("")).await }, Code::NotFound, "NOT_FOUND", &[]).await;
}

#[tokio::test]
async fn answer_to_a_batch_that_is_full_of_warnings_is_taken_by_every_client() {
    let api = Api::start().await;
    api.check_schemas("", SchemaCheck::Warn).await;
    let schema = r#"{"additionalProperties": {"type": "string"}}"#.to_owned();
    api.with_type(EventType { name: "user.created".to_owned(), schema, ..Default::default() }).await;
    // Sixteen members of other types, whose names take as much as is repeated of them: 64 characters of four bytes.
    let members: Vec<_> = (0..16).map(|number| format!("\"{}{number}\": 1", "\u{1f4a9}".repeat(64))).collect();
    let payload = bytes::Bytes::from(format!("{{{}}}", members.join(", ")));
    let events = vec![Event { payload, ..event("") }; 1_000];
    let answer = api.client.clone().batch_publish_events(batch(events)).await.unwrap().into_inner();
    let warnings: Vec<usize> = answer
        .results
        .iter()
        .map(|result| match &result.result {
            Some(batch_publish_result::Result::Published(published)) => published.warnings.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((warnings.len(), warnings[0], warnings[999]), (1_000, 16, 0));
    assert!(answer.encoded_len() < 3 * 1024 * 1024, "{} bytes", answer.encoded_len());
}
