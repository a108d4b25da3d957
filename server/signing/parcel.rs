//! For tests: a message under way, which can be tampered with.

use std::time::Duration;

use super::{
    KeyForm, Message, Received, SchemePreset, Secret, SignatureScheme, Signer, Verified, VerifyError, VerifyingKey,
    sign,
};
use crate::model::Timestamp;

pub(super) const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(super) const OTHER_KEY: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(super) const SEED: &str = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(super) const OTHER_SEED: &str = "whsk_IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(super) const NOW: Timestamp = Timestamp::from_micros(1_614_265_330_000_000);
pub(super) const URL: &str = "https://example.com/hook";

/// A secret that any scheme of the form takes, and another one.
pub(super) fn secrets(form: KeyForm) -> [Secret; 2] {
    let texts = match form {
        KeyForm::Text | KeyForm::Base64 => [KEY, OTHER_KEY],
        KeyForm::Ed25519Seed => [SEED, OTHER_SEED],
    };
    texts.map(|text| Secret::parse(text, form).unwrap())
}

pub(super) fn message(body: &[u8]) -> Message<'_> {
    Message { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: NOW, event_type: "user.created", url: URL, body }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parcel {
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Parcel {
    pub(super) fn signed(signers: &[Signer<'_, '_>], message: &Message<'_>) -> Self {
        let own = |header: super::SignedHeader<'_>| (header.name.to_owned(), header.value);
        Self { headers: sign(signers, message).into_iter().map(own).collect(), body: message.body.to_vec() }
    }

    pub(super) fn by(scheme: &SignatureScheme, secret: &Secret, message: &Message<'_>) -> Self {
        Self::signed(&[Signer { scheme, secrets: &[secret] }], message)
    }

    pub(super) fn of(preset: SchemePreset, secret: &str, body: &[u8]) -> Self {
        let secret = Secret::parse(secret, preset.scheme().definition().key_form).unwrap();
        Self::by(preset.scheme(), &secret, &message(body))
    }

    /// The same with another value in one header, which may be a new one.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// `None` too if the header is there twice, as receivers have it.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value)
    }

    pub(super) fn verify(
        &self,
        scheme: &SignatureScheme,
        keys: &[VerifyingKey],
        now: Timestamp,
        tolerance: Duration,
    ) -> Result<Verified<'_>, VerifyError> {
        let header = |name: &str| self.value(name);
        scheme.verify(keys, &Received { header: &header, body: &self.body, url: Some(URL) }, now, tolerance)
    }
}
