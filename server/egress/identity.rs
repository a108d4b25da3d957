//! Client certificates: reading their PEM, and whether key and certificate belong together.

use std::sync::Arc;

use rustls::{crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::model::ClientCertificate;

/// The longest chain of certificates, as PEM, in bytes.
pub const CHAIN_BYTES_MAX: usize = 32 * 1024;
/// The longest private key, as PEM, in bytes.
pub const KEY_BYTES_MAX: usize = 16 * 1024;
/// Certificates of one chain, at most.
const CERTIFICATES_MAX: usize = 10;

/// What is wrong with a client certificate. Repeats nothing of either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// With the certificates.
    #[error("{0}")]
    Chain(String),
    /// With the private key.
    #[error("{0}")]
    Key(String),
}

/// Reads a client certificate with its private key.
///
/// # Errors
/// All that is wrong: one is too long, is not PEM, cannot be used, or they do not belong together.
pub fn read_identity(chain: String, key: Zeroizing<String>) -> Result<ClientCertificate, Vec<IdentityError>> {
    let certificates = read_chain(&chain).map_err(IdentityError::Chain);
    let private = read_key(&key).map_err(IdentityError::Key);
    let (certificates, private) = match (certificates, private) {
        (Ok(certificates), Ok(private)) => (certificates, private),
        (certificates, private) => return Err([certificates.err(), private.err()].into_iter().flatten().collect()),
    };
    let fingerprint = certificates.first().map(|leaf| Sha256::digest(leaf).into()).unwrap_or_default();
    let provider = rustls::crypto::ring::default_provider();
    certified(certificates, private, &provider).map_err(|error| vec![error])?;
    Ok(ClientCertificate { chain, key, fingerprint })
}

/// Makes what handshakes show of a client certificate that was read before.
pub(super) fn shown(
    certificate: &ClientCertificate,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, IdentityError> {
    let chain = read_chain(&certificate.chain).map_err(IdentityError::Chain)?;
    let key = read_key(&certificate.key).map_err(IdentityError::Key)?;
    certified(chain, key, provider).map(Arc::new)
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, IdentityError> {
    let key = provider.key_provider.load_private_key(key).map_err(|_| {
        IdentityError::Key("must be an RSA key of 2,048 bits or more, ECDSA P-256 or P-384, or Ed25519".to_owned())
    })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(IdentityError::Key("does not belong to the first certificate".to_owned()))
        }
        Err(_) => Err(IdentityError::Chain("has a first certificate that cannot be read".to_owned())),
    }
}

fn read_chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    check_length(pem, CHAIN_BYTES_MAX)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).take(CERTIFICATES_MAX + 1).collect();
    let chain = read.map_err(|_| "is not PEM (RFC 7468)".to_owned())?;
    match chain.len() {
        0 => Err("must hold a certificate in PEM, between BEGIN CERTIFICATE and END CERTIFICATE".to_owned()),
        length if length > CERTIFICATES_MAX => Err(format!("must hold at most {CERTIFICATES_MAX} certificates")),
        _ => Ok(chain),
    }
}

fn read_key(pem: &str) -> Result<PrivateKeyDer<'static>, String> {
    check_length(pem, KEY_BYTES_MAX)?;
    let mut keys = PrivateKeyDer::pem_slice_iter(pem.as_bytes());
    match (keys.next(), keys.next()) {
        (Some(Ok(key)), None) => Ok(key),
        (Some(Ok(_)), Some(_)) => Err("must hold one private key".to_owned()),
        (Some(Err(_)), _) => Err("is not PEM (RFC 7468)".to_owned()),
        (None, _) => Err("must hold a private key in PEM that is not encrypted".to_owned()),
    }
}

fn check_length(pem: &str, bytes_max: usize) -> Result<(), String> {
    match pem.len() {
        0 => Err("is required".to_owned()),
        length if length > bytes_max => Err(format!("must be at most {bytes_max} bytes; it has {length}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::Certificate;

    fn pair() -> (String, Zeroizing<String>) {
        let certificate = Certificate::self_signed(["sender.example"]).unwrap();
        (certificate.pem(), certificate.key_pem())
    }

    fn problems(chain: &str, key: &str) -> Vec<IdentityError> {
        read_identity(chain.to_owned(), key.to_owned().into()).expect_err(chain)
    }

    #[test]
    fn certificate_and_key_that_belong_together_are_read() {
        let (chain, key) = pair();
        let (other, _) = pair();
        let alone = read_identity(chain.clone(), key.clone()).unwrap();
        let vouched = read_identity(format!("{chain}{other}"), key).unwrap();
        assert_eq!(alone.fingerprint, vouched.fingerprint);
        assert_ne!(alone.digest(), vouched.digest());
        shown(&vouched, &rustls::crypto::ring::default_provider()).unwrap();
    }

    #[test]
    fn key_of_another_certificate_is_refused() {
        let ((chain, _), (_, key)) = (pair(), pair());
        let [IdentityError::Key(problem)] = &problems(&chain, &key)[..] else { panic!("one fault of the key") };
        assert!(problem.contains("does not belong"), "{problem}");
    }

    #[test]
    fn whatever_is_wrong_is_told_at_once_and_without_a_word_of_it() {
        let (chain, key) = pair();
        let cut = chain.replace("-----END CERTIFICATE-----\n", "");
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let twice = format!("{}{}", *key, *key);
        let garbage = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n";
        let unreadable = garbage.replace("PRIVATE KEY", "CERTIFICATE");
        let many = chain.repeat(CERTIFICATES_MAX + 1);
        let long = "x".repeat(CHAIN_BYTES_MAX + 1);
        for wrong in ["", "canary", &cut, &key, &many, &long] {
            let found = problems(wrong, "canary");
            assert!(matches!(&found[..], [IdentityError::Chain(_), IdentityError::Key(_)]), "{found:?}");
            assert!(!format!("{found:?}").contains("canary"));
        }
        for wrong in ["", "canary", &encrypted, &twice, garbage, &chain, &long] {
            let found = problems(&chain, wrong);
            assert!(matches!(&found[..], [IdentityError::Key(_)]), "{found:?}");
        }
        assert!(matches!(&problems(&unreadable, &key)[..], [IdentityError::Chain(_)]));
    }
}
