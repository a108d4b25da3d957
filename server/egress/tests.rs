//! Egress against listeners of this machine that misbehave in every way they can.

mod credentials;
mod dns;
mod forms;
mod guards;
mod hostile;
mod tls;

use std::{future::Future, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};

use super::*;
use crate::model::FailureKind;

/// Long enough for a loaded machine; what ends an exchange that is expected to end by itself.
const PATIENT: Duration = Duration::from_secs(20);
/// What ends an exchange that is expected to hang.
const SHORT: Duration = Duration::from_millis(300);

/// Resolves every name to the same addresses.
struct Fixed(Vec<SocketAddr>);

impl Resolve for Fixed {
    fn resolve(&self, _name: Name) -> Resolving {
        let addresses = self.0.clone();
        Box::pin(async move { Ok(Box::new(addresses.into_iter()) as Addrs) })
    }
}

fn loopback_allowed() -> AddressPolicy {
    AddressPolicy { allowed: vec!["127.0.0.0/8".parse().unwrap()], ..AddressPolicy::default() }
}

/// May talk plain HTTP to this one port of this machine.
fn development(port: u16) -> EgressConfig {
    EgressConfig { allow_http: true, ports: vec![port], addresses: loopback_allowed(), ..EgressConfig::default() }
}

fn request(url: &str, timeout: Duration) -> Request {
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    Request { url: url.parse().unwrap(), headers, body: Bytes::from_static(b"{\"n\":1}"), timeout, credentials: None }
}

/// Accepts connections for as long as the test runs, each handled by `script`.
async fn serve<F, Fut>(script: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(script(stream));
        }
    });
    address
}

/// Reads one request of [`request`] to its end.
async fn read_request(stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut request = Vec::new();
    while !request.ends_with(b"{\"n\":1}") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "the request is whole");
    }
    request
}

/// A port that refuses connections for as long as the socket is kept: bound, so that no one else gets it, and deaf.
fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Waits until the peer closes the connection, well or badly.
async fn until_closed(stream: &mut (impl AsyncReadExt + Unpin)) {
    let mut sink = [0; 1024];
    while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {}
}

/// Posts to a server that reads the request, answers `answer` and then waits for the client to hang up.
async fn post_answered(answer: &'static str, timeout: Duration) -> Outcome {
    let address = serve(move |mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        until_closed(&mut stream).await;
    })
    .await;
    post(address, timeout).await
}

async fn post(address: SocketAddr, timeout: Duration) -> Outcome {
    let egress = Egress::new(development(address.port())).unwrap();
    egress.post(request(&format!("http://{address}/hook?token=hush"), timeout)).await
}

#[tokio::test]
async fn two_hundreds_succeed() {
    let outcome = post_answered("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", PATIENT).await;
    assert_eq!((outcome.failure, outcome.http_status), (None, Some(200)), "{}", outcome.detail);
    assert_eq!(outcome.response, "hello");
    assert!(!outcome.response_truncated);
    assert_eq!(outcome.detail, "");

    let outcome = post_answered("HTTP/1.1 204 No Content\r\n\r\n", PATIENT).await;
    assert_eq!((outcome.failure, outcome.http_status), (None, Some(204)));
}

#[tokio::test]
async fn request_carries_what_it_was_given_and_little_else() {
    let (told, heard) = tokio::sync::oneshot::channel();
    let told = std::sync::Mutex::new(Some(told));
    let address = serve(move |mut stream| {
        let told = told.lock().unwrap().take().expect("one connection");
        async move {
            told.send(read_request(&mut stream).await).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    assert_eq!(post(address, PATIENT).await.failure, None);

    let text = String::from_utf8(heard.await.unwrap()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.split("\r\n").collect();
    assert_eq!(lines.remove(0), "POST /hook?token=hush HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {address}");
    let agent = format!("user-agent: tidings/{}", env!("CARGO_PKG_VERSION"));
    let expected = ["accept: */*", "content-length: 7", "content-type: application/json", &host, &agent];
    assert_eq!(lines, expected);
    assert_eq!(body, "{\"n\":1}");
}

#[tokio::test]
async fn other_statuses_fail_with_the_status_and_the_wait_asked_for() {
    let outcome = post_answered("HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nbusy", PATIENT).await;
    assert_eq!((outcome.failure, outcome.http_status), (Some(FailureKind::HttpStatus), Some(503)));
    assert_eq!(outcome.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(outcome.response, "busy");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let target = elsewhere.local_addr().unwrap();
    for status in [301, 302, 303, 307, 308] {
        let address = serve(move |mut stream| async move {
            read_request(&mut stream).await;
            let answer = format!("HTTP/1.1 {status} R\r\nlocation: http://{target}/\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let config = EgressConfig { ports: vec![address.port(), target.port()], ..development(0) };
        let egress = Egress::new(config).unwrap();
        let outcome = egress.post(request(&format!("http://{address}/"), PATIENT)).await;
        assert_eq!((outcome.failure, outcome.http_status), (Some(FailureKind::HttpStatus), Some(status)));
        assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[tokio::test]
async fn compressed_bodies_stay_compressed() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\n\x1f\x0bgarbage";
    let outcome = post_answered(answer, PATIENT).await;
    assert_eq!(outcome.failure, None);
    assert_eq!(outcome.response, "\x1f\x0bgarbage");
}

#[tokio::test]
async fn connections_are_used_again() {
    let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let address = serve(move |mut stream| {
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            for _ in 0..2 {
                read_request(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
            until_closed(&mut stream).await;
        }
    })
    .await;
    let egress = Egress::new(development(address.port())).unwrap();
    for _ in 0..2 {
        assert_eq!(egress.post(request(&format!("http://{address}/"), PATIENT)).await.failure, None);
    }
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn no_detail_repeats_the_query() {
    let (_socket, refused) = refusing();
    for outcome in [
        post(refused, PATIENT).await,
        post_answered("garbage\r\n\r\n", PATIENT).await,
        post_answered("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", PATIENT).await,
        post_answered("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", SHORT).await,
    ] {
        assert!(!outcome.detail.is_empty());
        assert!(!outcome.detail.contains("hush"), "{}", outcome.detail);
    }
}
