//! The server's certificate, and whose certificates it asks of clients. Both are read anew when their files change, so that
//! rotating a certificate needs no restart; what cannot be read leaves those in use that were.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use rustls::{RootCertStore, ServerConfig, crypto::ring::default_provider, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// What is spoken inside, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Where the certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate and those that lead from it to a root, in PEM, its own first.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// Authorities of which clients must have a certificate, in PEM. Without them clients need none.
    pub client_authorities: Option<PathBuf>,
}

/// Why a server cannot use its certificates.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file holds nothing of the kind.
    #[error("{path} holds no {expected} in PEM")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it was to hold.
        expected: &'static str,
    },
    /// Certificate and key do not fit together, or an authority is none.
    #[error("the certificates cannot be used")]
    Use(#[from] rustls::Error),
    /// The authorities of clients' certificates are not usable.
    #[error("the authorities of clients' certificates cannot be used")]
    Authorities(#[from] rustls::server::VerifierBuilderError),
}

/// The certificates in use. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub struct Tls {
    files: Arc<TlsFiles>,
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// Reads the certificates.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn read(files: TlsFiles) -> Result<Self, TlsError> {
        let config = files.read()?;
        Ok(Self { files: Arc::new(files), config: Arc::new(RwLock::new(Arc::new(config))) })
    }

    /// What encrypts the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Reads the certificates anew whenever a file has changed, until `shutdown`.
    pub(crate) async fn follow(self, shutdown: CancellationToken) {
        let mut known = self.files.changed();
        while shutdown.run_until_cancelled(tokio::time::sleep(LOOK_INTERVAL)).await.is_some() {
            let changed = self.files.changed();
            if changed != known {
                known = changed;
                self.renew();
            }
        }
    }

    /// Reads the certificates anew. Those that cannot be used change nothing: a new certificate may stand there before its key.
    pub(super) fn renew(&self) {
        match self.files.read() {
            Ok(config) => {
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                tracing::info!("the server's certificates were read anew");
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the server's certificates changed and cannot be used; it keeps the former ones");
            }
        }
    }
}

impl TlsFiles {
    fn read(&self) -> Result<ServerConfig, TlsError> {
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?);
        let key = key.map_err(|_| TlsError::Pem { path: self.key.clone(), expected: "private key" })?;
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = match &self.client_authorities {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                certificates(path)?.into_iter().try_for_each(|authority| roots.add(authority))?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Ok(config)
    }

    /// When each file was changed last.
    fn changed(&self) -> [Option<SystemTime>; 3] {
        let changed = |path: &PathBuf| std::fs::metadata(path).and_then(|file| file.modified()).ok();
        [changed(&self.certificate), changed(&self.key), self.client_authorities.as_ref().and_then(changed)]
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let none = || TlsError::Pem { path: path.to_owned(), expected: "certificate" };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(none)
}
