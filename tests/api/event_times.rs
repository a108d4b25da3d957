//! Events that are scheduled or expire.

use std::time::{SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;
use tidings::{model::Clock, proto::*};
use tonic::Code;

use crate::support::{Api, shown};

const DELIVER: &str = "event.deliver_time";
const EXPIRE: &str = "event.expire_time";
const DAY: i64 = 24 * 3_600;

/// So many seconds from now.
fn ahead(seconds: i64) -> Option<Timestamp> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Some(Timestamp { seconds: i64::try_from(now).unwrap() + seconds, nanos: 123_456_000 })
}

fn event() -> Event {
    Event { r#type: "user.created".to_owned(), payload: b"{}".as_slice().into(), ..Default::default() }
}

fn publish(event: Event) -> PublishEventRequest {
    PublishEventRequest { event: Some(event), ..Default::default() }
}

async fn get(api: &Api, event_id: &str) -> GetEventResponse {
    let request = GetEventRequest { event_id: event_id.to_owned(), ..Default::default() };
    api.client.clone().get_event(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn times_out_of_range_are_refused() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let deliver = |time| Event { deliver_time: time, ..event() };
    let expire = |time| Event { expire_time: time, ..event() };
    let at = |seconds, nanos| Some(Timestamp { seconds, nanos });
    let cases: Vec<(Event, &[&str])> = vec![
        (deliver(ahead(30 * DAY + 60)), &[DELIVER]),
        (deliver(at(0, 1_000_000_000)), &[DELIVER]),
        (deliver(at(0, -1)), &[DELIVER]),
        (deliver(at(253_402_300_800, 0)), &[DELIVER]),
        (deliver(at(253_402_300_799, 999_999_999)), &[DELIVER]),
        (deliver(at(i64::MIN, i32::MIN)), &[DELIVER]),
        (deliver(at(i64::MAX, 0)), &[DELIVER]),
        (expire(ahead(90 * DAY + 60)), &[EXPIRE]),
        (expire(ahead(-60)), &[EXPIRE]),
        (expire(at(0, 0)), &[EXPIRE]),
        (expire(at(-62_135_596_800, 0)), &[EXPIRE]),
        (expire(at(0, 1_000_000_000)), &[EXPIRE]),
        (expire(at(253_402_300_800, 0)), &[EXPIRE]),
        (Event { expire_time: ahead(60), ..deliver(ahead(120)) }, &[EXPIRE]),
        (Event { expire_time: ahead(100 * DAY), ..deliver(ahead(100 * DAY)) }, &[DELIVER, EXPIRE, EXPIRE]),
        (
            Event { r#type: String::new(), expire_time: at(0, -1), ..deliver(at(0, -1)) },
            &["event.type", DELIVER, EXPIRE],
        ),
        // One with an id of its own might be a repeat; this one is not.
        (Event { id: "own".to_owned(), ..expire(ahead(-60)) }, &[EXPIRE]),
    ];
    for (event, fields) in cases {
        let case = format!("{:?} {:?}", event.deliver_time, event.expire_time);
        let call = client.publish_event(publish(event));
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", fields).await;
    }
    for event in [
        deliver(ahead(30 * DAY - 60)),
        deliver(at(0, 0)),
        deliver(at(-62_135_596_800, 0)),
        expire(ahead(90 * DAY - 60)),
    ] {
        client.publish_event(publish(event)).await.unwrap();
    }
}

#[tokio::test]
async fn scheduled_event_is_shown_and_waits() {
    let (api, url) = Api::start_local().await;
    let mut client = api.client.clone();
    let endpoint = Some(Endpoint { url, ..Default::default() });
    client.create_endpoint(CreateEndpointRequest { endpoint, ..Default::default() }).await.unwrap();
    let given = Event { id: "own".to_owned(), deliver_time: ahead(DAY), expire_time: ahead(2 * DAY), ..event() };
    client.publish_event(publish(given.clone())).await.unwrap();
    let shown_event = get(&api, "own").await;
    let kept = shown_event.event.unwrap();
    assert_eq!((kept.deliver_time, kept.expire_time, kept.expunge_time), (given.deliver_time, given.expire_time, None));
    assert_eq!(kept.payload_bytes, 2);
    let request = GetDeliveryRequest { delivery_id: shown_event.routes[0].delivery_id.clone(), ..Default::default() };
    let delivery = client.get_delivery(request).await.unwrap().into_inner().delivery.unwrap();
    assert_eq!((delivery.state(), delivery.attempt_count), (DeliveryState::Pending, 0));
    assert_eq!(delivery.next_attempt_time, given.deliver_time);

    // The times belong to what a repeat is compared with, and their absence is a value of its own.
    assert!(client.publish_event(publish(given.clone())).await.unwrap().into_inner().duplicate);
    let others = [
        Event { deliver_time: None, ..given.clone() },
        Event { expire_time: None, ..given.clone() },
        Event { deliver_time: ahead(DAY + 1), ..given.clone() },
        Event { deliver_time: None, expire_time: None, ..given },
    ];
    for other in others {
        let status = client.publish_event(publish(other)).await.unwrap_err();
        assert_eq!(status.code(), Code::AlreadyExists);
        assert!(shown(&status).contains("EVENT_ID_REUSED"), "{}", shown(&status));
    }
}

#[tokio::test]
async fn retry_does_not_come_before_the_time_of_the_event() {
    let (api, url) = Api::start_local().await;
    let mut client = api.client.clone();
    let endpoint = Some(Endpoint { url, ..Default::default() });
    client.create_endpoint(CreateEndpointRequest { endpoint, ..Default::default() }).await.unwrap();
    let given = Event { id: "own".to_owned(), deliver_time: ahead(DAY), ..event() };
    client.publish_event(publish(given.clone())).await.unwrap();
    let delivery_id = get(&api, "own").await.routes[0].delivery_id.clone();
    client.cancel_event(CancelEventRequest { event_id: "own".to_owned(), ..Default::default() }).await.unwrap();
    let request = RetryDeliveryRequest { delivery_id, ..Default::default() };
    let delivery = client.retry_delivery(request).await.unwrap().into_inner().delivery.unwrap();
    assert_eq!((delivery.state(), delivery.next_attempt_time), (DeliveryState::Pending, given.deliver_time));
}

#[tokio::test]
async fn bounds_of_times_are_exact() {
    const NOW: i64 = 1_700_000_000;
    let api = Api::start_by(Clock::manual(tidings::model::Timestamp::from_micros(NOW * 1_000_000))).await;
    let mut client = api.client.clone();
    let at = |seconds, nanos| Some(Timestamp { seconds: NOW + seconds, nanos });
    let deliver = |time| Event { deliver_time: time, ..event() };
    let expire = |time| Event { expire_time: time, ..event() };
    for (event, field) in [
        (expire(at(0, 0)), EXPIRE),
        (expire(at(90 * DAY, 1_000)), EXPIRE),
        (deliver(at(30 * DAY, 1_000)), DELIVER),
        (Event { expire_time: at(60, 0), ..deliver(at(60, 0)) }, EXPIRE),
    ] {
        let case = format!("{:?} {:?}", event.deliver_time, event.expire_time);
        let call = client.publish_event(publish(event));
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", &[field]).await;
    }
    for event in [
        expire(at(1, 0)),
        expire(at(90 * DAY, 0)),
        deliver(at(30 * DAY, 0)),
        Event { expire_time: at(60, 1_000), ..deliver(at(60, 0)) },
    ] {
        client.publish_event(publish(event)).await.unwrap();
    }
}
