//! Signing and verifying webhooks. Pure, and public as a library.
//!
//! A [`SignatureScheme`] says what is signed, how, and which headers carry what: the same one signs what goes out and
//! verifies what comes in. [`SchemePreset`] names the schemes in the field, first of all Standard Webhooks.

mod check;
mod encoding;
#[cfg(test)]
mod parcel;
mod preset;
#[cfg(test)]
mod properties;
mod public_key;
mod received;
mod scheme;
mod secret;
mod sign;
mod values;
#[cfg(test)]
mod vectors;
mod verify;
mod verifying_key;

pub use self::{
    preset::SchemePreset,
    public_key::PublicKey,
    received::Received,
    scheme::{
        Algorithm, Encoding, KeyForm, Part, SchemeDefinition, SchemeHeader, SchemeViolation, SignatureScheme, Variable,
    },
    secret::{Secret, SecretError},
    sign::{Message, SignedHeader, Signer, schemes_conflict, sign},
    verify::{DEFAULT_TOLERANCE, Verified, VerifyError},
    verifying_key::VerifyingKey,
};

/// The header in which Standard Webhooks carry the message's id, the same on every attempt.
pub const ID_HEADER: &str = "webhook-id";
