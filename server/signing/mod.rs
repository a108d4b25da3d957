//! Signing and verifying webhooks. Public as a library, and pure: no I/O, no async, no HTTP types, no clock. Nor is anything
//! left to chance but by [`Secret::generate`], which takes the randomness of the thread's generator.
//!
//! A [`SignatureScheme`] is data: what is signed, with which algorithm and key, and which headers carry what. The same one
//! signs what goes out and verifies what comes in. [`SchemePreset`] names the schemes in the field, first of all Standard
//! Webhooks (<https://www.standardwebhooks.com>); any other is written down as a [`SchemeDefinition`], also in JSON, and
//! checked once. Whatever passes the check can be verified by whoever gets what it signed.
//!
//! [`sign`] takes one message and any number of schemes, so that receivers of an old scheme and of a new one are served at
//! once. [`SignatureScheme::verify`] takes headers and the raw bytes of a body: it compares in constant time, accepts any of
//! several signatures, ignores versions that it does not know, and refuses times too far from the receiver's.
//! [`explain()`] finds out why a message was refused. Bodies are never copied but there; secrets are never shown, and wiped.
//!
//! ```
//! use tidings::{
//!     model::Timestamp,
//!     signing::{DEFAULT_TOLERANCE, Message, Received, SchemePreset, Secret, Signer, VerifyError, VerifyingKey, sign},
//! };
//!
//! let scheme = SchemePreset::Standard.scheme();
//! let secret = Secret::generate(scheme.definition().key_form);
//! let now = Timestamp::from_micros(1_772_359_200_000_000);
//! let body = br#"{"userId":"usr_1"}"#;
//!
//! // The sender: these headers go with the body.
//! let message =
//!     Message { id: "evt_1", timestamp: now, event_type: "user.created", url: "https://example.com/hook", body };
//! let headers = sign(&[Signer { scheme, secrets: &[&secret] }], &message);
//! let names: Vec<&str> = headers.iter().map(|header| header.name).collect();
//! assert_eq!(names, ["webhook-id", "webhook-timestamp", "webhook-signature"]);
//!
//! // The receiver: the headers as they came, and the body before anything parsed it.
//! let keys = [VerifyingKey::parse(secret.expose(), secret.form())?];
//! let value = |name: &str| {
//!     headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value.as_str())
//! };
//! let received = Received { header: &value, body, url: None };
//! let verified = scheme.verify(&keys, &received, now, DEFAULT_TOLERANCE)?;
//! assert_eq!(verified.id, Some("evt_1"));
//!
//! let changed = Received { body: b"{}", ..received };
//! assert_eq!(scheme.verify(&keys, &changed, now, DEFAULT_TOLERANCE), Err(VerifyError::Mismatch));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod encoding;
mod explain;
#[cfg(test)]
mod parcel;
mod preset;
#[cfg(test)]
mod properties;
mod public_key;
mod received;
mod scheme;
mod secret;
mod sign;
mod values;
#[cfg(test)]
mod vectors;
mod verify;
mod verifying_key;

pub use self::{
    explain::{BodyChange, Case, Cause, Explanation, KeyReading, Layout, Strings, explain},
    preset::SchemePreset,
    public_key::PublicKey,
    received::Received,
    scheme::{
        Algorithm, Encoding, KeyForm, Part, SchemeDefinition, SchemeHeader, SchemeViolation, SignatureScheme, Variable,
    },
    secret::{Secret, SecretError},
    sign::{Message, SchemeConflict, SignedHeader, Signer, schemes_conflict, sign},
    verify::{DEFAULT_TOLERANCE, Verified, VerifyError},
    verifying_key::VerifyingKey,
};

/// The header in which Standard Webhooks carry the message's id, the same on every attempt.
pub const ID_HEADER: &str = "webhook-id";
