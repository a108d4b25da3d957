use super::{
    super::{
        KeyForm, SchemePreset,
        parcel::{KEY, OTHER_KEY, SEED, message},
    },
    *,
};

const BODY: &[u8] = br#"{"test": 2432232314}"#;
const WITH_KEY: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const WITH_OTHER: &str = "v1,O4Gjv1HqPqsMrjmczoggs/sWA8gZD0VyHG+fLh4+ktI=";
const WITH_SEED: &str = "v1a,yoUrgEkc12aGqm0n4Sydmdz55xJfTz4AsAgieHFjmkR7LJtqVCZOQYzvvHjI5kAey+r4iaBGxTFRrl2iBQxtDQ==";

fn secret(text: &str, form: KeyForm) -> Secret {
    Secret::parse(text, form).unwrap()
}

fn standard(secrets: &[&str]) -> String {
    let secrets: Vec<Secret> = secrets.iter().map(|text| secret(text, KeyForm::Base64)).collect();
    let secrets: Vec<&Secret> = secrets.iter().collect();
    let signer = Signer { scheme: SchemePreset::Standard.scheme(), secrets: &secrets };
    // Whole seconds are signed, rounded down.
    let timestamp = Timestamp::from_micros(1_614_265_330_999_999);
    let mut signed = sign(&[signer], &Message { timestamp, ..message(BODY) }).into_iter();
    let mut next = || signed.next().map(|header| (header.name, header.value)).unwrap();
    assert_eq!(next(), ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()));
    assert_eq!(next(), ("webhook-timestamp", "1614265330".to_owned()));
    next().1
}

#[test]
fn every_secret_signs_in_the_order_given() {
    assert_eq!(standard(&[KEY]), WITH_KEY);
    assert_eq!(standard(&[KEY, OTHER_KEY]), format!("{WITH_KEY} {WITH_OTHER}"));
    assert_eq!(standard(&[OTHER_KEY, KEY]), format!("{WITH_OTHER} {WITH_KEY}"));
    assert_eq!(standard(&[]), "");
}

#[test]
fn secrets_of_another_form_are_passed_over() {
    let (text, key) = (secret(KEY, KeyForm::Text), secret(KEY, KeyForm::Base64));
    let signer = Signer { scheme: SchemePreset::Standard.scheme(), secrets: &[&text, &key] };
    assert_eq!(sign(&[signer], &message(BODY))[2].value, WITH_KEY);
}

#[test]
fn where_one_signature_stands_the_first_secret_signs() {
    let (one, other) = (secret("one", KeyForm::Text), secret("other", KeyForm::Text));
    let scheme = SchemePreset::GitHub.scheme();
    let signed = |secrets: &[&Secret]| sign(&[Signer { scheme, secrets }], &message(BODY)).remove(0).value;
    assert_eq!(signed(&[&one, &other]), signed(&[&one]));
    assert_ne!(signed(&[&one, &other]), signed(&[&other]));
}

#[test]
fn several_signatures_of_stripe_follow_one_time() {
    let (one, other) = (secret("one", KeyForm::Text), secret("other", KeyForm::Text));
    let scheme = SchemePreset::Stripe.scheme();
    let signed = |secrets: &[&Secret]| sign(&[Signer { scheme, secrets }], &message(BODY)).remove(0).value;
    let (first, second) = (signed(&[&one]), signed(&[&other]));
    assert_eq!(signed(&[&one, &other]), first + second.strip_prefix("t=1614265330").unwrap());
}

#[test]
fn schemes_share_equal_headers_and_join_their_signatures() {
    let (key, seed) = (secret(KEY, KeyForm::Base64), secret(SEED, KeyForm::Ed25519Seed));
    let schemes = [SchemePreset::Standard.scheme(), SchemePreset::StandardEd25519.scheme()];
    let signers = [Signer { scheme: schemes[0], secrets: &[&key] }, Signer { scheme: schemes[1], secrets: &[&seed] }];
    let signed = sign(&signers, &message(BODY));
    let names: Vec<_> = signed.iter().map(|header| header.name).collect();
    assert_eq!(names, ["webhook-id", "webhook-timestamp", "webhook-signature"]);
    assert_eq!(signed[2].value, format!("{WITH_KEY} {WITH_SEED}"));
    assert_eq!(schemes_conflict(&schemes), []);

    let without = [Signer { scheme: schemes[0], secrets: &[] }, signers[1]];
    assert_eq!(sign(&without, &message(BODY))[2].value, WITH_SEED);
    let without = [signers[0], Signer { scheme: schemes[1], secrets: &[] }];
    assert_eq!(sign(&without, &message(BODY))[2].value, WITH_KEY);
}

#[test]
fn schemes_with_headers_of_their_own_stand_side_by_side() {
    let (key, text) = (secret(KEY, KeyForm::Base64), secret("secret", KeyForm::Text));
    let schemes = [SchemePreset::Standard.scheme(), SchemePreset::PartyLayer.scheme()];
    let signers = [Signer { scheme: schemes[0], secrets: &[&key] }, Signer { scheme: schemes[1], secrets: &[&text] }];
    let both = sign(&signers, &message(BODY));
    assert_eq!(both, [sign(&signers[..1], &message(BODY)), sign(&signers[1..], &message(BODY))].concat());
    assert_eq!(schemes_conflict(&schemes), []);
}

#[test]
fn schemes_that_want_one_header_for_two_things_conflict() {
    let conflicts = |schemes: &[&SignatureScheme]| {
        schemes_conflict(schemes).into_iter().map(|violation| violation.path).collect::<Vec<_>>()
    };
    let (standard, para) = (SchemePreset::Standard.scheme(), SchemePreset::ParaTimestampBody.scheme());
    assert_eq!(conflicts(&[standard, para]), ["schemes[1].headers[2].name"]);
    assert_eq!(conflicts(&[para, standard]), ["schemes[1].headers[2].name"]);
    // Each carries one signature: there is no place for the other's.
    assert_eq!(conflicts(&[para, para]), ["schemes[1].headers[2].name"]);

    let mut definition = SchemePreset::Slack.scheme().definition().clone();
    definition.headers[1].name = "WEBHOOK-ID".to_owned();
    let renamed = SignatureScheme::new(definition).unwrap();
    assert_eq!(conflicts(&[standard, &renamed]), ["schemes[1].headers[1].name"]);

    let mut definition = standard.definition().clone();
    definition.signature_separator = Some(", ".to_owned());
    let separated = SignatureScheme::new(definition).unwrap();
    assert_eq!(conflicts(&[standard, &separated]), ["schemes[1].headers[2].name"]);
}
