//! Other readings of a secret.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::super::{scheme::KeyForm, verifying_key::VerifyingKey};

const PREFIX: &str = "whsec_";

/// How else a secret was read by whoever signed. Shown as a part of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyReading {
    /// As it stands, where it should be decoded.
    Whole,
    /// Decoded from base64 after `whsec_`, where it should be taken as it stands.
    Decoded,
    /// Without `whsec_`, but not decoded.
    WithoutPrefix,
    /// With `whsec_`, which is missing here.
    WithPrefix,
    /// Without the white space that it has here at an end.
    Trimmed,
    /// With a line end.
    WithLineEnd,
}

impl fmt::Display for KeyReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "the secret as it stands; the scheme decodes it from base64 after `whsec_`",
            Self::Decoded => "the secret decoded from base64; the scheme takes it as it stands, `whsec_` included",
            Self::WithoutPrefix => "the text after `whsec_`, not decoded",
            Self::WithPrefix => "`whsec_` before the secret given here",
            Self::Trimmed => "the secret without the white space that it has here",
            Self::WithLineEnd => "a line end after the secret",
        })
    }
}

/// The keys that `text` gives when it is read otherwise than `form` has it. None for Ed25519, whose keys have one reading.
pub(super) fn readings(text: &str, form: KeyForm) -> Vec<(KeyReading, VerifyingKey)> {
    let after = text.strip_prefix(PREFIX);
    let decoded = |text: &str| STANDARD.decode(text).ok();
    let own = |text: &str| VerifyingKey::parse(text, form).ok();
    let raw = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| VerifyingKey::hmac(form, bytes));
    let other = match form {
        KeyForm::Text => (KeyReading::Decoded, raw(after.and_then(decoded))),
        KeyForm::Base64 => (KeyReading::Whole, raw(Some(text.into()))),
        KeyForm::Ed25519Seed => return Vec::new(),
    };
    let line_end = [text, "\n"].concat();
    let readings = [
        other,
        (KeyReading::WithoutPrefix, raw(after.map(Into::into))),
        (KeyReading::WithPrefix, own(&[PREFIX, text].concat())),
        (KeyReading::Trimmed, (text.trim() != text).then(|| own(text.trim())).flatten()),
        (KeyReading::WithLineEnd, (form == KeyForm::Text).then(|| own(&line_end)).flatten()),
    ];
    readings.into_iter().filter_map(|(reading, key)| Some((reading, key?))).collect()
}
