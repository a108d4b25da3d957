//! Which addresses the server may send to.

use std::{net::IpAddr, str::FromStr};

/// A network: an address and a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let _ = text;
        todo!()
    }
}

/// Which addresses the server may send to: global unicast, and what is allowed explicitly.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    /// Networks that are allowed although they are special.
    pub allowed: Vec<Cidr>,
}

impl AddressPolicy {
    /// Whether the server may connect to `address`. Forms that embed an IPv4 address (mapped, compatible, NAT64, 6to4,
    /// Teredo …) are judged by what they embed.
    pub fn permits(&self, address: IpAddr) -> bool {
        let _ = address;
        todo!()
    }
}
