//! What a client that does not keep to gRPC, or to protobuf, gets on the wire, and that the server goes on after it.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request, StatusCode};
use prost::Message as _;
use tidings::proto::{CreateEndpointRequest, Event, GetEndpointRequest, PublishEventRequest};
use tokio::net::TcpStream;
use tonic::{Code, Status, codec::CompressionEncoding};
use tonic_types::StatusExt as _;

use crate::{
    created,
    support::{Api, key::ADMIN_KEY, soon},
};

const GET_ENDPOINT: &str = "/tidings.v1.WebhookService/GetEndpoint";

/// Paths are compared with regard to case.
const GET_ENDPOINT_LOWER: &str = "/tidings.v1.webhookservice/getendpoint";

/// What a message may have beside a payload of the longest kind, and that payload: the limit as `api` documents it.
const MESSAGE_BYTES_MAX: u32 = 512 * 1024;

/// An HTTP/2 connection to a server, without any gRPC.
struct Wire {
    send: SendRequest<Bytes>,
    authority: String,
}

/// What a request got.
#[derive(Debug)]
struct Answer {
    http: StatusCode,
    headers: HeaderMap,
    /// Absent if the answer is HTTP's alone.
    grpc: Option<Code>,
    message: String,
    /// The reason in the status, if it has one.
    reason: Option<String>,
    body: Vec<u8>,
}

impl Wire {
    async fn open(api: &Api) -> Self {
        let tcp = TcpStream::connect(api.address()).await.unwrap();
        let (send, connection) = h2::client::handshake(tcp).await.unwrap();
        // Ends when the server or the sender goes; what the tests look at are the answers.
        tokio::spawn(async move { drop(connection.await) });
        Self { send, authority: api.address().to_string() }
    }

    /// A well-formed call, but for its body.
    fn call(&self, path: &str) -> http::request::Builder {
        let uri = format!("http://{}{path}", self.authority);
        Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {ADMIN_KEY}"))
    }

    /// Sends a whole request.
    async fn ask(&self, request: http::request::Builder, body: &[u8]) -> Answer {
        soon(self.send(request, body, true)).await
    }

    /// Sends a request up to the end of `body`, and ends it there if `whole`.
    async fn send(&self, request: http::request::Builder, body: &[u8], whole: bool) -> Answer {
        let mut send = self.send.clone().ready().await.unwrap();
        let (response, mut stream) = send.send_request(request.body(()).unwrap(), false).unwrap();
        stream.send_data(Bytes::copy_from_slice(body), whole).unwrap();
        let (head, mut body) = response.await.unwrap().into_parts();
        let mut bytes = Vec::new();
        while let Some(data) = body.data().await {
            bytes.extend_from_slice(&data.unwrap());
        }
        let trailers = body.trailers().await.unwrap().unwrap_or_default();
        let field = |name| trailers.get(name).or_else(|| head.headers.get(name));
        let grpc = field("grpc-status").map(|code| Code::from_bytes(code.as_bytes()));
        let message = field("grpc-message").map_or(String::new(), |text| text.to_str().unwrap().to_owned());
        let status = Status::from_header_map(&trailers).or_else(|| Status::from_header_map(&head.headers));
        let info = status.and_then(|status| status.get_details_error_info());
        let reason = info.inspect(|info| assert_eq!(info.domain, "tidings.v1")).map(|info| info.reason);
        Answer { http: head.status, headers: head.headers, grpc, message, reason, body: bytes }
    }

    /// Asserts that a body gets INTERNAL.
    async fn breaks(&self, case: &str, body: &[u8]) {
        let answer = self.ask(self.call(GET_ENDPOINT), body).await;
        answer.assert_refused(case, Code::Internal, "MALFORMED_MESSAGE");
    }

    /// Asserts that the server answers a call as it should, on this connection.
    async fn goes_on(&self, id: &str) {
        let request = GetEndpointRequest { endpoint_id: id.to_owned(), ..Default::default() };
        let answer = self.ask(self.call(GET_ENDPOINT), &frame(0, &request.encode_to_vec())).await;
        assert_eq!((answer.http, answer.grpc), (StatusCode::OK, Some(Code::Ok)), "{answer:?}");
    }
}

impl Answer {
    /// Asserts that it is a status with this code and reason.
    fn assert_refused(&self, case: &str, code: Code, reason: &str) {
        assert_eq!((self.http, self.grpc), (StatusCode::OK, Some(code)), "{case}: {self:?}");
        assert_eq!(self.reason.as_deref(), Some(reason), "{case}: {self:?}");
    }
}

/// A message with its prefix: flag and length.
fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[flag][..], &length.to_be_bytes(), message].concat()
}

#[tokio::test]
async fn broken_protobuf_is_internal_and_the_server_goes_on() {
    let api = Api::start().await;
    let (wire, id) = (Wire::open(&api).await, created(&api, "").await.id);
    // Field 1 is a string, and there is no field 15.
    let nested = [[0x7b; 150], [0x7c; 150]].concat();
    let cases: [(&str, &[u8]); 8] = [
        ("truncated in a string", b"\x0a\x05abc"),
        ("truncated after a key", b"\x0a"),
        ("bad UTF-8", b"\x0a\x02\xc3\x28"),
        ("wrong wire type", b"\x08\x01"),
        ("tag 0", b"\x00\x01"),
        ("overlong varint", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        ("wire type 7", b"\x0f\x01"),
        ("150 nested groups", &nested),
    ];
    for (case, message) in cases {
        wire.breaks(case, &frame(0, message)).await;
        wire.goes_on(&id).await;
    }
    // What is unknown but well formed is passed over, groups not too deep among it.
    let request = GetEndpointRequest { endpoint_id: id.clone(), ..Default::default() }.encode_to_vec();
    let unknown = [&request[..], &[0x7b; 50], &[0x7c; 50]].concat();
    let answer = wire.ask(wire.call(GET_ENDPOINT), &frame(0, &unknown)).await;
    assert_eq!(answer.grpc, Some(Code::Ok), "{answer:?}");
}

#[tokio::test]
async fn broken_frames_are_internal_and_the_server_goes_on() {
    let api = Api::start().await;
    let (wire, id) = (Wire::open(&api).await, created(&api, "").await.id);
    let message = GetEndpointRequest { endpoint_id: id.clone(), ..Default::default() }.encode_to_vec();
    let cases: [(&str, Vec<u8>); 5] = [
        ("no frame", Vec::new()),
        ("three bytes", vec![0, 0, 0]),
        ("shorter than it says", frame(0, &message)[..message.len()].to_vec()),
        ("compressed, but not said how", frame(1, &message)),
        ("flag 7", frame(7, &message)),
    ];
    for (case, body) in cases {
        wire.breaks(case, &body).await;
        wire.goes_on(&id).await;
    }
}

#[tokio::test]
async fn too_long_a_message_is_refused_before_it_is_read() {
    let api = Api::start().await;
    let (wire, id) = (Wire::open(&api).await, created(&api, "").await.id);
    for length in [MESSAGE_BYTES_MAX + 1, u32::MAX] {
        let prefix = [&[0][..], &length.to_be_bytes()].concat();
        // Nothing of the message is ever sent, nor is the request ended.
        let answer = soon(wire.send(wire.call(GET_ENDPOINT), &prefix, false)).await;
        answer.assert_refused(&length.to_string(), Code::OutOfRange, "MESSAGE_TOO_LARGE");
        assert!(answer.message.contains(&MESSAGE_BYTES_MAX.to_string()), "{answer:?}");
        wire.goes_on(&id).await;
    }
    // One of exactly the limit is read: an unknown field 15 fills it.
    let known = GetEndpointRequest { endpoint_id: id, ..Default::default() }.encode_to_vec();
    let filling = MESSAGE_BYTES_MAX as usize - known.len() - 4;
    let mut message = known;
    message.push(0x7a);
    prost::encoding::encode_varint(filling as u64, &mut message);
    message.resize(MESSAGE_BYTES_MAX as usize, 0);
    let answer = wire.ask(wire.call(GET_ENDPOINT), &frame(0, &message)).await;
    assert_eq!(answer.grpc, Some(Code::Ok), "{answer:?}");
}

#[tokio::test]
async fn key_is_looked_at_before_anything_of_the_message_is_read() {
    let api = Api::start().await;
    let wire = Wire::open(&api).await;
    let longest = [&[0][..], &u32::MAX.to_be_bytes()].concat();
    let bodies: [(&str, &[u8], bool); 4] = [
        ("nothing yet", b"", false),
        ("the head of a message", b"\0\0", false),
        ("too long a message", &longest, false),
        ("a broken one", b"\x07broken", true),
    ];
    for (case, body, whole) in bodies {
        for (authorization, reason) in [(None, "KEY_MISSING"), (Some("Bearer tdk_unknown"), "KEY_INVALID")] {
            let mut request = wire.call(GET_ENDPOINT);
            let headers = request.headers_mut().unwrap();
            headers.remove("authorization");
            headers.extend(authorization.map(|it| (http::header::AUTHORIZATION, it.parse().unwrap())));
            let answer = soon(wire.send(request, body, whole)).await;
            answer.assert_refused(case, Code::Unauthenticated, reason);
        }
    }
}

#[tokio::test]
async fn what_is_not_grpc_is_told_so_by_http() {
    let api = Api::start().await;
    let (wire, id) = (Wire::open(&api).await, created(&api, "").await.id);
    let bare = |method| Request::builder().method(method).uri(format!("http://{}{GET_ENDPOINT}", api.address()));
    let cases = [
        (bare(Method::POST), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (bare(Method::POST).header("content-type", "application/json"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (bare(Method::GET), StatusCode::METHOD_NOT_ALLOWED),
        (bare(Method::GET).header("content-type", "application/grpc"), StatusCode::METHOD_NOT_ALLOWED),
        (bare(Method::OPTIONS), StatusCode::METHOD_NOT_ALLOWED),
        (wire.call(GET_ENDPOINT).header("x-much", "x".repeat(20_000)), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
    ];
    for (request, expected) in cases {
        let case = format!("{request:?}").chars().take(200).collect::<String>();
        let answer = wire.ask(request, b"").await;
        assert_eq!((answer.http, answer.grpc), (expected, None), "{case}: {answer:?}");
        let allow = answer.headers.get("allow").map(|methods| methods.as_bytes());
        assert_eq!(allow, (expected == StatusCode::METHOD_NOT_ALLOWED).then_some(&b"POST"[..]), "{case}");
        wire.goes_on(&id).await;
    }
}

#[tokio::test]
async fn unknown_methods_and_services_are_unimplemented() {
    let api = Api::start().await;
    let wire = Wire::open(&api).await;
    for path in
        ["/tidings.v1.WebhookService/NoMethod", "/tidings.v1.NoService/GetEndpoint", "/x", "/", GET_ENDPOINT_LOWER]
    {
        let answer = wire.ask(wire.call(path), &frame(0, b"")).await;
        answer.assert_refused(path, Code::Unimplemented, "UNIMPLEMENTED");
        assert!(!answer.message.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn call_without_one_well_formed_key_is_told_the_form() {
    let api = Api::start().await;
    let (wire, id) = (Wire::open(&api).await, created(&api, "").await.id);
    let bearer = format!("Bearer {ADMIN_KEY}");
    let uri = || format!("http://{}{GET_ENDPOINT}", api.address());
    let body = frame(0, &GetEndpointRequest { endpoint_id: id.clone(), ..Default::default() }.encode_to_vec());
    let cases: [&[&str]; 9] = [
        &[],
        &[""],
        &["Bearer"],
        &["Bearer "],
        &[ADMIN_KEY],
        &["Basic dGRrXzpjYW5hcnk="],
        &[&bearer, &bearer],
        &["Basic dGRrXzpjYW5hcnk=", &bearer],
        &["Digest username=\"canary\""],
    ];
    let mut said = std::collections::BTreeSet::new();
    for values in cases {
        let mut request = Request::builder().method(Method::POST).uri(uri()).header("content-type", "application/grpc");
        for value in values {
            request = request.header("authorization", *value);
        }
        let answer = wire.ask(request.header("te", "trailers"), &body).await;
        answer.assert_refused(&format!("{values:?}"), Code::Unauthenticated, "KEY_MISSING");
        said.insert(answer.message);
    }
    assert_eq!(said.len(), 1, "{said:?}");
    let said = said.pop_first().unwrap();
    assert!(said.contains("authorization:%20Bearer") && !said.contains("canary") && !said.contains("dGRr"), "{said}");
    wire.goes_on(&id).await;
}

#[tokio::test]
async fn calls_that_a_web_page_could_make_are_denied() {
    let api = Api::start().await;
    let (wire, id) = (Wire::open(&api).await, created(&api, "").await.id);
    let port = api.address().port();
    let to = |host: &str| wire.call(GET_ENDPOINT).uri(format!("http://{host}:{port}{GET_ENDPOINT}"));
    let cases = [
        ("an origin", wire.call(GET_ENDPOINT).header("origin", "https://example.com")),
        ("no origin to speak of", wire.call(GET_ENDPOINT).header("origin", "null")),
        ("this server's origin", wire.call(GET_ENDPOINT).header("origin", format!("http://{}", api.address()))),
    ];
    let body = frame(0, &GetEndpointRequest { endpoint_id: id.clone(), ..Default::default() }.encode_to_vec());
    for (case, request) in cases {
        let answer = wire.ask(request, &body).await;
        answer.assert_refused(case, Code::PermissionDenied, "CALLER_REFUSED");
    }
    // By whatever name it is called.
    for host in ["localhost", "127.0.0.1", "[::1]", "hooks.example"] {
        let answer = wire.ask(to(host), &body).await;
        assert_eq!(answer.grpc, Some(Code::Ok), "{host}: {answer:?}");
    }
    wire.goes_on(&id).await;
}

#[tokio::test]
async fn deadline_that_passes_is_told_as_one() {
    let api = Api::start().await;
    let (wire, id) = (Wire::open(&api).await, created(&api, "").await.id);
    // The request is never ended, so the call cannot be over in time. Several, for two timers race here.
    for timeout in ["0n", "1n", "900u", "1m", "2m", "5m", "10m"].repeat(3) {
        let request = wire.call(GET_ENDPOINT).header("grpc-timeout", timeout);
        let answer = soon(wire.send(request, &[0, 0, 0], false)).await;
        answer.assert_refused(timeout, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    }
    // A stream that is open by then ends, too.
    let request = wire.call("/tidings.v1.WebhookService/WatchDeliveries").header("grpc-timeout", "200m");
    let answer = wire.ask(request, &frame(0, b"")).await;
    answer.assert_refused("a stream", Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    let request = wire.call(GET_ENDPOINT).header("grpc-timeout", "60S");
    let message = GetEndpointRequest { endpoint_id: id.clone(), ..Default::default() }.encode_to_vec();
    let answer = wire.ask(request, &frame(0, &message)).await;
    assert_eq!(answer.grpc, Some(Code::Ok), "{answer:?}");
    wire.goes_on(&id).await;
}

#[tokio::test]
async fn what_was_submitted_before_the_deadline_is_written_after_it() {
    let api = Api::start().await;
    let wire = Wire::open(&api).await;
    let hold = api.hold_writes().await;
    let event = Event { id: "late".to_owned(), r#type: "a.b".to_owned(), payload: "{}".into(), ..Default::default() };
    let publish = PublishEventRequest { event: Some(event), ..Default::default() };
    // Time enough for the request to arrive; it cannot be answered while nothing is written. The client of the library would
    // end the call by itself.
    let request = wire.call("/tidings.v1.WebhookService/PublishEvent").header("grpc-timeout", "300m");
    let answer = wire.ask(request, &frame(0, &publish.encode_to_vec())).await;
    answer.assert_refused("nothing is written", Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    hold.release().await;
    let again = soon(api.client.clone().publish_event(publish)).await.unwrap().into_inner();
    assert!(again.duplicate, "the first call's event was not written");
}

#[tokio::test]
async fn gzip_is_taken_and_given() {
    let api = Api::start().await;
    let (wire, id) = (Wire::open(&api).await, created(&api, "").await.id);
    let mut client = api.client.clone().send_compressed(CompressionEncoding::Gzip);
    let mut endpoint = crate::endpoint();
    endpoint.description = "a".repeat(1_000);
    let request = CreateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
    let long = client.create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap();
    assert_eq!(long.description.len(), 1_000);

    let ask = async |id: &str, accepted: &str| {
        let request = wire.call(GET_ENDPOINT).header("grpc-accept-encoding", accepted);
        let message = GetEndpointRequest { endpoint_id: id.to_owned(), ..Default::default() }.encode_to_vec();
        let answer = wire.ask(request, &frame(0, &message)).await;
        assert_eq!(answer.grpc, Some(Code::Ok), "{answer:?}");
        answer.body
    };
    let (plain, zipped) = (ask(&long.id, "identity").await, ask(&long.id, "identity,deflate,gzip").await);
    assert_eq!((plain[0], zipped[0]), (0, 1), "flags");
    assert!(zipped.len() < plain.len() / 2, "{} of {}", zipped.len(), plain.len());
    assert_eq!(ask(&id, "gzip").await[0], 0, "a short answer is not worth it");
    let mut client = api.client.clone().accept_compressed(CompressionEncoding::Gzip);
    let request = GetEndpointRequest { endpoint_id: long.id.clone(), ..Default::default() };
    assert_eq!(client.get_endpoint(request).await.unwrap().into_inner().endpoint.unwrap(), long);
}

#[tokio::test]
async fn gzip_that_unpacks_to_too_much_is_refused() {
    let api = Api::start().await;
    let id = created(&api, "").await.id;
    let mut client = api.client.clone().send_compressed(CompressionEncoding::Gzip);
    for length in [MESSAGE_BYTES_MAX as usize + 1, 64 << 20] {
        let bomb = GetEndpointRequest { endpoint_id: "0".repeat(length), ..Default::default() };
        let call = client.get_endpoint(bomb);
        let status = api.refuses(&length.to_string(), call, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", &[]).await;
        assert!(status.message().contains(&MESSAGE_BYTES_MAX.to_string()), "{status:?}");
    }
    Wire::open(&api).await.goes_on(&id).await;
}

#[tokio::test]
async fn broken_and_unknown_compressions_are_refused() {
    let api = Api::start().await;
    let (wire, id) = (Wire::open(&api).await, created(&api, "").await.id);
    let message = GetEndpointRequest { endpoint_id: id.clone(), ..Default::default() }.encode_to_vec();
    let cases: [&[u8]; 3] = [&message, b"", b"\x1f\x8b\x08\0\0\0\0\0\0\xff"];
    for garbage in cases {
        let request = wire.call(GET_ENDPOINT).header("grpc-encoding", "gzip");
        let answer = wire.ask(request, &frame(1, garbage)).await;
        answer.assert_refused(&format!("{garbage:?}"), Code::Internal, "MALFORMED_MESSAGE");
        wire.goes_on(&id).await;
    }
    for unknown in ["deflate", "zstd", "br", "GZIP", ""] {
        let request = wire.call(GET_ENDPOINT).header("grpc-encoding", unknown);
        let answer = wire.ask(request, &frame(1, &message)).await;
        answer.assert_refused(unknown, Code::Unimplemented, "UNIMPLEMENTED");
        assert_eq!(answer.headers["grpc-accept-encoding"], "gzip,identity", "{unknown}");
    }
    wire.goes_on(&id).await;
}
