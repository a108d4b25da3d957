//! Which addresses the server may send to.
//!
//! Only global unicast: every range of IANA's special-purpose registries is refused, as are multicast and what is not
//! assigned for unicast at all. An IPv6 address that carries an IPv4 one reaches, or may reach, that one, and is judged
//! by it. Whatever a configuration allows explicitly is allowed, but for the server's own listeners.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// A network: an address and a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Self {
        Self { address: IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)), prefix }
    }

    /// Whether `address` is in the network. Networks of one family contain no address of the other.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Whether the address has no bit beyond the prefix.
    fn is_canonical(&self) -> bool {
        match self.address {
            IpAddr::V4(address) => address.to_bits().checked_shl(u32::from(self.prefix)).unwrap_or(0) == 0,
            IpAddr::V6(address) => address.to_bits().checked_shl(u32::from(self.prefix)).unwrap_or(0) == 0,
        }
    }
}

impl FromStr for Cidr {
    type Err = String;

    /// Reads `10.0.0.0/8` or `fd00::/8`; an address by itself is the network of that address alone.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| "must be a network such as 10.0.0.0/8".to_owned())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) => read_prefix(digits)
                .filter(|prefix| *prefix <= longest)
                .ok_or_else(|| format!("must end in a prefix length from 0 to {longest}"))?,
        };
        let cidr = Self { address, prefix };
        if cidr.is_canonical() { Ok(cidr) } else { Err("has address bits beyond its prefix length".to_owned()) }
    }
}

/// Digits only, and no leading zero: `parse` would take a sign.
fn read_prefix(digits: &str) -> Option<u8> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Which addresses the server may send to: global unicast, and what is allowed explicitly; never itself.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    /// Networks that are allowed although they are special.
    pub allowed: Vec<Cidr>,
    /// Where the server itself listens: refused whatever is allowed.
    pub listeners: Vec<SocketAddr>,
}

impl AddressPolicy {
    /// Whether the server may connect to `address`. Forms that embed an IPv4 address (mapped, compatible, NAT64, 6to4,
    /// Teredo …) are judged by what they embed.
    pub fn permits(&self, address: IpAddr) -> bool {
        if self.allows(address) {
            return true;
        }
        match address {
            IpAddr::V4(address) => is_global_v4(address),
            IpAddr::V6(address) => match Embedded::of(address) {
                Embedded::Nothing => is_global_v6(address),
                Embedded::One(inner) => self.permits(inner.into()),
                Embedded::Two(inner) => inner.into_iter().all(|inner| self.permits(inner.into())),
            },
        }
    }

    /// Whether the server may connect to `target`: an address that it permits, and none of its own listeners.
    pub fn permits_target(&self, target: SocketAddr) -> bool {
        self.permits(target.ip()) && !self.is_listener(target, None)
    }

    /// Whether the server may use a connection to `peer` that begins at `local`. A connection of this machine to itself has
    /// one address at both ends, which tells a listener on all addresses by whichever of them it was reached.
    pub fn permits_peer(&self, peer: SocketAddr, local: IpAddr) -> bool {
        self.permits(peer.ip()) && !self.is_listener(peer, Some(local.to_canonical()))
    }

    /// Whether the server may connect to this machine itself on `port`.
    pub fn permits_loopback(&self, port: u16) -> bool {
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        loopback.into_iter().any(|address| self.allows(address))
            && !loopback.into_iter().any(|address| self.is_listener((address, port).into(), None))
    }

    fn is_listener(&self, target: SocketAddr, local: Option<IpAddr>) -> bool {
        let carried = match target.ip() {
            IpAddr::V4(_) => Vec::new(),
            IpAddr::V6(address) => match Embedded::of(address) {
                Embedded::Nothing => Vec::new(),
                Embedded::One(inner) => vec![IpAddr::from(inner)],
                Embedded::Two(inner) => inner.map(IpAddr::from).to_vec(),
            },
        };
        self.listeners.iter().filter(|listener| listener.port() == target.port()).any(|listener| {
            let listener = listener.ip().to_canonical();
            carried.iter().chain([&target.ip()]).any(|&address| reaches(address, listener, local))
        })
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|network| network.contains(address))
    }
}

/// Whether a connection to `address`, which begins at `local` if that is known, reaches who listens at `listener`. Connecting
/// to the unspecified address is connecting to this machine.
fn reaches(address: IpAddr, listener: IpAddr, local: Option<IpAddr>) -> bool {
    if listener.is_unspecified() {
        address.is_loopback() || address.is_unspecified() || local == Some(address)
    } else {
        address == listener || address.is_unspecified() && listener.is_loopback()
    }
}

/// The IANA IPv4 Special-Purpose Address Registry, multicast (RFC 5771) and the former class E with broadcast.
const SPECIAL_V4: [Cidr; 18] = [
    Cidr::v4(0, 0, 0, 0, 8),       // this network, RFC 791
    Cidr::v4(10, 0, 0, 0, 8),      // private, RFC 1918
    Cidr::v4(100, 64, 0, 0, 10),   // shared (carrier NAT), RFC 6598
    Cidr::v4(127, 0, 0, 0, 8),     // loopback, RFC 1122
    Cidr::v4(169, 254, 0, 0, 16),  // link-local, RFC 3927; clouds' metadata services
    Cidr::v4(172, 16, 0, 0, 12),   // private, RFC 1918
    Cidr::v4(192, 0, 0, 0, 24),    // IETF protocol assignments, RFC 6890
    Cidr::v4(192, 0, 2, 0, 24),    // documentation, RFC 5737
    Cidr::v4(192, 31, 196, 0, 24), // AS112, RFC 7535
    Cidr::v4(192, 52, 193, 0, 24), // AMT, RFC 7450
    Cidr::v4(192, 88, 99, 0, 24),  // 6to4 relays, RFC 7526
    Cidr::v4(192, 168, 0, 0, 16),  // private, RFC 1918
    Cidr::v4(192, 175, 48, 0, 24), // AS112, RFC 7534
    Cidr::v4(198, 18, 0, 0, 15),   // benchmarks, RFC 2544
    Cidr::v4(198, 51, 100, 0, 24), // documentation, RFC 5737
    Cidr::v4(203, 0, 113, 0, 24),  // documentation, RFC 5737
    Cidr::v4(224, 0, 0, 0, 4),     // multicast, RFC 5771
    Cidr::v4(240, 0, 0, 0, 4),     // reserved, RFC 1112; 255.255.255.255
];

/// All that is assigned for global unicast, RFC 4291. Loopback, unique local, link-local, multicast, discard-only
/// (100::/64), segment routing (5f00::/16) and local NAT64 (64:ff9b:1::/48) lie outside.
const GLOBAL_V6: Cidr = Cidr::v6(0x2000, 0, 0, 3);

/// The ranges of the IANA IPv6 Special-Purpose Address Registry within [`GLOBAL_V6`]. 6to4 and Teredo do not come here.
const SPECIAL_V6: [Cidr; 4] = [
    Cidr::v6(0x2001, 0, 0, 23), // IETF protocol assignments, RFC 2928: benchmarks, ORCHID, drones …
    Cidr::v6(0x2001, 0xdb8, 0, 32), // documentation, RFC 3849
    Cidr::v6(0x2620, 0x4f, 0x8000, 48), // AS112, RFC 7534
    Cidr::v6(0x3fff, 0, 0, 20), // documentation, RFC 9637
];

fn is_global_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|network| network.contains(address.into()))
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    let address = IpAddr::V6(address);
    GLOBAL_V6.contains(address) && !SPECIAL_V6.iter().any(|network| network.contains(address))
}

/// The IPv4 addresses that an IPv6 address carries.
///
/// The local NAT64 range 64:ff9b:1::/48 (RFC 8215) is not among these: where in it the IPv4 address stands depends on a
/// network's configuration, so it is refused whole unless it is allowed explicitly.
enum Embedded {
    Nothing,
    One(Ipv4Addr),
    /// Either of them may be reached.
    Two([Ipv4Addr; 2]),
}

impl Embedded {
    fn of(address: Ipv6Addr) -> Self {
        let bits = address.to_bits();
        let v4_from_bit = |bit: u32| Ipv4Addr::from_bits((bits >> (96 - bit)) as u32);
        match address.segments() {
            // Compatible, RFC 4291; with it `::`, and `::1` as 0.0.0.1. Mapped, RFC 4291. Translated, RFC 2765.
            // NAT64, RFC 6052.
            [0, 0, 0, 0, 0, 0, _, _]
            | [0, 0, 0, 0, 0, 0xffff, _, _]
            | [0, 0, 0, 0, 0xffff, 0, _, _]
            | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Self::One(v4_from_bit(96)),
            // 6to4, RFC 3056.
            [0x2002, ..] => Self::One(v4_from_bit(16)),
            // Teredo, RFC 4380: the server, and the client with all bits inverted.
            [0x2001, 0, ..] => Self::Two([v4_from_bit(32), Ipv4Addr::from_bits(!v4_from_bit(96).to_bits())]),
            _ => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests;
