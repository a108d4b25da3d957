//! Why a message was refused: the known mistakes, tried one by one until the signature fits.
//!
//! Each trial changes one thing, the secret's reading, the body, the scheme, and verifies again. A signature fits by chance
//! never, so a trial that verifies is the answer. Nothing here makes a message acceptable: this is for the person who sets
//! a receiver up, at a terminal, with the secret at hand.

mod body;
mod key;

use std::{fmt, time::Duration};

pub use self::{
    body::{BodyChange, Layout, Strings},
    key::KeyReading,
};
use super::{
    preset::SchemePreset,
    received::Received,
    scheme::{Encoding, Part, SchemeDefinition, SignatureScheme, Variable},
    secret::Secret,
    verify::VerifyError,
    verifying_key::VerifyingKey,
};
use crate::model::Timestamp;

/// What stands before signatures somewhere.
const SIGNATURE_PREFIXES: [&str; 6] = ["", "v1,", "v1a,", "v1=", "v0=", "sha256="];

/// A message, and what it was verified with.
#[derive(Clone, Copy)]
pub struct Case<'m, 'a> {
    /// The scheme that it should be signed by.
    pub scheme: &'m SignatureScheme,
    /// The receiver's secrets, as texts: they may be what is wrong.
    pub secrets: &'m [&'m str],
    /// Secrets of earlier times.
    pub old_secrets: &'m [&'m str],
    /// The message.
    pub received: Received<'m, 'a>,
    /// The receiver's time.
    pub now: Timestamp,
    /// How far the message's time may be from it.
    pub tolerance: Duration,
}

/// What there is to say of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Explanation {
    /// It verifies, by this of the secrets.
    Verified {
        /// Which of the secrets, from 0.
        secret_index: usize,
    },
    /// It does not.
    Refused {
        /// What verification says.
        error: VerifyError,
        /// What is behind it; `None` if the error says it all.
        cause: Option<Cause>,
    },
}

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
    /// These were left out of what is signed.
    NotSigned(Vec<Variable>),
    /// The signature is written in another encoding: this one.
    Encoding(Encoding),
    /// It is a right message of this scheme.
    OtherScheme(SchemePreset),
    /// It has the headers of this scheme, though no secret fits.
    LooksLike(SchemePreset),
    /// None of these.
    Unknown,
}

/// Verifies a message and, if it is refused, says why. Tried in order: its time, the reading of the secret, the signature's
/// prefix, other bytes of the body, old secrets, what is signed, the encoding, other schemes.
pub fn explain(case: &Case<'_, '_>) -> Explanation {
    // Texts that are no secrets of this scheme are among what may be wrong.
    let keys: Vec<(usize, VerifyingKey)> = readable(case.secrets, case.scheme).collect();
    let own: Vec<VerifyingKey> = keys.iter().map(|(_, key)| key.clone()).collect();
    match case.scheme.verify(&own, &case.received, case.now, case.tolerance) {
        Ok(verified) => Explanation::Verified { secret_index: keys[verified.key_index].0 },
        Err(error) => {
            let cause = case.cause(&own).or_else(|| case.rest(&error));
            Explanation::Refused { error, cause }
        }
    }
}

fn readable(texts: &[&str], scheme: &SignatureScheme) -> impl Iterator<Item = (usize, VerifyingKey)> {
    let form = scheme.definition().key_form;
    texts.iter().enumerate().filter_map(move |(index, text)| Some((index, VerifyingKey::parse(text, form).ok()?)))
}

impl Case<'_, '_> {
    fn cause(&self, own: &[VerifyingKey]) -> Option<Cause> {
        if self.fits(self.scheme, own, self.received.body) {
            return Some(Cause::Stale);
        }
        self.key_cause()
            .or_else(|| self.prefix_cause(own))
            .or_else(|| self.body_cause(own))
            .or_else(|| self.old_cause())
            .or_else(|| self.signed_cause(own))
            .or_else(|| self.encoding_cause(own))
            .or_else(|| self.scheme_cause())
    }

    /// Whether the signature is right, whatever the time.
    fn fits(&self, scheme: &SignatureScheme, keys: &[VerifyingKey], body: &[u8]) -> bool {
        self.outcome(scheme, keys, body).is_ok()
    }

    fn outcome(&self, scheme: &SignatureScheme, keys: &[VerifyingKey], body: &[u8]) -> Result<(), VerifyError> {
        let received = Received { header: self.received.header, body, url: self.received.url };
        scheme.verify(keys, &received, self.now, Duration::MAX).map(drop)
    }

    fn fits_changed(&self, own: &[VerifyingKey], change: impl FnOnce(&mut SchemeDefinition)) -> bool {
        let mut definition = self.scheme.definition().clone();
        change(&mut definition);
        SignatureScheme::new(definition).is_ok_and(|scheme| self.fits(&scheme, own, self.received.body))
    }

    fn key_cause(&self) -> Option<Cause> {
        let form = self.scheme.definition().key_form;
        let readings = self.secrets.iter().flat_map(|text| key::readings(text, form));
        let fits = |key: VerifyingKey| self.fits(self.scheme, &[key], self.received.body);
        readings.into_iter().find_map(|(reading, key)| fits(key).then_some(Cause::Key(reading)))
    }

    fn prefix_cause(&self, own: &[VerifyingKey]) -> Option<Cause> {
        let expected = &self.scheme.definition().signature_prefix;
        let fits = |found: &&str| self.fits_changed(own, |it| it.signature_prefix = (*found).to_owned());
        let found = SIGNATURE_PREFIXES.into_iter().filter(|found| found != expected).find(fits)?;
        Some(Cause::SignaturePrefix { expected: expected.clone(), found })
    }

    fn body_cause(&self, own: &[VerifyingKey]) -> Option<Cause> {
        let fits = |body: &[u8]| self.fits(self.scheme, own, body);
        body::changes(self.received.body).find_map(|(change, body)| fits(&body).then_some(Cause::Body(change)))
    }

    fn old_cause(&self) -> Option<Cause> {
        readable(self.old_secrets, self.scheme)
            .find_map(|(index, key)| self.fits(self.scheme, &[key], self.received.body).then_some(index))
            .map(|index| Cause::OldSecret { index })
    }

    fn signed_cause(&self, own: &[VerifyingKey]) -> Option<Cause> {
        let signed = &self.scheme.definition().signed;
        let variables: Vec<Variable> = signed
            .iter()
            .filter_map(|part| match part {
                Part::Variable(Variable::Body) | Part::Literal(_) => None,
                Part::Variable(variable) => Some(*variable),
            })
            .collect();
        let one_by_one = variables.iter().map(|variable| (vec![*variable], without(signed, *variable)));
        let body_alone = (variables.clone(), vec![Part::Variable(Variable::Body)]);
        one_by_one
            .chain([body_alone])
            .find(|(_, parts)| parts != signed && self.fits_changed(own, |it| it.signed.clone_from(parts)))
            .map(|(left_out, _)| Cause::NotSigned(left_out))
    }

    fn encoding_cause(&self, own: &[VerifyingKey]) -> Option<Cause> {
        let other = match self.scheme.definition().encoding {
            Encoding::Base64 => Encoding::Hex,
            Encoding::Hex => Encoding::Base64,
        };
        self.fits_changed(own, |it| it.encoding = other).then_some(Cause::Encoding(other))
    }

    fn scheme_cause(&self) -> Option<Cause> {
        let mut others = SchemePreset::ALL.into_iter().filter(|preset| preset.scheme() != self.scheme);
        let fits = |preset: &SchemePreset| {
            let texts = [self.secrets, self.old_secrets].concat();
            let keys: Vec<VerifyingKey> = readable(&texts, preset.scheme()).map(|(_, key)| key).collect();
            self.fits(preset.scheme(), &keys, self.received.body)
        };
        others.find(fits).map(Cause::OtherScheme)
    }

    /// What is left to be said when no trial fits.
    fn rest(&self, error: &VerifyError) -> Option<Cause> {
        if matches!(error, VerifyError::Mismatch | VerifyError::TooOld { .. } | VerifyError::TooNew { .. }) {
            return Some(Cause::Unknown);
        }
        let looks_like = |preset: &SchemePreset| {
            let key = VerifyingKey::from(&Secret::generate(preset.scheme().definition().key_form));
            self.outcome(preset.scheme(), &[key], self.received.body) == Err(VerifyError::Mismatch)
        };
        let mut others = SchemePreset::ALL.into_iter().filter(|preset| preset.scheme() != self.scheme);
        others.find(looks_like).map(Cause::LooksLike)
    }
}

/// What is signed without `variable` and the literal that marks it off.
fn without(signed: &[Part], variable: Variable) -> Vec<Part> {
    let mut parts = signed.to_vec();
    let Some(place) = parts.iter().position(|part| *part == Part::Variable(variable)) else { return parts };
    parts.remove(place);
    if matches!(parts.get(place), Some(Part::Literal(_))) {
        parts.remove(place);
    } else if place > 0 && matches!(parts[place - 1], Part::Literal(_)) {
        parts.remove(place - 1);
    }
    parts
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
            Self::NotSigned(variables) => {
                let names: Vec<&str> = variables.iter().map(|variable| variable.name()).collect();
                write!(f, "the signature was made without {}", names.join(" and "))
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
            Self::Unknown => f.write_str("it is none of the known mistakes: the secret or the body is another one"),
        }
    }
}

#[cfg(test)]
mod tests;
