//! Credentials by which the server is known to an endpoint. What is wrong with them is told without a word of them.

use zeroize::Zeroizing;

use super::{
    WebhookApi,
    violation::{Violations, echo},
};
use crate::{
    configure::CredentialsPatch,
    egress::{IdentityError, read_identity},
    model::{
        ClientCertificate, Credentials, CredentialsConflict, CredentialsSummary, EndpointUrl, HttpCredentials,
        HttpCredentialsKind, OAuth2Client, SCOPES_MAX, SecretPlacement, Style, check_bearer_token, check_client_id,
        check_client_secret, check_password, check_scope, check_username, credentials_conflicts,
    },
    proto::{
        BasicCredentials, BearerCredentials, ClientSecretPlacement, EndpointClientCertificate, EndpointCredentials,
        EndpointCredentialsSummary, EndpointHttpCredentials, HttpCredentialsKind as ProtoKind, OAuth2ClientCredentials,
        endpoint_http_credentials::Kind,
    },
};

const HTTP: &str = "endpoint.credentials.http";
const CERTIFICATE: &str = "endpoint.credentials.client_certificate";

impl WebhookApi {
    /// Reads the credentials of a new endpoint.
    pub(super) fn read_credentials(
        &self,
        given: Option<EndpointCredentials>,
        violations: &mut Violations,
    ) -> Credentials {
        let EndpointCredentials { http, client_certificate } = given.unwrap_or_default();
        Credentials {
            http: http.and_then(|http| self.read_http(http, violations)),
            certificate: client_certificate.and_then(|given| read_certificate(given, violations)),
        }
    }

    /// Reads the parts of an endpoint's credentials that are named, and looks at no other.
    pub(super) fn patch_credentials(
        &self,
        given: Option<EndpointCredentials>,
        (http_named, certificate_named): (bool, bool),
        violations: &mut Violations,
    ) -> CredentialsPatch {
        let EndpointCredentials { http, client_certificate } = given.unwrap_or_default();
        let http = http.filter(|_| http_named);
        let certificate = client_certificate.filter(|_| certificate_named);
        CredentialsPatch {
            http: http_named.then(|| http.and_then(|http| self.read_http(http, violations))),
            certificate: certificate_named.then(|| certificate.and_then(|given| read_certificate(given, violations))),
        }
    }

    fn read_http(&self, given: EndpointHttpCredentials, violations: &mut Violations) -> Option<HttpCredentials> {
        match given.kind {
            None => {
                violations.add(HTTP, "must be one of `basic`, `bearer` and `oauth2`");
                None
            }
            Some(Kind::Basic(BasicCredentials { username, password })) => {
                let password = Zeroizing::new(password);
                let checked = violations.take(&format!("{HTTP}.basic.username"), check_username(&username));
                let both = checked.and(violations.take(&format!("{HTTP}.basic.password"), check_password(&password)));
                both.map(|()| HttpCredentials::Basic { username, password })
            }
            Some(Kind::Bearer(BearerCredentials { token })) => {
                let token = Zeroizing::new(token);
                let checked = violations.take(&format!("{HTTP}.bearer.token"), check_bearer_token(&token));
                checked.map(|()| HttpCredentials::Bearer(token))
            }
            Some(Kind::Oauth2(client)) => self.read_oauth2(client, violations).map(HttpCredentials::OAuth2),
        }
    }

    fn read_oauth2(&self, given: OAuth2ClientCredentials, violations: &mut Violations) -> Option<OAuth2Client> {
        let OAuth2ClientCredentials { token_url, client_id, client_secret, scopes, secret_placement } = given;
        let client_secret = Zeroizing::new(client_secret);
        let before = violations.len();
        let field = |part: &str| format!("{HTTP}.oauth2.{part}");
        let token_url = self.read_url(&token_url, &field("token_url"), violations);
        violations.take(&field("client_id"), check_client_id(&client_id));
        violations.take(&field("client_secret"), check_client_secret(&client_secret));
        if scopes.len() > SCOPES_MAX {
            let problem = format!("must have at most {SCOPES_MAX} entries; it has {}", scopes.len());
            violations.add(field("scopes"), problem);
        }
        for (index, scope) in scopes.iter().enumerate().take(SCOPES_MAX) {
            let problem = check_scope(scope).map_err(|problem| format!("`{}` {problem}", echo(scope)));
            violations.take(&field(&format!("scopes[{index}]")), problem);
        }
        let placement = match ClientSecretPlacement::try_from(secret_placement) {
            Ok(ClientSecretPlacement::Unspecified | ClientSecretPlacement::Header) => SecretPlacement::Header,
            Ok(ClientSecretPlacement::Body) => SecretPlacement::Body,
            Err(_) => {
                violations.add(field("secret_placement"), "is not among the values of ClientSecretPlacement");
                SecretPlacement::Header
            }
        };
        let token_url = token_url.filter(|_| violations.len() == before)?;
        Some(OAuth2Client { token_url, client_id, client_secret, scopes, placement })
    }
}

fn read_certificate(given: EndpointClientCertificate, violations: &mut Violations) -> Option<ClientCertificate> {
    let EndpointClientCertificate { certificate_pem, private_key_pem } = given;
    let errors = match read_identity(certificate_pem, Zeroizing::new(private_key_pem)) {
        Ok(certificate) => return Some(certificate),
        Err(errors) => errors,
    };
    for error in errors {
        let part = match error {
            IdentityError::Chain(_) => "certificate_pem",
            IdentityError::Key(_) => "private_key_pem",
        };
        violations.add(format!("{CERTIFICATE}.{part}"), error.to_string());
    }
    None
}

/// Notes what the credentials of a new endpoint cannot stand beside.
pub(super) fn check_conflicts(
    summary: &CredentialsSummary,
    url: Option<&EndpointUrl>,
    style: Option<&Style>,
    header_names: &[String],
    violations: &mut Violations,
) {
    for conflict in credentials_conflicts(summary, url, style, header_names) {
        let field = match conflict {
            CredentialsConflict::Header(_) | CredentialsConflict::Scheme => HTTP,
            CredentialsConflict::PlainHttp => CERTIFICATE,
        };
        violations.add(field, conflict.to_string());
    }
}

/// What is shown of an endpoint's credentials; nothing of none.
pub(super) fn show_summary(summary: &CredentialsSummary) -> Option<EndpointCredentialsSummary> {
    if *summary == CredentialsSummary::default() {
        return None;
    }
    let kind = match summary.http {
        None => ProtoKind::Unspecified,
        Some(HttpCredentialsKind::Basic) => ProtoKind::Basic,
        Some(HttpCredentialsKind::Bearer) => ProtoKind::Bearer,
        Some(HttpCredentialsKind::OAuth2) => ProtoKind::Oauth2,
    };
    Some(EndpointCredentialsSummary {
        http_kind: kind as i32,
        client_certificate_sha256: summary.certificate.clone().unwrap_or_default(),
    })
}
