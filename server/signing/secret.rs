//! Signing secrets: read, made, kept out of sight, wiped.
//!
//! A secret keeps its text, which is what its owner was shown, and its key, so that nothing is decoded per signature.
//! Neither is ever shown by Debug or by an error.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::Rng as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";

/// The length of a key, in bytes, as Standard Webhooks has it.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The length of the keys made here, in bytes: that of an HMAC-SHA256.
const NEW_KEY_BYTES: usize = 32;

/// The longest text that is looked at, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// A signing secret. Its text never appears in Debug output and is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret {
    text: Zeroizing<String>,
    key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a secret was refused. Never repeats any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(pub String);

impl Secret {
    /// Reads a Standard Webhooks secret: `whsec_` and base64 (standard alphabet, padded) of 24 to 64 bytes.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let refused = |problem: &str| Err(SecretError(problem.to_owned()));
        if text.is_empty() {
            return refused("is empty");
        }
        if text.len() > TEXT_BYTES_MAX {
            return refused("is longer than 256 bytes");
        }
        if text.starts_with("whpk_") {
            return refused("is a public key (`whpk_`), which cannot sign; give a secret that starts with `whsec_`");
        }
        if text.starts_with("whsk_") {
            return refused("is an Ed25519 key (`whsk_`); give a secret that starts with `whsec_`");
        }
        let Some(encoded) = text.strip_prefix(PREFIX) else {
            return refused("must start with `whsec_`");
        };
        if encoded.is_empty() {
            return refused("has nothing after `whsec_`");
        }
        let Ok(key) = STANDARD.decode(encoded).map(Zeroizing::new) else {
            return refused("must be base64 (standard alphabet, with padding) after `whsec_`");
        };
        if !KEY_BYTES.contains(&key.len()) {
            return Err(SecretError(format!("must be 24 to 64 bytes when decoded, but is {}", key.len())));
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()), key })
    }

    /// Makes a new secret of 32 random bytes.
    pub fn generate() -> Self {
        let mut key = Zeroizing::new(vec![0; NEW_KEY_BYTES]);
        rand::rng().fill_bytes(&mut key);
        // Of the final length from the start: growing would leave a copy behind that nobody wipes.
        let mut text = Zeroizing::new(String::with_capacity(TEXT_BYTES_MAX));
        text.push_str(PREFIX);
        STANDARD.encode_string(&*key, &mut text);
        Self { text, key }
    }

    /// The secret as its owner was shown it. For sealing and for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The first 16 hexadecimal digits of the SHA-256 of the secret's text.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.text.as_bytes());
        digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The key that signs; 24 to 64 bytes.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(bytes: usize) -> String {
        format!("whsec_{}", STANDARD.encode(vec![0xab; bytes]))
    }

    #[test]
    fn keys_of_24_to_64_bytes_are_read() {
        for bytes in [24, 25, 32, 63, 64] {
            let text = encoded(bytes);
            let secret = Secret::parse(&text).unwrap();
            assert_eq!(secret.expose(), text);
            assert_eq!(secret.key(), vec![0xab; bytes]);
        }
    }

    #[test]
    fn everything_else_is_refused_for_its_own_reason_and_not_repeated() {
        let cases = [
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
        for (text, reason) in cases {
            let error = Secret::parse(&text).unwrap_err();
            assert!(error.0.contains(reason), "{error} lacks {reason}");
            assert!(!error.0.contains("q6ur"), "{error}");
        }
    }

    #[test]
    fn generated_secrets_differ_and_can_be_read() {
        let (one, other) = (Secret::generate(), Secret::generate());
        assert_ne!(one.expose(), other.expose());
        let read = Secret::parse(one.expose()).unwrap();
        assert_eq!(read.key(), one.key());
        assert_eq!(read.key().len(), 32);
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::generate()), "Secret(…)");
    }

    #[test]
    fn fingerprint_is_the_start_of_the_sha256_of_the_text() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(secret.fingerprint(), "96ad2ccd81462a76");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(whsec_)?.{0,90}") {
            if let Ok(secret) = Secret::parse(&text) {
                prop_assert_eq!(secret.expose(), text);
            }
        }
    }
}
