//! Verifying: what a receiver does before it believes a webhook.
//!
//! The body is taken as raw bytes, signatures are compared in constant time whatever their lengths, and every error
//! says what is wrong, for the person who sets a receiver up, without repeating a header value.

use std::time::Duration;

use subtle::{Choice, ConstantTimeEq as _};

use super::{
    ID_HEADER, SIGNATURE_HEADER, Secret, SignedHeaders, TIMESTAMP_HEADER, VERSION_PREFIX,
    sign::{ENCODED_LEN, push_signature},
};
use crate::model::Timestamp;

/// How far apart a message's timestamp and the receiver's clock may be, both ways.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

/// The most digits a timestamp has: enough for 30,000 years, few enough for microseconds in 64 bits.
const TIMESTAMP_DIGITS_MAX: usize = 12;

/// The header values that a message is verified by, as they arrived; `None` where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageHeaders<'a> {
    /// `webhook-id`
    pub id: Option<&'a str>,
    /// `webhook-timestamp`
    pub timestamp: Option<&'a str>,
    /// `webhook-signature`
    pub signature: Option<&'a str>,
}

impl<'a> MessageHeaders<'a> {
    /// Takes what `value_of` returns for each header's name, which it is given in lower case.
    pub fn read(mut value_of: impl FnMut(&'static str) -> Option<&'a str>) -> Self {
        Self { id: value_of(ID_HEADER), timestamp: value_of(TIMESTAMP_HEADER), signature: value_of(SIGNATURE_HEADER) }
    }
}

impl<'a> From<&'a SignedHeaders> for MessageHeaders<'a> {
    fn from(headers: &'a SignedHeaders) -> Self {
        Self { id: Some(&headers.id), timestamp: Some(&headers.timestamp), signature: Some(&headers.signature) }
    }
}

/// What a message that verified says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<'a> {
    /// Its id, by which a receiver recognises a repetition.
    pub id: &'a str,
    /// When it was signed.
    pub signed: Timestamp,
    /// The first of the receiver's secrets that signed it, from 0.
    pub secret_index: usize,
}

/// Why a message was refused. Never repeats a header value or any of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The receiver gave no secret to verify with.
    #[error("there is no secret to verify with")]
    NoSecret,
    /// A header is missing or empty.
    #[error("the header `{0}` is missing or empty")]
    MissingHeader(&'static str),
    /// The id contains a dot, so that what was signed could be read in two ways.
    #[error("`webhook-id` contains a dot")]
    BadId,
    /// The timestamp is not a number of seconds.
    #[error("`webhook-timestamp` is not a whole number of seconds since 1970")]
    BadTimestamp,
    /// The timestamp is too long ago: a repetition, or a clock that is fast.
    #[error(
        "`webhook-timestamp` is {by:?} ago, more than the {tolerance:?} allowed; is this an old message, or is the clock wrong?"
    )]
    TooOld {
        /// How long ago.
        by: Duration,
        /// What is allowed.
        tolerance: Duration,
    },
    /// The timestamp is too far ahead: a clock that is slow.
    #[error("`webhook-timestamp` is {by:?} ahead, more than the {tolerance:?} allowed; is the clock wrong?")]
    TooNew {
        /// How far ahead.
        by: Duration,
        /// What is allowed.
        tolerance: Duration,
    },
    /// There are signatures, but none is `v1`.
    #[error("`webhook-signature` has no signature of version v1")]
    UnknownVersion,
    /// There are `v1` signatures, but none is of the right form; empty ones are among these.
    #[error("`webhook-signature` has no v1 signature of 32 bytes in base64")]
    MalformedSignature,
    /// No signature was made with any of the secrets over these bytes.
    #[error("no signature matches: another secret, another id or timestamp, or a body that is not the bytes sent")]
    Mismatch,
}

/// Verifies a message by any of `secrets`: every `v1` signature in the header is tried against each of them. `body` is
/// the request's body as it came off the wire, never a re-serialised one. The timestamp may be `tolerance` away from
/// `now`, both ways; [`DEFAULT_TOLERANCE`] is usual.
pub fn verify<'a>(
    secrets: &[&Secret],
    headers: MessageHeaders<'a>,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<Verified<'a>, VerifyError> {
    let id = present(headers.id, ID_HEADER)?;
    let timestamp = present(headers.timestamp, TIMESTAMP_HEADER)?;
    let signatures = present(headers.signature, SIGNATURE_HEADER)?;
    if secrets.is_empty() {
        return Err(VerifyError::NoSecret);
    }
    if id.contains('.') {
        return Err(VerifyError::BadId);
    }
    let signed = read_timestamp(timestamp).ok_or(VerifyError::BadTimestamp)?;
    check_age(signed, now, tolerance)?;
    check_form(signatures)?;
    let secret_index = matching(secrets, id, timestamp, body, signatures).ok_or(VerifyError::Mismatch)?;
    Ok(Verified { id, signed, secret_index })
}

fn present<'a>(value: Option<&'a str>, name: &'static str) -> Result<&'a str, VerifyError> {
    value.filter(|value| !value.trim().is_empty()).ok_or(VerifyError::MissingHeader(name))
}

fn read_timestamp(text: &str) -> Option<Timestamp> {
    if text.len() > TIMESTAMP_DIGITS_MAX || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Timestamp::from_micros(text.parse::<i64>().ok()? * 1_000_000))
}

/// Compares whole seconds, as the sender wrote them.
fn check_age(signed: Timestamp, now: Timestamp, tolerance: Duration) -> Result<(), VerifyError> {
    let now = Timestamp::from_micros(now.as_secs().saturating_mul(1_000_000));
    let (ago, ahead) = (now.since(signed), signed.since(now));
    if ago > tolerance {
        return Err(VerifyError::TooOld { by: ago, tolerance });
    }
    if ahead > tolerance {
        return Err(VerifyError::TooNew { by: ahead, tolerance });
    }
    Ok(())
}

fn known(signatures: &str) -> impl Iterator<Item = &str> {
    signatures.split(' ').filter_map(|signature| signature.strip_prefix(VERSION_PREFIX))
}

fn check_form(signatures: &str) -> Result<(), VerifyError> {
    if known(signatures).next().is_none() {
        return Err(VerifyError::UnknownVersion);
    }
    if !known(signatures).any(|signature| signature.len() == ENCODED_LEN) {
        return Err(VerifyError::MalformedSignature);
    }
    Ok(())
}

/// The first secret under which any of the signatures was made. Every secret is tried with every signature, so that the
/// time taken says nothing of which one matched or how far.
fn matching(secrets: &[&Secret], id: &str, timestamp: &str, body: &[u8], signatures: &str) -> Option<usize> {
    let mut expected = String::with_capacity(ENCODED_LEN);
    let mut first = None;
    for (index, secret) in secrets.iter().enumerate() {
        expected.clear();
        push_signature(&mut expected, secret, id, timestamp, body);
        let any = known(signatures).fold(Choice::from(0), |any, signature| {
            // Of different lengths, slices are unequal; no byte of them is read.
            any | expected.as_bytes().ct_eq(signature.as_bytes())
        });
        if bool::from(any) && first.is_none() {
            first = Some(index);
        }
    }
    first
}

#[cfg(test)]
mod tests;
