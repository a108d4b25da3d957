//! Verifying what a receiver got: the signature's check of [`crate::signing`], brought to HTTP.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use http::StatusCode;

use super::{Answer, Webhook};
use crate::{
    model::{
        Clock,
        envelope::{BodyForm, FormError, signed_part},
    },
    signing::{
        DEFAULT_TOLERANCE, Received, SchemePreset, Secret, SignatureScheme, Verified, VerifyError, VerifyingKey,
    },
};

/// What webhooks are expected to look like.
#[derive(Clone, Debug)]
pub struct Expected {
    /// How they are signed.
    pub scheme: SignatureScheme,
    /// How their bodies are written.
    pub body_form: BodyForm,
    /// Where they are sent to, as the sender writes it; needed by schemes that sign it.
    pub url: Option<String>,
}

/// Verifies webhooks by one scheme and the secrets of one endpoint, which may change while webhooks arrive.
pub struct Verifier {
    expected: Expected,
    keys: RwLock<Vec<VerifyingKey>>,
    clock: Clock,
    tolerance: Duration,
}

/// Why a webhook was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its body is not the form that it should be.
    #[error(transparent)]
    Form(#[from] FormError),
    /// Its headers or its signature are not right.
    #[error(transparent)]
    Signature(#[from] VerifyError),
}

impl Verifier {
    /// A verifier of Standard Webhooks that accepts timestamps within 300 s of the wall clock, both ways.
    pub fn new(secrets: Vec<Secret>, clock: Clock) -> Self {
        let scheme = SchemePreset::Standard.scheme().clone();
        Self::of(Expected { scheme, body_form: BodyForm::AsIs, url: None }, keys_of(&secrets), clock)
    }

    /// A verifier of webhooks that look otherwise, as strict about time.
    pub fn of(expected: Expected, keys: Vec<VerifyingKey>, clock: Clock) -> Self {
        Self { expected, keys: RwLock::new(keys), clock, tolerance: DEFAULT_TOLERANCE }
    }

    /// Puts other secrets in the place of those before, as a receiver does when a secret is rotated.
    pub fn replace_secrets(&self, secrets: Vec<Secret>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys_of(&secrets);
    }

    /// Verifies one webhook.
    ///
    /// # Errors
    /// What is wrong with it; the text is meant for whoever sets the receiver up.
    pub fn verify<'a>(&self, webhook: &'a Webhook) -> Result<Verified<'a>, Refusal> {
        let Expected { scheme, body_form, url } = &self.expected;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let body = signed_part(*body_form, &webhook.body)?;
        let received = Received { header: &|name| webhook.header(name), body: &body, url: url.as_deref() };
        Ok(scheme.verify(&keys, &received, self.clock.wall(), self.tolerance)?)
    }
}

fn keys_of(secrets: &[Secret]) -> Vec<VerifyingKey> {
    secrets.iter().map(VerifyingKey::from).collect()
}

impl From<&Refusal> for Answer {
    /// 401, with the reason as text.
    fn from(refusal: &Refusal) -> Self {
        Self::text(StatusCode::UNAUTHORIZED, format!("{refusal}\n"))
    }
}
