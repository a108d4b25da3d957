//! Credentials by which the server is known to an endpoint: changing a part of them, and what they cannot stand beside.

use super::{Error, Refusal};
use crate::{
    model::{
        ClientCertificate, Credentials, CredentialsConflict, EndpointKey, EndpointSettings, HttpCredentials,
        credentials_conflicts,
    },
    shared::Shared,
    store::{self, Tx},
};

/// What to change of an endpoint's credentials, checked; `None` leaves a part as it is, `Some(None)` takes it away.
#[derive(Clone, Debug, Default)]
pub struct CredentialsPatch {
    /// What stands in the header `authorization`.
    pub http: Option<Option<HttpCredentials>>,
    /// What is shown in TLS handshakes.
    pub certificate: Option<Option<ClientCertificate>>,
}

/// Which fields a change names, for telling which of two that do not fit is at fault.
#[derive(Clone, Copy, Debug)]
struct Named {
    headers: bool,
    http: bool,
    certificate: bool,
}

impl CredentialsPatch {
    fn is_empty(&self) -> bool {
        self.http.is_none() && self.certificate.is_none()
    }

    fn apply(self, credentials: &mut Credentials) {
        if let Some(http) = self.http {
            credentials.http = http;
        }
        if let Some(certificate) = self.certificate {
            credentials.certificate = certificate;
        }
    }
}

/// The credentials of one endpoint.
pub(super) async fn stored(tx: &mut Tx, shared: &Shared, key: EndpointKey) -> Result<Credentials, Error> {
    Ok(store::credentials::load(tx.conn(), &shared.keyring, key, key).await?.remove(&key).unwrap_or_default())
}

/// What `patch` makes of an endpoint's credentials, if it changes them; `settings`, changed otherwise already, get their
/// summary. What does not fit is noted.
pub(super) async fn change(
    tx: &mut Tx,
    shared: &Shared,
    key: EndpointKey,
    patch: CredentialsPatch,
    settings: &mut EndpointSettings,
    names_headers: bool,
    refused: &mut Vec<Refusal>,
) -> Result<Option<Credentials>, Error> {
    let named = Named { headers: names_headers, http: patch.http.is_some(), certificate: patch.certificate.is_some() };
    let mut changed = None;
    if !patch.is_empty() {
        let mut credentials = stored(tx, shared, key).await?;
        patch.apply(&mut credentials);
        settings.credentials = credentials.summary();
        changed = Some(credentials);
    }
    check_fit(settings, named, refused);
    Ok(changed)
}

/// Notes what does not fit an endpoint's credentials, as a fault of what the change names.
fn check_fit(settings: &EndpointSettings, named: Named, refused: &mut Vec<Refusal>) {
    let EndpointSettings { credentials, url, style, header_names, .. } = settings;
    for conflict in credentials_conflicts(credentials, Some(url), Some(style), header_names) {
        let field = match conflict {
            CredentialsConflict::Header(_) | CredentialsConflict::Scheme if named.http => {
                "endpoint.credentials.http".to_owned()
            }
            CredentialsConflict::Header(index) if named.headers => format!("endpoint.headers[{index}].name"),
            CredentialsConflict::Header(_) => "endpoint.headers".to_owned(),
            CredentialsConflict::Scheme => "endpoint.style".to_owned(),
            CredentialsConflict::PlainHttp if named.certificate => "endpoint.credentials.client_certificate".to_owned(),
            CredentialsConflict::PlainHttp => "endpoint.url".to_owned(),
        };
        refused.push(Refusal { field, problem: conflict.to_string() });
    }
}
