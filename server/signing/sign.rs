//! Signing: what goes on the wire beside the body.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{Secret, VERSION_PREFIX};
use crate::model::Timestamp;

/// How long an HMAC-SHA256 is in base64.
pub(super) const ENCODED_LEN: usize = 44;

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

/// Signs `body` with each of `secrets`, newest first. `id` has no dot, or receivers refuse the message; without a
/// secret the signature is empty.
pub fn sign(secrets: &[&Secret], id: &str, timestamp: Timestamp, body: &[u8]) -> SignedHeaders {
    let timestamp = timestamp.as_secs().to_string();
    let mut signature = String::with_capacity(secrets.len() * (VERSION_PREFIX.len() + ENCODED_LEN + 1));
    for secret in secrets {
        if !signature.is_empty() {
            signature.push(' ');
        }
        signature.push_str(VERSION_PREFIX);
        push_signature(&mut signature, secret, id, &timestamp, body);
    }
    SignedHeaders { id: id.to_owned(), timestamp, signature }
}

/// Appends the HMAC-SHA256 of `{id}.{timestamp}.{body}` in base64.
pub(super) fn push_signature(text: &mut String, secret: &Secret, id: &str, timestamp: &str, body: &[u8]) {
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret.key()).expect("HMAC takes keys of any length");
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        hmac.update(part);
    }
    STANDARD.encode_string(hmac.finalize().into_bytes(), text);
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const WITH_OLD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const WITH_NEW: &str = "v1,O4Gjv1HqPqsMrjmczoggs/sWA8gZD0VyHG+fLh4+ktI=";

    fn signature(secrets: &[&str]) -> String {
        let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::parse(text).unwrap()).collect();
        let secrets: Vec<&Secret> = secrets.iter().collect();
        let headers = sign(&secrets, ID, Timestamp::from_micros(1_614_265_330_999_999), BODY);
        assert_eq!((headers.id.as_str(), headers.timestamp.as_str()), (ID, "1614265330"));
        headers.signature
    }

    /// The vector of the Standard Webhooks reference libraries.
    #[test]
    fn reference_vector_is_met() {
        assert_eq!(signature(&[OLD]), WITH_OLD);
    }

    #[test]
    fn every_secret_signs_in_the_order_given() {
        assert_eq!(signature(&[OLD, NEW]), format!("{WITH_OLD} {WITH_NEW}"));
        assert_eq!(signature(&[NEW, OLD]), format!("{WITH_NEW} {WITH_OLD}"));
        assert_eq!(signature(&[]), "");
    }
}
