//! Other readings of a secret.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::super::{scheme::KeyForm, verifying_key::VerifyingKey};

const PREFIX: &str = "whsec_";

/// How else a secret was read by whoever signed. Shown as a part of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyReading {
    /// As it stands, where it should be decoded.
    Whole,
    /// Decoded from base64 after `whsec_`, where it should be taken as it stands.
    Decoded,
    /// Decoded from base64 after `whsec_`, though the key is shorter or longer than the scheme has it.
    OtherLength,
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
            Self::OtherLength => {
                "the secret decoded from base64; the scheme asks for 24 to 64 bytes, and it has not as many"
            }
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
        KeyForm::Text => [Some((KeyReading::Decoded, raw(after.and_then(decoded)))), None],
        KeyForm::Base64 => {
            let other_length = own(text).is_none().then(|| raw(after.and_then(decoded)));
            [Some((KeyReading::Whole, raw(Some(text.into())))), other_length.map(|key| (KeyReading::OtherLength, key))]
        }
        KeyForm::Ed25519Seed => return Vec::new(),
    };
    let line_end = Zeroizing::new([text, "\n"].concat());
    let prefixed = Zeroizing::new([PREFIX, text].concat());
    let readings = [
        (KeyReading::WithoutPrefix, raw(after.map(Into::into))),
        (KeyReading::WithPrefix, own(&prefixed)),
        (KeyReading::Trimmed, (text.trim() != text).then(|| own(text.trim())).flatten()),
        (KeyReading::WithLineEnd, (form == KeyForm::Text).then(|| own(&line_end)).flatten()),
    ];
    other.into_iter().flatten().chain(readings).filter_map(|(reading, key)| Some((reading, key?))).collect()
}
