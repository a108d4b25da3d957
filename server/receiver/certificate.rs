//! A certificate made on the spot, for receivers that are trusted explicitly.

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// RFC 7468, section 2: every line but the last has 64 characters.
const PEM_LINE_CHARS: usize = 64;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A name cannot stand in a certificate, or the system gave no randomness.
    #[error("the certificate could not be made")]
    Make(#[from] rcgen::Error),
    /// Certificate and key do not fit together.
    #[error("the certificate cannot be used")]
    Use(#[from] rustls::Error),
}

/// A self-signed certificate with its private key. Its Debug output shows neither.
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate(…)")
    }
}

impl Certificate {
    /// Makes a certificate for `names`: host names, or IP addresses as text.
    ///
    /// # Errors
    /// A name is neither a host name nor an address.
    pub fn self_signed<I>(names: I) -> Result<Self, CertificateError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names)?;
        Ok(Self::from_parts(vec![cert.into()], PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into()))
    }

    pub(crate) fn from_parts(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        Self { chain, key }
    }

    /// The certificate itself, for those who are to trust it.
    ///
    /// # Panics
    /// Never: a certificate has a chain.
    pub fn der(&self) -> &CertificateDer<'static> {
        self.chain.first().expect("made with one")
    }

    /// The certificate as PEM (RFC 7468), for files and people.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", self.der())
    }

    /// The private key as PEM, for the tests' files.
    #[cfg(test)]
    pub(crate) fn key_pem(&self) -> String {
        pem("PRIVATE KEY", self.key.secret_der())
    }

    /// What a TLS server needs to show this certificate, with HTTP/2 and HTTP/1.1 on offer.
    pub(crate) fn server_config(&self) -> Result<rustls::ServerConfig, CertificateError> {
        let provider = rustls::crypto::ring::default_provider();
        let mut config = rustls::ServerConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    let encoded = STANDARD.encode(der);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE_CHARS));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}
