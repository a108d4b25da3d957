//! How `tidings serve` listens: the server's certificate, whose certificates it asks for, and how many connections there may be.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::listen::{self, Tls, TlsFiles};

/// How the server listens.
#[derive(Args, Clone, Debug)]
pub(super) struct ListenArgs {
    /// PEM file with the server's certificate and those that lead to a root; with it the server speaks TLS alone. Read anew
    /// when it changes.
    #[arg(long, env = "TIDINGS_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    #[arg(long, env = "TIDINGS_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// PEM file with authorities: clients must have a certificate of one of them (mutual TLS), besides what else they need.
    #[arg(long, env = "TIDINGS_TLS_CLIENT_CA", value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// Connections at once; more are closed.
    #[arg(long, env = "TIDINGS_CONNECTIONS_MAX", value_name = "CONNECTIONS",
          default_value_t = listen::Config::default().connections_max,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    connections_max: usize,
    /// Connections at once from one IPv4 address or one /64 of IPv6; more are closed. Raise it behind a proxy.
    #[arg(long, env = "TIDINGS_CONNECTIONS_PER_ADDRESS_MAX", value_name = "CONNECTIONS",
          default_value_t = listen::Config::default().connections_per_address_max,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    connections_per_address_max: usize,
}

impl ListenArgs {
    /// Reads the certificates.
    ///
    /// # Errors
    /// They cannot be read, or do not fit together.
    pub(super) fn config(&self) -> anyhow::Result<listen::Config> {
        let files = self.tls_cert.as_ref().zip(self.tls_key.as_ref()).map(|(certificate, key)| TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            client_authorities: self.tls_client_ca.clone(),
        });
        let tls = files.map(Tls::read).transpose().context("cannot speak TLS")?;
        Ok(listen::Config {
            tls,
            connections_max: self.connections_max,
            connections_per_address_max: self.connections_per_address_max,
            ..listen::Config::default()
        })
    }
}
