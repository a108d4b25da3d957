//! Verifying what a receiver got: the signature's check of [`crate::signing`], brought to HTTP.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use http::StatusCode;

use super::{Answer, Webhook};
use crate::{
    model::Clock,
    signing::{self, DEFAULT_TOLERANCE, MessageHeaders, Secret, Verified, VerifyError},
};

/// Verifies webhooks by the secrets of one endpoint, which may change while webhooks arrive.
pub struct Verifier {
    secrets: RwLock<Vec<Secret>>,
    clock: Clock,
    tolerance: Duration,
}

impl Verifier {
    /// A verifier that accepts timestamps within 300 s of the wall clock, both ways.
    pub fn new(secrets: Vec<Secret>, clock: Clock) -> Self {
        Self { secrets: RwLock::new(secrets), clock, tolerance: DEFAULT_TOLERANCE }
    }

    /// Puts other secrets in the place of those before, as a receiver does when a secret is rotated.
    pub fn replace_secrets(&self, secrets: Vec<Secret>) {
        *self.secrets.write().unwrap_or_else(PoisonError::into_inner) = secrets;
    }

    /// Verifies one webhook.
    ///
    /// # Errors
    /// What is wrong with it; the text is meant for whoever sets the receiver up.
    pub fn verify<'a>(&self, webhook: &'a Webhook) -> Result<Verified<'a>, VerifyError> {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        let secrets: Vec<&Secret> = secrets.iter().collect();
        let headers = MessageHeaders::read(|name| webhook.header(name));
        signing::verify(&secrets, headers, &webhook.body, self.clock.wall(), self.tolerance)
    }
}

impl From<&VerifyError> for Answer {
    /// 401, with the reason as text.
    fn from(error: &VerifyError) -> Self {
        Self::text(StatusCode::UNAUTHORIZED, format!("{error}\n"))
    }
}
