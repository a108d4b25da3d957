//! Connections of the command line to a server: plain or encrypted, whom they trust, and with which certificate they show
//! themselves.

use std::{io, path::PathBuf, sync::Arc};

use clap::Args;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, crypto::ring::default_provider};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::either::Either;
use tonic::transport::{Channel, Endpoint};

use super::{call::CallError, roots};

const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;

/// Whom connections to a server trust, and how they show themselves.
#[derive(Args, Clone, Debug, Default)]
pub struct TrustArgs {
    /// PEM file with root certificates that the server's may come from, besides those of the system.
    #[arg(long, env = "TIDINGS_SERVER_CA_FILE", value_name = "FILE")]
    pub server_ca_file: Option<PathBuf>,
    /// PEM file with a certificate for servers that ask for one (mutual TLS).
    #[arg(long, env = "TIDINGS_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    pub client_cert: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    #[arg(long, env = "TIDINGS_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    pub client_key: Option<PathBuf>,
}

impl TrustArgs {
    /// A connection that is made when it is used.
    pub(super) fn open(&self, endpoint: &Endpoint) -> Result<Channel, CallError> {
        let is_encrypted = endpoint.uri().scheme_str() == Some("https");
        let tls = is_encrypted.then(|| self.tls()).transpose().map_err(CallError::Tls)?;
        let connect = move |uri: Uri| connect(uri, tls.clone());
        Ok(endpoint.connect_with_connector_lazy(tower::service_fn(connect)))
    }

    fn tls(&self) -> anyhow::Result<TlsConnector> {
        let roots = self.server_ca_file.as_deref().map_or(Ok(Vec::new()), roots::read)?;
        let provider = Arc::new(default_provider());
        let verifier = Verifier::new_with_extra_roots(roots, provider.clone())?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match self.client_cert.as_deref().zip(self.client_key.as_deref()) {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain: Vec<CertificateDer<'static>> = roots::read(certificate)?;
                let file = key.display();
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| anyhow::anyhow!("cannot read a private key in {file}: {error}"))?;
                builder.with_client_auth_cert(chain, key)?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

type Stream = TokioIo<Either<TcpStream, TlsStream<TcpStream>>>;

async fn connect(uri: Uri, tls: Option<TlsConnector>) -> io::Result<Stream> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if tls.is_some() { HTTPS_PORT } else { HTTP_PORT });
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(match tls {
        None => Either::Left(stream),
        Some(tls) => {
            let name =
                ServerName::try_from(host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            Either::Right(tls.connect(name, stream).await?)
        }
    }))
}
