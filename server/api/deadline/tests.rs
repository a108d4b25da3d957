use std::convert::Infallible;

use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use tonic::Code;
use tonic_types::StatusExt as _;
use tower::service_fn;

use super::*;

const SINGLE: &str = "/tidings.v1.WebhookService/GetEndpoint";

/// Long enough for whatever must not happen, had it been possible.
const STALL: Duration = Duration::from_millis(50);

fn read(value: &str) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    headers.insert(TIMEOUT, value.parse().unwrap());
    timeout(&headers)
}

/// A body of these frames that never ends.
fn unending(frames: &[&'static [u8]]) -> Body {
    let frames: Vec<_> = frames.iter().map(|data| Ok::<_, Status>(Frame::data(Bytes::from_static(data)))).collect();
    Body::new(StreamBody::new(stream::StreamExt::chain(stream::iter(frames), stream::pending())))
}

fn request(path: &str, timeout: Option<&str>, body: Body) -> Request<Body> {
    let request = Request::builder().uri(path);
    let request = if let Some(timeout) = timeout { request.header(TIMEOUT, timeout) } else { request };
    request.body(body).unwrap()
}

/// What the service behind gets of a request's body: its bytes, and the failure it ends with.
async fn received(path: &str, timeout: Option<&str>, body: Body) -> Response<Body> {
    let read = service_fn(async |mut request: Request<Body>| {
        while let Some(frame) = request.body_mut().frame().await {
            if let Err(status) = frame {
                return Ok::<_, Infallible>(status.into_http());
            }
        }
        Ok(Response::new(Body::empty()))
    });
    Deadlines::new(read, STALL).call(request(path, timeout, body)).await.unwrap()
}

fn assert_exceeded(headers: &HeaderMap) {
    let status = Status::from_header_map(headers).expect("a status");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert_eq!(status.get_details_error_info().expect("its reason").reason, "DEADLINE_EXCEEDED");
}

#[test]
fn timeouts_are_read_as_the_specification_writes_them() {
    let cases = [
        ("2H", Duration::from_secs(7_200)),
        ("3M", Duration::from_secs(180)),
        ("4S", Duration::from_secs(4)),
        ("5m", Duration::from_millis(5)),
        ("6u", Duration::from_micros(6)),
        ("0n", Duration::ZERO),
        ("99999999H", Duration::from_secs(99_999_999 * 3_600)),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), Some(expected), "{text}");
    }
    for text in ["", "S", "5", "5s", "-5S", "+5S", "1.5S", "5 S", "100000000S", "5SS"] {
        assert_eq!(read(text), None, "{text:?}");
    }
}

#[test]
fn methods_of_one_message_are_known_by_path() {
    let paths = single_message_paths();
    assert!(paths.contains(SINGLE), "{paths:?}");
    assert!(paths.contains("/tidings.v1.WebhookService/WatchDeliveries"), "{paths:?}");
}

#[tokio::test]
async fn stalled_message_ends_the_call() {
    let answer = received(SINGLE, None, unending(&[b"\0\0\0", b"\0\x05"])).await;
    assert_exceeded(answer.headers());
}

#[tokio::test]
async fn pause_between_messages_does_not_end_the_call() {
    let call = received("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", None, unending(&[b"\0"]));
    let waited = tokio::time::timeout(STALL * 4, call).await;
    assert!(waited.is_err(), "{waited:?}");
}

#[tokio::test]
async fn whole_message_is_passed_on() {
    let answer = received(SINGLE, Some("60S"), Body::new(http_body_util::Full::from("abc"))).await;
    assert!(answer.headers().is_empty(), "{answer:?}");
}

#[tokio::test]
async fn passed_deadline_ends_the_call() {
    for timeout in ["0n", "1n", "5m"] {
        let answer = received("/other", Some(timeout), unending(&[])).await;
        assert_exceeded(answer.headers());
    }
}

#[tokio::test]
async fn passed_deadline_ends_a_stream_that_is_under_way() {
    let stream = service_fn(async |_| Ok::<_, Infallible>(Response::new(unending(&[b"first"]))));
    let answer = Deadlines::new(stream, STALL).call(request(SINGLE, Some("20m"), Body::empty())).await.unwrap();
    let collected = answer.into_body().collect().await.unwrap();
    assert_exceeded(collected.trailers().expect("trailers"));
    assert_eq!(collected.to_bytes(), "first");
}
