mod bodies;

use proptest::prelude::*;

use super::{
    super::{
        DEFAULT_TOLERANCE, KeyForm, Message, Secret, SecretError, Signer,
        parcel::{KEY, NOW, OTHER_KEY, Parcel, SEED, URL, message},
    },
    *,
};

const BODY: &[u8] = r#"{"n": 1.0, "who": "Zoë/\u2019<&>😀", "none": [], "some": [1, {}]}"#.as_bytes();

/// What is said of a parcel to a receiver with these secrets.
fn told(preset: SchemePreset, secrets: &[&str], old_secrets: &[&str], parcel: &Parcel) -> Explanation {
    let header = |name: &str| parcel.value(name);
    let received = Received { header: &header, body: &parcel.body, url: Some(URL) };
    let scheme = preset.scheme();
    explain(&Case { scheme, secrets, old_secrets, received, now: NOW, tolerance: DEFAULT_TOLERANCE })
}

fn cause(preset: SchemePreset, secret: &str, parcel: &Parcel) -> Option<Cause> {
    match told(preset, &[secret], &[], parcel) {
        Explanation::Refused { cause, .. } => cause,
        Explanation::Verified { .. } => panic!("it verifies"),
    }
}

/// A parcel by a changed preset: what a sender makes who has something wrong.
fn by_changed(preset: SchemePreset, key: Given<'_>, change: impl FnOnce(&mut SchemeDefinition)) -> Parcel {
    let mut definition = preset.scheme().definition().clone();
    change(&mut definition);
    definition.key_form = key.form;
    let scheme = SignatureScheme::new(definition).unwrap();
    Parcel::by(&scheme, &Secret::parse(key.text, key.form).unwrap(), &message(BODY))
}

struct Given<'a> {
    text: &'a str,
    form: KeyForm,
}

fn text(text: &str) -> Given<'_> {
    Given { text, form: KeyForm::Text }
}

fn base64(text: &str) -> Given<'_> {
    Given { text, form: KeyForm::Base64 }
}

fn as_it_is(_: &mut SchemeDefinition) {}

/// The same signature over another body: what a receiver has who lost the bytes that were signed.
fn over(preset: SchemePreset, secret: &str, signed: &[u8], got: &[u8]) -> Parcel {
    Parcel::of(preset, secret, signed).with_body(got)
}

/// None of the known mistakes: one of the variables that the preset signs is another one.
fn unknown(preset: SchemePreset) -> Cause {
    let variable = |part: &Part| match part {
        Part::Variable(variable) => Some(*variable),
        Part::Literal(_) => None,
    };
    Cause::Unknown(preset.scheme().definition().signed.iter().filter_map(variable).collect())
}

#[test]
fn good_message_is_verified_by_the_secret_as_it_was_given() {
    let parcel = Parcel::of(SchemePreset::Standard, KEY, BODY);
    let explanation = told(SchemePreset::Standard, &["not readable", OTHER_KEY, KEY], &[], &parcel);
    assert_eq!(explanation, Explanation::Verified { secret_index: 2 });
}

#[test]
fn stale_message_with_a_right_signature_is_stale() {
    for (preset, secret) in
        [(SchemePreset::Standard, KEY), (SchemePreset::Stripe, "secret"), (SchemePreset::Slack, "s")]
    {
        let secret_read = Secret::parse(secret, preset.scheme().definition().key_form).unwrap();
        let late = Message { timestamp: NOW.minus(Duration::from_secs(301)), ..message(BODY) };
        let parcel = Parcel::by(preset.scheme(), &secret_read, &late);
        let Explanation::Refused { error, cause } = told(preset, &[secret], &[], &parcel) else { panic!() };
        assert!(matches!(error, VerifyError::TooOld { .. }), "{error}");
        assert_eq!(cause, Some(Cause::Stale));
        let changed = parcel.with_body("other");
        assert_eq!(self::cause(preset, secret, &changed), Some(unknown(preset)));
    }
}

#[test]
fn what_is_wrong_besides_the_time_is_told_too() {
    let secret = Secret::parse(KEY, KeyForm::Base64).unwrap();
    let standard = SchemePreset::Standard;
    let late = Message { timestamp: NOW.minus(Duration::from_secs(301)), ..message(BODY) };
    let parcel = Parcel::by(standard.scheme(), &secret, &late);
    let other_version = parcel.value("webhook-signature").unwrap().replace("v1,", "v2,");
    let told = |signature: &str| match told(standard, &[KEY], &[], &parcel.clone().with("webhook-signature", signature))
    {
        Explanation::Refused { error: VerifyError::TooOld { .. }, cause: Some(Cause::Besides(error)) } => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(told("v1,"), VerifyError::MalformedSignature { .. }));
    assert!(matches!(told(&other_version), VerifyError::UnknownVersion { .. }));
}

#[test]
fn secrets_that_cannot_be_read_are_what_is_wrong() {
    let parcel = Parcel::of(SchemePreset::Standard, KEY, BODY);
    let Explanation::Refused { error, cause } = told(SchemePreset::Standard, &["whsec_c2VjcmV0", "x"], &[], &parcel)
    else {
        panic!("it verifies")
    };
    let short = Secret::parse("whsec_c2VjcmV0", KeyForm::Base64).unwrap_err();
    assert_eq!(error, VerifyError::NoSecret);
    assert_eq!(cause, Some(Cause::UnreadableSecret { index: 0, error: short }));
    // Where a secret can be read, it is not that.
    assert_eq!(self::cause(SchemePreset::Standard, OTHER_KEY, &parcel), Some(unknown(SchemePreset::Standard)));
    // Nothing was given, which the error says.
    let none = told(SchemePreset::Standard, &[], &[], &parcel);
    assert_eq!(none, Explanation::Refused { error: VerifyError::NoSecret, cause: None });
}

#[test]
fn short_key_that_signed_is_recognised() {
    let standard = SchemePreset::Standard;
    let short = by_changed(standard, text("secret"), as_it_is);
    assert_eq!(cause(standard, "whsec_c2VjcmV0", &short), Some(Cause::Key(KeyReading::OtherLength)));
}

/// All that Standard Webhooks ask for is there, so it is of no use to be told what else has these headers.
#[test]
fn headers_of_the_scheme_itself_are_not_taken_for_those_of_another() {
    let parcel = Parcel::of(SchemePreset::ParaTimestampBody, OTHER_KEY, BODY);
    let told = cause(SchemePreset::ParaTimestampBodyDecoded, "x", &parcel);
    assert!(matches!(told, Some(Cause::UnreadableSecret { index: 0, .. })), "{told:?}");
}

#[test]
fn secret_read_otherwise_is_recognised() {
    let standard = SchemePreset::Standard;
    let whole = by_changed(standard, text(KEY), as_it_is);
    assert_eq!(cause(standard, KEY, &whole), Some(Cause::Key(KeyReading::Whole)));
    let bare = by_changed(standard, text(&KEY["whsec_".len()..]), as_it_is);
    assert_eq!(cause(standard, KEY, &bare), Some(Cause::Key(KeyReading::WithoutPrefix)));
    let right = by_changed(standard, base64(KEY), as_it_is);
    assert_eq!(cause(standard, &KEY["whsec_".len()..], &right), Some(Cause::Key(KeyReading::WithPrefix)));
    assert_eq!(cause(standard, &format!("{KEY}\n"), &right), Some(Cause::Key(KeyReading::Trimmed)));

    let partylayer = SchemePreset::PartyLayer;
    let decoded = by_changed(partylayer, base64(KEY), as_it_is);
    assert_eq!(cause(partylayer, KEY, &decoded), Some(Cause::Key(KeyReading::Decoded)));
    let bare = by_changed(partylayer, text("party"), as_it_is);
    assert_eq!(cause(partylayer, "whsec_party", &bare), Some(Cause::Key(KeyReading::WithoutPrefix)));
    assert_eq!(cause(partylayer, " party", &bare), Some(Cause::Key(KeyReading::Trimmed)));
    let full = by_changed(partylayer, text("whsec_party"), as_it_is);
    assert_eq!(cause(partylayer, "party", &full), Some(Cause::Key(KeyReading::WithPrefix)));
    let line = by_changed(partylayer, text("party\n"), as_it_is);
    assert_eq!(cause(partylayer, "party", &line), Some(Cause::Key(KeyReading::WithLineEnd)));
}

#[test]
fn para_with_the_other_reading_of_its_key_is_that_before_it_is_another_scheme() {
    let parcel = Parcel::of(SchemePreset::ParaTimestampBody, KEY, BODY);
    let told = cause(SchemePreset::ParaTimestampBodyDecoded, KEY, &parcel);
    assert_eq!(told, Some(Cause::Key(KeyReading::Whole)));
}

#[test]
fn prefix_that_is_missing_or_left_in_is_named() {
    let prefix = |preset, secret, expected: &str, found: &'static str| {
        let key = Given { text: secret, form: preset_form(preset) };
        let parcel = by_changed(preset, key, |it| it.signature_prefix = found.to_owned());
        let named = Cause::SignaturePrefix { expected: expected.to_owned(), found };
        assert_eq!(cause(preset, secret, &parcel), Some(named));
    };
    prefix(SchemePreset::Standard, KEY, "v1,", "");
    prefix(SchemePreset::StandardEd25519, SEED, "v1a,", "v1,");
    prefix(SchemePreset::GitHub, "secret", "sha256=", "");
    prefix(SchemePreset::Parra, "secret", "", "sha256=");
    prefix(SchemePreset::Slack, "secret", "v0=", "v1=");
}

fn preset_form(preset: SchemePreset) -> KeyForm {
    preset.scheme().definition().key_form
}

#[test]
fn old_secret_is_recognised() {
    let parcel = Parcel::of(SchemePreset::Standard, KEY, BODY);
    let Explanation::Refused { error, cause } = told(SchemePreset::Standard, &[OTHER_KEY], &["x", KEY], &parcel) else {
        panic!("it verifies")
    };
    assert_eq!((error, cause), (VerifyError::Mismatch, Some(Cause::OldSecret { index: 1 })));
}

#[test]
fn what_was_left_out_of_what_is_signed_is_named() {
    let (id, time) = (Variable::Id, Variable::Timestamp);
    let body = || Part::from(Variable::Body);
    let signed_as = |preset, secret: Given<'_>, parts: Vec<Part>| {
        let given = secret.text.to_owned();
        let parcel = by_changed(preset, secret, |it| it.signed = parts);
        cause(preset, &given, &parcel)
    };
    let left_out = |parts: &[Part]| Some(Cause::NotSigned(parts.to_vec()));
    let standard = |parts| signed_as(SchemePreset::Standard, base64(KEY), parts);
    assert_eq!(standard(vec![id.into(), ".".into(), body()]), left_out(&[time.into(), ".".into()]));
    assert_eq!(standard(vec![time.into(), ".".into(), body()]), left_out(&[id.into(), ".".into()]));
    assert_eq!(standard(vec![body()]), left_out(&[id.into(), ".".into(), time.into(), ".".into()]));
    let slack = |parts| signed_as(SchemePreset::Slack, text("secret"), parts);
    assert_eq!(slack(vec!["v0:".into(), body()]), left_out(&[time.into(), ":".into()]));
    assert_eq!(slack(vec![time.into(), ":".into(), body()]), left_out(&["v0:".into()]));
    assert_eq!(slack(vec![body()]), left_out(&["v0:".into(), time.into(), ":".into()]));
}

#[test]
fn literal_left_out_of_what_is_signed_is_named() {
    let mut definition = SchemePreset::Parra.scheme().definition().clone();
    definition.signed.insert(0, "v0:".into());
    let scheme = &SignatureScheme::new(definition).unwrap();
    let parcel = Parcel::of(SchemePreset::Parra, "secret", BODY);
    let header = |name: &str| parcel.value(name);
    let received = Received { header: &header, body: BODY, url: None };
    let case =
        Case { scheme, secrets: &["secret"], old_secrets: &[], received, now: NOW, tolerance: DEFAULT_TOLERANCE };
    let Explanation::Refused { cause: Some(cause), .. } = explain(&case) else { panic!("it has no cause") };
    assert_eq!(cause, Cause::NotSigned(vec!["v0:".into()]));
    assert!(cause.to_string().ends_with("without `v0:`"), "{cause}");
}

#[test]
fn other_encoding_is_recognised() {
    let hex = by_changed(SchemePreset::Standard, base64(KEY), |it| it.encoding = Encoding::Hex);
    assert_eq!(cause(SchemePreset::Standard, KEY, &hex), Some(Cause::Encoding(Encoding::Hex)));
    let other = by_changed(SchemePreset::GitHub, text("secret"), |it| it.encoding = Encoding::Base64);
    assert_eq!(cause(SchemePreset::GitHub, "secret", &other), Some(Cause::Encoding(Encoding::Base64)));
}

#[test]
fn right_message_of_every_other_preset_is_recognised() {
    for preset in SchemePreset::ALL {
        let secret = match preset_form(preset) {
            KeyForm::Text | KeyForm::Base64 => KEY,
            KeyForm::Ed25519Seed => SEED,
        };
        let parcel = Parcel::of(preset, secret, BODY);
        let asked = if preset == SchemePreset::Standard { SchemePreset::Stripe } else { SchemePreset::Standard };
        assert_eq!(cause(asked, secret, &parcel), Some(Cause::OtherScheme(preset)));
    }
}

#[test]
fn headers_of_another_preset_are_recognised_without_its_secret() {
    for preset in [SchemePreset::GitHub, SchemePreset::Stripe, SchemePreset::Slack, SchemePreset::Shopify] {
        let parcel = Parcel::of(preset, "secret", BODY);
        assert_eq!(cause(SchemePreset::Standard, KEY, &parcel), Some(Cause::LooksLike(preset)));
    }
}

#[test]
fn what_cannot_be_told_is_said_not_to_be_known() {
    let parcel = Parcel::of(SchemePreset::Standard, KEY, BODY);
    assert_eq!(cause(SchemePreset::Standard, OTHER_KEY, &parcel), Some(unknown(SchemePreset::Standard)));
    let changed = parcel.clone().with_body("{}");
    assert_eq!(cause(SchemePreset::Standard, KEY, &changed), Some(unknown(SchemePreset::Standard)));
    // Here the error says it all.
    assert_eq!(cause(SchemePreset::Standard, KEY, &parcel.with("webhook-id", "")), None);
}

#[test]
fn secrets_of_several_schemes_do_not_disturb_one_another() {
    let seed = Secret::parse(SEED, KeyForm::Ed25519Seed).unwrap();
    let key = Secret::parse(KEY, KeyForm::Base64).unwrap();
    let signers = [
        Signer { scheme: SchemePreset::Standard.scheme(), secrets: &[&key] },
        Signer { scheme: SchemePreset::StandardEd25519.scheme(), secrets: &[&seed] },
    ];
    let parcel = Parcel::signed(&signers, &message(BODY));
    let told = told(SchemePreset::StandardEd25519, &[KEY, SEED], &[], &parcel);
    assert_eq!(told, Explanation::Verified { secret_index: 1 });
}

#[test]
fn every_cause_is_a_sentence_of_its_own() {
    let change = BodyChange::Reserialised { layout: Layout::Compact, strings: Strings::Ascii };
    let of_prefix = |expected: &str, found| Cause::SignaturePrefix { expected: expected.to_owned(), found };
    let sentences = [
        (Cause::Stale, "only the time"),
        (Cause::Key(KeyReading::Whole), "made with the secret as it stands"),
        (of_prefix("v1,", ""), "`v1,` does not stand before it"),
        (of_prefix("", "v1,"), "but `v1,` stands before it"),
        (of_prefix("v1=", "v0="), "`v0=` stands before it, not `v1=`"),
        (Cause::Body(change), "over the same JSON re-serialised, without white space, with all but ASCII escaped"),
        (Cause::OldSecret { index: 3 }, "old secret 3"),
        (Cause::NotSigned(vec![Variable::Id.into(), ".".into()]), "made without `{ID}.`"),
        (Cause::Encoding(Encoding::Hex), "hexadecimal, not base64"),
        (Cause::OtherScheme(SchemePreset::Stripe), "right signature of the scheme `stripe`"),
        (Cause::LooksLike(SchemePreset::GitHub), "has the headers of the scheme `github`"),
        (Cause::Key(KeyReading::OtherLength), "24 to 64 bytes"),
        (Cause::Body(BodyChange::Restringified), "JSON.stringify"),
        (
            Cause::UnreadableSecret { index: 1, error: SecretError("is empty".to_owned()) },
            "none of the secrets can be read; secret 1 is empty",
        ),
        (Cause::Besides(VerifyError::Mismatch), "not only the time is wrong: no signature matches"),
        (unknown(SchemePreset::Parra), "the secret or the body is another one"),
        (unknown(SchemePreset::Standard), "the secret, the id, the timestamp or the body is another one"),
        (Cause::Unknown(vec![Variable::Url, Variable::Body]), "the secret, the URL or the body is another one"),
    ];
    for (cause, words) in sentences {
        assert!(cause.to_string().contains(words), "{cause}");
    }
}

proptest! {
    #[test]
    fn nothing_is_explained_with_a_panic(
        signature in "(v1,)?[A-Za-z0-9+/=]{0,64}", secret in "(whsec_)?.{0,40}", body in r#"[\[\]{}",:\\u0-9a\r\n é]{0,40}"#,
    ) {
        let parcel = Parcel::of(SchemePreset::Standard, KEY, BODY).with("webhook-signature", &signature).with_body(body);
        for preset in SchemePreset::ALL {
            let is_refused = matches!(told(preset, &[&secret], &[&secret], &parcel), Explanation::Refused { .. });
            prop_assert!(is_refused);
        }
    }
}
