//! Signing: what goes on the wire beside the body.

use ed25519_dalek::ed25519::signature::MultipartSigner as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{
    scheme::{Part, SchemeDefinition, SchemeHeader, SignatureScheme, Variable},
    secret::{Key, Secret},
    values::{Values, signed_pieces},
};
use crate::model::{Timestamp, debug_unshown, operation};

/// A message to be signed.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// Its id, the same on every attempt: letters, digits, `_` and `-`.
    pub id: &'a str,
    /// The attempt's time; not before 1970.
    pub timestamp: Timestamp,
    /// The event type: letters, digits, `_` and `-`, in segments joined by dots.
    pub event_type: &'a str,
    /// Where it is sent to.
    pub url: &'a str,
    /// The body that is signed, which is not always the one that is sent.
    pub body: &'a [u8],
}

debug_unshown!(Message<'a> { id, timestamp, event_type, url } but { body });

/// A scheme, and the secrets that sign by it.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'s, 'k> {
    /// The scheme.
    pub scheme: &'s SignatureScheme,
    /// Its secrets, newest first; of the scheme's form, others are passed over. Each makes a signature, or only the
    /// first of them where a message carries one signature.
    pub secrets: &'k [&'k Secret],
}

/// A header of a signed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeader<'a> {
    /// Its name, as the scheme writes it.
    pub name: &'a str,
    /// Its value.
    pub value: String,
}

/// Signs a message by every signer's scheme; the headers come in the order of the schemes. Those that schemes have in common
/// come once, with the signatures of all of them, if [`schemes_conflict`] finds nothing; else their names come twice.
/// Without a secret a signature is empty, and receivers refuse the message.
pub fn sign<'s>(signers: &[Signer<'s, '_>], message: &Message<'_>) -> Vec<SignedHeader<'s>> {
    let timestamp = message.timestamp.as_secs().to_string();
    let values = Values {
        id: Some(message.id),
        timestamp: Some(&timestamp),
        event_type: Some(message.event_type),
        operation: Some(operation(message.event_type)),
        url: Some(message.url),
    };
    let mut signed: Vec<SignedHeader<'s>> =
        Vec::with_capacity(signers.iter().map(|signer| signer.scheme.definition().headers.len()).sum());
    for (index, signer) in signers.iter().enumerate() {
        for header in &signer.scheme.definition().headers {
            let value = render(header, *signer, values, message.body);
            let known = signed.iter_mut().find(|known| known.name.eq_ignore_ascii_case(&header.name));
            let joint = joint(&signers[..index], signer.scheme, header);
            match (known, joint) {
                (Some(known), _) if known.value == value => {}
                (Some(known), Some(separator)) => {
                    if !known.value.is_empty() && !value.is_empty() {
                        known.value.push_str(separator);
                    }
                    known.value.push_str(&value);
                }
                (_, _) => signed.push(SignedHeader { name: &header.name, value }),
            }
        }
    }
    signed
}

/// Two schemes that cannot sign one message together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemeConflict {
    /// The later of the two, by its index.
    pub scheme: usize,
    /// Its header that is in the way, by its index.
    pub header: usize,
    /// The earlier of the two, which has a header of the same name.
    pub earlier: usize,
}

/// What stops `schemes` from signing one message together: headers of one name that are neither equal in all of them nor
/// nothing but signatures with one separator. Empty if nothing does.
pub fn schemes_conflict(schemes: &[&SignatureScheme]) -> Vec<SchemeConflict> {
    let mut conflicts = Vec::new();
    for (index, scheme) in schemes.iter().enumerate() {
        for (place, header) in scheme.definition().headers.iter().enumerate() {
            for (other, earlier) in schemes[..index].iter().enumerate() {
                let Some(theirs) = header_named(earlier, &header.name) else { continue };
                if separator_of(earlier, theirs, scheme, header).is_none() && !is_same(theirs, header) {
                    conflicts.push(SchemeConflict { scheme: index, header: place, earlier: other });
                }
            }
        }
    }
    conflicts
}

fn header_named<'a>(scheme: &'a SignatureScheme, name: &str) -> Option<&'a SchemeHeader> {
    scheme.definition().headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))
}

fn is_same(one: &SchemeHeader, other: &SchemeHeader) -> bool {
    one.value == other.value && !one.value.contains(&Part::Variable(Variable::Signature))
}

/// What stands between the signatures of two schemes in one header, if both have nothing but signatures in it.
fn separator_of<'a>(
    one: &SignatureScheme,
    theirs: &SchemeHeader,
    other: &'a SignatureScheme,
    ours: &SchemeHeader,
) -> Option<&'a str> {
    let alone = |header: &SchemeHeader| header.value == [Part::Variable(Variable::Signature)];
    let separator = other.definition().signature_separator.as_deref()?;
    let joins = one.definition().signature_separator.as_deref() == Some(separator);
    (joins && alone(theirs) && alone(ours)).then_some(separator)
}

fn joint<'a>(earlier: &[Signer<'_, '_>], scheme: &'a SignatureScheme, header: &SchemeHeader) -> Option<&'a str> {
    earlier.iter().find_map(|signer| {
        let theirs = header_named(signer.scheme, &header.name)?;
        separator_of(signer.scheme, theirs, scheme, header)
    })
}

fn render(header: &SchemeHeader, signer: Signer<'_, '_>, values: Values<'_>, body: &[u8]) -> String {
    let mut value = String::new();
    for part in &header.value {
        match part {
            Part::Literal(literal) => value.push_str(literal),
            Part::Variable(Variable::Signature) => push_signatures(&mut value, signer, values, body),
            Part::Variable(variable) => value.push_str(values.get(*variable).unwrap_or_default()),
        }
    }
    value
}

fn push_signatures(text: &mut String, signer: Signer<'_, '_>, values: Values<'_>, body: &[u8]) {
    let definition = signer.scheme.definition();
    let limit = if signer.scheme.joins_signatures() { usize::MAX } else { 1 };
    let secrets = signer.secrets.iter().filter(|secret| secret.form() == definition.key_form).take(limit);
    let separator = definition.signature_separator.as_deref().unwrap_or_default();
    for (index, secret) in secrets.enumerate() {
        text.push_str(if index > 0 { separator } else { "" });
        push_signature(text, definition, secret, values, body);
    }
}

fn push_signature(text: &mut String, definition: &SchemeDefinition, secret: &Secret, values: Values<'_>, body: &[u8]) {
    let pieces = signed_pieces(definition, values, body);
    let prefix = &definition.signature_prefix;
    match secret.key() {
        Key::Bytes(key) => push(text, definition, prefix, &hmac_sha256(&key, pieces)),
        Key::Seed(key) => {
            let pieces: Vec<&[u8]> = pieces.collect();
            push(text, definition, prefix, &key.multipart_sign(&pieces).to_bytes());
        }
    }
}

fn push(text: &mut String, definition: &SchemeDefinition, prefix: &str, signature: &[u8]) {
    // One growth of the text for each signature.
    text.reserve(prefix.len() + definition.encoding.text_len(signature.len()));
    text.push_str(prefix);
    definition.encoding.push(text, signature);
}

pub(super) fn hmac_sha256<'a>(key: &[u8], pieces: impl Iterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    pieces.for_each(|piece| hmac.update(piece));
    hmac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
