//! Signing secrets: read, made, kept out of sight, wiped.
//!
//! A secret keeps its text, which is what its owner was shown. A key for HMAC is read from it for each signature, which takes
//! less time than the signature by far: where there are very many secrets few sign at a time. Neither text nor key is ever
//! shown by Debug or by an error.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{PUBLIC_KEY_LENGTH, SECRET_KEY_LENGTH, SigningKey};
use rand::Rng as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{encoding::push_hex, public_key::PublicKey, scheme::KeyForm};

const BASE64_PREFIX: &str = "whsec_";
const SEED_PREFIX: &str = "whsk_";
pub(super) const PUBLIC_PREFIX: &str = "whpk_";

/// The length of a key in base64, in bytes, as Standard Webhooks has it.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The length of the keys made here, in bytes: that of an HMAC-SHA256, and of an Ed25519 seed.
const NEW_KEY_BYTES: usize = 32;

/// The longest text that is looked at, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// Below this many bytes a text is called weak.
const STRONG_TEXT_BYTES: usize = 16;

/// A signing secret. Its text never appears in Debug output and is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(Checked);

/// A text by the form of its key, which it has been checked to be of.
#[derive(Clone)]
enum Checked {
    Text(Zeroizing<Box<str>>),
    Base64(Zeroizing<Box<str>>),
    /// With its key: computing that takes as long as a signature.
    Seed(Box<(Zeroizing<Box<str>>, SigningKey)>),
}

/// What signs.
pub(super) enum Key<'a> {
    /// For HMAC; never empty.
    Bytes(Zeroizing<Vec<u8>>),
    /// For Ed25519. Wipes itself.
    Seed(&'a SigningKey),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a secret was refused, as the rest of a sentence. Never repeats any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(pub String);

impl Secret {
    /// Reads a secret of the given form: any text of 1 to 256 bytes without NUL; `whsec_` and base64 (standard alphabet,
    /// padded) of 24 to 64 bytes, as Standard Webhooks has it; or `whsk_` and base64 of an Ed25519 seed of 32 bytes, alone
    /// or with the 32 bytes of its public key after it, as Svix writes it.
    ///
    /// # Errors
    /// What is wrong with it. A public key (`whpk_`) is no secret in any form.
    pub fn parse(text: &str, form: KeyForm) -> Result<Self, SecretError> {
        if text.is_empty() {
            return refused("is empty");
        }
        if text.len() > TEXT_BYTES_MAX {
            return refused("is longer than 256 bytes");
        }
        if text.starts_with(PUBLIC_PREFIX) {
            return refused(match form {
                KeyForm::Text => "is a public key (`whpk_`), which anybody may know",
                KeyForm::Base64 => {
                    "is a public key (`whpk_`), which cannot sign; give a secret that starts with `whsec_`"
                }
                KeyForm::Ed25519Seed => {
                    "is a public key (`whpk_`), which cannot sign; give a secret that starts with `whsk_`"
                }
            });
        }
        let kept = || Zeroizing::new(Box::from(text));
        Ok(Self(match form {
            KeyForm::Text if text.contains('\0') => return refused("must not contain NUL"),
            KeyForm::Text => Checked::Text(kept()),
            KeyForm::Base64 => base64_key(text).map(|_| Checked::Base64(kept()))?,
            KeyForm::Ed25519Seed => seed_key(text).map(|key| Checked::Seed(Box::new((kept(), key))))?,
        }))
    }

    /// Makes a new secret of 32 bytes from the thread's generator, which the operating system seeds; as text they are 64
    /// hexadecimal digits.
    pub fn generate(form: KeyForm) -> Self {
        let mut random = Zeroizing::new([0; NEW_KEY_BYTES]);
        rand::rng().fill_bytes(&mut *random);
        // Of the final length from the start: growing would leave a copy behind that nobody wipes.
        let mut text = Zeroizing::new(String::with_capacity(TEXT_BYTES_MAX));
        match form {
            KeyForm::Text => push_hex(&mut text, &*random),
            KeyForm::Base64 => {
                text.push_str(BASE64_PREFIX);
                STANDARD.encode_string(*random, &mut text);
            }
            KeyForm::Ed25519Seed => {
                text.push_str(SEED_PREFIX);
                STANDARD.encode_string(*random, &mut text);
            }
        }
        let kept = Zeroizing::new(Box::from(text.as_str()));
        Self(match form {
            KeyForm::Text => Checked::Text(kept),
            KeyForm::Base64 => Checked::Base64(kept),
            KeyForm::Ed25519Seed => Checked::Seed(Box::new((kept, SigningKey::from_bytes(&random)))),
        })
    }

    /// The secret as its owner was shown it. For sealing and for the one answer that shows it.
    pub fn expose(&self) -> &str {
        match &self.0 {
            Checked::Text(text) | Checked::Base64(text) => text,
            Checked::Seed(seed) => &seed.0,
        }
    }

    /// How its key is read.
    pub fn form(&self) -> KeyForm {
        match self.0 {
            Checked::Text(_) => KeyForm::Text,
            Checked::Base64(_) => KeyForm::Base64,
            Checked::Seed(_) => KeyForm::Ed25519Seed,
        }
    }

    /// What its receivers verify with, if that is not the secret itself.
    pub fn public_key(&self) -> Option<PublicKey> {
        match &self.0 {
            Checked::Text(_) | Checked::Base64(_) => None,
            Checked::Seed(seed) => Some(PublicKey::of(&seed.1)),
        }
    }

    /// What should be said to whoever brought this secret along, if it is easily guessed.
    pub fn weakness(&self) -> Option<&'static str> {
        let weak = matches!(&self.0, Checked::Text(text) if text.len() < STRONG_TEXT_BYTES);
        weak.then_some("is shorter than 16 bytes, so it might be guessed; rotate to a generated one soon")
    }

    /// The first 16 hexadecimal digits of the SHA-256 of the secret's text.
    pub fn fingerprint(&self) -> String {
        let mut text = String::new();
        push_hex(&mut text, &Sha256::digest(self.expose().as_bytes())[..8]);
        text
    }

    /// What signs, read from the text.
    pub(super) fn key(&self) -> Key<'_> {
        match &self.0 {
            Checked::Text(text) => Key::Bytes(Zeroizing::new(text.as_bytes().to_vec())),
            Checked::Base64(text) => Key::Bytes(base64_key(text).expect("the text was read before")),
            Checked::Seed(seed) => Key::Seed(&seed.1),
        }
    }
}

fn refused<T>(problem: &str) -> Result<T, SecretError> {
    Err(SecretError(problem.to_owned()))
}

fn base64_key(text: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    if text.starts_with(SEED_PREFIX) {
        return refused("is an Ed25519 key (`whsk_`); give a secret that starts with `whsec_`");
    }
    let key = decode_after(text, BASE64_PREFIX)?;
    if !KEY_BYTES.contains(&key.len()) {
        return Err(SecretError(format!("must be 24 to 64 bytes when decoded, but is {}", key.len())));
    }
    Ok(key)
}

fn seed_key(text: &str) -> Result<SigningKey, SecretError> {
    if text.starts_with(BASE64_PREFIX) {
        return refused("is an HMAC key (`whsec_`); give an Ed25519 key, which starts with `whsk_`");
    }
    let bytes = decode_after(text, SEED_PREFIX)?;
    let key = match bytes.split_first_chunk::<SECRET_KEY_LENGTH>() {
        Some((seed, after)) if after.is_empty() || after.len() == PUBLIC_KEY_LENGTH => {
            let key = SigningKey::from_bytes(seed);
            if !after.is_empty() && after != key.verifying_key().as_bytes() {
                return refused("ends with a public key that is not the one of its seed");
            }
            key
        }
        _ => {
            let problem = format!("must be 32 bytes, or 64 with the public key, when decoded, but is {}", bytes.len());
            return Err(SecretError(problem));
        }
    };
    Ok(key)
}

pub(super) fn decode_after(text: &str, prefix: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let Some(encoded) = text.strip_prefix(prefix) else {
        return Err(SecretError(format!("must start with `{prefix}`")));
    };
    if encoded.is_empty() {
        return Err(SecretError(format!("has nothing after `{prefix}`")));
    }
    STANDARD
        .decode(encoded)
        .map(Zeroizing::new)
        .map_err(|_| SecretError(format!("must be base64 (standard alphabet, with padding) after `{prefix}`")))
}

#[cfg(test)]
mod tests;
