//! The header `authorization` of a request, as the endpoint's credentials have it.

use std::sync::Arc;

use http::HeaderValue;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{
    exchange::Line,
    failure::Failure,
    grant::{self, Token},
    recent::Key,
    token::Tokens,
};
use crate::model::{ClientCertificate, Credentials, FailureKind, HttpCredentials, OAuth2Client};

/// A header for one request.
pub(super) enum Authorization {
    /// One that stays as it is.
    Fixed(HeaderValue),
    /// A token, and what it is kept by.
    Token(Key, Arc<Token>),
}

impl Authorization {
    pub(super) fn header(&self) -> HeaderValue {
        match self {
            Self::Fixed(header) => header.clone(),
            Self::Token(_, token) => token.header.clone(),
        }
    }
}

/// Makes the header, if there is to be one. A token is fetched over `line`, which shows the endpoint's client certificate:
/// tokens may be bound to it (RFC 8705).
///
/// # Errors
/// No token could be had.
pub(super) async fn authorize(
    credentials: &Credentials,
    tokens: &Tokens,
    line: &Line,
) -> Result<Option<Authorization>, Failure> {
    let Some(http) = &credentials.http else { return Ok(None) };
    match http {
        HttpCredentials::Basic { username, password } => {
            let joined = Zeroizing::new(format!("{username}:{}", password.as_str()));
            Ok(Some(Authorization::Fixed(grant::basic(&joined))))
        }
        HttpCredentials::Bearer(token) => {
            let unusable = || Failure::new(FailureKind::Authorization, "the bearer token cannot be sent");
            Ok(Some(Authorization::Fixed(grant::bearer(token).ok_or_else(unusable)?)))
        }
        HttpCredentials::OAuth2(client) => {
            let key = key(client, credentials);
            let token = tokens.get(key, || grant::fetch(line.clone(), client.clone())).await?;
            Ok(Some(Authorization::Token(key, token)))
        }
    }
}

/// Tokens depend on the client, and may on the certificate that it shows.
fn key(client: &OAuth2Client, credentials: &Credentials) -> Key {
    let certificate = credentials.certificate.as_ref().map(ClientCertificate::digest);
    Sha256::new().chain_update(client.digest()).chain_update(certificate.unwrap_or_default()).finalize().into()
}
