//! Credentials: what stands in the header, how tokens are fetched and kept, and what handshakes show.

use std::sync::Mutex;

use rustls::{RootCertStore, server::WebPkiClientVerifier};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{
    model::{ClientCertificate, HttpCredentials, OAuth2Client, SecretPlacement},
    receiver::Certificate,
};

/// A server of plain HTTP that answers each request with the next of these answers, the last for all that follow, and keeps
/// the heads of what it was asked.
struct Desk {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    async fn new(answers: Vec<String>) -> Self {
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&heads);
        let address = serve(move |mut stream| {
            let (kept, answers) = (Arc::clone(&kept), answers.clone());
            async move {
                loop {
                    let Some(head) = read_whole(&mut stream).await else { return };
                    let number = {
                        let mut kept = kept.lock().unwrap();
                        kept.push(head);
                        kept.len()
                    };
                    let answer = &answers[number.min(answers.len()) - 1];
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        })
        .await;
        Self { address, heads }
    }

    async fn ok() -> Self {
        Self::new(vec![answer(200, "")]).await
    }

    fn count(&self) -> usize {
        self.heads.lock().unwrap().len()
    }

    /// The values of the header `authorization` that came, in order.
    fn authorizations(&self) -> Vec<String> {
        let value = |head: &String| {
            let line = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or("none");
            line.to_owned()
        };
        self.heads.lock().unwrap().iter().map(value).collect()
    }
}

/// Reads one request, body and all. `None` at the connection's end.
async fn read_whole(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8(request.clone()).unwrap();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if request.len() >= end + 4 + length.parse::<usize>().unwrap() {
                return Some(text);
            }
        }
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}

fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} S\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn token(token: &str, expires_in: u32) -> String {
    answer(200, &format!(r#"{{"access_token": "{token}", "token_type": "Bearer", "expires_in": {expires_in}}}"#))
}

fn oauth2(tokens: SocketAddr) -> HttpCredentials {
    HttpCredentials::OAuth2(OAuth2Client {
        token_url: format!("http://{tokens}/token").parse().unwrap(),
        client_id: "id".to_owned(),
        client_secret: "secret".to_owned().into(),
        scopes: vec!["hooks".to_owned()],
        placement: SecretPlacement::Body,
    })
}

fn egress(desks: &[SocketAddr]) -> Egress {
    let ports = desks.iter().map(SocketAddr::port).collect();
    Egress::new(EgressConfig { ports, ..development(0) }).unwrap()
}

fn known(address: SocketAddr, http: HttpCredentials) -> Request {
    let credentials = Some(Arc::new(Credentials { http: Some(http), certificate: None }));
    Request { credentials, ..request(&format!("http://{address}/hook"), PATIENT) }
}

#[tokio::test]
async fn fixed_credentials_stand_in_the_header() {
    let desk = Desk::ok().await;
    let egress = egress(&[desk.address]);
    let basic = HttpCredentials::Basic { username: "Aladdin".to_owned(), password: "open sesame".to_owned().into() };
    for http in [basic, HttpCredentials::Bearer("mF_9.B5f-4.1JqM".to_owned().into())] {
        assert_eq!(egress.post(known(desk.address, http)).await.failure, None);
    }
    // The examples of RFC 7617, section 2, and RFC 6750, section 2.1.
    assert_eq!(desk.authorizations(), ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Bearer mF_9.B5f-4.1JqM"]);
}

#[tokio::test]
async fn token_is_fetched_once_by_many_and_kept() {
    let (desk, tokens) = (Desk::ok().await, Desk::new(vec![token("one", 3600), token("two", 3600)]).await);
    let egress = egress(&[desk.address, tokens.address]);
    let posts = (0..8).map(|_| egress.post(known(desk.address, oauth2(tokens.address))));
    for outcome in futures_util::future::join_all(posts).await {
        assert_eq!(outcome.failure, None, "{}", outcome.detail);
    }
    assert_eq!(egress.post(known(desk.address, oauth2(tokens.address))).await.failure, None);
    assert_eq!(desk.authorizations(), ["Bearer one"; 9]);
    let asked = tokens.heads.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].starts_with("POST /token HTTP/1.1\r\n"), "{}", asked[0]);
    let body = "grant_type=client_credentials&scope=hooks&client_id=id&client_secret=secret";
    assert!(asked[0].ends_with(body), "{}", asked[0]);
}

#[tokio::test]
async fn token_at_its_end_is_not_used_again() {
    let (desk, tokens) = (Desk::ok().await, Desk::new(vec![token("one", 0), token("two", 3600)]).await);
    let egress = egress(&[desk.address, tokens.address]);
    for _ in 0..3 {
        assert_eq!(egress.post(known(desk.address, oauth2(tokens.address))).await.failure, None);
    }
    assert_eq!(desk.authorizations(), ["Bearer one", "Bearer two", "Bearer two"]);
}

#[tokio::test]
async fn token_that_is_refused_is_replaced_for_the_next_request_and_this_one_is_not_repeated() {
    let desk = Desk::new(vec![answer(200, ""), answer(401, ""), answer(200, "")]).await;
    let tokens = Desk::new(vec![token("one", 3600), token("two", 3600)]).await;
    let egress = egress(&[desk.address, tokens.address]);
    for status in [200, 401, 200, 200] {
        let outcome = egress.post(known(desk.address, oauth2(tokens.address))).await;
        assert_eq!(outcome.http_status, Some(status));
    }
    assert_eq!(desk.authorizations(), ["Bearer one", "Bearer one", "Bearer two", "Bearer two"]);
    assert_eq!(tokens.count(), 2);
}

#[tokio::test]
async fn without_a_token_no_request_is_made_and_the_reason_is_told() {
    let desk = Desk::ok().await;
    let (_socket, refused) = refusing();
    let hanging = serve(|mut stream| async move { until_closed(&mut stream).await }).await;
    let canary = r#"{"error": "invalid_client", "error_description": "canary"}"#;
    let refusing = Desk::new(vec![answer(401, canary)]).await;
    let redirecting = format!("HTTP/1.1 307 R\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", desk.address);
    let redirecting = Desk::new(vec![redirecting]).await;
    let long = Desk::new(vec![token(&"x".repeat(RESPONSE_KEPT_BYTES_MAX), 3600)]).await;
    for (tokens, timeout, why) in [
        (refusing.address, PATIENT, "401 (invalid_client)"),
        (redirecting.address, PATIENT, "307"),
        (refused, PATIENT, "connection refused"),
        (long.address, PATIENT, "not JSON"),
        (hanging, SHORT, "no access token within"),
    ] {
        let egress = egress(&[desk.address, tokens]);
        let outcome = egress.post(Request { timeout, ..known(desk.address, oauth2(tokens)) }).await;
        assert_eq!((outcome.failure, outcome.http_status), (Some(FailureKind::Authorization), None));
        assert!(outcome.detail.contains(why) && !outcome.detail.contains("canary"), "{}", outcome.detail);
    }
    assert_eq!(desk.count(), 0);
}

#[tokio::test]
async fn token_endpoint_is_guarded_as_endpoints_are() {
    let (desk, tokens) = (Desk::ok().await, Desk::new(vec![token("one", 3600)]).await);
    let only_desk = egress(&[desk.address]);
    let outcome = only_desk.post(known(desk.address, oauth2(tokens.address))).await;
    assert_eq!(outcome.failure, Some(FailureKind::Authorization));
    assert!(outcome.detail.contains("port is not allowed"), "{}", outcome.detail);

    // And no token is fetched for an endpoint that is not sent to.
    let only_tokens = egress(&[tokens.address]);
    let outcome = only_tokens.post(known(desk.address, oauth2(tokens.address))).await;
    assert_eq!(outcome.failure, Some(FailureKind::BlockedAddress), "{}", outcome.detail);
    assert_eq!((desk.count(), tokens.count()), (0, 0));
}

fn shown(certificate: &Certificate) -> ClientCertificate {
    read_identity(certificate.pem(), certificate.key_pem()).unwrap()
}

/// Serves over TLS to those who show one of these certificates; answers with a digit for which it was.
async fn serve_known(certificate: &Certificate, known: [&Certificate; 2]) -> SocketAddr {
    let known = known.map(|certificate| certificate.der().clone());
    let mut roots = RootCertStore::empty();
    known.iter().for_each(|root| roots.add(root.clone()).unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    let mut config = certificate.server_config_for(verifier).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve(move |stream| {
        let (acceptor, known) = (acceptor.clone(), known.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let peer = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
            let number = known.iter().position(|known| *known == peer).unwrap();
            loop {
                let mut request = Vec::new();
                while !request.ends_with(b"{\"n\":1}") {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                stream.write_all(answer(200, &number.to_string()).as_bytes()).await.unwrap();
            }
        }
    })
    .await
}

#[tokio::test]
async fn client_certificates_are_shown_and_their_connections_kept_apart() {
    let [server, first, second, stranger] =
        ["127.0.0.1", "a", "b", "c"].map(|name| Certificate::self_signed([name]).unwrap());
    let address = serve_known(&server, [&first, &second]).await;
    let config = EgressConfig {
        allow_http: false,
        extra_roots: vec![server.der().clone()],
        only_extra_roots: true,
        ..development(address.port())
    };
    let egress = Egress::new(config).unwrap();
    let post = |certificate: Option<&Certificate>| {
        let certificate = certificate.map(shown);
        let credentials = Some(Arc::new(Credentials { http: None, certificate }));
        egress.post(Request { credentials, ..request(&format!("https://{address}/"), PATIENT) })
    };
    for (certificate, number) in [(&first, "0"), (&second, "1"), (&first, "0"), (&second, "1")] {
        let outcome = post(Some(certificate)).await;
        assert_eq!((outcome.failure, &outcome.response[..]), (None, number.as_bytes()), "{}", outcome.detail);
    }
    for unknown in [None, Some(&stranger)] {
        let outcome = post(unknown).await;
        assert_eq!((outcome.failure, outcome.http_status), (Some(FailureKind::Tls), None), "{}", outcome.detail);
        assert!(outcome.detail.contains("alert"), "{}", outcome.detail);
    }
}
