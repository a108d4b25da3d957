use proptest::prelude::*;

use super::*;

const FORMS: [KeyForm; 3] = [KeyForm::Text, KeyForm::Base64, KeyForm::Ed25519Seed];

fn encoded(bytes: usize) -> String {
    format!("whsec_{}", STANDARD.encode(vec![0xab; bytes]))
}

fn key_bytes(secret: &Secret) -> Vec<u8> {
    match secret.key() {
        Key::Bytes(bytes) => bytes.to_vec(),
        Key::Seed(key) => key.to_bytes().to_vec(),
    }
}

#[test]
fn base64_keys_of_24_to_64_bytes_are_read() {
    for bytes in [24, 25, 32, 63, 64] {
        let text = encoded(bytes);
        let secret = Secret::parse(&text, KeyForm::Base64).unwrap();
        assert_eq!((secret.expose(), secret.form()), (text.as_str(), KeyForm::Base64));
        assert_eq!(key_bytes(&secret), vec![0xab; bytes]);
    }
}

#[test]
fn texts_are_taken_as_they_are() {
    for text in ["x", " with space ", "whsec_not base64", "schlüssel\n", &"x".repeat(256)] {
        let secret = Secret::parse(text, KeyForm::Text).unwrap();
        assert_eq!((secret.expose(), secret.form()), (text, KeyForm::Text));
        assert_eq!(key_bytes(&secret), text.as_bytes());
    }
}

#[test]
fn seeds_have_a_public_key() {
    let text = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let secret = Secret::parse(text, KeyForm::Ed25519Seed).unwrap();
    assert_eq!(secret.form(), KeyForm::Ed25519Seed);
    assert_eq!(key_bytes(&secret), (0..32).collect::<Vec<u8>>());
    let public = secret.public_key().unwrap().to_string();
    assert_eq!(public, "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=");
    assert_eq!(Secret::generate(KeyForm::Base64).public_key(), None);
    assert_eq!(Secret::generate(KeyForm::Text).public_key(), None);
}

/// As Svix writes it.
#[test]
fn seed_may_be_followed_by_its_public_key() {
    let text = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let secret = Secret::parse(text, KeyForm::Ed25519Seed).unwrap();
    assert_eq!(secret.expose(), text);
    let bytes = STANDARD.decode(&text["whsk_".len()..]).unwrap();
    assert_eq!(key_bytes(&secret), bytes[..32]);
    let public = secret.public_key().unwrap();
    assert_eq!(public.as_bytes()[..], bytes[32..]);
    assert!(public.to_string().starts_with("whpk_1SiA4o9h"), "{public}");

    let mut wrong = bytes;
    wrong[63] ^= 1;
    let error = Secret::parse(&format!("whsk_{}", STANDARD.encode(wrong)), KeyForm::Ed25519Seed).unwrap_err();
    assert!(error.0.contains("not the one of its seed"), "{error}");
}

#[test]
fn everything_else_is_refused_for_its_own_reason_and_not_repeated() {
    let base64 = [
        (String::new(), "empty"),
        ("x".repeat(257), "256"),
        ("whsec_".to_owned(), "nothing after"),
        (encoded(23), "but is 23"),
        (encoded(65), "but is 65"),
        (encoded(32).replace("whsec_", ""), "must start"),
        (encoded(32).replace("whsec_", "WHSEC_"), "must start"),
        (encoded(32).replace("whsec_", "whpk_"), "public key"),
        (encoded(32).replace("whsec_", "whsk_"), "Ed25519"),
        (encoded(32).replace('=', ""), "base64"),
        (encoded(32).replace("q6ur", "q-_r"), "base64"),
        (encoded(32) + "\n", "base64"),
        (" ".to_owned() + &encoded(32), "must start"),
    ];
    let seed = [
        (String::new(), "empty"),
        (encoded(32), "HMAC key"),
        (encoded(32).replace("whsec_", "whpk_"), "public key"),
        (encoded(32).replace("whsec_", ""), "must start with `whsk_`"),
        (
            encoded(31).replace("whsec_", "whsk_"),
            "must be 32 bytes, or 64 with the public key, when decoded, but is 31",
        ),
        (encoded(33).replace("whsec_", "whsk_"), "but is 33"),
        (encoded(63).replace("whsec_", "whsk_"), "but is 63"),
        (encoded(65).replace("whsec_", "whsk_"), "but is 65"),
        (encoded(64).replace("whsec_", "whsk_"), "not the one of its seed"),
        ("whsk_".to_owned(), "nothing after"),
    ];
    let text = [
        (String::new(), "empty"),
        ("x".repeat(257), "256"),
        ("q6ur\0".to_owned(), "NUL"),
        (encoded(32).replace("whsec_", "whpk_"), "public key"),
    ];
    let of =
        |form, cases: Vec<(String, &'static str)>| cases.into_iter().map(move |(text, reason)| (form, text, reason));
    let cases = of(KeyForm::Base64, base64.into())
        .chain(of(KeyForm::Ed25519Seed, seed.into()))
        .chain(of(KeyForm::Text, text.into()));
    for (form, text, reason) in cases {
        let error = Secret::parse(&text, form).unwrap_err();
        assert!(error.0.contains(reason), "{form:?}: {error} lacks {reason}");
        assert!(!error.0.contains("q6ur"), "{error}");
    }
}

#[test]
fn generated_secrets_differ_and_can_be_read() {
    for form in FORMS {
        let (one, other) = (Secret::generate(form), Secret::generate(form));
        assert_ne!(one.expose(), other.expose());
        let read = Secret::parse(one.expose(), form).unwrap();
        assert_eq!(key_bytes(&read), key_bytes(&one));
        assert_eq!(read.weakness(), None);
    }
    let text = Secret::generate(KeyForm::Text);
    assert_eq!(text.expose().len(), 64);
    assert!(text.expose().bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(key_bytes(&Secret::generate(KeyForm::Base64)).len(), 32);
    assert!(Secret::generate(KeyForm::Ed25519Seed).expose().starts_with("whsk_"));
}

#[test]
fn short_texts_are_called_weak() {
    let weakness = |text: &str| Secret::parse(text, KeyForm::Text).unwrap().weakness();
    assert!(weakness(&"x".repeat(15)).is_some());
    assert_eq!(weakness(&"x".repeat(16)), None);
}

#[test]
fn debug_shows_nothing() {
    for form in FORMS {
        assert_eq!(format!("{:?}", Secret::generate(form)), "Secret(…)");
    }
}

#[test]
fn fingerprint_is_the_start_of_the_sha256_of_the_text() {
    let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", KeyForm::Base64).unwrap();
    assert_eq!(secret.fingerprint(), "96ad2ccd81462a76");
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "(whsec_|whsk_|whpk_)?.{0,90}") {
        for form in FORMS {
            if let Ok(secret) = Secret::parse(&text, form) {
                prop_assert_eq!(secret.expose(), &text);
                prop_assert!(!key_bytes(&secret).is_empty());
            }
        }
    }
}
