//! Root certificates from a file: authorities that endpoints' certificates may come from besides those that the system
//! trusts.

use std::path::Path;

use anyhow::Context as _;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

/// Reads the certificates of a PEM file (RFC 7468), in their order; what else stands in it is passed over.
///
/// # Errors
/// The file cannot be read, is malformed, or holds no certificate.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let file = path.display();
    let text = std::fs::read(path).with_context(|| format!("cannot read the certificates in {file}"))?;
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let roots = roots.map_err(|error| anyhow::anyhow!("{file} is not a PEM file: {error}"))?;
    anyhow::ensure!(!roots.is_empty(), "{file} holds no certificate; expected at least one in PEM");
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::Certificate;

    fn read_text(text: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roots.pem");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn every_certificate_of_a_file_is_read_in_order() {
        let (first, second) =
            (Certificate::self_signed(["a.example"]).unwrap(), Certificate::self_signed(["b.example"]).unwrap());
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let roots = read_text(&format!("two of them\n{}{key}{}", first.pem(), second.pem())).unwrap();
        assert_eq!(roots, [first.der().clone(), second.der().clone()]);
    }

    #[test]
    fn file_without_a_readable_certificate_is_refused_by_its_name() {
        let cut = Certificate::self_signed(["a.example"]).unwrap().pem().replace("-----END CERTIFICATE-----\n", "");
        for (text, why) in [
            ("", "no certificate"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no certificate"),
            (&cut, "not a PEM file"),
        ] {
            let error = format!("{:#}", read_text(text).unwrap_err());
            assert!(error.contains("roots.pem") && error.contains(why), "{error}");
        }
        let missing = read(Path::new("/nonexistent/roots.pem")).unwrap_err().to_string();
        assert!(missing.contains("cannot read") && missing.contains("/nonexistent/roots.pem"), "{missing}");
    }
}
