//! Signing and verifying webhooks. Pure, and public as a library.

use crate::model::Timestamp;

/// A signing secret. Its text never appears in Debug output and is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret {}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a secret was refused. Never repeats any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(pub String);

impl Secret {
    /// Reads a Standard Webhooks secret: `whsec_` and base64 of 24 to 64 bytes.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let _ = text;
        todo!()
    }

    /// Makes a new secret of 32 random bytes.
    pub fn generate() -> Self {
        todo!()
    }

    /// The secret as its owner was shown it. For sealing and for the one answer that shows it.
    pub fn expose(&self) -> &str {
        todo!()
    }

    /// The first 16 hexadecimal digits of the SHA-256 of the secret's text.
    pub fn fingerprint(&self) -> String {
        todo!()
    }
}

/// The headers of a signed webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeaders {
    /// `webhook-id`
    pub id: String,
    /// `webhook-timestamp`
    pub timestamp: String,
    /// `webhook-signature`: one `v1,<base64>` for each secret, in their order, joined by spaces.
    pub signature: String,
}

/// Signs `body` with each of `secrets`, newest first.
pub fn sign(secrets: &[&Secret], id: &str, timestamp: Timestamp, body: &[u8]) -> SignedHeaders {
    let _ = (secrets, id, timestamp, body);
    todo!()
}
