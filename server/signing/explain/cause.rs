//! Known mistakes, and how they are told.

use std::fmt;

use super::{
    super::{
        preset::SchemePreset,
        scheme::{Encoding, Part, Variable},
        secret::SecretError,
        verify::VerifyError,
    },
    body::BodyChange,
    key::KeyReading,
};

/// A known mistake, or that it is none of them. Shown as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The signature is right; only the time is not.
    Stale,
    /// The secret was read in another way.
    Key(KeyReading),
    /// Something else stands before the signature.
    SignaturePrefix {
        /// What the scheme has there.
        expected: String,
        /// What stands there.
        found: &'static str,
    },
    /// Other bytes were signed than those that were verified.
    Body(BodyChange),
    /// An old secret signed.
    OldSecret {
        /// Which of the old ones, from 0.
        index: usize,
    },
    /// These parts, never none, were left out of what is signed.
    NotSigned(Vec<Part>),
    /// The signature is written in another encoding: this one.
    Encoding(Encoding),
    /// It is a right message of this scheme.
    OtherScheme(SchemePreset),
    /// It has the headers of this scheme, though no secret fits.
    LooksLike(SchemePreset),
    /// None of the secrets can be read.
    UnreadableSecret {
        /// The first of them, from 0.
        index: usize,
        /// What is wrong with it.
        error: SecretError,
    },
    /// This is wrong besides the time.
    Besides(VerifyError),
    /// None of these. The secret is another one, or what stands for one of these variables, which are signed.
    Unknown(Vec<Variable>),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the signature is right; only the time is not"),
            Self::Key(reading) => write!(f, "the signature was made with {reading}"),
            Self::SignaturePrefix { expected, found } => match (expected.as_str(), *found) {
                (expected, "") => write!(f, "the signature is right, but `{expected}` does not stand before it"),
                ("", found) => write!(f, "the signature is right, but `{found}` stands before it"),
                (expected, found) => {
                    write!(f, "the signature is right, but `{found}` stands before it, not `{expected}`")
                }
            },
            Self::Body(change) => write!(f, "the signature was made over {change}"),
            Self::OldSecret { index } => write!(f, "the signature was made with old secret {index}"),
            Self::NotSigned(parts) => {
                let left_out: String = parts.iter().map(Part::to_string).collect();
                write!(f, "the signature was made without `{left_out}`")
            }
            Self::Encoding(Encoding::Hex) => {
                f.write_str("the signature is right, but written in hexadecimal, not base64")
            }
            Self::Encoding(Encoding::Base64) => {
                f.write_str("the signature is right, but written in base64, not hexadecimal")
            }
            Self::OtherScheme(preset) => write!(f, "this is a right signature of the scheme `{}`", preset.name()),
            Self::LooksLike(preset) => {
                write!(f, "it has the headers of the scheme `{}`, though no secret given fits it", preset.name())
            }
            Self::UnreadableSecret { index, error } => {
                write!(f, "none of the secrets can be read; secret {index} {error}")
            }
            Self::Besides(error) => write!(f, "not only the time is wrong: {error}"),
            Self::Unknown(signed) => {
                f.write_str("it is none of the known mistakes: the secret")?;
                let words: Vec<&str> = signed.iter().filter_map(|variable| in_words(*variable)).collect();
                for (index, word) in words.iter().enumerate() {
                    write!(f, "{}{word}", if index + 1 < words.len() { ", " } else { " or " })?;
                }
                f.write_str(" is another one")
            }
        }
    }
}

const fn in_words(variable: Variable) -> Option<&'static str> {
    match variable {
        Variable::Id => Some("the id"),
        Variable::Timestamp => Some("the timestamp"),
        Variable::EventType => Some("the event type"),
        Variable::Operation => Some("the operation"),
        Variable::Url => Some("the URL"),
        Variable::Body => Some("the body"),
        Variable::Signature => None,
    }
}
