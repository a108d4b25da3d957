use proptest::prelude::*;

use super::*;

fn policy(allowed: &[&str]) -> AddressPolicy {
    let allowed = allowed.iter().map(|text| text.parse().unwrap()).collect();
    AddressPolicy { allowed, ..AddressPolicy::default() }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

/// Every row of the registries by its first and last address, and the neighbours where those are global.
const REFUSED: &[&str] = &[
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "127.0.0.0",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.8",
    "192.0.0.9",
    "192.0.0.170",
    "192.0.0.255",
    "192.0.2.0",
    "192.0.2.255",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.0",
    "192.88.99.255",
    "192.168.0.0",
    "192.168.255.255",
    "192.175.48.1",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.0",
    "198.51.100.255",
    "203.0.113.0",
    "203.0.113.255",
    "224.0.0.0",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.254",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "::10.1.2.3",
    "::ffff:0:127.0.0.1",
    "::ffff:0:192.168.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:1:808:8:800::",
    "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
    "64:ff9b:0:1::8.8.8.8",
    "100::",
    "100::1",
    "100:0:0:1::1",
    "2001::",
    "2001:1::1",
    "2001:1::2",
    "2001:2::1",
    "2001:3::1",
    "2001:4:112::1",
    "2001:10::1",
    "2001:20::1",
    "2001:30::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2001:db8:ffff::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:c0a8:101::1",
    "2002:a9fe:a9fe::",
    "2620:4f:8000::1",
    "3fff::1",
    "3fff:fff:ffff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "1::1",
    // Teredo: a forbidden server; a forbidden client (127.0.0.1 inverted).
    "2001:0:7f00:1::f7f7:f7f7",
    "2001:0:808:808::80ff:fffe",
];

const PERMITTED: &[&str] = &[
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2000::1",
    "2001:200::1",
    "2001:db7:ffff::1",
    "2001:db9::1",
    "2606:4700::1111",
    "2620:4f:7fff::1",
    "2620:4f:8001::1",
    "2a00:1450::1",
    "3fff:1000::1",
    "3ffe::1",
    "::ffff:8.8.8.8",
    "::8.8.8.8",
    "::ffff:0:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
    "2001:0:808:808::f7f7:f7f7",
];

#[test]
fn special_ranges_are_refused() {
    for text in REFUSED {
        assert!(!AddressPolicy::default().permits(address(text)), "{text}");
    }
}

#[test]
fn global_unicast_is_permitted() {
    for text in PERMITTED {
        assert!(AddressPolicy::default().permits(address(text)), "{text}");
    }
}

#[test]
fn what_is_allowed_explicitly_is_permitted_in_every_form() {
    let policy = policy(&["127.0.0.0/8", "fd00::/8"]);
    for text in ["127.0.0.1", "127.9.9.9", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "fd12::1"] {
        assert!(policy.permits(address(text)), "{text}");
    }
    for text in ["10.0.0.1", "::1", "::ffff:10.0.0.1", "fc00::1"] {
        assert!(!policy.permits(address(text)), "{text}");
    }
}

#[test]
fn both_addresses_of_a_teredo_address_must_be_permitted() {
    let policy = policy(&["127.0.0.0/8"]);
    assert!(policy.permits(address("2001:0:7f00:1::80ff:fffe")));
    assert!(!policy.permits(address("2001:0:7f00:1::f5ff:fffe")), "client 10.0.0.1");
}

#[test]
fn loopback_is_permitted_when_either_family_allows_it() {
    assert!(!policy(&["10.0.0.0/8", "fd00::/8"]).permits_loopback(443));
    assert!(policy(&["127.0.0.0/8"]).permits_loopback(443));
    assert!(policy(&["::1/128"]).permits_loopback(443));
}

/// Every row of the two registries, as they stand (IPv4 2021-02-04, IPv6 2024-10-23), but for the forms that carry an IPv4
/// address, with multicast and what is left of class E.
const REGISTRIES: &[&str] = &[
    "0.0.0.0/8",
    "0.0.0.0/32",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/32",
    "192.0.0.171/32",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.88.99.2/32",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::1/128",
    "::/128",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

#[test]
fn every_row_of_the_registries_is_refused_from_its_first_address_to_its_last() {
    for text in REGISTRIES {
        let Cidr { address, prefix } = text.parse().unwrap();
        let last: IpAddr = match address {
            IpAddr::V4(first) => {
                Ipv4Addr::from_bits(first.to_bits() | u32::MAX.checked_shr(prefix.into()).unwrap_or(0)).into()
            }
            IpAddr::V6(first) => {
                Ipv6Addr::from_bits(first.to_bits() | u128::MAX.checked_shr(prefix.into()).unwrap_or(0)).into()
            }
        };
        for address in [address, last] {
            assert!(!AddressPolicy::default().permits(address), "{address} of {text}");
        }
    }
}

#[test]
fn listeners_of_the_server_are_refused_within_what_is_allowed() {
    let policy = |listener: &str| AddressPolicy {
        listeners: vec![listener.parse().unwrap()],
        ..policy(&["127.0.0.0/8", "::1/128", "0.0.0.0/32", "10.0.0.0/8"])
    };
    let target = |text: &str| text.parse::<SocketAddr>().unwrap();
    let loopback = policy("127.0.0.1:8443");
    for refused in ["127.0.0.1:8443", "[::ffff:127.0.0.1]:8443", "[64:ff9b::127.0.0.1]:8443", "0.0.0.0:8443"] {
        assert!(!loopback.permits_target(target(refused)), "{refused}");
    }
    for permitted in ["127.0.0.1:443", "127.0.0.2:8443", "[::1]:8443", "8.8.8.8:8443"] {
        assert!(loopback.permits_target(target(permitted)), "{permitted}");
    }
    assert!(!loopback.permits_loopback(8443) && loopback.permits_loopback(443));

    for everywhere in ["0.0.0.0:8443", "[::]:8443"] {
        let everywhere = policy(everywhere);
        for refused in ["127.0.0.1:8443", "127.9.9.9:8443", "[::1]:8443", "0.0.0.0:8443"] {
            assert!(!everywhere.permits_target(target(refused)), "{refused}");
        }
        let (own, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        assert!(!everywhere.permits_peer(target("10.0.0.1:8443"), own), "this machine, by another of its addresses");
        assert!(everywhere.permits_peer(target("10.0.0.1:8443"), other), "another machine");
        assert!(everywhere.permits_peer(target("10.0.0.1:443"), own), "another port");
        assert!(!everywhere.permits_peer(target("192.168.0.1:443"), other), "not allowed at all");
    }
}

#[test]
fn networks_are_read_strictly() {
    for (text, shown) in
        [("10.0.0.0/8", "10.0.0.0/8"), ("::1/128", "::1/128"), ("0.0.0.0/0", "0.0.0.0/0"), ("10.1.2.3", "10.1.2.3/32")]
    {
        assert_eq!(text.parse::<Cidr>().unwrap().to_string(), shown);
    }
    for text in [
        "",
        "/",
        "10.0.0.0/",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.1/8",
        "fd00::1/8",
        "10.0.0.0/+8",
        "10/8",
        "10.0.0.0/08",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        " 10.0.0.0/8",
        "localhost",
        "010.0.0.0/8",
        "10.0.0.0/256",
    ] {
        assert!(text.parse::<Cidr>().is_err(), "{text}");
    }
}

#[test]
fn families_do_not_contain_one_another() {
    let everything: Cidr = "0.0.0.0/0".parse().unwrap();
    assert!(everything.contains(address("255.255.255.255")));
    assert!(!everything.contains(address("::")));
}

proptest! {
    #[test]
    fn embedding_forms_are_judged_as_the_ipv4_address_is(bits: u32) {
        let policy = AddressPolicy::default();
        let inner = Ipv4Addr::from_bits(bits);
        let expected = policy.permits(inner.into());
        let low = u128::from(bits);
        let public = u128::from(Ipv4Addr::new(8, 8, 8, 8).to_bits());
        let forms = [
            low,
            low | 0xffff << 32,
            low | 0xffff << 48,
            low | 0x0064_ff9b << 96,
            low << 80 | 0x2002 << 112 | 1,
            0x2001_0000 << 96 | low << 64 | u128::from(!(public as u32)),
            0x2001_0000 << 96 | public << 64 | u128::from(!bits),
        ];
        for form in forms {
            let form = Ipv6Addr::from_bits(form);
            prop_assert_eq!(policy.permits(form.into()), expected, "{} as {}", inner, form);
        }
    }

    #[test]
    fn a_network_is_read_as_it_is_shown(bits: u128, prefix in 0..=128_u32) {
        let network = bits & u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
        let text = format!("{}/{prefix}", Ipv6Addr::from_bits(network));
        let cidr: Cidr = text.parse().unwrap();
        prop_assert_eq!(cidr.to_string(), text);
        prop_assert!(cidr.contains(Ipv6Addr::from_bits(bits).into()));
    }
}
