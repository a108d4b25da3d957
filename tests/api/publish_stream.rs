//! PublishEventStream.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tidings::{api::Limits, proto::*, publish::StreamLimits};
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tonic_types::{RpcStatusExt as _, StatusExt as _};

use crate::{
    create,
    support::{Api, OTHER_TENANT, channel, key::ADMIN_KEY, soon},
};

use publish_event_stream_response::Result as Acknowledged;

/// A request that cannot be written for so long is held up.
const HELD_UP: Duration = Duration::from_millis(500);

/// One stream, from its publisher's side.
struct Publishing {
    /// `None` once the publisher has closed its side.
    requests: Option<mpsc::Sender<PublishEventStreamRequest>>,
    acknowledgements: Streaming<PublishEventStreamResponse>,
}

fn event(id: &str) -> Event {
    Event {
        id: id.to_owned(),
        r#type: "user.created".to_owned(),
        payload: b"{}".as_slice().into(),
        ..Default::default()
    }
}

fn request(event: Event) -> PublishEventStreamRequest {
    PublishEventStreamRequest { event: Some(event), ..Default::default() }
}

fn published(event_id: &str, delivery_count: i32, duplicate: bool) -> Acknowledged {
    Acknowledged::Published(PublishedEvent {
        event_id: event_id.to_owned(),
        delivery_count,
        duplicate,
        warnings: Vec::new(),
    })
}

fn streaming(streams: StreamLimits) -> Limits {
    Limits { streams, ..Limits::default() }
}

impl Publishing {
    async fn open(api: &Api) -> Result<Self, Status> {
        let (requests, sent) = mpsc::channel(4);
        let answer = api.client.clone().publish_event_stream(ReceiverStream::new(sent)).await?;
        Ok(Self { requests: Some(requests), acknowledgements: answer.into_inner() })
    }

    async fn send(&self, request: PublishEventStreamRequest) {
        soon(self.requests.as_ref().unwrap().send(request)).await.unwrap();
    }

    async fn next(&mut self) -> Result<Option<(i64, Acknowledged)>, Status> {
        let message = soon(self.acknowledgements.message()).await?;
        Ok(message.map(|message| (message.sequence, message.result.expect("a result"))))
    }

    /// Sends a request and returns its acknowledgement.
    async fn publish(&mut self, request: PublishEventStreamRequest) -> (i64, Acknowledged) {
        self.send(request).await;
        self.next().await.unwrap().expect("an acknowledgement")
    }

    /// Closes the publisher's side and returns what is still acknowledged, up to the end.
    async fn finish(mut self) -> Result<Vec<(i64, Acknowledged)>, Status> {
        self.requests = None;
        let mut rest = Vec::new();
        while let Some(acknowledgement) = self.next().await? {
            rest.push(acknowledgement);
        }
        Ok(rest)
    }
}

/// The code, the reason and the violated fields of a refusal.
fn refusal(acknowledged: Acknowledged) -> (Code, String, Vec<String>) {
    let Acknowledged::Error(error) = acknowledged else { panic!("{acknowledged:?}") };
    let details = error.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, "tidings.v1");
    let fields = details.bad_request().map_or(&[][..], |bad| bad.field_violations.as_slice());
    (Code::from(error.code), info.reason.clone(), fields.iter().map(|violation| violation.field.clone()).collect())
}

fn reason(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().expect("an ErrorInfo").reason)
}

#[tokio::test]
async fn events_are_acknowledged_in_order_and_half_closing_ends_with_ok() {
    let api = Api::start().await;
    api.client.clone().create_endpoint(create("")).await.unwrap();
    let mut stream = Publishing::open(&api).await.unwrap();
    assert_eq!(stream.publish(request(event("first"))).await, (1, published("first", 1, false)));
    for number in 2..=3_000 {
        stream.send(request(event(&format!("id-{number}")))).await;
        // Read beside writing, as a publisher has to.
        if number % 2 == 0 {
            let before = i64::from(number) / 2 + 1;
            assert_eq!(stream.next().await.unwrap(), Some((before, published(&format!("id-{before}"), 1, false))));
        }
    }
    let rest = stream.finish().await.unwrap();
    let expected: Vec<_> =
        (1_502..=3_000).map(|number| (number, published(&format!("id-{number}"), 1, false))).collect();
    assert_eq!(rest, expected);
}

#[tokio::test]
async fn stream_without_a_request_ends_with_ok() {
    let api = Api::start().await;
    assert_eq!(Publishing::open(&api).await.unwrap().finish().await.unwrap(), []);
}

#[tokio::test]
async fn malformed_event_in_the_middle_is_told_in_its_place_and_the_stream_goes_on() {
    let api = Api::start().await;
    let stream = Publishing::open(&api).await.unwrap();
    let bad = Event { id: "a b".to_owned(), r#type: String::new(), payload: b"NaN".as_slice().into(), ..event("") };
    for sent in [request(event("one")), request(bad), PublishEventStreamRequest::default(), request(event("four"))] {
        stream.send(sent).await;
    }
    let [(1, one), (2, bad), (3, none), (4, four)]: [_; 4] = stream.finish().await.unwrap().try_into().unwrap() else {
        panic!("not in order")
    };
    assert_eq!((one, four), (published("one", 0, false), published("four", 0, false)));
    let invalid = |fields: &[&str]| {
        (Code::InvalidArgument, "INVALID_REQUEST".to_owned(), fields.iter().map(|&field| field.to_owned()).collect())
    };
    assert_eq!(refusal(bad), invalid(&["event.id", "event.type", "event.payload"]));
    assert_eq!(refusal(none), invalid(&["event"]));
    // What was refused wrote nothing: the events are the two.
    let before = api.written().await;
    assert_eq!(before[4], 2, "{before:?}");
}

#[tokio::test]
async fn duplicates_and_reuses_are_told_as_publish_event_tells_them() {
    let api = Api::start().await;
    let stream = Publishing::open(&api).await.unwrap();
    let other = Event { payload: b"1".as_slice().into(), ..event("one") };
    for sent in [event("one"), event("one"), other, event("one")] {
        stream.send(request(sent)).await;
    }
    let [(_, first), (_, second), (_, third), (_, fourth)]: [_; 4] = stream.finish().await.unwrap().try_into().unwrap();
    assert_eq!(first, published("one", 0, false));
    assert_eq!((&second, &fourth), (&published("one", 0, true), &published("one", 0, true)));
    assert_eq!(refusal(third), (Code::AlreadyExists, "EVENT_ID_REUSED".to_owned(), vec![]));
}

#[tokio::test]
async fn tenant_is_that_of_the_first_request() {
    let api = Api::start().await;
    let of =
        |tenant: &str, id: &str| PublishEventStreamRequest { tenant_id: tenant.to_owned(), event: Some(event(id)) };
    let theirs = Publishing::open(&api).await.unwrap();
    for sent in [of(OTHER_TENANT, "a"), of("", "b"), of(OTHER_TENANT, "c"), of("default", "d"), of("nobody", "e")] {
        theirs.send(sent).await;
    }
    let mut answers = theirs.finish().await.unwrap();
    for wrong in answers.split_off(3) {
        let (code, _, fields) = refusal(wrong.1);
        assert_eq!((code, fields), (Code::InvalidArgument, vec!["tenant_id".to_owned()]));
    }
    let ids = ["a", "b", "c"].map(|id| published(id, 0, false));
    assert_eq!(answers.into_iter().map(|(_, answer)| answer).collect::<Vec<_>>(), ids);
    for id in ["a", "b", "c"] {
        let get = GetEventRequest { tenant_id: OTHER_TENANT.to_owned(), event_id: id.to_owned(), ..Default::default() };
        api.client.clone().get_event(get).await.unwrap();
    }

    let ours = Publishing::open(&api).await.unwrap();
    ours.send(of("", "a")).await;
    ours.send(of("default", "b")).await;
    assert_eq!(ours.finish().await.unwrap().len(), 2);

    let before = api.written().await;
    let mut unknown = Publishing::open(&api).await.unwrap();
    unknown.send(of("nobody", "a")).await;
    assert_eq!(reason(&unknown.next().await.unwrap_err()), (Code::NotFound, "NOT_FOUND".to_owned()));
    assert_eq!(api.written().await, before);
}

#[tokio::test]
async fn message_that_is_too_long_ends_the_stream_after_what_came_before_it_is_acknowledged() {
    let api = Api::start().await;
    let mut stream = Publishing::open(&api).await.unwrap();
    stream.send(request(event("before"))).await;
    stream.send(request(Event { payload: vec![b' '; 600 * 1024].into(), ..event("long") })).await;
    assert_eq!(stream.next().await.unwrap(), Some((1, published("before", 0, false))));
    let end = stream.next().await.unwrap_err();
    assert_eq!(end.code(), Code::OutOfRange, "{end:?}");
    assert!(end.message().contains("524288"), "{end:?}");
}

#[tokio::test]
async fn cancelled_stream_is_resumed_by_its_event_ids_without_loss_or_repeat() {
    let api = Api::start().await;
    api.client.clone().create_endpoint(create("")).await.unwrap();
    let ids: Vec<_> = (0..2_000).map(|number| format!("id-{number}")).collect();
    let mut acknowledged = 0;
    // It is cut off again and again, with events on their way.
    for round in 1..=5 {
        let client = channel(api.address()).await;
        let mut client = webhook_service_client::WebhookServiceClient::new(client);
        let rest: Vec<_> = ids[acknowledged..].iter().map(|id| request(event(id))).collect();
        let mut answers = client.publish_event_stream(tokio_stream::iter(rest)).await.unwrap().into_inner();
        while acknowledged < round * 150 {
            let answer = soon(answers.message()).await.unwrap().unwrap();
            let Some(Acknowledged::Published(event)) = answer.result else { panic!("{answer:?}") };
            assert_eq!((event.event_id, event.delivery_count), (ids[acknowledged].clone(), 1));
            acknowledged += 1;
        }
    }
    let mut stream = Publishing::open(&api).await.unwrap();
    let mut duplicates = 0;
    for id in &ids[acknowledged..] {
        let (_, answer) = stream.publish(request(event(id))).await;
        let Acknowledged::Published(event) = answer else { panic!("{answer:?}") };
        assert_eq!((&event.event_id, event.delivery_count), (id, 1));
        duplicates += usize::from(event.duplicate);
    }
    let written = api.written().await;
    assert_eq!((written[4], written[5]), (2_000, 2_000), "events and deliveries: {written:?}");
    assert!(duplicates < 2_000 - acknowledged, "all that was on its way had been stored: nothing was cut off");
}

#[tokio::test]
async fn streams_are_bounded_in_number_and_one_that_ends_makes_room() {
    let limits = StreamLimits { streams_max: 2, ..StreamLimits::default() };
    let api = Api::start_limited(streaming(limits)).await;
    let (mut first, second) = (Publishing::open(&api).await.unwrap(), Publishing::open(&api).await.unwrap());
    let Err(refused) = Publishing::open(&api).await else { panic!("a third stream") };
    assert_eq!(reason(&refused), (Code::ResourceExhausted, "TOO_MANY_STREAMS".to_owned()));
    assert!(refused.get_details_retry_info().is_some());
    second.finish().await.unwrap();
    let third = Publishing::open(&api).await.unwrap();
    assert_eq!(first.publish(request(event("one"))).await, (1, published("one", 0, false)));
    third.finish().await.unwrap();
}

#[tokio::test]
async fn publisher_that_never_reads_is_held_up_and_then_left() {
    let limits = StreamLimits { events_max: 4, stall: HELD_UP / 2, ..StreamLimits::default() };
    let api = Api::start_limited(streaming(limits)).await;
    let mut stream = Publishing::open(&api).await.unwrap();
    // The acknowledgements are long, for they are refusals with their details: soon the transport takes no more of them.
    let bad = Event { labels: bad_labels(), ..event("") };
    let (requests, mut written) = (stream.requests.clone().unwrap(), 0);
    while let Ok(sent) = timeout(HELD_UP, requests.send(request(bad.clone()))).await {
        sent.unwrap();
        written += 1;
    }
    let mut acknowledged = 0;
    let end = loop {
        match stream.next().await {
            Ok(Some((sequence, _))) => {
                acknowledged += 1;
                assert_eq!(sequence, acknowledged);
            }
            Ok(None) => panic!("it ended with OK"),
            Err(end) => break end,
        }
    };
    assert_eq!(reason(&end), (Code::Aborted, "SLOW_CONSUMER".to_owned()));
    assert!(acknowledged < written, "{acknowledged} of {written} events were acknowledged");
}

/// Labels with much that is wrong, so that an acknowledgement that says so is long.
fn bad_labels() -> std::collections::BTreeMap<String, String> {
    (0..64).map(|number| (format!("key{number}\0"), "\0".to_owned())).collect()
}

#[tokio::test]
async fn stopping_acknowledges_what_was_taken_and_ends_the_stream() {
    let api = Api::start().await;
    let mut stream = Publishing::open(&api).await.unwrap();
    stream.publish(request(event("one"))).await;
    for number in 0..100 {
        stream.send(request(event(&format!("id-{number}")))).await;
    }
    let stopping = tokio::spawn(api.stop());
    let mut acknowledged = 0;
    let end = loop {
        match stream.next().await {
            Ok(Some((_, Acknowledged::Published(_)))) => acknowledged += 1,
            Ok(other) => panic!("{other:?} after {acknowledged}"),
            Err(end) => break end,
        }
    };
    assert_eq!(reason(&end), (Code::Unavailable, "SHUTTING_DOWN".to_owned()));
    assert!(end.get_details_retry_info().is_some());
    soon(stopping).await.unwrap();
}

#[tokio::test]
async fn streams_that_are_held_up_leave_room_for_the_calls_beside_them() {
    let api = Api::start_limited(streaming(StreamLimits { events_max: 0, ..StreamLimits::default() })).await;
    let tcp = TcpStream::connect(api.address()).await.unwrap();
    let (mut send, connection) = h2::client::handshake(tcp).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let call = |method: &str| {
        Request::post(format!("http://{}/tidings.v1.WebhookService/{method}", api.address()))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {ADMIN_KEY}"))
            .body(())
            .unwrap()
    };
    let mut held_up = Vec::new();
    for _ in 0..8 {
        send = send.ready().await.unwrap();
        let (answer, mut stream) = send.send_request(call("PublishEventStream"), false).unwrap();
        // The server has opened the stream, and so told its windows. It will read nothing.
        let answer = soon(answer).await.unwrap();
        stream.reserve_capacity(64 << 20);
        let mut filled = 0;
        while stream.capacity() > 0 {
            filled += stream.capacity();
            stream.send_data(Bytes::from(vec![0; stream.capacity()]), false).unwrap();
            stream.reserve_capacity(64 << 20);
        }
        assert!(filled > 0);
        held_up.push((answer, stream));
    }
    let list = b"\0\0\0\0\0";
    send = send.ready().await.unwrap();
    let (answer, mut stream) = send.send_request(call("ListEndpoints"), false).unwrap();
    stream.send_data(Bytes::from_static(list), true).unwrap();
    let (_, mut body) = soon(answer).await.unwrap().into_parts();
    while let Some(data) = soon(body.data()).await {
        data.unwrap();
    }
    let trailers = soon(body.trailers()).await.unwrap().unwrap();
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
}
