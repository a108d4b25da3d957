//! What a client that does not keep to gRPC, or to protobuf, gets on the wire, and that the server goes on after it.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request, StatusCode};
use prost::Message as _;
use tidings::proto::GetEndpointRequest;
use tokio::net::TcpStream;
use tonic::Code;

use crate::{
    created,
    support::{Api, soon},
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
        while let Some(data) = body.data().await {
            data.unwrap();
        }
        let trailers = body.trailers().await.unwrap().unwrap_or_default();
        let field = |name| trailers.get(name).or_else(|| head.headers.get(name));
        let grpc = field("grpc-status").map(|code| Code::from_bytes(code.as_bytes()));
        let message = field("grpc-message").map_or(String::new(), |text| text.to_str().unwrap().to_owned());
        Answer { http: head.status, headers: head.headers, grpc, message }
    }

    /// Asserts that a body gets INTERNAL.
    async fn breaks(&self, case: &str, body: &[u8]) {
        let answer = self.ask(self.call(GET_ENDPOINT), body).await;
        assert_eq!((answer.http, answer.grpc), (StatusCode::OK, Some(Code::Internal)), "{case}: {answer:?}");
    }

    /// Asserts that the server answers a call as it should, on this connection.
    async fn goes_on(&self, id: &str) {
        let request = GetEndpointRequest { endpoint_id: id.to_owned(), ..Default::default() };
        let answer = self.ask(self.call(GET_ENDPOINT), &frame(0, &request.encode_to_vec())).await;
        assert_eq!((answer.http, answer.grpc), (StatusCode::OK, Some(Code::Ok)), "{answer:?}");
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
        assert_eq!(answer.grpc, Some(Code::OutOfRange), "{answer:?}");
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
        assert_eq!((answer.http, answer.grpc), (StatusCode::OK, Some(Code::Unimplemented)), "{path}: {answer:?}");
    }
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
        ("a name made to point here", to("rebound.example")),
        ("a name that begins well", to("localhost.example")),
        ("a private address", to("10.0.0.1")),
    ];
    let body = frame(0, &GetEndpointRequest { endpoint_id: id.clone(), ..Default::default() }.encode_to_vec());
    for (case, request) in cases {
        let answer = wire.ask(request, &body).await;
        assert_eq!((answer.http, answer.grpc), (StatusCode::OK, Some(Code::PermissionDenied)), "{case}: {answer:?}");
    }
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let answer = wire.ask(to(host), &body).await;
        assert_eq!(answer.grpc, Some(Code::Ok), "{host}: {answer:?}");
    }
    wire.goes_on(&id).await;
}
