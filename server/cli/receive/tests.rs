//! `tidings receive` from the outside: what it answers and what it prints.

use std::time::Duration;

use clap::Parser;

use super::*;
use crate::{
    egress::{self, Egress, EgressConfig},
    model::{AddressPolicy, Outcome, Timestamp},
    signing,
};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: ReceiveArgs,
}

/// Tells the address as soon as it is announced, and keeps all that is written.
struct Announced {
    told: Option<tokio::sync::oneshot::Sender<SocketAddr>>,
    text: Vec<u8>,
}

impl Write for Announced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        let text = String::from_utf8_lossy(&self.text);
        if let Some((_, url)) = text.split_once("http://")
            && let Some((address, _)) = url.split_once('/')
            && let Some(told) = self.told.take()
        {
            told.send(address.parse().unwrap()).unwrap();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Output {
    out: String,
    err: String,
}

/// Runs the command with `options` while `test` talks to it, then stops it.
async fn with_receiver<F>(secret: &Secret, options: &[&str], test: impl FnOnce(SocketAddr) -> F) -> Output
where
    F: Future<Output = ()>,
{
    let given = ["receive", "--listen", "127.0.0.1:0", "--secret", secret.expose()];
    let args = Cli::parse_from(given.iter().chain(options)).args;
    let (told, announced) = tokio::sync::oneshot::channel();
    let (mut out, mut err) = (Vec::new(), Announced { told: Some(told), text: Vec::new() });
    let shutdown = CancellationToken::new();
    let receiving = receive(args, &mut out, Palette::plain(), &mut err, shutdown.clone());
    let testing = async {
        test(announced.await.unwrap()).await;
        shutdown.cancel();
    };
    let (received, ()) = tokio::join!(receiving, testing);
    received.unwrap();
    Output { out: String::from_utf8(out).unwrap(), err: String::from_utf8(err.text).unwrap() }
}

async fn send(address: SocketAddr, secret: &Secret, id: &str, now: Timestamp) -> Outcome {
    let addresses = AddressPolicy { allowed: vec!["127.0.0.1/32".parse().unwrap()] };
    let config = EgressConfig { allow_http: true, ports: vec![address.port()], addresses, ..EgressConfig::default() };
    let egress = Egress::new(EgressConfig { only_extra_roots: true, ..config }).unwrap();
    let mut headers = crate::fixture::signed_headers(secret, id, now, b"{\"a\":1}");
    headers.insert("tidings-event-type", "user.created".parse().unwrap());
    let url = format!("http://{address}/").parse().unwrap();
    egress.post(egress::Request { url, headers, body: "{\"a\":1}".into(), timeout: Duration::from_secs(20) }).await
}

#[tokio::test]
async fn verified_webhook_is_answered_and_printed() {
    let secret = Secret::generate(KeyForm::Base64);
    let output = with_receiver(&secret, &["--status", "202"], async |address| {
        let outcome = send(address, &secret, "evt_1", Clock::system().wall()).await;
        assert_eq!(outcome.http_status, Some(202));
    })
    .await;
    let (time, rest) = output.out.split_once("  ").unwrap();
    assert_eq!(time.len(), "14:03:07.250Z".len());
    assert_eq!(rest, "evt_1  user.created  7 B  verified (202)\n");
    assert!(output.err.ends_with("1 verified, 0 refused\n"), "{}", output.err);
}

#[tokio::test]
async fn refused_webhook_is_answered_401_and_both_sides_learn_why() {
    let secret = Secret::generate(KeyForm::Base64);
    let output = with_receiver(&secret, &[], async |address| {
        let outcome = send(address, &Secret::generate(KeyForm::Base64), "evt_1", Clock::system().wall()).await;
        assert_eq!(outcome.http_status, Some(401));
        assert_eq!(outcome.response, format!("{}\n", signing::VerifyError::Mismatch));
        assert_eq!(send(address, &secret, "evt_2", Timestamp::from_micros(0)).await.http_status, Some(401));
    })
    .await;
    let lines: Vec<_> = output.out.lines().collect();
    let mismatch = format!("evt_1  user.created  7 B  refused (401): {}", signing::VerifyError::Mismatch);
    assert!(lines[0].ends_with(&mismatch), "{}", lines[0]);
    assert!(lines[1].contains("evt_2") && lines[1].contains("refused (401): `webhook-timestamp`"), "{}", lines[1]);
    assert!(output.err.ends_with("0 verified, 2 refused\n"), "{}", output.err);
}

#[tokio::test]
async fn first_attempts_fail_on_purpose() {
    let secret = Secret::generate(KeyForm::Base64);
    let output = with_receiver(&secret, &["--fail-first", "1", "-v"], async |address| {
        let mut statuses = Vec::new();
        for id in ["evt_1", "evt_1", "evt_2"] {
            statuses.push(send(address, &secret, id, Clock::system().wall()).await.http_status.unwrap());
        }
        assert_eq!(statuses, [503, 200, 503]);
    })
    .await;
    let verdicts: Vec<_> = output.out.lines().filter_map(|line| line.split_once("7 B  ")).map(|(_, it)| it).collect();
    let failed = "verified, failed on purpose (503)";
    assert_eq!(verdicts, [failed, "verified (200), attempt 2", failed]);
    assert!(output.out.contains("\n    {\n      \"a\": 1\n    }\n"), "{}", output.out);
}

#[tokio::test]
async fn anything_but_post_is_refused_and_not_printed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let output = with_receiver(&Secret::generate(KeyForm::Base64), &[], async |address| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("\r\nallow: POST\r\n"), "{answer}");
    })
    .await;
    assert_eq!(output.out, "");
}

#[tokio::test]
async fn closed_output_ends_the_command_without_an_error() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let secret = Secret::generate(KeyForm::Base64);
    let args = Cli::parse_from(["receive", "--listen", "127.0.0.1:0", "--secret", secret.expose()]).args;
    let (told, announced) = tokio::sync::oneshot::channel();
    let mut err = Announced { told: Some(told), text: Vec::new() };
    let mut out = Closed;
    let receiving = receive(args, &mut out, Palette::plain(), &mut err, CancellationToken::new());
    let sending = async { send(announced.await.unwrap(), &secret, "evt_1", Clock::system().wall()).await };
    let (received, outcome) = tokio::join!(receiving, sending);
    received.unwrap();
    assert_eq!(outcome.http_status, Some(200));
}

#[tokio::test]
async fn unusable_secret_is_refused_without_being_repeated() {
    let args = Cli::parse_from(["receive", "--listen", "127.0.0.1:0", "--secret", "whsec_hush"]).args;
    let error = receive(args, &mut Vec::new(), Palette::plain(), &mut Vec::new(), CancellationToken::new()).await;
    let error = error.unwrap_err();
    assert!(matches!(error, ReceiveError::Secret(_)));
    assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
}
