//! Signing and verifying webhooks. Pure, and public as a library.
//!
//! What stands here is Standard Webhooks (<https://www.standardwebhooks.com>), version `v1`: HMAC-SHA256 over
//! `{id}.{timestamp}.{body}`, in base64, under every secret that is live. Nothing here knows of HTTP libraries: a
//! receiver hands [`verify`] three header values and the body's raw bytes. Nothing here copies a body.

mod secret;
mod sign;
mod verify;

pub use self::{
    secret::{Secret, SecretError},
    sign::{SignedHeaders, sign},
    verify::{DEFAULT_TOLERANCE, MessageHeaders, Verified, VerifyError, verify},
};

/// The header that carries the message's id, the same on every attempt.
pub const ID_HEADER: &str = "webhook-id";

/// The header that carries the attempt's time, in seconds since the Unix epoch.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";

/// The header that carries the signatures, each after its version, joined by spaces.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// The version of the signatures made and accepted here, as it stands before each of them.
const VERSION_PREFIX: &str = "v1,";
