//! Receivers, spoken to by the server's own client and byte by byte.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use http::HeaderValue;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Notify, mpsc},
};

use super::*;
use crate::{
    egress::{self, Egress, EgressConfig},
    model::{AddressPolicy, Clock, Outcome, Timestamp},
    signing::{KeyForm, Secret, VerifyError},
};

const PATIENT: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn run<H, F>(receiver: Receiver, handler: H) -> Running
where
    H: Fn(Webhook) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let address = receiver.address().unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(receiver.run(handler, stop.clone()));
    Running { address, stop, task }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn client(address: SocketAddr, certificate: Option<&Certificate>) -> Egress {
    Egress::new(EgressConfig {
        allow_http: certificate.is_none(),
        ports: vec![address.port()],
        addresses: AddressPolicy { allowed: vec!["127.0.0.0/8".parse().unwrap()], ..AddressPolicy::default() },
        extra_roots: certificate.iter().map(|certificate| certificate.der().clone()).collect(),
        only_extra_roots: true,
    })
    .unwrap()
}

async fn post(client: &Egress, url: String, headers: HeaderMap, body: impl Into<Bytes>) -> Outcome {
    let body = body.into();
    client.post(egress::Request { url: url.parse().unwrap(), headers, body, timeout: PATIENT, credentials: None }).await
}

/// Sends `bytes` and returns all that comes back.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn handler_gets_the_request_and_its_answer_is_sent() {
    let (told, mut heard) = mpsc::channel(1);
    let running = run(Receiver::new(listener().await), move |webhook: Webhook| {
        let told = told.clone();
        async move {
            told.send(webhook).await.unwrap();
            let mut answer = Answer::text(StatusCode::TOO_MANY_REQUESTS, "later\n");
            answer.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("9"));
            answer
        }
    });
    let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static("a=b"))]);
    let url = format!("http://{}/hook?n=1", running.address);
    let outcome = post(&client(running.address, None), url, headers, "raw \0 bytes").await;
    assert_eq!((outcome.http_status, outcome.retry_after), (Some(429), Some(Duration::from_secs(9))));
    assert_eq!(outcome.response, "later\n");

    let webhook = heard.recv().await.unwrap();
    assert_eq!((webhook.method.clone(), webhook.uri.to_string()), (Method::POST, "/hook?n=1".to_owned()));
    assert_eq!((webhook.header("cookie"), webhook.header("host")), (Some("a=b"), Some(&*running.address.to_string())));
    assert_eq!(webhook.body, "raw \0 bytes");
}

#[tokio::test]
async fn http_2_is_spoken_over_tls() {
    let certificate = Certificate::self_signed(["127.0.0.1"]).unwrap();
    let receiver = Receiver::with_tls(listener().await, &certificate).unwrap();
    // In HTTP/2 the host stands in `:authority`, and with it in the URI.
    let running = run(receiver, |webhook: Webhook| async move {
        Answer::text(StatusCode::OK, format!("{:?} {}", webhook.uri.authority().is_some(), webhook.body.len()))
    });
    let outcome = post(
        &client(running.address, Some(&certificate)),
        format!("https://{}/", running.address),
        HeaderMap::new(),
        "abc",
    )
    .await;
    assert_eq!(outcome.failure, None, "{}", outcome.detail);
    assert_eq!(outcome.response, "true 3");
}

#[tokio::test]
async fn one_connection_carries_many_requests_at_once_over_http_2() {
    let certificate = Certificate::self_signed(["127.0.0.1"]).unwrap();
    let receiver = Receiver::with_tls(listener().await, &certificate).unwrap();
    let gate = Arc::new(tokio::sync::Barrier::new(8));
    let running = run(receiver, move |_| {
        let gate = Arc::clone(&gate);
        async move {
            gate.wait().await;
            StatusCode::OK.into()
        }
    });
    let client = client(running.address, Some(&certificate));
    let posts = (0..8).map(|_| post(&client, format!("https://{}/", running.address), HeaderMap::new(), "x"));
    for outcome in futures_util::future::join_all(posts).await {
        assert_eq!(outcome.failure, None, "{}", outcome.detail);
    }
}

#[tokio::test]
async fn body_at_the_limit_is_taken_and_one_byte_more_is_not() {
    let running = run(Receiver::new(listener().await), |webhook: Webhook| async move {
        Answer::text(StatusCode::OK, webhook.body.len().to_string())
    });
    let client = client(running.address, None);
    let url = format!("http://{}/", running.address);
    let outcome = post(&client, url.clone(), HeaderMap::new(), vec![0; BODY_BYTES_MAX]).await;
    assert_eq!(outcome.response, BODY_BYTES_MAX.to_string());

    let head =
        format!("POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", BODY_BYTES_MAX + 1);
    assert!(exchange(running.address, head.as_bytes()).await.starts_with("HTTP/1.1 413 "));

    let mut chunked = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n".to_vec();
    chunked.extend(format!("{:x}\r\n", BODY_BYTES_MAX + 1).as_bytes());
    chunked.resize(chunked.len() + BODY_BYTES_MAX + 1, b'x');
    assert!(exchange(running.address, &chunked).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn stopping_waits_for_requests_under_way_and_accepts_no_more() {
    let (arrived, proceed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&arrived), Arc::clone(&proceed));
    let running = run(Receiver::new(listener().await), move |_| {
        let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
        async move {
            tell.notify_one();
            wait.notified().await;
            StatusCode::OK.into()
        }
    });
    let client = client(running.address, None);
    let url = format!("http://{}/", running.address);
    let posting = tokio::spawn(async move { post(&client, url, HeaderMap::new(), "x").await });
    arrived.notified().await;
    running.stop.cancel();
    proceed.notify_one();
    assert_eq!(posting.await.unwrap().failure, None);
    tokio::time::timeout(PATIENT, running.task).await.expect("it stops").unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn stopping_does_not_wait_for_the_idle_and_the_silent() {
    let certificate = Certificate::self_signed(["127.0.0.1"]).unwrap();
    for receiver in [Receiver::new(listener().await), Receiver::with_tls(listener().await, &certificate).unwrap()] {
        let running = run(receiver, |_| async { StatusCode::OK.into() });
        let _silent = TcpStream::connect(running.address).await.unwrap();
        let started = Instant::now();
        running.stop.cancel();
        running.task.await.unwrap();
        assert!(started.elapsed() < STOP_TIMEOUT, "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn stopping_abandons_a_handler_that_hangs() {
    let dropped = Arc::new(AtomicUsize::new(0));
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let arrived = Arc::new(Notify::new());
    let (tell, counter) = (Arc::clone(&arrived), Arc::clone(&dropped));
    let running = run(Receiver::new(listener().await), move |_| {
        let (tell, count) = (Arc::clone(&tell), Count(Arc::clone(&counter)));
        async move {
            let _count = count;
            tell.notify_one();
            std::future::pending().await
        }
    });
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    arrived.notified().await;
    running.stop.cancel();
    running.task.await.unwrap();
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn verifier_accepts_what_was_signed_and_says_what_is_wrong_with_the_rest() {
    let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
    let secret = Secret::generate(KeyForm::Base64);
    let verifier = Verifier::new(vec![secret.clone()], clock.clone());
    let headers = crate::fixture::signed_headers(&secret, "evt_1", clock.wall(), b"body");
    let webhook = Webhook { method: Method::POST, uri: Uri::default(), headers, body: Bytes::from_static(b"body") };
    assert_eq!(verifier.verify(&webhook).unwrap().id, Some("evt_1"));

    let mut changed = webhook.clone();
    changed.body = Bytes::from_static(b"Body");
    assert_eq!(verifier.verify(&changed), Err(VerifyError::Mismatch.into()));

    let mut doubled = webhook.clone();
    doubled.headers.append("webhook-id", HeaderValue::from_static("evt_2"));
    assert_eq!(verifier.verify(&doubled), Err(VerifyError::MissingHeader("webhook-id".to_owned()).into()));

    verifier.replace_secrets(vec![Secret::generate(KeyForm::Base64)]);
    assert_eq!(verifier.verify(&webhook), Err(VerifyError::Mismatch.into()));
    verifier.replace_secrets(vec![Secret::generate(KeyForm::Base64), secret]);
    assert_eq!(verifier.verify(&webhook).unwrap().key_index, 1);

    clock.advance(Duration::from_secs(301));
    assert!(matches!(verifier.verify(&webhook), Err(Refusal::Signature(VerifyError::TooOld { .. }))));
    let answer = Answer::from(&Refusal::from(VerifyError::Mismatch));
    assert_eq!(
        (answer.status, answer.body),
        (StatusCode::UNAUTHORIZED, Bytes::from(format!("{}\n", VerifyError::Mismatch)))
    );
}

#[test]
fn pem_holds_the_certificate() {
    use rustls_pki_types::{CertificateDer, pem::PemObject};
    let certificate = Certificate::self_signed(["localhost"]).unwrap();
    let pem = certificate.pem();
    assert!(pem.lines().all(|line| line.len() <= 64), "{pem}");
    assert_eq!(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap(), certificate.der());
}
