//! Why a message was refused: the known mistakes, tried one by one until the signature fits.
//!
//! Each trial changes one thing, the secret's reading, the body, the scheme, and verifies again. A signature fits by chance
//! never, so a trial that verifies is the answer. Nothing here makes a message acceptable: this is for the person who sets
//! a receiver up, at a terminal, with the secret at hand.

mod body;
mod cause;
mod key;

use std::time::Duration;

pub use self::{
    body::{BodyChange, Layout, Strings},
    cause::Cause,
    key::KeyReading,
};
use super::{
    preset::SchemePreset,
    received::Received,
    scheme::{Encoding, Part, SchemeDefinition, SignatureScheme, Variable},
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

/// Verifies a message and, if it is refused, says why. Tried in order: its time, the reading of the secret, the signature's
/// prefix, other bytes of the body, old secrets, what is signed, the encoding, other schemes. If nothing fits, what the
/// headers look like, and whether there was a secret to try.
pub fn explain(case: &Case<'_, '_>) -> Explanation {
    // Texts that are no secrets of this scheme are among what may be wrong.
    let keys: Vec<(usize, VerifyingKey)> = readable(case.secrets, case.scheme).collect();
    let own: Vec<VerifyingKey> = keys.iter().map(|(_, key)| key.clone()).collect();
    match case.scheme.verify(&own, &case.received, case.now, case.tolerance) {
        Ok(verified) => Explanation::Verified { secret_index: keys[verified.key_index].0 },
        Err(error) => {
            let cause = case.cause(&own).or_else(|| case.rest(&own, &error));
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
        let is_body = |part: &&Part| **part == Part::Variable(Variable::Body);
        let one_by_one =
            (0..signed.len()).filter(|place| !is_body(&&signed[*place])).map(|place| without(signed, place));
        let (body, others): (Vec<&Part>, Vec<&Part>) = signed.iter().partition(is_body);
        let own_parts = |parts: Vec<&Part>| parts.into_iter().cloned().collect::<Vec<Part>>();
        one_by_one
            .chain((!others.is_empty()).then(|| (own_parts(others), own_parts(body))))
            .find(|(_, parts)| self.fits_changed(own, |it| it.signed.clone_from(parts)))
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
    fn rest(&self, own: &[VerifyingKey], error: &VerifyError) -> Option<Cause> {
        if !self.looks_like(self.scheme) {
            let mut others = SchemePreset::ALL.into_iter().filter(|preset| preset.scheme() != self.scheme);
            if let Some(preset) = others.find(|preset| self.looks_like(preset.scheme())) {
                return Some(Cause::LooksLike(preset));
            }
        }
        match error {
            VerifyError::NoSecret => self.unreadable(),
            VerifyError::Mismatch => Some(self.unknown()),
            VerifyError::TooOld { .. } | VerifyError::TooNew { .. } => {
                match self.outcome(self.scheme, own, self.received.body) {
                    Ok(()) | Err(VerifyError::Mismatch) => Some(self.unknown()),
                    Err(besides) => Some(Cause::Besides(besides)),
                }
            }
            VerifyError::WrongKeyForm
            | VerifyError::NoUrl
            | VerifyError::MissingHeader(_)
            | VerifyError::MalformedHeader { .. }
            | VerifyError::Contradiction(_)
            | VerifyError::Ambiguous { .. }
            | VerifyError::BadTimestamp(_)
            | VerifyError::UnknownVersion { .. }
            | VerifyError::MalformedSignature { .. }
            | VerifyError::TooManySignatures(_) => None,
        }
    }

    /// Whether the headers are all that `scheme` asks for, whoever signed.
    fn looks_like(&self, scheme: &SignatureScheme) -> bool {
        let key = VerifyingKey::of_nobody(scheme.definition().key_form);
        let received = Received { url: self.received.url.or(Some("")), ..self.received };
        matches!(scheme.verify(&[key], &received, self.now, Duration::MAX), Ok(_) | Err(VerifyError::Mismatch))
    }

    fn unreadable(&self) -> Option<Cause> {
        let form = self.scheme.definition().key_form;
        let read = |(index, text): (usize, &&str)| Some((index, VerifyingKey::parse(text, form).err()?));
        let (index, error) = self.secrets.iter().enumerate().find_map(read)?;
        Some(Cause::UnreadableSecret { index, error })
    }

    fn unknown(&self) -> Cause {
        let mut signed = Vec::new();
        for part in &self.scheme.definition().signed {
            if let Part::Variable(variable) = part
                && !signed.contains(variable)
            {
                signed.push(*variable);
            }
        }
        Cause::Unknown(signed)
    }
}

/// The part of what is signed at `place`, for a variable with the literal that marks it off, and what is signed without it.
fn without(signed: &[Part], place: usize) -> (Vec<Part>, Vec<Part>) {
    let is_literal = |place: usize| matches!(signed.get(place), Some(Part::Literal(_)));
    let range = if is_literal(place) {
        place..place + 1
    } else if is_literal(place + 1) {
        place..place + 2
    } else if place > 0 && is_literal(place - 1) {
        place - 1..place + 1
    } else {
        place..place + 1
    };
    let mut parts = signed.to_vec();
    let left_out = parts.drain(range).collect();
    (left_out, parts)
}

#[cfg(test)]
mod tests;
