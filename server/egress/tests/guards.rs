//! The address guards, each by itself: nothing reaches a listener that is not permitted.

use std::{io, net::TcpListener as StdListener};

use super::*;

/// A listener that tells whether anyone connected: the kernel queues a connection before `connect` returns.
struct Untouched(StdListener);

impl Untouched {
    fn new() -> Self {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    fn assert_untouched(&self) {
        assert_eq!(self.0.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "someone connected");
    }
}

fn assert_blocked(outcome: &Outcome, reason: guard::Blocked) {
    assert_eq!(outcome.failure, Some(FailureKind::BlockedAddress), "{}", outcome.detail);
    assert_eq!((outcome.http_status, outcome.detail.as_str()), (None, reason.to_string().as_str()));
}

#[tokio::test]
async fn forbidden_literal_is_not_connected_to() {
    let listener = Untouched::new();
    let port = listener.port();
    let egress = Egress::new(EgressConfig { addresses: AddressPolicy::default(), ..development(port) }).unwrap();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0177.0.0.1"] {
        let outcome = egress.post(request(&format!("http://{host}:{port}/"), PATIENT)).await;
        assert_blocked(&outcome, guard::Blocked::Literal);
    }
    listener.assert_untouched();
}

#[tokio::test]
async fn scheme_and_port_are_checked_before_each_attempt() {
    let listener = Untouched::new();
    let port = listener.port();
    let egress = Egress::new(EgressConfig { allow_http: false, ..development(port) }).unwrap();
    let outcome = egress.post(request(&format!("http://127.0.0.1:{port}/"), PATIENT)).await;
    assert_blocked(&outcome, guard::Blocked::Scheme);

    let egress = Egress::new(EgressConfig { ports: vec![443], ..development(port) }).unwrap();
    let outcome = egress.post(request(&format!("http://127.0.0.1:{port}/"), PATIENT)).await;
    assert_blocked(&outcome, guard::Blocked::Port);
    listener.assert_untouched();
}

#[tokio::test]
async fn name_with_any_forbidden_address_is_refused() {
    let listener = Untouched::new();
    let port = listener.port();
    let public: SocketAddr = "93.184.215.14:0".parse().unwrap();
    let forbidden: SocketAddr = "127.0.0.1:0".parse().unwrap();
    for addresses in [vec![forbidden], vec![forbidden, public], vec![public, forbidden]] {
        let policy = AddressPolicy::default();
        let names = GuardedResolver::new(Fixed(addresses), policy.clone());
        let config = EgressConfig { addresses: policy, ..development(port) };
        let egress = Egress::with_resolver(config, names).unwrap();
        let outcome = egress.post(request(&format!("http://hooks.example:{port}/"), PATIENT)).await;
        assert_blocked(&outcome, guard::Blocked::Resolved);
    }
    listener.assert_untouched();
}

#[tokio::test]
async fn systems_resolver_is_guarded() {
    let listener = Untouched::new();
    let port = listener.port();
    let egress = Egress::new(EgressConfig { addresses: AddressPolicy::default(), ..development(port) }).unwrap();
    let outcome = egress.post(request(&format!("http://localhost:{port}/"), PATIENT)).await;
    assert_blocked(&outcome, guard::Blocked::Resolved);
    listener.assert_untouched();
}

#[tokio::test]
async fn name_without_addresses_is_a_dns_failure() {
    let names = GuardedResolver::new(Fixed(Vec::new()), AddressPolicy::default());
    let egress = Egress::with_resolver(development(80), names).unwrap();
    let outcome = egress.post(request("http://hooks.example/", PATIENT)).await;
    assert_eq!(outcome.failure, Some(FailureKind::Dns), "{}", outcome.detail);
}

#[tokio::test]
async fn permitted_name_is_connected_to() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    })
    .await;
    let names = GuardedResolver::new(Fixed(vec!["127.0.0.1:0".parse().unwrap()]), loopback_allowed());
    let egress = Egress::with_resolver(development(address.port()), names).unwrap();
    let outcome = egress.post(request(&format!("http://hooks.example:{}/", address.port()), PATIENT)).await;
    assert_eq!(outcome.failure, None, "{}", outcome.detail);
}

#[tokio::test]
async fn forbidden_peer_gets_no_byte_even_when_the_resolver_is_fooled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // Unguarded, as if the name had been rebound between the check and the connection.
    let names = Fixed(vec!["127.0.0.1:0".parse().unwrap()]);
    let config = EgressConfig { addresses: AddressPolicy::default(), ..development(port) };
    let egress = Egress::with_resolver(config, names).unwrap();
    let outcome = egress.post(request(&format!("http://hooks.example:{port}/"), PATIENT)).await;
    assert_blocked(&outcome, guard::Blocked::Peer);

    let (mut stream, _) = listener.accept().await.unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"");
}

#[tokio::test]
async fn own_listener_gets_no_byte_although_its_address_is_allowed() {
    // It listens on all addresses, and is reached by one that only the connection tells.
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let own = AddressPolicy { listeners: vec![listener.local_addr().unwrap()], ..loopback_allowed() };
    let config = || EgressConfig { addresses: own.clone(), ..development(port) };
    let egress = Egress::new(config()).unwrap();
    for host in ["127.0.0.1", "127.1.2.3", "[::ffff:127.0.0.1]"] {
        let outcome = egress.post(request(&format!("http://{host}:{port}/"), PATIENT)).await;
        assert_blocked(&outcome, guard::Blocked::Literal);
    }
    let egress = Egress::with_resolver(config(), Fixed(vec!["127.0.0.1:0".parse().unwrap()])).unwrap();
    let outcome = egress.post(request(&format!("http://hooks.example:{port}/"), PATIENT)).await;
    assert_blocked(&outcome, guard::Blocked::Peer);
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"");
}
