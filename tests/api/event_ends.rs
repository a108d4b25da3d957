//! CancelEvent, ExpungeEvent, and the pages of GetEvent's routes.

use std::time::Duration;

use tidings::proto::*;
use tonic::Code;

use crate::{
    created,
    support::{Api, OTHER_TENANT, shown},
};

fn event(id: &str) -> Event {
    // Tomorrow, so that nothing happens to its deliveries by itself.
    let tomorrow = std::time::SystemTime::now() + Duration::from_secs(24 * 3_600);
    Event {
        id: id.to_owned(),
        r#type: "user.created".to_owned(),
        payload: b"{\"a\":\"canary-9d1f\"}".as_slice().into(),
        labels: [("customer".to_owned(), "canary-77aa".to_owned())].into(),
        deliver_time: Some(tomorrow.into()),
        ..Default::default()
    }
}

async fn publish(api: &Api, event: Event) -> Result<PublishEventResponse, tonic::Status> {
    let request = PublishEventRequest { event: Some(event), ..Default::default() };
    api.client.clone().publish_event(request).await.map(tonic::Response::into_inner)
}

fn cancel(event_id: &str) -> CancelEventRequest {
    CancelEventRequest { event_id: event_id.to_owned(), ..Default::default() }
}

fn expunge(event_id: &str) -> ExpungeEventRequest {
    ExpungeEventRequest { event_id: event_id.to_owned(), ..Default::default() }
}

fn get(event_id: &str) -> GetEventRequest {
    GetEventRequest { event_id: event_id.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn events_that_cannot_be_or_are_not_there_are_told_apart() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let foreign = PublishEventRequest { tenant_id: OTHER_TENANT.to_owned(), event: Some(event("foreign")) };
    client.publish_event(foreign).await.unwrap();
    for id in ["", "' OR 1=1", "a.b", &"x".repeat(129)] {
        let call = client.cancel_event(cancel(id));
        api.refuses(id, call, Code::InvalidArgument, "INVALID_REQUEST", &["event_id"]).await;
        let call = client.expunge_event(expunge(id));
        api.refuses(id, call, Code::InvalidArgument, "INVALID_REQUEST", &["event_id"]).await;
    }
    for id in ["unknown", "evt_unknown", "foreign"] {
        let cancelled = api.refuses(id, client.cancel_event(cancel(id)), Code::NotFound, "NOT_FOUND", &[]).await;
        let expunged = api.refuses(id, client.expunge_event(expunge(id)), Code::NotFound, "NOT_FOUND", &[]).await;
        let got = api.refuses(id, client.get_event(get(id)), Code::NotFound, "NOT_FOUND", &[]).await;
        assert_eq!((cancelled.details(), expunged.details()), (got.details(), got.details()));
    }
}

#[tokio::test]
async fn cancelled_event_is_cancelled_everywhere_and_a_repeat_answers_zeros() {
    let api = Api::start().await;
    for _ in 0..3 {
        created(&api, "").await;
    }
    let given = event("one");
    publish(&api, given.clone()).await.unwrap();
    let mut client = api.client.clone();
    let answer = client.cancel_event(cancel("one")).await.unwrap().into_inner();
    assert_eq!(answer, CancelEventResponse { cancelled_count: 3, cancel_requested_count: 0 });
    let mut written = api.written().await;
    assert_eq!(client.cancel_event(cancel("one")).await.unwrap().into_inner(), CancelEventResponse::default());
    // The sum of all counters comes last.
    *written.last_mut().unwrap() += 1;
    assert_eq!(api.written().await, written, "its entry in the audit log, and nothing else");
    let listed = client.list_deliveries(ListDeliveriesRequest::default()).await.unwrap().into_inner().deliveries;
    assert!(listed.len() == 3 && listed.iter().all(|delivery| delivery.state() == DeliveryState::Cancelled));
    assert!(publish(&api, given).await.unwrap().duplicate, "it is published for all that");
}

#[tokio::test]
async fn expunged_event_keeps_its_record_and_its_id() {
    let api = Api::start().await;
    created(&api, "").await;
    created(&api, "").await;
    let given = event("one");
    publish(&api, given.clone()).await.unwrap();
    assert!(api.database_holds("canary-9d1f").await && api.database_holds("canary-77aa").await);
    let mut client = api.client.clone();
    let before = client.get_event(get("one")).await.unwrap().into_inner();
    let answer = client.expunge_event(expunge("one")).await.unwrap().into_inner();
    assert_eq!((answer.cancelled_count, answer.cancel_requested_count), (2, 0));
    let after = client.get_event(get("one")).await.unwrap().into_inner();
    let (old, new) = (before.event.unwrap(), after.event.unwrap());
    assert_eq!(answer.event.as_ref(), Some(&new));
    assert!(old.payload_bytes == 19 && old.expunge_time.is_none() && new.expunge_time.is_some());
    let expected = Event {
        payload: Default::default(),
        payload_bytes: 0,
        labels: Default::default(),
        expunge_time: new.expunge_time,
        ..old
    };
    assert_eq!(new, expected);
    assert_eq!(after.routes, before.routes);

    let delivery_id = after.routes[0].delivery_id.clone();
    let call = client.retry_delivery(RetryDeliveryRequest { delivery_id, ..Default::default() });
    let status = api.refuses("retry", call, Code::FailedPrecondition, "EVENT_EXPUNGED", &[]).await;
    assert!(shown(&status).contains("preconditionFailure") || shown(&status).contains("PreconditionFailure"));
    assert!(publish(&api, given.clone()).await.unwrap().duplicate);
    let reused = publish(&api, Event { payload: b"[]".as_slice().into(), ..given }).await.unwrap_err();
    assert!(shown(&reused).contains("EVENT_ID_REUSED"), "{}", shown(&reused));
    let again = client.expunge_event(expunge("one")).await.unwrap().into_inner();
    assert_eq!(again, ExpungeEventResponse { event: answer.event, ..Default::default() });
    // At the next start at the latest nothing is left beside the rows either.
    let api = api.restart().await;
    assert!(!api.database_holds("canary-9d1f").await && !api.database_holds("canary-77aa").await);
}

#[tokio::test]
async fn routes_come_in_pages() {
    let api = Api::start().await;
    for _ in 0..60 {
        created(&api, "").await;
    }
    publish(&api, event("one")).await.unwrap();
    publish(&api, event("two")).await.unwrap();
    let later = created(&api, "").await.id;
    let mut client = api.client.clone();
    let whole = GetEventRequest { page_size: 1_001, ..get("one") };
    let whole = client.get_event(whole).await.unwrap().into_inner();
    assert_eq!((whole.routes.len(), whole.next_page_token.as_str()), (60, ""));
    assert!(whole.routes.iter().all(|route| route.delivery_id.starts_with("dlv_") && route.endpoint_id != later));
    let first = client.get_event(get("one")).await.unwrap().into_inner();
    assert_eq!(first.routes, whole.routes[..50]);
    for size in [1, 7, 59, 60] {
        let (mut routes, mut token) = (Vec::new(), String::new());
        loop {
            let request = GetEventRequest { page_size: size, page_token: token, ..get("one") };
            let page = client.get_event(request).await.unwrap().into_inner();
            assert!(page.event.is_some() && page.routes.len() <= usize::try_from(size).unwrap());
            routes.extend(page.routes);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(routes, whole.routes, "{size}");
    }
    for token in ["garbage", "' OR 1=1"] {
        let request = GetEventRequest { page_size: -1, page_token: token.to_owned(), ..get("one") };
        let fields = ["page_size", "page_token"];
        let call = client.get_event(request);
        api.refuses(token, call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &fields).await;
    }
    let foreign = GetEventRequest { page_token: first.next_page_token, ..get("two") };
    let call = client.get_event(foreign);
    api.refuses("of another event", call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &["page_token"]).await;
}
