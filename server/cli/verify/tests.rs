use clap::Parser;

use super::*;
use crate::signing::{KeyForm, Message, SchemePreset, Secret, Signer, sign};

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SEED: &str = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SECS: i64 = 1_614_265_330;
const JSON: &str = r#"{"a": 1}"#;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: VerifyArgs,
}

/// A webhook of a scheme, ten seconds old; its headers as options.
fn headers_of(preset: SchemePreset, secret: &str, body: &str) -> Vec<String> {
    let secret = Secret::parse(secret, preset.scheme().definition().key_form).unwrap();
    let timestamp = Timestamp::from_micros((SECS - 10) * 1_000_000);
    let message = Message {
        id: "msg_1",
        timestamp,
        event_type: "user.create",
        url: "https://example.com/",
        body: body.as_bytes(),
    };
    let headers = sign(&[Signer { scheme: preset.scheme(), secrets: &[&secret] }], &message);
    headers.into_iter().flat_map(|header| ["-H".to_owned(), format!("{}: {}", header.name, header.value)]).collect()
}

/// Whether it verifies, and what is said.
fn told(options: &[&str], headers: &[String], body: &str) -> (bool, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), body).unwrap();
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let args = Cli::parse_from([&["verify"], options, &headers, &[file.path().to_str().unwrap()]].concat()).args;
    let mut out = Vec::new();
    let clock = Clock::manual(Timestamp::from_micros(SECS * 1_000_000));
    let is_verified = verify(&args, &clock, &mut out, Palette::plain()).unwrap();
    (is_verified, String::from_utf8(out).unwrap())
}

fn secret_of(preset: SchemePreset) -> &'static str {
    match preset.scheme().definition().key_form {
        KeyForm::Text | KeyForm::Base64 => WHSEC,
        KeyForm::Ed25519Seed => SEED,
    }
}

#[test]
fn right_webhook_is_told_with_its_id_its_age_and_its_secret() {
    let headers = headers_of(SchemePreset::Standard, WHSEC, JSON);
    let both = format!("{OTHER},{WHSEC}");
    let (is_verified, said) = told(&["--style", "para", "--secret", &both], &headers, JSON);
    assert_eq!((is_verified, said.as_str()), (true, "verified: para, id msg_1, signed 10 s ago, with secret 2 of 2\n"));
    let headers = headers_of(SchemePreset::Parra, "x", JSON);
    let (is_verified, said) = told(&["--style", "parra", "--secret", "x"], &headers, JSON);
    assert_eq!((is_verified, said.as_str()), (true, "verified: parra\n"));
}

#[test]
fn without_a_style_the_one_that_fits_is_found() {
    for preset in SchemePreset::ALL {
        let headers = headers_of(preset, secret_of(preset), JSON);
        let (is_verified, said) = told(&["--secret", WHSEC, "--secret", SEED], &headers, JSON);
        let name = if preset == SchemePreset::Standard { "standard or para" } else { preset.name() };
        let told = said.split([',', '\n']).next().unwrap();
        assert_eq!((is_verified, told), (true, format!("verified: {name}").as_str()));
    }
    let form = "payload=%7B%22a%22%3A+1%7D";
    let (is_verified, said) = told(&["--secret", "x"], &headers_of(SchemePreset::ErudikaPara, "x", JSON), form);
    assert_eq!((is_verified, said.as_str()), (true, "verified: erudika-para-form\n"));
}

#[test]
fn without_a_style_the_closest_one_speaks() {
    let standard = headers_of(SchemePreset::Standard, WHSEC, JSON);
    for (options, body, words) in [
        (&["--secret", WHSEC, "--at", "1700000000"][..], JSON, "standard or para: `webhook-timestamp` is "),
        (&["--secret", WHSEC], r#"{"a":1}"#, "over the same JSON re-serialised"),
        (&["--secret", OTHER, "--old-secret", WHSEC], JSON, "cause: the signature was made with old secret 1\n"),
        (&["--secret", OTHER], JSON, "standard or para: no signature matches"),
    ] {
        let (is_verified, said) = told(options, &standard, body);
        assert!(!is_verified && said.contains(words), "{said}");
    }
    let slack = headers_of(SchemePreset::Slack, "x", JSON);
    let (_, said) = told(&["--secret", "y"], &slack, JSON);
    assert!(said.starts_with("refused: not a right webhook of slack: no signature matches"), "{said}");
    let (_, said) = told(&["--secret", "y"], &["-H".to_owned(), "host: h".to_owned()], JSON);
    assert!(said.starts_with("refused: these are the headers of no style known here"), "{said}");
}

#[test]
fn secret_of_no_use_is_told_and_not_repeated() {
    let headers = headers_of(SchemePreset::Standard, WHSEC, JSON);
    let (is_verified, said) = told(&["--style", "standard", "--secret", "hush"], &headers, JSON);
    assert!(!is_verified && said.contains("secret: secret 1 must start with `whsec_`"), "{said}");
    assert!(said.contains("`whsec_` and base64") && !said.contains("hush"), "{said}");
    assert!(!said.contains("cause:"), "{said}");
}

#[test]
fn form_that_is_none_is_told_by_what_was_signed() {
    let headers = headers_of(SchemePreset::ErudikaPara, "x", JSON);
    let options = ["--style", "erudika-para-form", "--secret", "x"];
    let (is_verified, said) = told(&options, &headers, JSON);
    assert!(!is_verified && said.contains("over the body as it is, which is no form"), "{said}");
    assert!(said.contains("--style erudika-para\n"), "{said}");
    let (_, said) = told(&options, &headers, "payload=1&payload=2");
    assert!(said.contains("more than one field `payload`"), "{said}");
}

#[test]
fn signed_url_is_asked_for() {
    let scheme = tempfile::NamedTempFile::new().unwrap();
    let json = r#"{"signed": [{"variable": "SIGNATURE_VARIABLE_URL"}, {"literal": "\n"},
                              {"variable": "SIGNATURE_VARIABLE_BODY"}],
        "algorithm": "SIGNATURE_ALGORITHM_HMAC_SHA256", "keyForm": "KEY_FORM_TEXT",
        "encoding": "SIGNATURE_ENCODING_HEX",
        "headers": [{"name": "x-sig", "value": [{"variable": "SIGNATURE_VARIABLE_SIGNATURE"}]}]}"#;
    std::fs::write(scheme.path(), json).unwrap();
    let options = ["--scheme", scheme.path().to_str().unwrap(), "--secret", "x"];
    let (_, said) = told(&options, &["-H".to_owned(), "x-sig: 00".to_owned()], JSON);
    assert!(said.contains("the URL is signed") && said.contains("--url"), "{said}");
}

#[test]
fn missing_header_is_told_with_all_that_there_should_be() {
    let mut headers = headers_of(SchemePreset::Standard, WHSEC, JSON);
    headers.truncate(2);
    let (_, said) = told(&["--style", "standard", "--secret", WHSEC], &headers, JSON);
    assert!(said.contains("once: webhook-id, webhook-timestamp, webhook-signature;"), "{said}");
}

#[test]
fn what_is_wrong_besides_the_time_is_told_with_what_to_do_about_it() {
    let mut headers = headers_of(SchemePreset::Standard, WHSEC, JSON);
    headers.iter_mut().for_each(|header| *header = header.replace(": v1,", ": v2,"));
    let options = ["--style", "standard", "--tolerance", "9", "--secret", WHSEC];
    let (_, said) = told(&options, &headers, JSON);
    assert!(said.contains("cause: not only the time is wrong: `webhook-signature` has no signature that"), "{said}");
    assert!(said.contains("what to do: compare the header with what the sender sent"), "{said}");
}

#[test]
fn times_may_be_as_far_apart_as_was_asked_for() {
    let headers = headers_of(SchemePreset::Standard, WHSEC, JSON);
    let options = ["--style", "standard", "--secret", WHSEC];
    assert!(told(&[&options[..], &["--tolerance", "10"]].concat(), &headers, JSON).0);
    let (is_verified, said) = told(&[&options[..], &["--tolerance", "9"]].concat(), &headers, JSON);
    assert!(!is_verified && said.contains("only the time is not") && said.contains("--at"), "{said}");
    let at = (SECS - 13).to_string();
    let (is_verified, said) = told(&[&options[..], &["--at", &at]].concat(), &headers, JSON);
    assert!(is_verified && said.contains("signed 3 s ahead"), "{said}");
}

#[test]
fn style_and_scheme_exclude_each_other_and_there_have_to_be_headers() {
    let refused = |options: &[&str]| {
        Cli::try_parse_from([&["verify", "--secret", "x"], options].concat()).err().map(|error| error.to_string())
    };
    let both = refused(&["--style", "parra", "--scheme", "f", "-H", "a: b", "body"]).unwrap();
    assert!(both.contains("--scheme") && both.contains("cannot be used with"), "{both}");
    assert!(refused(&["body"]).unwrap().contains("--headers"));
    assert!(refused(&["--headers", "f", "body"]).is_none());
}
