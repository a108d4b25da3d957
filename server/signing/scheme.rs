//! Signature schemes as data: what is signed, with which algorithm and key, and which headers say so.
//!
//! One definition signs what goes out and verifies what comes in. A [`SchemeDefinition`] is what somebody wrote down; a
//! [`SignatureScheme`] is one that was checked, so that whatever it signs its receivers can verify: every signed part is in
//! the body or in a header, and no two variable parts touch.

use serde::{Deserialize, Serialize};

/// A scheme as it is written down, by us, by a caller or in a file; not checked yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SchemeDefinition {
    /// What is signed: these parts, one after the other.
    pub signed: Vec<Part>,
    /// How it is signed.
    pub algorithm: Algorithm,
    /// How the key is read from a secret.
    pub key_form: KeyForm,
    /// How a signature is written.
    pub encoding: Encoding,
    /// What stands before each signature (`v1,`, `sha256=`). May be empty.
    #[serde(default)]
    pub signature_prefix: String,
    /// What stands between several signatures. Absent: a message carries one signature.
    #[serde(default)]
    pub signature_separator: Option<String>,
    /// The headers of a signed message.
    pub headers: Vec<SchemeHeader>,
}

/// A header of a signed message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SchemeHeader {
    /// Its name, as it is written in documentation; compared without regard to case.
    pub name: String,
    /// Its value: these parts, one after the other.
    pub value: Vec<Part>,
}

/// A part of what is signed, or of a header's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The same text in every message.
    Literal(String),
    /// A text of the message's own.
    Variable(Variable),
}

/// What a part stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Variable {
    /// The message's id, the same on every attempt.
    Id,
    /// The attempt's time, in seconds since the Unix epoch.
    Timestamp,
    /// The event type.
    EventType,
    /// The last segment of the event type.
    Operation,
    /// The URL that the message is sent to. Only signed, never in a header: the receiver knows it.
    Url,
    /// The body. Only signed.
    Body,
    /// The signatures, each after its prefix. Only in a header.
    Signature,
}

/// How something is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Algorithm {
    /// HMAC with SHA-256 (RFC 2104).
    HmacSha256,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

/// How a key is read from a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KeyForm {
    /// The secret as it stands, in UTF-8.
    Text,
    /// Base64 after `whsec_`.
    Base64,
    /// Base64 of a 32-byte Ed25519 seed after `whsk_`; its public key is base64 after `whpk_`.
    Ed25519Seed,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Encoding {
    /// Base64, standard alphabet, padded (RFC 4648, section 4).
    Base64,
    /// Hexadecimal, lower case.
    Hex,
}

/// What is wrong with a definition, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {problem}")]
pub struct SchemeViolation {
    /// The field, by its name in [`SchemeDefinition`]: `headers[0].name`.
    pub path: String,
    /// What is wrong with it, as the rest of a sentence.
    pub problem: String,
}

/// A scheme that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SignatureScheme {
    definition: SchemeDefinition,
}
