//! Connections that abuse what HTTP/2 lets them do: they are cut off, and calls on others are answered all the while.

use std::time::Duration;

use h2::Reason;
use http::Request;
use tidings::{listen, proto::ListEndpointsRequest};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{Api, soon};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Far more than there may be at once, and how often a call of another connection comes between them.
const RESETS: usize = 20_000;
const CALL_EVERY: usize = 1_000;

/// More continuations of one header block than there can be metadata.
const CONTINUATIONS: usize = 2_000;

/// Frames that ask for an answer each: so many in one write, and so many writes, by whoever reads no answer. It is far more than
/// what the server's side of a connection takes in without sending.
const FLOOD_FRAMES: usize = 10_000;
const FLOOD_WRITES: usize = 200;

/// How long a write of these waits for a server that does not read on.
const FLOOD_PATIENCE: Duration = Duration::from_secs(1);

/// Calls that others make meanwhile.
const CALLS_MEANWHILE: usize = 20;

/// Connections that begin a call and never end its head.
const SLOW: usize = 64;

/// Kinds of frames (RFC 9113, section 6).
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

/// A frame of this kind on this stream, with no flags (RFC 9113, section 4.1).
fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, 0];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

async fn assert_serves(api: &Api) {
    soon(api.client.clone().list_endpoints(ListEndpointsRequest::default())).await.unwrap();
}

/// Reads until the server has ended the connection.
async fn read_to_the_end(mut connection: TcpStream) {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = soon(connection.read_to_end(&mut bytes)).await;
}

#[tokio::test]
async fn idle_connections_end_and_do_not_keep_others_out() {
    let idle_max = 32;
    let config = listen::Config {
        // The test's own calls need a place.
        connections_per_address_max: idle_max + 1,
        greeting_max: Duration::from_millis(500),
        ..listen::Config::default()
    };
    let api = Api::start_listening(config).await;
    let mut idle = Vec::new();
    for _ in 0..idle_max {
        idle.push(TcpStream::connect(api.address()).await.unwrap());
    }
    // All places are taken, and this one, which comes after them, is refused.
    let beyond = TcpStream::connect(api.address()).await.unwrap();
    read_to_the_end(beyond).await;
    assert_serves(&api).await;
    for connection in idle {
        read_to_the_end(connection).await;
    }
    // There is room again.
    let mut connection = TcpStream::connect(api.address()).await.unwrap();
    connection.write_all(PREFACE).await.unwrap();
    connection.write_all(&frame(SETTINGS, 0, &[])).await.unwrap();
    soon(connection.read_exact(&mut [0; 9])).await.unwrap();
}

#[tokio::test]
async fn calls_that_are_reset_as_soon_as_they_are_made_leave_others_served() {
    let api = Api::start().await;
    let tcp = TcpStream::connect(api.address()).await.unwrap();
    let (mut send, connection) = h2::client::handshake(tcp).await.unwrap();
    let ended = tokio::spawn(connection);
    for call in 0..RESETS {
        let uri = format!("http://{}/tidings.v1.WebhookService/ListEndpoints", api.address());
        // The server may end the connection, and need not.
        let Ok(ready) = soon(send.clone().ready()).await else { break };
        send = ready;
        let request = Request::post(uri).header("content-type", "application/grpc").body(()).unwrap();
        let Ok((_answer, mut stream)) = send.send_request(request, false) else { break };
        stream.send_reset(Reason::CANCEL);
        if call % CALL_EVERY == 0 {
            assert_serves(&api).await;
        }
    }
    drop(send);
    let _ = soon(ended).await;
    assert_serves(&api).await;
}

#[tokio::test]
async fn header_block_without_an_end_ends_its_connection_alone() {
    let api = Api::start().await;
    let mut connection = greeted(&api).await;
    // A literal header field that is not indexed, `a: b` (RFC 7541, section 6.2.2), again and again.
    let fields = [0, 1, b'a', 1, b'b'].repeat(1_000);
    connection.write_all(&frame(HEADERS, 1, &fields)).await.unwrap();
    for written in 0..CONTINUATIONS {
        if written % 100 == 0 {
            assert_serves(&api).await;
        }
        if connection.write_all(&frame(CONTINUATION, 1, &fields)).await.is_err() {
            break;
        }
    }
    read_to_the_end(connection).await;
    assert_serves(&api).await;
}

/// A connection of HTTP/2 that has said so.
async fn greeted(api: &Api) -> TcpStream {
    let mut connection = TcpStream::connect(api.address()).await.unwrap();
    connection.write_all(PREFACE).await.unwrap();
    connection.write_all(&frame(SETTINGS, 0, &[])).await.unwrap();
    connection
}

/// Writes frames that are to be answered and reads no answer, while calls are made on another connection.
async fn others_are_served_during_a_flood(kind: u8, payload: &[u8]) {
    let api = Api::start().await;
    let mut connection = greeted(&api).await;
    let frames = frame(kind, 0, payload).repeat(FLOOD_FRAMES);
    let flood = async {
        let mut whole = 0;
        for _ in 0..FLOOD_WRITES {
            // It may end the connection, or read no more of it: what it would answer has to wait for its reader.
            match tokio::time::timeout(FLOOD_PATIENCE, connection.write_all(&frames)).await {
                Ok(Ok(())) => whole += 1,
                Ok(Err(_)) | Err(_) => break,
            }
        }
        whole
    };
    let calls = async {
        for _ in 0..CALLS_MEANWHILE {
            assert_serves(&api).await;
        }
    };
    let (whole, ()) = tokio::join!(flood, calls);
    assert!(whole < FLOOD_WRITES, "it took all of it, and holds an answer for each");
    assert_serves(&api).await;
}

#[tokio::test]
async fn flood_of_pings_leaves_others_served_and_is_not_taken_without_end() {
    others_are_served_during_a_flood(PING, &[0; 8]).await;
}

#[tokio::test]
async fn flood_of_settings_leaves_others_served_and_is_not_taken_without_end() {
    others_are_served_during_a_flood(SETTINGS, &[]).await;
}

#[tokio::test]
async fn heads_that_never_end_leave_others_served_and_hold_only_their_connections() {
    let api = Api::start().await;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let mut connection = greeted(&api).await;
        // `:method: POST`, indexed (RFC 7541, appendix A), and no end of the head.
        connection.write_all(&frame(HEADERS, 1, &[0x83])).await.unwrap();
        slow.push(connection);
    }
    for _ in 0..CALLS_MEANWHILE {
        assert_serves(&api).await;
    }
    // Until the head ends there may be no other frame (RFC 9113, section 6.10), the answer to a ping included: so whoever
    // goes on like this is cut off at the first ping of the server's at the latest.
    for mut connection in slow {
        connection.write_all(&frame(PING, 0, &[0; 8])).await.unwrap();
        read_to_the_end(connection).await;
    }
    assert_serves(&api).await;
}
