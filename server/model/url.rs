//! Which URLs an endpoint may have.

use super::AddressPolicy;

/// Which URLs an endpoint may have.
#[derive(Clone, Debug)]
pub struct UrlPolicy {
    /// Plain `http:` is allowed too.
    pub allow_http: bool,
    /// The ports allowed; with `allow_http` port 80 as well.
    pub ports: Vec<u16>,
    /// The addresses allowed.
    pub addresses: AddressPolicy,
}

/// Why a URL was refused. The text says what to do and repeats nothing of the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is not an absolute URL of the right form.
    #[error("{0}")]
    Form(String),
    /// It names an address that the server does not send to.
    #[error("names an address that this server does not send to; use a public host name")]
    BlockedAddress,
    /// Its port is not among those allowed.
    #[error("has a port that is not allowed")]
    Port,
}

impl UrlPolicy {
    /// Checks the raw text and returns the URL in canonical form, or everything that is wrong with it.
    pub fn check(&self, text: &str) -> Result<url::Url, Vec<UrlError>> {
        let _ = text;
        todo!()
    }
}
