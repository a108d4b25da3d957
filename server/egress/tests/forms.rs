//! The forms in which an address can be written, each of which leads, or might lead, to a listener that hears nothing.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener as StdListener,
    sync::mpsc,
};

use super::*;
use crate::model::{UrlError, UrlPolicy};

/// This machine, in every form that some resolver or parser takes.
pub(super) const LOOPBACK: &[&str] = &[
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.127.127.127",
    "2130706433",
    "0x7f000001",
    "0X7F000001",
    "017700000001",
    "0x7f.1",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "0177.1",
    "0x7f.0x0.0x0.0x1",
    "127.0x1",
    "127.0.0.0x",
    "00000177.0.0.1",
    "0",
    "0.0",
    "0.0.0.0",
    "0x0",
    "000",
    "%31%32%37.0.0.1",
    "127%2e0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "127．0．0．1",
    "①②⑦.⓪.⓪.①",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::]",
    "[::0.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::ffff:0.0.0.0]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]",
    "[2002:7f00:1::7f00:1]",
    "[2001:0:7f00:1::f7f7:f7f7]",
    "[2001:0:808:808::80ff:fffe]",
];

/// Other machines that nobody outside should reach through the server.
pub(super) const ELSEWHERE: &[&str] = &[
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[fc00::1]",
    "192.0.0.192",
    "192.88.99.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "255.255.255.255",
    "0xffffffff",
    "[ff02::1]",
    "[100::1]",
    "[100:0:0:1::1]",
    "[2001:2::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[4000::1]",
];

/// What is no host at all: it never gets as far as an attempt.
const UNREADABLE: &[&str] = &[
    "[::1%25lo]",
    "[::1%lo]",
    "[fe80::1%25eth0]",
    "[::ffff:127.0.0.1",
    "[127.0.0.1]",
    "256.0.0.1",
    "0x100000000",
    "1.2.3.4.5",
];

/// A listener on this machine's addresses of one port that counts whatever it hears.
pub(super) struct Ear {
    pub(super) port: u16,
    heard: mpsc::Receiver<usize>,
    stop: SocketAddr,
}

impl Ear {
    pub(super) fn new() -> Self {
        let listener = StdListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, heard) = mpsc::channel();
        listen(listener, tell.clone());
        // Not every machine has IPv6. Where it has, IPv6 forms of loopback have somebody to reach as well.
        if let Ok(listener) = StdListener::bind(("::1", port)) {
            listen(listener, tell);
        }
        Self { port, heard, stop: ([127, 0, 0, 1], port).into() }
    }

    /// How many bytes have been heard. A connection of the test's own comes last and shows that the ear hears.
    pub(super) fn bytes(self) -> usize {
        let mut last = std::net::TcpStream::connect(self.stop).unwrap();
        last.write_all(b"done").unwrap();
        drop(last);
        let mut heard = 0;
        loop {
            match self.heard.recv_timeout(PATIENT).expect("the ear hears what is said to it") {
                usize::MAX => return heard,
                bytes => heard += bytes,
            }
        }
    }
}

/// Reads each connection to its end, one after another, and tells how much each said: the largest number for the last.
fn listen(listener: StdListener, tell: mpsc::Sender<usize>) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut said = Vec::new();
            // A connection that was reset said what it said.
            let _ = stream.and_then(|mut stream| stream.read_to_end(&mut said));
            let bytes = if said == b"done" { usize::MAX } else { said.len() };
            if tell.send(bytes).is_err() || bytes == usize::MAX {
                return;
            }
        }
    });
}

fn policy(port: u16) -> UrlPolicy {
    UrlPolicy { allow_http: true, ports: vec![port], addresses: AddressPolicy::default() }
}

#[tokio::test]
async fn no_form_of_a_forbidden_address_gets_a_byte_through() {
    assert_eq!((LOOPBACK.len(), ELSEWHERE.len(), UNREADABLE.len()), (48, 32, 8), "88 forms");
    let ear = Ear::new();
    let egress = Egress::new(EgressConfig { addresses: AddressPolicy::default(), ..development(ear.port) }).unwrap();
    let policy = policy(ear.port);
    for host in [LOOPBACK, ELSEWHERE].concat() {
        let text = format!("http://{host}:{}/", ear.port);
        // When it is written, by the raw text or by the address that it is.
        policy.check(&text).expect_err(&text);
        // Before each attempt, whatever was written: as an older version, or another hand, might have stored it.
        let outcome = egress.post(request(&text, PATIENT)).await;
        assert_eq!(outcome.failure, Some(FailureKind::BlockedAddress), "{host}: {}", outcome.detail);
    }
    for host in UNREADABLE {
        let text = format!("http://{host}:{}/", ear.port);
        let errors = policy.check(&text).expect_err(&text);
        assert!(errors.iter().all(|error| matches!(error, UrlError::Form(_))), "{host}: {errors:?}");
        assert!(Url::parse(&text).is_err(), "{host} is an address after all: list it above");
    }
    assert_eq!(ear.bytes(), 0);
}

#[tokio::test]
async fn no_redirect_to_a_forbidden_address_is_followed() {
    let ear = Ear::new();
    let hosts: Vec<&str> = [LOOPBACK, ELSEWHERE].concat().into_iter().filter(|host| host.is_ascii()).collect();
    assert!(hosts.len() >= 60, "{} forms", hosts.len());
    for (host, status) in hosts.iter().zip([301, 302, 303, 307, 308].into_iter().cycle()) {
        let location = format!("http://{host}:{}/", ear.port);
        let address = serve(move |mut stream| {
            let location = location.clone();
            async move {
                read_request(&mut stream).await;
                let refresh = format!("location: {location}\r\nrefresh: 0; url={location}\r\nlink: <{location}>");
                let answer = format!("HTTP/1.1 {status} R\r\n{refresh}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        })
        .await;
        // Even where the address itself would be allowed.
        let config = EgressConfig { ports: vec![address.port(), ear.port], ..development(0) };
        let outcome = Egress::new(config).unwrap().post(request(&format!("http://{address}/"), PATIENT)).await;
        assert_eq!((outcome.failure, outcome.http_status), (Some(FailureKind::HttpStatus), Some(status)), "{host}");
    }
    assert_eq!(ear.bytes(), 0);
}
