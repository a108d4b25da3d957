//! Peers that hang, drip, flood, reset or talk nonsense.

use super::*;

fn assert_timed_out(outcome: &Outcome, status: Option<u16>) {
    assert_eq!((outcome.failure, outcome.http_status), (Some(FailureKind::Timeout), status), "{}", outcome.detail);
    assert!(outcome.latency >= SHORT && outcome.latency < PATIENT / 2, "{:?}", outcome.latency);
}

#[tokio::test]
async fn refused_port_is_a_connect_failure() {
    let (_socket, address) = refusing();
    let outcome = post(address, PATIENT).await;
    assert_eq!((outcome.failure, outcome.http_status), (Some(FailureKind::Connect), None), "{}", outcome.detail);
}

#[tokio::test]
async fn unresolvable_name_is_a_dns_failure() {
    let egress = Egress::new(development(80)).unwrap();
    // RFC 6761, section 6.4: no resolver knows it.
    let outcome = egress.post(request("http://nowhere.invalid/", PATIENT)).await;
    assert_eq!(outcome.failure, Some(FailureKind::Dns), "{}", outcome.detail);
}

#[tokio::test]
async fn name_servers_that_do_not_answer_are_told_from_names_that_do_not_exist() {
    // It fails by itself, and it is cut off with the exchange.
    for (names, timeout) in [(Silent { gives_up: true }, PATIENT), (Silent { gives_up: false }, SHORT)] {
        let egress = Egress::with_resolver(development(80), GuardedResolver::new(names, loopback_allowed())).unwrap();
        let outcome = egress.post(request("http://hooks.example/", timeout)).await;
        assert_eq!(outcome.failure, Some(FailureKind::DnsTimeout), "{}", outcome.detail);
    }
}

/// A resolver that says that it got no answer, or never says anything.
struct Silent {
    gives_up: bool,
}

impl Resolve for Silent {
    fn resolve(&self, _name: Name) -> Resolving {
        let gives_up = self.gives_up;
        Box::pin(async move {
            if gives_up {
                return Err(resolve::LookupError::Slow.into());
            }
            std::future::pending().await
        })
    }
}

#[tokio::test]
async fn connection_that_is_not_made_in_time_is_told_from_an_answer_that_does_not_come() {
    // A queue of one connection, which is full: the kernel lets the next ones wait.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(connected) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
        queued.push(connected.unwrap());
    }
    let outcome = post(address, SHORT).await;
    assert_eq!(outcome.failure, Some(FailureKind::ConnectTimeout), "{}", outcome.detail);
    assert!(outcome.detail.contains("no connection"), "{}", outcome.detail);
}

#[tokio::test]
async fn peer_that_does_not_answer_times_out() {
    // Bound and never accepted from: the kernel connects, and no one reads.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert_timed_out(&post(listener.local_addr().unwrap(), SHORT).await, None);
}

#[tokio::test]
async fn head_that_does_not_end_times_out() {
    assert_timed_out(&post_answered("HTTP/1.1 200 OK\r\nx-slow: ", SHORT).await, None);
}

#[tokio::test]
async fn body_that_does_not_end_times_out_with_its_status_and_what_was_read() {
    let outcome = post_answered("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhel", SHORT).await;
    assert_timed_out(&outcome, Some(200));
    assert_eq!(outcome.response, "hel");
}

#[tokio::test]
async fn dripping_body_meets_the_timeout_of_the_whole() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    })
    .await;
    let outcome = post(address, SHORT).await;
    assert_timed_out(&outcome, Some(200));
    assert!(!outcome.response.is_empty());
}

#[tokio::test]
async fn endless_interim_answers_time_out() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        while stream.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await.is_ok() {}
    })
    .await;
    assert_timed_out(&post(address, SHORT).await, None);
}

#[tokio::test]
async fn endless_body_is_a_success_of_which_little_is_read() {
    let (told, heard) = tokio::sync::oneshot::channel();
    let told = std::sync::Mutex::new(Some(told));
    let address = serve(move |mut stream| {
        let told = told.lock().unwrap().take().expect("one connection");
        async move {
            read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
            told.send(()).unwrap();
        }
    })
    .await;
    let outcome = post(address, PATIENT).await;
    assert_eq!((outcome.failure, outcome.http_status), (None, Some(200)), "{}", outcome.detail);
    assert_eq!(outcome.response.len(), RESPONSE_KEPT_BYTES_MAX);
    assert!(outcome.response_truncated);
    // The connection was dropped, not drained: the server's writing ends.
    tokio::time::timeout(PATIENT, heard).await.expect("the connection was dropped").unwrap();
}

#[tokio::test]
async fn body_within_the_limit_is_read_whole_and_kept_in_part() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", RESPONSE_KEPT_BYTES_MAX + 1);
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&[b'x'; RESPONSE_KEPT_BYTES_MAX + 1]).await.unwrap();
        until_closed(&mut stream).await;
    })
    .await;
    let outcome = post(address, PATIENT).await;
    assert_eq!(outcome.failure, None);
    assert_eq!((outcome.response.len(), outcome.response_truncated), (RESPONSE_KEPT_BYTES_MAX, true));
}

#[tokio::test]
async fn reset_connection_is_a_lost_connection() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let outcome = post(address, PATIENT).await;
    assert_eq!((outcome.failure, outcome.http_status), (Some(FailureKind::ConnectionLost), None), "{}", outcome.detail);
}

#[tokio::test]
async fn connection_closed_without_an_answer_is_a_lost_connection() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
    })
    .await;
    let outcome = post(address, PATIENT).await;
    assert_eq!((outcome.failure, outcome.http_status), (Some(FailureKind::ConnectionLost), None), "{}", outcome.detail);
}

#[tokio::test]
async fn body_that_breaks_off_is_a_lost_connection_with_its_status() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhel").await.unwrap();
    })
    .await;
    let outcome = post(address, PATIENT).await;
    assert_eq!(
        (outcome.failure, outcome.http_status),
        (Some(FailureKind::ConnectionLost), Some(200)),
        "{}",
        outcome.detail
    );
}

#[tokio::test]
async fn garbage_is_a_protocol_failure() {
    for garbage in
        ["SSH-2.0-OpenSSH_9.9\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "\0\0\0"]
    {
        let address = serve(move |mut stream| async move {
            read_request(&mut stream).await;
            stream.write_all(garbage.as_bytes()).await.unwrap();
        })
        .await;
        let outcome = post(address, PATIENT).await;
        assert_eq!(outcome.failure, Some(FailureKind::Protocol), "{garbage:?}: {}", outcome.detail);
    }
}

#[tokio::test]
async fn head_without_end_is_not_gathered_for_ever() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.unwrap();
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    })
    .await;
    let outcome = post(address, PATIENT).await;
    assert_eq!(outcome.failure, Some(FailureKind::Protocol), "{}", outcome.detail);
}

#[tokio::test]
async fn answer_before_the_request_was_read_counts() {
    let address = serve(|mut stream| async move {
        stream.read_u8().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        until_closed(&mut stream).await;
    })
    .await;
    let egress = Egress::new(development(address.port())).unwrap();
    let mut request = request(&format!("http://{address}/"), PATIENT);
    request.body = Bytes::from(vec![b'x'; 256 * 1024]);
    let outcome = egress.post(request).await;
    assert_eq!((outcome.failure, outcome.http_status), (None, Some(200)), "{}", outcome.detail);
}
