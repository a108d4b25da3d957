//! Verifying: what a receiver does before it believes a webhook.
//!
//! The body is taken as raw bytes, signatures are compared in constant time whatever their lengths, and every error
//! says what is wrong, for the person who sets a receiver up, without repeating a header value.

use std::time::Duration;

use ed25519_dalek::{Signature, ed25519::signature::MultipartVerifier as _};
use subtle::{Choice, ConstantTimeEq as _};

use super::{
    public_key::PublicKey,
    received::{Received, carrier, read},
    scheme::{Algorithm, Encoding, Part, SchemeDefinition, SignatureScheme, Variable},
    sign::hmac_sha256,
    values::{Values, signed_pieces},
    verifying_key::{KeyMaterial, VerifyingKey},
};
use crate::model::Timestamp;

/// How far apart a message's timestamp and the receiver's clock may be, both ways.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

/// The most digits a timestamp has: enough for 30,000 years, few enough for microseconds in 64 bits.
const TIMESTAMP_DIGITS_MAX: usize = 12;

/// The most signatures that are tried, so that a long header costs little. Senders make two or three, during a rotation.
const SIGNATURES_MAX: usize = 16;

/// What a message that verified says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<'a> {
    /// Its id, by which a receiver recognises a repetition; `None` where the scheme has none. As trustworthy as the
    /// transport where the scheme only carries it, without signing it.
    pub id: Option<&'a str>,
    /// When it was signed; `None` where the scheme does not sign a time.
    pub signed: Option<Timestamp>,
    /// The first of the receiver's keys that it verified with, from 0.
    pub key_index: usize,
}

/// Why a message was refused. Never repeats a header value or any of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The receiver gave no secret to verify with.
    #[error("there is no secret to verify with")]
    NoSecret,
    /// None of the receiver's secrets is of the scheme's form.
    #[error("the secret is of another kind than the scheme's")]
    WrongKeyForm,
    /// The scheme signs the URL, and the receiver gave none.
    #[error("the URL is signed, but it is not known to what URL the message was sent")]
    NoUrl,
    /// A header is missing, empty, or there more than once.
    #[error("the header `{0}` is missing or empty, or there more than once")]
    MissingHeader(String),
    /// A header does not look as the scheme has it.
    #[error("`{header}` is not of the form `{form}`")]
    MalformedHeader {
        /// Its name.
        header: String,
        /// What it should look like.
        form: String,
    },
    /// A header says something else than another one, of the same thing.
    #[error("`{0}` contradicts another header")]
    Contradiction(String),
    /// A value contains the character that ends it, so that what was signed could be read in two ways.
    #[error("`{header}` contains `{mark}`")]
    Ambiguous {
        /// The name of the header that carries the value.
        header: String,
        /// The character.
        mark: char,
    },
    /// The timestamp is not a number of seconds.
    #[error("`{0}` is not a whole number of seconds since 1970")]
    BadTimestamp(String),
    /// The timestamp is too long ago: a repetition, or a clock that is fast.
    #[error(
        "`{header}` is {by:?} ago, more than the {tolerance:?} allowed; is this an old message, or is the clock wrong?"
    )]
    TooOld {
        /// The name of the header that carries it.
        header: String,
        /// How long ago.
        by: Duration,
        /// What is allowed.
        tolerance: Duration,
    },
    /// The timestamp is too far ahead: a clock that is slow.
    #[error("`{header}` is {by:?} ahead, more than the {tolerance:?} allowed; is the clock wrong?")]
    TooNew {
        /// The name of the header that carries it.
        header: String,
        /// How far ahead.
        by: Duration,
        /// What is allowed.
        tolerance: Duration,
    },
    /// There are signatures, but none begins as the scheme's do.
    #[error("`{header}` has no signature that begins with `{prefix}`")]
    UnknownVersion {
        /// The name of the header that carries the signatures.
        header: String,
        /// What the scheme's signatures begin with.
        prefix: String,
    },
    /// There are signatures that begin as they should, but none is of the right form; empty ones are among these.
    #[error("`{header}` has no signature of {form}{}", after(.prefix))]
    MalformedSignature {
        /// The name of the header that carries the signatures.
        header: String,
        /// What the scheme's signatures begin with.
        prefix: String,
        /// What should stand after it.
        form: &'static str,
    },
    /// There are more signatures than anybody makes.
    #[error("`{0}` has more than {SIGNATURES_MAX} signatures")]
    TooManySignatures(String),
    /// No signature was made with any of the secrets over these bytes.
    #[error("no signature matches: another secret, another id or timestamp, or a body that is not the bytes sent")]
    Mismatch,
}

impl SignatureScheme {
    /// Verifies a message by any of `keys`: every signature in it is tried against each of them; keys of another form than
    /// the scheme's are passed over. Where the scheme has a timestamp, it may be `tolerance` away from `now`, both ways;
    /// [`DEFAULT_TOLERANCE`] is usual.
    ///
    /// # Errors
    /// The first thing that is wrong with the message.
    pub fn verify<'a>(
        &self,
        keys: &[VerifyingKey],
        received: &Received<'_, 'a>,
        now: Timestamp,
        tolerance: Duration,
    ) -> Result<Verified<'a>, VerifyError> {
        let definition = self.definition();
        let said = read(definition, received)?;
        check_keys(definition, keys)?;
        let mut values: Values<'_> = said.values;
        if definition.signed.contains(&Part::Variable(Variable::Url)) {
            values.url = Some(received.url.ok_or(VerifyError::NoUrl)?);
        }
        let time = said.values.timestamp.map(|text| check_time(definition, text, now, tolerance)).transpose()?;
        let candidates = Candidates::read(definition, said.signatures)?;
        let key_index = candidates.first_key(definition, keys, values, received.body).ok_or(VerifyError::Mismatch)?;
        let signed = time.filter(|_| definition.signed.contains(&Part::Variable(Variable::Timestamp)));
        Ok(Verified { id: said.values.id, signed, key_index })
    }
}

fn check_keys(definition: &SchemeDefinition, keys: &[VerifyingKey]) -> Result<(), VerifyError> {
    if keys.is_empty() {
        return Err(VerifyError::NoSecret);
    }
    let fits = |key: &VerifyingKey| key.form() == definition.key_form;
    if keys.iter().any(fits) { Ok(()) } else { Err(VerifyError::WrongKeyForm) }
}

fn check_time(
    definition: &SchemeDefinition,
    text: &str,
    now: Timestamp,
    tolerance: Duration,
) -> Result<Timestamp, VerifyError> {
    let header = || carrier(definition, Variable::Timestamp).unwrap_or_default().to_owned();
    let signed = read_timestamp(text).ok_or_else(|| VerifyError::BadTimestamp(header()))?;
    // Whole seconds are compared, as the sender wrote them.
    let now = Timestamp::from_micros(now.as_secs().saturating_mul(1_000_000));
    let (ago, ahead) = (now.since(signed), signed.since(now));
    if ago > tolerance {
        return Err(VerifyError::TooOld { header: header(), by: ago, tolerance });
    }
    if ahead > tolerance {
        return Err(VerifyError::TooNew { header: header(), by: ahead, tolerance });
    }
    Ok(signed)
}

fn read_timestamp(text: &str) -> Option<Timestamp> {
    if text.len() > TIMESTAMP_DIGITS_MAX || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Timestamp::from_micros(text.parse::<i64>().ok()? * 1_000_000))
}

/// The signatures of a message that are of the scheme's form.
enum Candidates {
    Hmac(Vec<[u8; 32]>),
    Ed25519(Vec<[u8; 64]>),
}

impl Candidates {
    fn read(definition: &SchemeDefinition, signatures: &str) -> Result<Self, VerifyError> {
        match definition.algorithm {
            Algorithm::HmacSha256 => decode(definition, signatures).map(Self::Hmac),
            Algorithm::Ed25519 => decode(definition, signatures).map(Self::Ed25519),
        }
    }

    /// The first key that made any of the signatures.
    fn first_key(
        &self,
        definition: &SchemeDefinition,
        keys: &[VerifyingKey],
        values: Values<'_>,
        body: &[u8],
    ) -> Option<usize> {
        let mut first = None;
        for (index, key) in keys.iter().enumerate() {
            if key.form() != definition.key_form {
                continue;
            }
            let pieces = signed_pieces(definition, values, body);
            let matches = match (self, key.material()) {
                (Self::Hmac(signatures), KeyMaterial::Secret(key)) => is_any(signatures, &hmac_sha256(key, pieces)),
                (Self::Ed25519(signatures), KeyMaterial::Public(key)) => {
                    let pieces: Vec<&[u8]> = pieces.collect();
                    signatures.iter().any(|signature| is_signed_by(key, &pieces, signature))
                }
                (Self::Hmac(_), KeyMaterial::Public(_)) | (Self::Ed25519(_), KeyMaterial::Secret(_)) => false,
            };
            // Goes on, so that the time taken says nothing of which key matched.
            if matches && first.is_none() {
                first = Some(index);
            }
        }
        first
    }
}

/// Reads those signatures that begin with the scheme's prefix; others are of versions that are not known here.
fn decode<const N: usize>(definition: &SchemeDefinition, signatures: &str) -> Result<Vec<[u8; N]>, VerifyError> {
    let header = || carrier(definition, Variable::Signature).unwrap_or_default().to_owned();
    let prefix = definition.signature_prefix.as_str();
    let all: Vec<&str> = match &definition.signature_separator {
        Some(separator) => signatures.split(separator.as_str()).collect(),
        None => vec![signatures],
    };
    let known: Vec<&str> = all.into_iter().filter_map(|signature| signature.strip_prefix(prefix)).collect();
    if known.is_empty() {
        return Err(VerifyError::UnknownVersion { header: header(), prefix: prefix.to_owned() });
    }
    let read: Vec<_> = known.into_iter().filter_map(|text| definition.encoding.read(text)).collect();
    match read.len() {
        0 => {
            Err(VerifyError::MalformedSignature { header: header(), prefix: prefix.to_owned(), form: form(definition) })
        }
        1..=SIGNATURES_MAX => Ok(read),
        _ => Err(VerifyError::TooManySignatures(header())),
    }
}

fn after(prefix: &str) -> String {
    if prefix.is_empty() { String::new() } else { format!(" after `{prefix}`") }
}

fn form(definition: &SchemeDefinition) -> &'static str {
    match (definition.algorithm, definition.encoding) {
        (Algorithm::HmacSha256, Encoding::Base64) => "32 bytes in base64",
        (Algorithm::HmacSha256, Encoding::Hex) => "32 bytes in hexadecimal",
        (Algorithm::Ed25519, Encoding::Base64) => "64 bytes in base64",
        (Algorithm::Ed25519, Encoding::Hex) => "64 bytes in hexadecimal",
    }
}

/// Whether `expected` is among `signatures`; takes the same time wherever it is and however far others agree.
fn is_any(signatures: &[[u8; 32]], expected: &[u8; 32]) -> bool {
    signatures.iter().fold(Choice::from(0), |any, signature| any | signature.ct_eq(expected)).into()
}

/// Strict verification (as ed25519-dalek's `verify_strict`, but of a message in pieces): neither the key nor the
/// signature's point R may be of small order.
fn is_signed_by(key: &PublicKey, pieces: &[&[u8]], signature: &[u8; 64]) -> bool {
    let signature = Signature::from_bytes(signature);
    let point = ed25519_dalek::VerifyingKey::from_bytes(signature.r_bytes());
    point.is_ok_and(|point| !point.is_weak())
        && !key.key().is_weak()
        && key.key().multipart_verify(pieces, &signature).is_ok()
}

#[cfg(test)]
mod tests;
