//! Public keys: what receivers verify Ed25519 signatures with.

use std::fmt;

use base64::{display::Base64Display, engine::general_purpose::STANDARD};

use super::secret::{PUBLIC_PREFIX, SecretError, decode_after};

/// An Ed25519 public key. Written as `whpk_` and base64 of its 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// Reads `whpk_` and base64 (standard alphabet, padded) of 32 bytes.
    ///
    /// # Errors
    /// What is wrong with it. Keys of small order, under which one signature fits many messages, are refused.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let bytes = decode_after(text, PUBLIC_PREFIX)?;
        let Ok(bytes) = <&[u8; 32]>::try_from(bytes.as_slice()) else {
            return Err(SecretError(format!("must be 32 bytes when decoded, but is {}", bytes.len())));
        };
        match ed25519_dalek::VerifyingKey::from_bytes(bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(key)),
            Ok(_) | Err(_) => Err(SecretError("is not an Ed25519 public key".to_owned())),
        }
    }

    /// The public key of a seed, which is never of small order.
    pub(super) fn of(key: &ed25519_dalek::SigningKey) -> Self {
        Self(key.verifying_key())
    }

    /// One that nothing was checked of.
    #[cfg(test)]
    pub(super) fn unchecked(key: ed25519_dalek::VerifyingKey) -> Self {
        Self(key)
    }

    /// Its 32 bytes, as RFC 8032 encodes it.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    pub(super) fn key(&self) -> &ed25519_dalek::VerifyingKey {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", Base64Display::new(self.as_bytes(), &STANDARD))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";

    #[test]
    fn text_is_read_and_written() {
        let key = PublicKey::parse(TEXT).unwrap();
        assert_eq!(key.to_string(), TEXT);
        assert_eq!(key.as_bytes()[..3], [0x03, 0xa1, 0x07]);
    }

    #[test]
    fn everything_else_is_refused() {
        let of = |byte: u8| format!("whpk_{}", Base64Display::new(&[byte; 32], &STANDARD));
        for (text, reason) in [
            ("whsec_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=", "must start"),
            ("whpk_", "nothing after"),
            ("whpk_A6EHv", "base64"),
            ("whpk_A6EH", "is 3"),
            // The neutral element, with the order 1, and an encoding that no point has.
            ("whpk_AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "not an Ed25519"),
            (&of(2), "not an Ed25519"),
        ] {
            let error = PublicKey::parse(text).unwrap_err();
            assert!(error.0.contains(reason), "{text}: {error}");
        }
    }
}
