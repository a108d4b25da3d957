//! TLS: who is trusted, and what failing handshakes look like.

use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::receiver::Certificate;

fn secure(port: u16, roots: &[&Certificate]) -> EgressConfig {
    let extra_roots = roots.iter().map(|root| root.der().clone()).collect();
    EgressConfig { allow_http: false, extra_roots, only_extra_roots: true, ..development(port) }
}

/// Serves `answer` over TLS with `certificate`, HTTP/1.1 only; closes without the closing message that TLS asks for.
async fn serve_tls(certificate: &Certificate, answer: &'static str) -> SocketAddr {
    let mut config = certificate.server_config().unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            read_request(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
    })
    .await
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

async fn post_tls(certificate: &Certificate, trusted: &Certificate, host: &str, answer: &'static str) -> Outcome {
    let port = serve_tls(certificate, answer).await.port();
    let names = GuardedResolver::new(Fixed(vec!["127.0.0.1:0".parse().unwrap()]), loopback_allowed());
    let egress = Egress::with_resolver(secure(port, &[trusted]), names).unwrap();
    egress.post(request(&format!("https://{host}:{port}/"), PATIENT)).await
}

fn certificate() -> Certificate {
    Certificate::self_signed(["hooks.example", "127.0.0.1"]).unwrap()
}

fn assert_tls_failure(outcome: &Outcome) {
    assert_failure(outcome, FailureKind::Tls);
}

fn assert_failure(outcome: &Outcome, kind: FailureKind) {
    assert_eq!((outcome.failure, outcome.http_status), (Some(kind), None), "{}", outcome.detail);
}

#[tokio::test]
async fn trusted_certificate_is_accepted_by_name_and_by_address() {
    let certificate = certificate();
    for host in ["hooks.example", "127.0.0.1"] {
        let outcome = post_tls(&certificate, &certificate, host, OK).await;
        assert_eq!(outcome.failure, None, "{}", outcome.detail);
    }
}

#[tokio::test]
async fn self_signed_certificate_that_is_not_trusted_is_refused() {
    let outcome = post_tls(&certificate(), &certificate(), "hooks.example", OK).await;
    assert_failure(&outcome, FailureKind::CertificateUntrusted);
}

#[tokio::test]
async fn certificate_for_another_name_is_refused() {
    let certificate = certificate();
    let outcome = post_tls(&certificate, &certificate, "other.example", OK).await;
    assert_failure(&outcome, FailureKind::CertificateName);
    assert!(outcome.detail.contains("hooks.example"), "tells which names it is for: {}", outcome.detail);
}

/// A certificate that is valid in these years.
fn valid(from: i32, until: i32) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["hooks.example".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let der = params.self_signed(&key).unwrap().der().clone();
    Certificate::from_parts(vec![der], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}

#[tokio::test]
async fn certificate_outside_its_time_is_refused() {
    for (from, until) in [(2001, 2002), (2998, 2999)] {
        let certificate = valid(from, until);
        let outcome = post_tls(&certificate, &certificate, "hooks.example", OK).await;
        assert_failure(&outcome, FailureKind::CertificateExpired);
    }
}

#[tokio::test]
async fn systems_roots_do_not_hide_the_extra_ones() {
    let certificate = certificate();
    let address = serve_tls(&certificate, OK).await;
    let config = EgressConfig { only_extra_roots: false, ..secure(address.port(), &[&certificate]) };
    let egress = Egress::new(config).unwrap();
    let outcome = egress.post(request(&format!("https://{address}/"), PATIENT)).await;
    assert_eq!(outcome.failure, None, "{}", outcome.detail);
}

#[tokio::test]
async fn peer_that_speaks_no_tls_is_a_tls_failure() {
    let certificate = certificate();
    let address = serve(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        until_closed(&mut stream).await;
    })
    .await;
    let egress = Egress::new(secure(address.port(), &[&certificate])).unwrap();
    assert_tls_failure(&egress.post(request(&format!("https://{address}/"), PATIENT)).await);
}

#[tokio::test]
async fn connection_lost_in_the_handshake_is_a_tls_failure() {
    let certificate = certificate();
    let egress = |port| Egress::new(secure(port, &[&certificate])).unwrap();

    let closing = serve(|mut stream| async move {
        stream.read_u8().await.unwrap();
    })
    .await;
    assert_tls_failure(&egress(closing.port()).post(request(&format!("https://{closing}/"), PATIENT)).await);

    let resetting = serve(|mut stream| async move {
        stream.read_u8().await.unwrap();
        stream.set_zero_linger().unwrap();
    })
    .await;
    assert_tls_failure(&egress(resetting.port()).post(request(&format!("https://{resetting}/"), PATIENT)).await);
}

#[tokio::test]
async fn refused_port_is_a_connect_failure_under_https_too() {
    let (_socket, address) = refusing();
    let egress = Egress::new(secure(address.port(), &[&certificate()])).unwrap();
    let outcome = egress.post(request(&format!("https://{address}/"), PATIENT)).await;
    assert_eq!(outcome.failure, Some(FailureKind::Connect), "{}", outcome.detail);
}

#[tokio::test]
async fn handshake_that_hangs_times_out() {
    let address = serve(|mut stream| async move { until_closed(&mut stream).await }).await;
    let egress = Egress::new(secure(address.port(), &[&certificate()])).unwrap();
    let outcome = egress.post(request(&format!("https://{address}/"), SHORT)).await;
    assert_eq!((outcome.failure, outcome.http_status), (Some(FailureKind::ConnectTimeout), None), "{}", outcome.detail);
}

#[tokio::test]
async fn body_ended_by_the_connection_needs_no_closing_message() {
    let certificate = certificate();
    let outcome = post_tls(&certificate, &certificate, "hooks.example", "HTTP/1.0 200 OK\r\n\r\nthanks").await;
    assert_eq!((outcome.failure, outcome.http_status), (None, Some(200)), "{}", outcome.detail);
    assert_eq!(outcome.response, "thanks");
}

#[tokio::test]
async fn body_of_known_length_that_breaks_off_is_a_lost_connection() {
    let certificate = certificate();
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nthanks";
    let outcome = post_tls(&certificate, &certificate, "hooks.example", answer).await;
    assert_eq!(
        (outcome.failure, outcome.http_status),
        (Some(FailureKind::ConnectionLost), Some(200)),
        "{}",
        outcome.detail
    );
}

#[tokio::test]
async fn request_that_is_refused_unread_is_not_repeated_within_the_attempt() {
    let certificate = certificate();
    let mut config = certificate.server_config().unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (acceptor, asked) = (TlsAcceptor::from(Arc::new(config)), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&asked);
    let address = serve(move |stream| {
        let (acceptor, counter) = (acceptor.clone(), Arc::clone(&counter));
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_request, mut answer))) = connection.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                // Which says that nothing was done, so a client may repeat the request (RFC 9113, section 8.7).
                answer.send_reset(h2::Reason::REFUSED_STREAM);
            }
        }
    })
    .await;
    let egress = Egress::new(secure(address.port(), &[&certificate])).unwrap();
    let outcome = egress.post(request(&format!("https://{address}/"), PATIENT)).await;
    assert!(outcome.failure.is_some() && outcome.http_status.is_none(), "{}", outcome.detail);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "an attempt is one request");
}
