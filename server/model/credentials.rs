//! Credentials by which the server is known to an endpoint, besides the signatures of what it sends: one way of
//! authentication over HTTP, a client certificate for TLS, or both.
//!
//! What is secret is in no Debug output and is wiped when it is dropped. The rules on texts are those of the fields of
//! HTTP and OAuth that they end up in; what is wrong is told without a word of the value.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;
use zeroize::Zeroizing;

use super::{EndpointUrl, Style, custom_header::headers_taken};

const AUTHORIZATION: &str = "authorization";

/// The longest name or client id, in bytes.
const CREDENTIAL_NAME_BYTES_MAX: usize = 256;
/// The longest password or client secret, in bytes.
const CREDENTIAL_SECRET_BYTES_MAX: usize = 1_024;
/// The longest token, in bytes: what common servers take as one header.
const TOKEN_BYTES_MAX: usize = 4_096;
/// Scopes of one client at most.
pub const SCOPES_MAX: usize = 50;
/// The longest scope, in bytes.
const SCOPE_BYTES_MAX: usize = 256;

/// How the server is known to an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// What stands in the header `authorization`.
    pub http: Option<HttpCredentials>,
    /// What is shown in TLS handshakes.
    pub certificate: Option<ClientCertificate>,
}

impl Credentials {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.http.is_none() && self.certificate.is_none()
    }

    /// What may be shown of them.
    pub fn summary(&self) -> CredentialsSummary {
        CredentialsSummary {
            http: self.http.as_ref().map(HttpCredentials::kind),
            certificate: self.certificate.as_ref().map(|certificate| hex(&certificate.fingerprint)),
        }
    }
}

/// What may be shown of credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialsSummary {
    /// The way of authentication over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCredentialsKind>,
    /// The SHA-256 of the client certificate, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// A way of authentication over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpCredentialsKind {
    /// RFC 7617.
    Basic,
    /// RFC 6750, with a token that does not change.
    Bearer,
    /// RFC 6749, section 4.4.
    OAuth2,
}

/// What stands in the header `authorization`.
#[derive(Clone, PartialEq, Eq)]
pub enum HttpCredentials {
    /// A name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: Zeroizing<String>,
    },
    /// A token that does not change.
    Bearer(Zeroizing<String>),
    /// A token that is fetched for it.
    OAuth2(OAuth2Client),
}

impl HttpCredentials {
    fn kind(&self) -> HttpCredentialsKind {
        match self {
            Self::Basic { .. } => HttpCredentialsKind::Basic,
            Self::Bearer(_) => HttpCredentialsKind::Bearer,
            Self::OAuth2(_) => HttpCredentialsKind::OAuth2,
        }
    }
}

impl fmt::Debug for HttpCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}(…)", self.kind())
    }
}

/// A client that gets access tokens by its own credentials (RFC 6749, section 4.4).
#[derive(Clone, PartialEq, Eq)]
pub struct OAuth2Client {
    /// Where tokens are fetched; canonical, checked as endpoints' URLs are.
    pub token_url: Url,
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Zeroizing<String>,
    /// What it asks for; nothing for what the token endpoint gives by itself.
    pub scopes: Vec<String>,
    /// Where id and secret stand.
    pub placement: SecretPlacement,
}

impl fmt::Debug for OAuth2Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OAuth2Client(…)")
    }
}

impl OAuth2Client {
    /// A digest of all that tokens depend on.
    pub fn digest(&self) -> [u8; 32] {
        let placement: &[u8] = match self.placement {
            SecretPlacement::Header => b"header",
            SecretPlacement::Body => b"body",
        };
        let parts =
            [placement, self.token_url.as_str().as_bytes(), self.client_id.as_bytes(), self.client_secret.as_bytes()];
        digest(parts.into_iter().chain(self.scopes.iter().map(String::as_bytes)))
    }
}

/// Where a client's id and secret stand in requests for tokens (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretPlacement {
    /// In the header `authorization`, as every token endpoint takes them.
    Header,
    /// In the body.
    Body,
}

/// A client certificate with its private key, both as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those that vouch for it, in this order.
    pub chain: String,
    /// Its private key.
    pub key: Zeroizing<String>,
    /// The SHA-256 of the certificate itself.
    pub fingerprint: [u8; 32],
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({})", hex(&self.fingerprint))
    }
}

impl ClientCertificate {
    /// A digest of certificate, chain and key.
    pub fn digest(&self) -> [u8; 32] {
        digest([self.chain.as_bytes(), self.key.as_bytes()])
    }
}

/// Why credentials cannot be an endpoint's, as the rest of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsConflict {
    /// The endpoint has a header `authorization` of its own, of this index.
    #[error("and a header `authorization` of the endpoint's own exclude each other")]
    Header(usize),
    /// A scheme of its style has the header `authorization`.
    #[error("and a scheme with the header `authorization` exclude each other")]
    Scheme,
    /// It has a client certificate and is not reached over TLS.
    #[error("and a client certificate do not go together: it is shown over https only")]
    PlainHttp,
}

/// What an endpoint's credentials cannot stand beside. What is not known of it conflicts with nothing.
pub fn credentials_conflicts(
    credentials: &CredentialsSummary,
    url: Option<&EndpointUrl>,
    style: Option<&Style>,
    header_names: &[String],
) -> Vec<CredentialsConflict> {
    let mut conflicts = Vec::new();
    if credentials.http.is_some() {
        let own = header_names.iter().position(|name| name.eq_ignore_ascii_case(AUTHORIZATION));
        conflicts.extend(own.map(CredentialsConflict::Header));
        if style.is_some_and(|style| !headers_taken(style, &[AUTHORIZATION.to_owned()]).is_empty()) {
            conflicts.push(CredentialsConflict::Scheme);
        }
    }
    if credentials.certificate.is_some() && url.is_some_and(|url| !url.is_https()) {
        conflicts.push(CredentialsConflict::PlainHttp);
    }
    conflicts
}

/// Parts stand behind their lengths, so that no two lists give the same bytes.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is wrong with a name for basic authentication: printable text (RFC 7617, section 2, and RFC 8265), no colon.
pub fn check_username(text: &str) -> Result<(), String> {
    check_length(text, CREDENTIAL_NAME_BYTES_MAX)?;
    if text.contains(':') {
        return Err("must not contain a colon".to_owned());
    }
    check_printable(text)
}

/// What is wrong with a password for basic authentication. It may be empty: some take a key for a name.
pub fn check_password(text: &str) -> Result<(), String> {
    if text.is_empty() {
        Ok(())
    } else {
        check_length(text, CREDENTIAL_SECRET_BYTES_MAX).and_then(|()| check_printable(text))
    }
}

/// What is wrong with a bearer token (RFC 6750, section 2.1).
pub fn check_bearer_token(text: &str) -> Result<(), String> {
    check_length(text, TOKEN_BYTES_MAX)?;
    let body = text.trim_end_matches('=');
    let letters = body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
    if letters && !body.is_empty() {
        return Ok(());
    }
    Err("must be letters, digits and any of -._~+/, with = at the end only; leave `Bearer ` out".to_owned())
}

/// What is wrong with a client id (RFC 6749, appendix A.1).
pub fn check_client_id(text: &str) -> Result<(), String> {
    check_length(text, CREDENTIAL_NAME_BYTES_MAX).and_then(|()| check_visible(text))
}

/// What is wrong with a client secret (RFC 6749, appendix A.2).
pub fn check_client_secret(text: &str) -> Result<(), String> {
    check_length(text, CREDENTIAL_SECRET_BYTES_MAX).and_then(|()| check_visible(text))
}

/// What is wrong with a scope (RFC 6749, section 3.3).
pub fn check_scope(text: &str) -> Result<(), String> {
    check_length(text, SCOPE_BYTES_MAX)?;
    if text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
        return Ok(());
    }
    Err("must be visible ASCII without \" and \\; give each scope by itself".to_owned())
}

fn check_length(text: &str, bytes_max: usize) -> Result<(), String> {
    match text.len() {
        0 => Err("is required".to_owned()),
        length if length > bytes_max => Err(format!("must be at most {bytes_max} bytes; it has {length}")),
        _ => Ok(()),
    }
}

fn check_printable(text: &str) -> Result<(), String> {
    if text.chars().any(char::is_control) { Err("must not contain control characters".to_owned()) } else { Ok(()) }
}

fn check_visible(text: &str) -> Result<(), String> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        Ok(())
    } else {
        Err("must be visible ASCII and spaces".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_taken_as_their_fields_take_them() {
        assert!(check_username("jörg@example.com").is_ok());
        assert!(check_password("").is_ok() && check_password("p:ä ß").is_ok());
        assert!(check_bearer_token("aZ09-._~+/==").is_ok());
        assert!(check_client_id("a client").is_ok() && check_client_secret("\"s\\ecret").is_ok());
        assert!(check_scope("https://example.com/.default").is_ok() && check_scope("a:b").is_ok());
    }

    #[test]
    fn texts_that_their_fields_cannot_hold_are_refused_without_a_word_of_them() {
        let long = "canary".repeat(1_000);
        type Check = fn(&str) -> Result<(), String>;
        let cases: [(Check, &[&str]); 6] = [
            (check_username, &["", "canary:", "canary\n", "canary\0", &long]),
            (check_password, &["canary\r\n", "canary\u{7f}", &long]),
            (check_bearer_token, &["", "=", "Bearer canary", "canary=x", "canary\n", "canaryé", &long]),
            (check_client_id, &["", "canary\n", "canaryé", &long]),
            (check_client_secret, &["", "canary\0", "canaryé", &long]),
            (check_scope, &["", "canary canary", "canary\"", "canary\\", "canaryé", &long]),
        ];
        for (check, texts) in cases {
            for text in texts {
                let problem = check(text).expect_err(text);
                assert!(!problem.contains("canary"), "{problem}");
            }
        }
    }

    fn certificate() -> ClientCertificate {
        ClientCertificate { chain: "chain".to_owned(), key: "canary".to_owned().into(), fingerprint: [0xa5; 32] }
    }

    fn client() -> OAuth2Client {
        OAuth2Client {
            token_url: "https://auth.example/token".parse().unwrap(),
            client_id: "id".to_owned(),
            client_secret: "canary".to_owned().into(),
            scopes: vec!["a".to_owned(), "b".to_owned()],
            placement: SecretPlacement::Header,
        }
    }

    #[test]
    fn debug_shows_nothing_secret() {
        let http = [
            HttpCredentials::Basic { username: "canary".to_owned(), password: "canary".to_owned().into() },
            HttpCredentials::Bearer("canary".to_owned().into()),
            HttpCredentials::OAuth2(client()),
        ];
        for http in http {
            let credentials = Credentials { http: Some(http), certificate: Some(certificate()) };
            let shown = format!("{credentials:?} {:?} {:?}", client(), credentials.summary());
            assert!(!shown.contains("canary"), "{shown}");
        }
    }

    #[test]
    fn digests_differ_with_whatever_they_are_of() {
        let others = [
            OAuth2Client { client_id: "i".to_owned(), client_secret: "dcanary".to_owned().into(), ..client() },
            OAuth2Client { scopes: vec!["ab".to_owned()], ..client() },
            OAuth2Client { placement: SecretPlacement::Body, ..client() },
            OAuth2Client { token_url: "https://auth.example/other".parse().unwrap(), ..client() },
        ];
        assert_eq!(client().digest(), client().digest());
        assert!(others.iter().all(|other| other.digest() != client().digest()));
        let other = ClientCertificate { key: "canar".to_owned().into(), chain: "chainy".to_owned(), ..certificate() };
        assert_ne!(certificate().digest(), other.digest());
    }
}
