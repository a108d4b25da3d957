use clap::Parser;

use super::*;

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: SignArgs,
}

struct Printed {
    out: String,
    err: String,
}

fn printed(options: &[&str], body: &str) -> Result<Printed, SignError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), body).unwrap();
    let args = Cli::parse_from([&["sign"], options, &[file.path().to_str().unwrap()]].concat()).args;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let clock = Clock::manual(Timestamp::from_micros(1_614_265_330_000_000));
    print(&args, &clock, &mut out, &mut err)?;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ok(Printed { out: text(out), err: text(err) })
}

fn refused_by_parser(options: &[&str]) -> String {
    let Err(error) = Cli::try_parse_from([&["sign", "--secret", WHSEC], options].concat()) else {
        panic!("{options:?}")
    };
    error.to_string()
}

/// The reference libraries' message.
#[test]
fn headers_are_those_that_a_sender_sends() {
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    let options = ["--secret", WHSEC, "--id", id, "--event-type", "user.created", "--timestamp", "1614265330"];
    let printed = printed(&options, r#"{"test": 2432232314}"#).unwrap();
    assert_eq!(
        printed.out,
        "content-type: application/json\ntidings-event-type: user.created\n\
         webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\nwebhook-timestamp: 1614265330\n\
         webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\n"
    );
    assert_eq!(printed.err, "");
}

#[test]
fn id_is_new_each_time_and_the_time_is_now() {
    let [one, other] = [(); 2].map(|()| printed(&["--secret", WHSEC], "text").unwrap().out);
    assert_ne!(one, other);
    assert!(one.contains("\nwebhook-id: evt_") && one.starts_with("content-type: application/octet-stream\n"), "{one}");
    assert!(one.contains("\nwebhook-timestamp: 1614265330\n"), "{one}");
}

#[test]
fn both_secrets_of_a_rotation_and_all_schemes_sign() {
    let standard = format!("standard={WHSEC},whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let options = ["--style", "standard", "--style", "parra", "--secret", &standard, "--secret", "parra=x"];
    let out = printed(&options, "{}").unwrap().out;
    let signatures = out.lines().find_map(|line| line.strip_prefix("webhook-signature: ")).unwrap();
    assert_eq!(signatures.split(' ').count(), 2);
    assert!(out.lines().last().unwrap().starts_with("parra-signature: "), "{out}");
}

#[test]
fn json_of_a_form_is_signed_and_the_command_makes_the_form() {
    let options = ["--style", "erudika-para-form", "--secret", "hush", "--event-type", "user.create"];
    let curl = [&options[..], &["--header-format", "curl", "--url", "http://127.0.0.1:8080"]].concat();
    let Printed { out, .. } = printed(&curl, "{}").unwrap();
    assert!(out.contains("'content-type: application/x-www-form-urlencoded'"), "{out}");
    assert!(out.contains("'X-Para-Event: create'") && out.contains("--data-urlencode 'payload@"), "{out}");
    assert!(out.ends_with(" \\\n  'http://127.0.0.1:8080/'\n") && !out.contains("hush"), "{out}");
    assert!(matches!(printed(&options, "payload=%7B%7D"), Err(SignError::Body { error: BodyError::InvalidJson, .. })));
}

#[test]
fn body_that_its_receivers_would_write_otherwise_is_noted() {
    let options = ["--style", "partylayer", "--secret", "x"];
    assert_eq!(printed(&options, r#"{"a":1}"#).unwrap().err, "");
    assert!(printed(&options, r#"{"a": 1.0}"#).unwrap().err.starts_with("note: "));
}

#[test]
fn url_is_needed_where_it_is_signed_or_sent_to() {
    let scheme = tempfile::NamedTempFile::new().unwrap();
    let json = r#"{"signed": [{"variable": "SIGNATURE_VARIABLE_URL"}, {"literal": "\n"},
                              {"variable": "SIGNATURE_VARIABLE_BODY"}],
        "algorithm": "SIGNATURE_ALGORITHM_HMAC_SHA256", "keyForm": "KEY_FORM_TEXT",
        "encoding": "SIGNATURE_ENCODING_HEX",
        "headers": [{"name": "x-sig", "value": [{"variable": "SIGNATURE_VARIABLE_SIGNATURE"}]}]}"#;
    std::fs::write(scheme.path(), json).unwrap();
    let options = ["--scheme", scheme.path().to_str().unwrap(), "--secret", "x"];
    assert!(matches!(printed(&options, "{}"), Err(SignError::Url(_))));
    let one = printed(&[&options[..], &["--url", "https://example.com"]].concat(), "{}").unwrap().out;
    let other = printed(&[&options[..], &["--url", "https://example.com/a"]].concat(), "{}").unwrap().out;
    assert_ne!(one, other);
    assert!(refused_by_parser(&["--header-format", "curl", "f"]).contains("--url"));
}

#[test]
fn what_no_sender_would_send_is_refused() {
    for options in [
        ["--id", "a.b", "f"],
        ["--id", "", "f"],
        ["--event-type", "a..b", "f"],
        ["--timestamp=-1", "f", "g"],
        ["--timestamp", "1000000000000", "f"],
        ["--url", "not a url", "f"],
    ] {
        let option = options[0].split('=').next().unwrap();
        assert!(refused_by_parser(&options).contains(&format!("for '{option} ")), "{options:?}");
    }
    let args = Cli::parse_from(["sign", "--secret", WHSEC, "--header-format", "curl", "--url", "http://h", "-"]).args;
    let refused = print(&args, &Clock::system(), &mut Vec::new(), &mut Vec::new());
    assert!(matches!(refused, Err(SignError::StdinTwice)));
}
