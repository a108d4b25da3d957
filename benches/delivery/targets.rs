//! Where the receiver is: a port on one or many loopback addresses, plain or with a certificate.

use std::{net::Ipv4Addr, path::PathBuf};

/// Where the receiver is.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Targets {
    /// The receiver's port; 0 for one to be chosen.
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// How many addresses it has, from 127.0.0.1 on.
    #[arg(long, default_value_t = 1)]
    pub(crate) hosts: u32,
    /// Its certificate, in PEM; without one it speaks plain HTTP.
    #[arg(long)]
    pub(crate) certificate: Option<PathBuf>,
}

impl Targets {
    /// A receiver of plain HTTP on one address.
    pub(crate) fn plain() -> Self {
        Self { port: 0, hosts: 1, certificate: None }
    }

    /// The address of host number `host`.
    pub(crate) fn address(host: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + host)
    }

    /// The URL of endpoint number `endpoint`; endpoints have the hosts in turn.
    pub(crate) fn url(&self, endpoint: usize) -> String {
        self.at(endpoint, &endpoint.to_string())
    }

    /// The URL of an endpoint of this number that never answers.
    pub(crate) fn hanging_url(&self, endpoint: usize) -> String {
        self.at(endpoint, &format!("hang/{endpoint}"))
    }

    /// What the URLs on the first host begin with.
    pub(crate) fn prefix(&self) -> String {
        self.at(0, "")
    }

    fn at(&self, endpoint: usize, path: &str) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        let address = Self::address((endpoint % self.hosts as usize) as u32);
        format!("{scheme}://{address}:{}/{path}", self.port)
    }

    /// As arguments of a role.
    pub(crate) fn args(&self) -> Vec<String> {
        let mut args = vec![format!("--port={}", self.port), format!("--hosts={}", self.hosts)];
        args.extend(self.certificate.iter().map(|path| format!("--certificate={}", path.display())));
        args
    }
}
