//! Verifying what a receiver got: the signature's check of [`crate::signing`], brought to HTTP.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use http::StatusCode;

use super::{Answer, Webhook};
use crate::{
    model::Clock,
    signing::{DEFAULT_TOLERANCE, Received, SchemePreset, Secret, Verified, VerifyError, VerifyingKey},
};

/// Verifies Standard Webhooks by the secrets of one endpoint, which may change while webhooks arrive.
pub struct Verifier {
    keys: RwLock<Vec<VerifyingKey>>,
    clock: Clock,
    tolerance: Duration,
}

impl Verifier {
    /// A verifier that accepts timestamps within 300 s of the wall clock, both ways.
    pub fn new(secrets: Vec<Secret>, clock: Clock) -> Self {
        Self { keys: RwLock::new(keys_of(&secrets)), clock, tolerance: DEFAULT_TOLERANCE }
    }

    /// Puts other secrets in the place of those before, as a receiver does when a secret is rotated.
    pub fn replace_secrets(&self, secrets: Vec<Secret>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys_of(&secrets);
    }

    /// Verifies one webhook.
    ///
    /// # Errors
    /// What is wrong with it; the text is meant for whoever sets the receiver up.
    pub fn verify<'a>(&self, webhook: &'a Webhook) -> Result<Verified<'a>, VerifyError> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let received = Received { header: &|name| webhook.header(name), body: &webhook.body, url: None };
        SchemePreset::Standard.scheme().verify(&keys, &received, self.clock.wall(), self.tolerance)
    }
}

fn keys_of(secrets: &[Secret]) -> Vec<VerifyingKey> {
    secrets.iter().map(VerifyingKey::from).collect()
}

impl From<&VerifyError> for Answer {
    /// 401, with the reason as text.
    fn from(error: &VerifyError) -> Self {
        Self::text(StatusCode::UNAUTHORIZED, format!("{error}\n"))
    }
}
