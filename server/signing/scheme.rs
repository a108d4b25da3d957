//! Signature schemes as data: what is signed, with which algorithm and key, and which headers say so.
//!
//! One definition signs what goes out and verifies what comes in. A [`SchemeDefinition`] is what somebody wrote down; a
//! [`SignatureScheme`] is one that was checked, so that whatever it signs its receivers can verify: every signed part is in
//! the body or in a header, and no two variable parts touch, but for URL and BODY.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::check::check;

/// A scheme as it is written down, by us, by a caller or in a file; not checked yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SchemeDefinition {
    /// What is signed: these parts, one after the other.
    #[serde(default)]
    pub signed: Vec<Part>,
    /// How it is signed.
    pub algorithm: Algorithm,
    /// How the key is read from a secret.
    #[serde(alias = "key_form")]
    pub key_form: KeyForm,
    /// How a signature is written.
    pub encoding: Encoding,
    /// What stands before each signature (`v1,`, `sha256=`). May be empty.
    #[serde(default, alias = "signature_prefix", skip_serializing_if = "String::is_empty")]
    pub signature_prefix: String,
    /// What stands between several signatures. Absent: a message carries one signature.
    #[serde(default, alias = "signature_separator", skip_serializing_if = "Option::is_none")]
    pub signature_separator: Option<String>,
    /// The headers of a signed message.
    #[serde(default)]
    pub headers: Vec<SchemeHeader>,
}

/// A header of a signed message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SchemeHeader {
    /// Its name, as it is written in documentation; compared without regard to case.
    pub name: String,
    /// Its value: these parts, one after the other.
    #[serde(default)]
    pub value: Vec<Part>,
}

/// A part of what is signed, or of a header's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// The same text in every message.
    Literal(String),
    /// A text of the message's own.
    Variable(Variable),
}

/// What a part stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum Variable {
    /// The message's id, the same on every attempt.
    #[serde(rename = "SIGNATURE_VARIABLE_ID")]
    Id,
    /// The attempt's time, in seconds since the Unix epoch.
    #[serde(rename = "SIGNATURE_VARIABLE_TIMESTAMP")]
    Timestamp,
    /// The event type.
    #[serde(rename = "SIGNATURE_VARIABLE_EVENT_TYPE")]
    EventType,
    /// The last segment of the event type.
    #[serde(rename = "SIGNATURE_VARIABLE_OPERATION")]
    Operation,
    /// The URL that the message is sent to. Only signed, never in a header: the receiver knows it.
    #[serde(rename = "SIGNATURE_VARIABLE_URL")]
    Url,
    /// The body. Only signed.
    #[serde(rename = "SIGNATURE_VARIABLE_BODY")]
    Body,
    /// The signatures, each after its prefix. Only in a header.
    #[serde(rename = "SIGNATURE_VARIABLE_SIGNATURE")]
    Signature,
}

impl From<Variable> for Part {
    fn from(variable: Variable) -> Self {
        Self::Variable(variable)
    }
}

impl From<&str> for Part {
    fn from(literal: &str) -> Self {
        Self::Literal(literal.to_owned())
    }
}

/// As in a template: a literal as it stands, a variable as `{TIMESTAMP}`.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(literal) => f.write_str(literal),
            Self::Variable(variable) => write!(f, "{{{}}}", variable.name()),
        }
    }
}

impl Variable {
    /// Its name, as documentation writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Id => "ID",
            Self::Timestamp => "TIMESTAMP",
            Self::EventType => "EVENT_TYPE",
            Self::Operation => "OPERATION",
            Self::Url => "URL",
            Self::Body => "BODY",
            Self::Signature => "SIGNATURE",
        }
    }

    /// Whether `c` may stand in its value. What marks off a value on the wire is a character that may not.
    pub(super) fn may_contain(self, c: char) -> bool {
        match self {
            Self::Timestamp => c.is_ascii_digit(),
            Self::Id | Self::Operation => c.is_ascii_alphanumeric() || matches!(c, '_' | '-'),
            Self::EventType => c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'),
            Self::Url | Self::Body | Self::Signature => true,
        }
    }

    /// Whether its value, where it is signed, has to be told from what stands beside it. Not that of BODY, which is all
    /// that the others leave, nor that of URL, which the receiver knows without reading it.
    pub(super) fn is_read(self) -> bool {
        !matches!(self, Self::Url | Self::Body | Self::Signature)
    }
}

/// How something is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum Algorithm {
    /// HMAC with SHA-256 (RFC 2104).
    #[serde(rename = "SIGNATURE_ALGORITHM_HMAC_SHA256")]
    HmacSha256,
    /// Ed25519 (RFC 8032).
    #[serde(rename = "SIGNATURE_ALGORITHM_ED25519")]
    Ed25519,
}

/// How a key is read from a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum KeyForm {
    /// The secret as it stands, in UTF-8.
    #[serde(rename = "KEY_FORM_TEXT")]
    Text,
    /// Base64 after `whsec_`.
    #[serde(rename = "KEY_FORM_BASE64")]
    Base64,
    /// Base64 of a 32-byte Ed25519 seed after `whsk_`, where its public key may follow it; alone, that is base64 after
    /// `whpk_`.
    #[serde(rename = "KEY_FORM_ED25519_SEED")]
    Ed25519Seed,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum Encoding {
    /// Base64, standard alphabet, padded (RFC 4648, section 4).
    #[serde(rename = "SIGNATURE_ENCODING_BASE64")]
    Base64,
    /// Hexadecimal, lower case.
    #[serde(rename = "SIGNATURE_ENCODING_HEX")]
    Hex,
}

impl Encoding {
    /// Whether `c` may stand in a signature so written.
    pub(super) fn may_contain(self, c: char) -> bool {
        match self {
            Self::Base64 => c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='),
            Self::Hex => c.is_ascii_hexdigit(),
        }
    }
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

impl SignatureScheme {
    /// Checks a definition.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(definition: SchemeDefinition) -> Result<Self, Vec<SchemeViolation>> {
        let violations = check(&definition);
        if violations.is_empty() { Ok(Self { definition }) } else { Err(violations) }
    }

    /// What was checked.
    pub fn definition(&self) -> &SchemeDefinition {
        &self.definition
    }

    /// Whether a message may carry several signatures of this scheme, so that a secret can be rotated while old and new
    /// sign together.
    pub fn joins_signatures(&self) -> bool {
        self.definition.signature_separator.is_some()
    }
}

#[cfg(test)]
mod tests;
