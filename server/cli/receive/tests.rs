//! `tidings receive` from the outside: what it answers and what it prints.

use std::time::Duration;

use clap::Parser;
use http::HeaderMap;

use super::*;
use crate::{
    egress::{self, Egress, EgressConfig},
    model::{AddressPolicy, Outcome, StylePreset, Timestamp},
    signing::{self, KeyForm, Message, Secret, Signer},
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
    with_options(&[&["--secret", secret.expose()], options].concat(), test).await
}

async fn with_options<F>(options: &[&str], test: impl FnOnce(SocketAddr) -> F) -> Output
where
    F: Future<Output = ()>,
{
    let args = Cli::parse_from([&["receive", "--listen", "127.0.0.1:0"], options].concat()).args;
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
    let mut headers = crate::fixture::signed_headers(secret, id, now, b"{\"a\":1}");
    headers.insert("tidings-event-type", "user.created".parse().unwrap());
    post(address, headers, "{\"a\":1}").await
}

async fn post(address: SocketAddr, headers: HeaderMap, body: &'static str) -> Outcome {
    let addresses = AddressPolicy { allowed: vec!["127.0.0.1/32".parse().unwrap()], ..AddressPolicy::default() };
    let config = EgressConfig { allow_http: true, ports: vec![address.port()], addresses, ..EgressConfig::default() };
    let egress = Egress::new(EgressConfig { only_extra_roots: true, ..config }).unwrap();
    let url = format!("http://{address}/").parse().unwrap();
    egress
        .post(egress::Request { url, headers, body: body.into(), timeout: Duration::from_secs(20), credentials: None })
        .await
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
    assert!(matches!(error, ReceiveError::Schemes(SchemeArgsError::Secret { .. })));
    assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
}

/// The headers of a webhook that is signed by these styles, each with a secret of its own.
fn signed(signers: &[(StylePreset, &str)], body: &[u8]) -> HeaderMap {
    let secret = |(style, text): &(StylePreset, &str)| {
        Secret::parse(text, style.scheme().scheme().definition().key_form).unwrap()
    };
    let secrets: Vec<Secret> = signers.iter().map(secret).collect();
    let refs: Vec<[&Secret; 1]> = secrets.iter().map(|secret| [secret]).collect();
    let signer = |((style, _), secrets)| Signer { scheme: StylePreset::scheme(style).scheme(), secrets };
    let signers: Vec<Signer<'_, '_>> =
        signers.iter().copied().zip(refs.iter().map(|one| &one[..])).map(signer).collect();
    let timestamp = Clock::system().wall();
    let message = Message { id: "evt_1", timestamp, event_type: "user.create", url: "https://example.com/", body };
    let headers = signing::sign(&signers, &message).into_iter();
    let mut headers: HeaderMap =
        headers.map(|header| (header.name.parse().unwrap(), header.value.parse().unwrap())).collect();
    headers.insert("tidings-event-type", "user.create".parse().unwrap());
    headers.insert("tidings-attempt-id", "att_7".parse().unwrap());
    headers
}

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What is printed of a webhook, after its time.
fn printed(output: &Output) -> Vec<&str> {
    output.out.lines().map(|line| line.split_once("  ").unwrap().1).collect()
}

#[tokio::test]
async fn styles_are_verified_and_their_webhooks_known_by_id_or_attempt() {
    for (style, secret, id) in [
        (StylePreset::Para, WHSEC, "evt_1"),
        (StylePreset::Parra, "a, b", "att_7"),
        (StylePreset::PartyLayer, "secret", "evt_1"),
        (StylePreset::StandardEd25519, "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "evt_1"),
    ] {
        let output = with_options(&["--style", style.name(), "--secret", secret], async |address| {
            let headers = signed(&[(style, secret)], b"{\"a\":1}");
            assert_eq!(post(address, headers.clone(), "{\"a\":1}").await.http_status, Some(200), "{style:?}");
            assert_eq!(post(address, headers, "{\"a\":2}").await.http_status, Some(401), "{style:?}");
        })
        .await;
        let lines = printed(&output);
        assert_eq!(lines[0], format!("{id}  user.create  7 B  verified (200)"));
        assert!(lines[1].contains("refused (401): no signature matches"), "{lines:?}");
    }
}

#[tokio::test]
async fn json_in_a_form_is_what_is_signed() {
    let style = StylePreset::ErudikaParaForm;
    let output = with_options(&["--style", style.name(), "--secret", "secret"], async |address| {
        let headers = signed(&[(style, "secret")], b"{\"a\":1}");
        assert_eq!(post(address, headers.clone(), "payload=%7B%22a%22%3A1%7D").await.http_status, Some(200));
        assert_eq!(post(address, headers, "{\"a\":1}").await.http_status, Some(401));
    })
    .await;
    let lines = printed(&output);
    assert_eq!(lines[0], "att_7  user.create  25 B  verified (200)");
    assert!(lines[1].ends_with("refused (401): the body is not a form with a field `payload`"), "{lines:?}");
}

#[tokio::test]
async fn webhook_without_an_id_is_known_again_by_its_body() {
    let style = StylePreset::Parra;
    with_options(&["--style", style.name(), "--secret", "secret", "--fail-first", "1"], async |address| {
        let mut statuses = Vec::new();
        for (attempt, body) in [("att_1", "{\"a\":1}"), ("att_2", "{\"a\":2}"), ("att_3", "{\"a\":1}")] {
            let mut headers = signed(&[(style, "secret")], body.as_bytes());
            headers.insert("tidings-attempt-id", attempt.parse().unwrap());
            statuses.push(post(address, headers, body).await.http_status.unwrap());
        }
        assert_eq!(statuses, [503, 503, 200]);
    })
    .await;
}

#[tokio::test]
async fn every_one_of_several_schemes_is_checked_and_named() {
    let (parra, standard) = ((StylePreset::Parra, "x"), (StylePreset::Standard, WHSEC));
    let named = format!("standard={WHSEC}");
    let options = ["--style", "parra", "--style", "standard", "--secret", "parra=x", "--secret", &named];
    let output = with_options(&options, async |address| {
        for (signers, status) in [(&[parra, standard][..], 200), (&[standard], 401), (&[], 401)] {
            let headers = signed(signers, b"{}");
            assert_eq!(post(address, headers, "{}").await.http_status, Some(status));
        }
    })
    .await;
    let lines = printed(&output);
    assert_eq!(lines[0], "evt_1  user.create  2 B  verified by parra, standard (200)");
    assert!(lines[1].contains("refused (401): parra: the header `parra-signature` is missing"), "{lines:?}");
    assert!(lines[1].ends_with("; standard: verified"), "{lines:?}");
    assert!(lines[2].starts_with("-  ") && lines[2].contains("; standard: the header `webhook-id` is"), "{lines:?}");
}
