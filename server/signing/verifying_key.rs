//! Keys of receivers.

use std::fmt;

use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use super::{
    public_key::PublicKey,
    scheme::KeyForm,
    secret::{Key, PUBLIC_PREFIX, Secret, SecretError},
};

/// What a receiver verifies with: a secret it shares with the sender, or the sender's public key. Never shown by Debug, and
/// wiped from memory when dropped.
#[derive(Clone)]
pub struct VerifyingKey(Inner);

#[derive(Clone)]
enum Inner {
    Secret { form: KeyForm, bytes: Zeroizing<Vec<u8>> },
    Public(Box<PublicKey>),
}

/// The bytes to compute with.
pub(super) enum KeyMaterial<'a> {
    Secret(&'a [u8]),
    Public(&'a PublicKey),
}

impl VerifyingKey {
    /// Reads a key for schemes of the given form: a secret of this form or, for Ed25519, also a public key (`whpk_`).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, form: KeyForm) -> Result<Self, SecretError> {
        if form == KeyForm::Ed25519Seed && text.starts_with(PUBLIC_PREFIX) {
            return PublicKey::parse(text).map(Self::from);
        }
        Secret::parse(text, form).map(|secret| Self::from(&secret))
    }

    /// Which schemes it is a key of.
    pub fn form(&self) -> KeyForm {
        match &self.0 {
            Inner::Secret { form, .. } => *form,
            Inner::Public(_) => KeyForm::Ed25519Seed,
        }
    }

    /// A key of these bytes for schemes that read theirs by `form`; none without bytes.
    pub(super) fn hmac(form: KeyForm, bytes: Vec<u8>) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self(Inner::Secret { form, bytes: Zeroizing::new(bytes) }))
    }

    /// A key that everybody may know, to look at headers with.
    pub(super) fn of_nobody(form: KeyForm) -> Self {
        Self(match form {
            KeyForm::Text | KeyForm::Base64 => Inner::Secret { form, bytes: Zeroizing::new(vec![0; 32]) },
            KeyForm::Ed25519Seed => Inner::Public(Box::new(PublicKey::of(&SigningKey::from_bytes(&[0; 32])))),
        })
    }

    pub(super) fn material(&self) -> KeyMaterial<'_> {
        match &self.0 {
            Inner::Secret { bytes, .. } => KeyMaterial::Secret(bytes),
            Inner::Public(key) => KeyMaterial::Public(key),
        }
    }
}

impl From<&Secret> for VerifyingKey {
    fn from(secret: &Secret) -> Self {
        Self(match secret.key() {
            Key::Bytes(bytes) => Inner::Secret { form: secret.form(), bytes },
            Key::Seed(key) => Inner::Public(Box::new(PublicKey::of(key))),
        })
    }
}

impl From<PublicKey> for VerifyingKey {
    fn from(key: PublicKey) -> Self {
        Self(Inner::Public(Box::new(key)))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(…)")
    }
}
