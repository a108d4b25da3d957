use std::{process::Stdio, time::Duration};

use http::StatusCode;
use tidings::{
    proto::{
        AttemptOutcome, CreateEndpointRequest, Endpoint, FailureKind, ListEndpointsRequest, PingEndpointRequest,
        WatchDeliveriesRequest,
    },
    receiver::{Answer, Certificate, Receiver},
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    process::Command,
};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{
    key::ADMIN_KEY,
    process::{Running, client, refusal, tidings},
};

/// Open calls are given five seconds; nothing is in flight here.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--database", "tidings.db"];

#[tokio::test]
async fn serve_refuses_to_listen_beyond_loopback() {
    let directory = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let said = refusal(directory.path(), &["serve", "--listen", address]).await;
        assert!(said.contains("is not a loopback address"), "{said}");
    }
    assert!(!directory.path().join("tidings.db").exists());
}

#[tokio::test]
async fn serve_refuses_a_database_whose_key_file_is_missing_or_another() {
    let directory = tempfile::tempdir().unwrap();
    let key = |database: &str| directory.path().join(format!("{database}.key"));
    for database in ["tidings.db", "other.db"] {
        let (mut serving, _) = Running::serve(directory.path(), database).await;
        assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
    }
    let aside = directory.path().join("aside.key");
    std::fs::rename(key("tidings.db"), &aside).unwrap();
    let missing = refusal(directory.path(), &SERVE).await;
    assert!(missing.contains("tidings.db.key"), "{missing}");
    assert!(!key("tidings.db").exists(), "a key that is missing is not made anew");

    std::fs::copy(key("other.db"), key("tidings.db")).unwrap();
    let wrong = refusal(directory.path(), &SERVE).await;
    assert!(wrong.contains("tidings.db.key"), "{wrong}");
    assert_ne!(missing, wrong, "they are told apart");

    std::fs::rename(&aside, key("tidings.db")).unwrap();
    let (mut serving, _) = Running::serve(directory.path(), "tidings.db").await;
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
}

#[tokio::test]
async fn serve_refuses_a_database_that_another_process_has() {
    let directory = tempfile::tempdir().unwrap();
    let (mut first, _) = Running::serve(directory.path(), "tidings.db").await;
    let said = refusal(directory.path(), &SERVE).await;
    assert!(said.contains("another process"), "{said}");
    assert_eq!(first.stop("TERM", STOP_DEADLINE).await, Some(0));
    let (mut second, _) = Running::serve(directory.path(), "tidings.db").await;
    assert_eq!(second.stop("TERM", STOP_DEADLINE).await, Some(0));
}

#[tokio::test]
async fn sigterm_ends_a_server_in_time_while_streams_and_idle_connections_are_open() {
    let directory = tempfile::tempdir().unwrap();
    let (mut serving, address) = Running::serve(directory.path(), "tidings.db").await;
    let mut idle = TcpStream::connect(&address).await.unwrap();
    let mut client = client(format!("http://{address}"));
    let mut stream = client.watch_deliveries(WatchDeliveriesRequest::default()).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some(), "it begins with a heartbeat");

    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
    let ended = stream.message().await.expect_err("a stream that the server ends is told so");
    assert_eq!(ended.code(), Code::Unavailable, "{ended}");
    // Whatever the server said on it, the connection is at its end.
    let _ = idle.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn endpoint_is_trusted_by_a_root_of_ones_own_and_not_without_it() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::self_signed(["127.0.0.1"]).unwrap();
    std::fs::write(directory.path().join("roots.pem"), certificate.pem()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let receiver = Receiver::with_tls(listener, &certificate).unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(receiver.run(|_| async { Answer::from(StatusCode::OK) }, stop.clone()));
    for (database, roots, expected) in [
        ("trusting.db", &["--ca-file", "roots.pem"][..], (AttemptOutcome::Succeeded, FailureKind::Unspecified)),
        ("wary.db", &[][..], (AttemptOutcome::Failed, FailureKind::CertificateUntrusted)),
    ] {
        let port = port.to_string();
        let serve = ["serve", "--listen", "127.0.0.1:0", "--allow-cidr", "127.0.0.0/8", "--allow-port", &port];
        let mut serving = Running::start(directory.path(), &[&serve, roots, &["--database", database]].concat());
        let mut client = client(serving.line("listening on ").await.replace("listening on ", "http://"));
        let endpoint = Endpoint { url: format!("https://127.0.0.1:{port}/"), ..Default::default() };
        let create = CreateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
        let endpoint_id = client.create_endpoint(create).await.unwrap().into_inner().endpoint.unwrap().id;
        let ping = PingEndpointRequest { endpoint_id, ..Default::default() };
        let attempt = client.ping_endpoint(ping).await.unwrap().into_inner().attempt.unwrap();
        assert_eq!((attempt.outcome(), attempt.failure_kind()), expected, "{}", attempt.error_detail);
        assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
    }
    stop.cancel();
}

#[tokio::test]
async fn serve_refuses_a_file_of_roots_that_holds_none() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("roots.pem"), "nothing\n").unwrap();
    let said = refusal(directory.path(), &[&SERVE[..], &["--ca-file", "roots.pem"]].concat()).await;
    assert!(said.contains("roots.pem holds no certificate"), "{said}");
    assert!(!directory.path().join("tidings.db").exists());
}

#[tokio::test]
async fn servers_own_listener_is_no_endpoint_although_its_address_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--allow-cidr", "127.0.0.0/8", "--allow-port", "1-65535"];
    let mut serving = Running::start(directory.path(), &serve);
    let address = serving.line("listening on ").await.replace("listening on ", "");
    let mut client = client(format!("http://{address}"));
    let port = address.rsplit_once(':').unwrap().1;
    for host in ["127.0.0.1", "127.1", "localhost", "[::ffff:127.0.0.1]"] {
        let endpoint = Endpoint { url: format!("https://{host}:{port}/"), ..Default::default() };
        let create = CreateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
        let status = client.create_endpoint(create).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{host}");
        assert_eq!(status.get_details_error_info().unwrap().reason, "URL_BLOCKED_ADDRESS", "{host}");
    }
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
}

/// File descriptors that the server is left with: enough for its database and a few connections.
const FILES_MAX: usize = 64;

#[tokio::test]
async fn server_that_has_run_out_of_files_serves_again_once_there_are_some() {
    let directory = tempfile::tempdir().unwrap();
    // Its log comes with its output.
    let limited = "exec prlimit --nofile=\"$0\" \"$@\" 2>&1";
    let mut command = Command::new("sh");
    command.args(["-c", limited, &format!("{FILES_MAX}:{FILES_MAX}"), env!("CARGO_BIN_EXE_tidings")]).args(SERVE);
    command.env("TIDINGS_ADMIN_KEY", ADMIN_KEY).current_dir(directory.path());
    let mut serving = Running::of(command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true));
    let address = serving.line("listening on ").await.replace("listening on ", "");
    let mut idle = Vec::new();
    for _ in 0..2 * FILES_MAX {
        idle.push(TcpStream::connect(&address).await.unwrap());
    }
    serving.line("connections cannot be accepted").await;
    drop(idle);
    let mut client = client(format!("http://{address}"));
    client.list_endpoints(ListEndpointsRequest::default()).await.unwrap();
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
}

/// A listener that nobody is to connect to.
fn untouched() -> std::net::TcpListener {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

#[tokio::test]
async fn proxies_of_the_environment_are_passed_by() {
    let directory = tempfile::tempdir().unwrap();
    let (listener, stop, proxy) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), CancellationToken::new(), untouched());
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(Receiver::new(listener).run(|_| async { Answer::from(StatusCode::NO_CONTENT) }, stop.clone()));
    let allowed = ["--allow-http", "--allow-cidr", "127.0.0.0/8", "--allow-port", "1-65535"];
    let mut command = tidings(directory.path(), &[&SERVE[..], &allowed].concat());
    for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(variable, format!("http://{}", proxy.local_addr().unwrap()));
    }
    let mut serving = Running::of(&mut command);
    let mut calls = client(serving.line("listening on ").await.replace("listening on ", "http://"));
    let endpoint = Some(Endpoint { url, ..Default::default() });
    let made = calls.create_endpoint(CreateEndpointRequest { endpoint, ..Default::default() }).await.unwrap();
    let endpoint_id = made.into_inner().endpoint.unwrap().id;
    let ping =
        calls.ping_endpoint(PingEndpointRequest { endpoint_id, ..Default::default() }).await.unwrap().into_inner();
    let attempt = ping.attempt.unwrap();
    assert_eq!((attempt.outcome(), attempt.http_status), (AttemptOutcome::Succeeded, 204));
    assert_eq!(proxy.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody asked the proxy");
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
    stop.cancel();
}
