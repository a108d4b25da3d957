//! Signing and verifying by hand: what one command signs the other verifies, or explains.

use std::path::Path;

use tidings::{
    model::{StylePreset, envelope::BodyForm},
    signing::{Encoding, KeyForm, Part, SchemeDefinition, SchemePreset, Variable},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::process::{refusal, run, tidings};

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SEED: &str = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const JSON: &str = r#"{"order":42,"note":"50% & more"}"#;
const FORM: &str = "payload=%7B%22order%22%3A42%2C%22note%22%3A%2250%25+%26+more%22%7D";
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/schemes/acme.json");

/// A folder with a webhook in it: `body`, and `headers` once it was signed.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.write("body", JSON);
        desk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// A scheme file that differs from a preset.
    fn scheme(&self, preset: SchemePreset, change: impl FnOnce(&mut SchemeDefinition)) {
        let mut definition = preset.scheme().definition().clone();
        change(&mut definition);
        self.write("changed.json", &serde_json::to_string(&definition).unwrap());
    }

    /// Signs the body, and keeps the headers as a log has them.
    async fn sign(&self, options: &[&str]) -> String {
        let output = run(self.path(), &[&["sign"], options, &["body"]].concat()).await;
        assert!(output.status.success(), "{output:?}");
        let headers = String::from_utf8(output.stdout).unwrap();
        self.write("headers", &format!("POST /hooks HTTP/1.1\r\n{}", headers.replace('\n', "\r\n")));
        headers
    }

    /// Whether the webhook verifies, and what is said of it.
    async fn verify(&self, options: &[&str]) -> (bool, String) {
        let output = run(self.path(), &[&["verify"], options, &["--headers", "headers", "body"]].concat()).await;
        assert!(output.stderr.is_empty(), "{output:?}");
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    /// What is said of a webhook that has to be refused.
    async fn refused(&self, options: &[&str]) -> String {
        let (is_verified, said) = self.verify(options).await;
        assert!(!is_verified && said.starts_with("refused: ") && said.contains("\nwhat to do: "), "{said}");
        said
    }
}

fn secret_of(style: StylePreset) -> &'static str {
    match style.scheme().scheme().definition().key_form {
        KeyForm::Text => "any text, commas included",
        KeyForm::Base64 => WHSEC,
        KeyForm::Ed25519Seed => SEED,
    }
}

fn body_of(style: StylePreset) -> &'static str {
    if style.body_form() == BodyForm::FormPayload { FORM } else { JSON }
}

#[tokio::test]
async fn every_style_verifies_what_it_signs_and_nothing_else() {
    for style in StylePreset::ALL {
        let desk = Desk::new();
        let options = ["--style", style.name(), "--secret", secret_of(style)];
        desk.sign(&options).await;
        desk.write("body", body_of(style));
        let (is_verified, said) = desk.verify(&options).await;
        assert!(is_verified && said.starts_with(&format!("verified: {}", style.name())), "{said}");
        desk.write("body", &body_of(style).replace("42", "43"));
        let said = desk.refused(&options).await;
        assert!(said.contains("no signature matches"), "{style:?}: {said}");
    }
}

#[tokio::test]
async fn scheme_file_signs_and_verifies() {
    let desk = Desk::new();
    let options = ["--scheme", EXAMPLE, "--secret", "new", "--secret", "old"];
    let headers =
        desk.sign(&[&options[..], &["--event-type", "order.paid", "--timestamp", "1700000000"]].concat()).await;
    assert!(headers.contains("Acme-Signature: t=1700000000,sha256="), "{headers}");
    assert!(headers.ends_with("Acme-Event: order.paid\n"), "{headers}");
    let (is_verified, said) = desk.verify(&["--scheme", EXAMPLE, "--secret", "old", "--at", "1700000001"]).await;
    assert_eq!((is_verified, said.as_str()), (true, "verified: acme, signed 1 s ago\n"));
}

#[tokio::test]
async fn scheme_file_that_is_none_is_refused_with_its_place() {
    let desk = Desk::new();
    desk.write("bad.json", "{\n  \"signd\": []\n}");
    for command in
        [&["sign", "body"][..], &["verify", "--headers", "body", "body"], &["receive", "--listen", "127.0.0.1:0"]]
    {
        let said = refusal(desk.path(), &[command, &["--scheme", "bad.json", "--secret", "x"]].concat()).await;
        assert!(said.starts_with("tidings: bad.json is not a signature scheme: unknown field `signd`"), "{said}");
        assert!(said.contains("at line 2 column"), "{said}");
    }
    desk.scheme(SchemePreset::Stripe, |it| {
        it.signed = vec![Part::from(Variable::Timestamp)];
        it.headers[0].name = "content-type".to_owned();
    });
    let said = refusal(desk.path(), &["sign", "--scheme", "changed.json", "--secret", "x", "body"]).await;
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "tidings: the signature scheme in changed.json cannot be used:");
    assert!(
        lines[1].starts_with("  signed must have BODY") && lines[2].starts_with("  headers[0].name is reserved"),
        "{said}"
    );
}

#[tokio::test]
async fn stale_webhook_is_explained() {
    let desk = Desk::new();
    desk.sign(&["--secret", WHSEC, "--timestamp", "1700000000"]).await;
    let said = desk.refused(&["--style", "standard", "--secret", WHSEC]).await;
    assert!(said.contains("only the time is not") && said.contains("--at"), "{said}");
    assert!(desk.verify(&["--style", "standard", "--secret", WHSEC, "--at", "1700000300"]).await.0);
}

#[tokio::test]
async fn secret_read_in_another_way_is_explained() {
    let desk = Desk::new();
    let bare = &WHSEC["whsec_".len()..];
    let standard = ["--style", "standard", "--secret", WHSEC];
    desk.scheme(SchemePreset::Standard, |it| it.key_form = KeyForm::Text);
    for (signed_with, words) in [(WHSEC, "the secret as it stands"), (bare, "after `whsec_`, not decoded")] {
        desk.sign(&["--scheme", "changed.json", "--secret", signed_with]).await;
        let said = desk.refused(&standard).await;
        assert!(said.contains(words) && said.contains("what to do: whoever signed has to take `whsec_` off"), "{said}");
    }
    desk.sign(&standard).await;
    let said = desk.refused(&["--style", "standard", "--secret", bare]).await;
    assert!(said.contains("secret 1 must start with `whsec_`"), "{said}");
    assert!(said.contains("`whsec_` before the secret given here"), "{said}");

    desk.scheme(SchemePreset::PartyLayer, |it| it.key_form = KeyForm::Base64);
    desk.sign(&["--scheme", "changed.json", "--secret", WHSEC]).await;
    let said = desk.refused(&["--style", "partylayer", "--secret", WHSEC]).await;
    assert!(said.contains("decoded from base64") && said.contains("nothing decoded"), "{said}");
    desk.sign(&["--style", "partylayer", "--secret", "party\n"]).await;
    assert!(desk.refused(&["--style", "partylayer", "--secret", "party"]).await.contains("take the line end off"));
    desk.sign(&["--style", "partylayer", "--secret", "party"]).await;
    assert!(desk.refused(&["--style", "partylayer", "--secret", " party"]).await.contains("take the white space off"));
}

#[tokio::test]
async fn prefix_that_is_missing_or_left_in_is_explained() {
    let desk = Desk::new();
    for (preset, secret, found, words) in [
        (SchemePreset::Standard, WHSEC, "", "`v1,` does not stand before it"),
        (SchemePreset::Parra, "x", "sha256=", "`sha256=` stands before it"),
    ] {
        desk.scheme(preset, |it| it.signature_prefix = found.to_owned());
        desk.sign(&["--scheme", "changed.json", "--secret", secret]).await;
        let said = desk.refused(&["--style", preset.name(), "--secret", secret]).await;
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn body_that_is_not_what_was_signed_is_explained() {
    let desk = Desk::new();
    let options = ["--style", "standard", "--secret", WHSEC];
    desk.sign(&options).await;
    for (body, words) in [
        (r#"{"order": 42, "note": "50% & more"}"#.to_owned(), "JSON re-serialised, without white space"),
        (format!("{JSON}\n"), "the body without the line end after it"),
        (FORM.to_owned(), "the JSON in the form's field `payload`"),
    ] {
        desk.write("body", &body);
        let said = desk.refused(&options).await;
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn old_secret_is_explained() {
    let desk = Desk::new();
    desk.sign(&["--secret", WHSEC]).await;
    let said = desk.refused(&["--style", "standard", "--secret", OTHER, "--old-secret", WHSEC]).await;
    assert!(said.contains("made with old secret 1\n") && said.contains("rotation"), "{said}");
}

#[tokio::test]
async fn what_was_left_out_and_another_encoding_are_explained() {
    let desk = Desk::new();
    let standard = ["--style", "standard", "--secret", WHSEC];
    desk.scheme(SchemePreset::Standard, |it| it.signed = vec![Part::from(Variable::Body)]);
    desk.sign(&["--scheme", "changed.json", "--secret", WHSEC]).await;
    let said = desk.refused(&standard).await;
    assert!(said.contains("made without `{ID}.{TIMESTAMP}.`") && said.contains("`{ID}.{TIMESTAMP}.{BODY}`"), "{said}");
    desk.scheme(SchemePreset::Standard, |it| it.encoding = Encoding::Hex);
    desk.sign(&["--scheme", "changed.json", "--secret", WHSEC]).await;
    assert!(desk.refused(&standard).await.contains("in hexadecimal, not base64"));
}

#[tokio::test]
async fn another_style_is_explained_and_found_if_none_was_named() {
    let desk = Desk::new();
    desk.sign(&["--style", "slack", "--secret", WHSEC]).await;
    let said = desk.refused(&["--style", "stripe", "--secret", WHSEC]).await;
    assert!(said.contains("a right signature of the scheme `slack`") && said.contains("--style slack"), "{said}");
    let said = desk.refused(&["--style", "stripe", "--secret", "another"]).await;
    assert!(said.contains("has the headers of the scheme `slack`"), "{said}");
    let (is_verified, said) = desk.verify(&["--secret", WHSEC]).await;
    assert!(is_verified && said.starts_with("verified: slack, signed "), "{said}");
}

#[tokio::test]
async fn what_is_not_known_and_what_is_missing_are_told_apart() {
    let desk = Desk::new();
    let headers = desk.sign(&["--secret", WHSEC]).await;
    let said = desk.refused(&["--style", "standard", "--secret", OTHER]).await;
    assert!(said.contains("none of the known mistakes") && said.contains("--old-secret"), "{said}");
    desk.write("headers", &headers.replace("webhook-id", "x-id"));
    let said = desk.refused(&["--style", "standard", "--secret", WHSEC]).await;
    assert!(said.contains("the header `webhook-id` is missing") && !said.contains("cause:"), "{said}");
}

#[tokio::test]
async fn secret_comes_from_the_environment_and_is_never_shown() {
    let desk = Desk::new();
    let run = async |arguments: &[&str], secret: &str| {
        let output = tidings(desk.path(), arguments).env("TIDINGS_SECRET", secret).output().await.unwrap();
        let text = [output.stdout.as_slice(), &output.stderr].concat();
        assert!(!String::from_utf8_lossy(&text).contains("MfKQ"), "{output:?}");
        output
    };
    for arguments in [&["sign", "body"][..], &["sign", "--header-format", "curl", "--url", "http://h/", "body"]] {
        let output = run(arguments, WHSEC).await;
        assert!(output.status.success(), "{output:?}");
    }
    let several = ["sign", "--style", "standard", "--style", "parra", "body"];
    assert!(run(&several, &format!("standard={WHSEC}\nparra=MfKQ")).await.status.success());
    for refused in ["whsec_MfKQ", "MfKQ"] {
        assert_eq!(run(&["sign", "body"], refused).await.status.code(), Some(1));
        assert_eq!(run(&several, refused).await.status.code(), Some(1));
        assert_eq!(run(&["verify", "-H", "webhook-id: 1", "body"], refused).await.status.code(), Some(1));
    }
    for command in ["sign", "verify", "receive"] {
        assert!(run(&[command, "--help"], WHSEC).await.status.success());
    }
}

/// Posts the webhook, and returns the answer's head.
async fn post(address: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let fields = headers.replace('\n', "\r\n");
    let head = format!("POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    stream.write_all(format!("{head}{fields}\r\n{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn receiver_accepts_what_is_signed_by_hand_in_each_style() {
    for style in [
        StylePreset::Standard,
        StylePreset::Para,
        StylePreset::Parra,
        StylePreset::ErudikaParaForm,
        StylePreset::PartyLayer,
    ] {
        let desk = Desk::new();
        let options = ["--style", style.name(), "--secret", secret_of(style)];
        let headers = desk.sign(&options).await;
        let arguments = [&["receive", "--listen", "127.0.0.1:0"][..], &options].concat();
        let mut receiving = tidings(desk.path(), &arguments).spawn().unwrap();
        let mut said = BufReader::new(receiving.stderr.take().unwrap()).lines();
        let line = said.next_line().await.unwrap().unwrap();
        let address = line.trim_start_matches("receiving at http://").trim_end_matches('/');
        assert_eq!(post(address, &headers, body_of(style)).await, "HTTP/1.1 200 OK", "{style:?}");
        assert_eq!(post(address, &headers, "{}").await, "HTTP/1.1 401 Unauthorized", "{style:?}");
        let mut printed = BufReader::new(receiving.stdout.take().unwrap()).lines();
        assert!(printed.next_line().await.unwrap().unwrap().ends_with("  verified (200)"), "{style:?}");
        assert!(printed.next_line().await.unwrap().unwrap().contains("  refused (401): "), "{style:?}");
        receiving.kill().await.unwrap();
    }
}
