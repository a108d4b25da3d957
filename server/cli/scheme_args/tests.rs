use clap::Parser;

use super::*;
use crate::signing::{Secret, VerifyingKey};

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SEED: &str = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: SchemeArgs,
}

fn args(options: &[&str]) -> SchemeArgs {
    Cli::parse_from([&["test"], options].concat()).args
}

/// Names, and secrets by name.
fn read(options: &[&str]) -> Result<Vec<(String, Vec<String>)>, SchemeArgsError> {
    let read = args(options).read(Secret::parse)?;
    let shown = |keyed: Keyed<Secret>| {
        (keyed.name, keyed.keys.iter().map(|secret| secret.expose().to_owned()).collect::<Vec<_>>())
    };
    Ok(read.into_iter().map(shown).collect())
}

fn refused(options: &[&str]) -> String {
    read(options).unwrap_err().to_string()
}

fn owned(name: &str, secrets: &[&str]) -> (String, Vec<String>) {
    (name.to_owned(), secrets.iter().map(|&secret| secret.to_owned()).collect())
}

#[test]
fn without_a_style_it_is_standard() {
    assert_eq!(read(&["--secret", WHSEC]).unwrap(), [owned("standard", &[WHSEC])]);
}

#[test]
fn commas_separate_secrets_unless_they_may_be_any_text() {
    let both = format!("{WHSEC}, {OTHER}");
    assert_eq!(read(&["--secret", &both]).unwrap(), [owned("standard", &[WHSEC, OTHER])]);
    let parra = read(&["--style", "parra", "--secret", "a, b ", "--secret", "parra=c"]).unwrap();
    assert_eq!(parra, [owned("parra", &["a, b ", "parra=c"])]);
}

#[test]
fn secrets_of_several_schemes_are_named() {
    let secrets = format!("standard={WHSEC},{OTHER}\nparra=x=y");
    let several = ["--style", "standard", "--style", "parra", "--secret", &secrets, "--secret", "parra=z"];
    assert_eq!(read(&several).unwrap(), [owned("standard", &[WHSEC, OTHER]), owned("parra", &["x=y", "z"])]);
    let unnamed = refused(&["--style", "standard", "--style", "parra", "--secret", WHSEC]);
    assert!(unnamed.contains("NAME=SECRET") && unnamed.contains("`standard`, `parra`"), "{unnamed}");
    assert!(!unnamed.contains("MfKQ"), "{unnamed}");
    let named = format!("standard={WHSEC}");
    let missing = refused(&["--style", "standard", "--style", "parra", "--secret", &named]);
    assert!(missing.contains("no secret for `parra`"), "{missing}");
}

#[test]
fn file_is_called_by_its_name_and_stands_beside_styles() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/schemes/acme.json");
    let example = example.to_str().unwrap();
    assert_eq!(read(&["--scheme", example, "--secret", "a"]).unwrap(), [owned("acme", &["a"])]);
    let both = ["--scheme", example, "--style", "slack", "--secret", "acme=a", "--secret", "slack=b"];
    assert_eq!(read(&both).unwrap(), [owned("slack", &["b"]), owned("acme", &["a"])]);
    assert!(refused(&["--scheme", example, "--scheme", example, "--secret", "a"]).contains("`acme` is there twice"));
}

#[test]
fn unusable_secret_is_named_by_its_scheme_and_not_repeated() {
    let said = refused(&["--style", "para", "--secret", "whsec_hush"]);
    assert!(said.contains("the secret of `para` is not usable: it must be"), "{said}");
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn public_key_verifies_but_does_not_sign() {
    let public = Secret::parse(SEED, KeyForm::Ed25519Seed).unwrap().public_key().unwrap().to_string();
    let options = ["--style", "standard-ed25519", "--secret", &public];
    assert_eq!(args(&options).read(VerifyingKey::parse).unwrap().len(), 1);
    assert!(refused(&options).contains("which cannot sign"));
}

#[test]
fn schemes_that_no_message_can_have_at_once_are_refused() {
    let options = ["--style", "standard", "--style", "para-timestamp-body", "--secret", "x"];
    let said = refused(&options);
    assert!(
        said.contains("all of `standard`, `para-timestamp-body`:\n  `para-timestamp-body` and `standard` both set "),
        "{said}"
    );
}

#[test]
fn there_is_one_form_of_the_body() {
    let form = |styles: &[&str]| {
        let options: Vec<&str> = styles.iter().flat_map(|style| ["--style", style]).chain(["--secret", "x"]).collect();
        args(&options).body_form()
    };
    assert_eq!(form(&[]), BodyForm::AsIs);
    assert_eq!(form(&["parra", "partylayer"]), BodyForm::StableJson);
    assert_eq!(form(&["partylayer", "erudika-para-form"]), BodyForm::FormPayload);
}

#[test]
fn unknown_style_is_refused_with_those_that_are_known() {
    let Err(error) = Cli::try_parse_from(["test", "--style", "svix", "--secret", "x"]) else { panic!() };
    let said = error.to_string();
    assert!(StylePreset::ALL.iter().all(|style| said.contains(style.name())), "{said}");
}
