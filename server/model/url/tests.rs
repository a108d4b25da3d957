use proptest::prelude::*;

use super::*;

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Form,
    Blocked,
    Port,
}
use Kind::{Blocked, Form, Port};

fn kinds(policy: &UrlPolicy, text: &str) -> Vec<Kind> {
    let errors = policy.check(text).map(|url| url.to_string()).expect_err(text);
    errors
        .iter()
        .map(|error| match error {
            UrlError::Form(_) => Form,
            UrlError::BlockedAddress => Blocked,
            UrlError::Port => Port,
        })
        .collect()
}

/// The one thing that is wrong with `text`, in words.
fn problem(text: &str) -> String {
    let errors = UrlPolicy::default().check(text).expect_err(text);
    assert_eq!(errors.len(), 1, "{text}: {errors:?}");
    errors[0].to_string()
}

fn development() -> UrlPolicy {
    let allowed = ["127.0.0.0/8", "::1/128"].iter().map(|text| text.parse().unwrap()).collect();
    UrlPolicy {
        allow_http: true,
        ports: vec![443, 9000],
        addresses: AddressPolicy { allowed, ..AddressPolicy::default() },
    }
}

#[test]
fn good_urls_come_back_in_canonical_form() {
    let cases = [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM:443/A?b=c%20d", "https://example.com/A?b=c%20d"),
        ("https://example.com:8443/", "https://example.com:8443/"),
        ("https://a_b.example.com/x", "https://a_b.example.com/x"),
        ("https://hooks/x", "https://hooks/x"),
        ("https://münchen.example/ü", "https://xn--mnchen-3ya.example/%C3%BC"),
        ("https://xn--mnchen-3ya.example/", "https://xn--mnchen-3ya.example/"),
        ("https://8.8.8.8/x", "https://8.8.8.8/x"),
        ("https://[2606:4700::1111]/x", "https://[2606:4700::1111]/x"),
        ("https://example.com/a:b@c", "https://example.com/a:b@c"),
        ("https://mylocalhost/", "https://mylocalhost/"),
    ];
    for (text, canonical) in cases {
        let url = UrlPolicy::default().check(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
        assert_eq!(url.as_str(), canonical);
    }
}

#[test]
fn what_is_no_absolute_https_url_is_refused() {
    for text in [
        "",
        "example.com/x",
        "//h/p",
        "https:host",
        "https:/h",
        "https:///p",
        "https://",
        "https://?x",
        "https://#x",
        "h",
        "://h",
        "/p",
        "1https://h/",
        "https//h",
    ] {
        assert!(problem(text).contains("absolute https URL"), "{text}");
    }
}

#[test]
fn other_schemes_are_refused() {
    for text in ["ftp://h/", "file:///etc/passwd", "javascript:alert(1)", "data:text/plain,x", "http://h/", "ws://h/"] {
        assert!(problem(text).contains("scheme https"), "{text}");
    }
}

#[test]
fn text_that_the_url_crate_would_silently_change_is_refused() {
    for text in [
        " https://h/",
        "https://h/ ",
        "https://h/a b",
        "https://ex\tample.com/",
        "https://ex\nample.com/",
        "https://h/\0",
        "https://h\\p",
        "https:\\\\h\\p",
        "\u{feff}https://h/",
        "https://h/\u{7f}",
        "https://h/\u{a0}",
        "\u{1}https://h/",
    ] {
        assert_eq!(kinds(&UrlPolicy::default(), text), [Form], "{text:?}");
    }
}

#[test]
fn invisible_and_look_alike_characters_are_refused() {
    for text in [
        "https://exam\u{202e}ple.com/",
        "https://h/\u{202e}cod.exe",
        "https://exa\u{200b}mple.com/",
        "https://exa\u{ad}mple.com/",
        "https://ｅxample.com/",
        "https://example。com/",
        "https://ⓔxample.com/",
        "https://８.８.８.８/",
        "https://example.com／x/",
        "https://ex%61mple.com/",
        "https://e\u{fe0f}xample.com/",
    ] {
        assert_eq!(kinds(&UrlPolicy::default(), text), [Form], "{text:?}");
    }
}

#[test]
fn addresses_are_judged_however_they_are_written() {
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0x7F000001",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "0",
        "0.0.0.0",
        "１２７.０.０.１",
        "127。0。0。1",
        "127.0.0.1.",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b:1::127.0.0.1]",
        "[2002:7f00:1::]",
        "[2001:0:808:808::80ff:fffe]",
        "[0:0:0:0:0:0:0:1]",
        "169.254.169.254",
        "0xa9fea9fe",
        "[fd00:ec2::254]",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "224.0.0.1",
        "[ff02::1]",
        "0xffffffff",
        "255.255.255.255",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "x.localhost",
        "x.y.LocalHost.",
        "ｌocalhost",
    ] {
        assert_eq!(kinds(&UrlPolicy::default(), &format!("https://{host}/x")), [Blocked], "{host}");
        assert_eq!(kinds(&UrlPolicy::default(), &format!("https://{host}:8443")), [Blocked], "{host}");
    }
}

#[test]
fn percent_encoded_addresses_are_refused_on_both_counts() {
    assert_eq!(kinds(&UrlPolicy::default(), "https://%31%32%37.0.0.1/"), [Form, Blocked]);
}

#[test]
fn userinfo_and_fragment_are_refused_and_not_repeated() {
    for text in ["https://canary:p@h/", "https://canary@h/", "https://@h/", "https://:@h/", "https://canary@b@h/"] {
        assert!(problem(text).contains("user name"), "{text}");
    }
    for text in ["https://h/#canary", "https://h/#", "https://h?x#canary"] {
        assert!(problem(text).contains("fragment"), "{text}");
    }
    for text in ["https://canary@h/#canary", "canary", "https://h:65536/?canary", "https://127.0.0.1/?canary"] {
        let errors = UrlPolicy::default().check(text).unwrap_err();
        assert!(!format!("{errors:?}").contains("canary"), "{errors:?}");
    }
}

#[test]
fn ports_outside_the_list_are_refused() {
    for port in ["0", "65536", "99999999999", "80", "22", "8080", "444"] {
        assert_eq!(kinds(&UrlPolicy::default(), &format!("https://example.com:{port}/")), [Port], "{port}");
    }
    let policy = UrlPolicy { ports: vec![9000], ..UrlPolicy::default() };
    assert!(policy.check("https://example.com:9000/").is_ok());
    assert_eq!(kinds(&policy, "https://example.com/"), [Port]);
    for odd in ["-1", "+443", "4 43", "x", "４４３"] {
        assert!(UrlPolicy::default().check(&format!("https://example.com:{odd}/")).is_err(), "{odd}");
    }
}

#[test]
fn host_names_keep_the_rules_of_dns() {
    let label = "a".repeat(63);
    assert!(UrlPolicy::default().check(&format!("https://{label}.example.com/")).is_ok());
    let long = [label.as_str(); 4].join(".");
    for host in [
        &format!("{label}a.example.com"),
        &long,
        "a..b",
        ".a",
        "a.",
        "example.com.",
        "-a.com",
        "a-.com",
        "a!b.com",
        "a..",
        ".",
        "1.2.3.4.5",
        "999.1.1.1",
        "a*b",
        "xn--a",
        "xn--zzzzzz-.com",
        "a'b.com",
        "[1.2.3.4]",
        "[::1",
        "::1]",
        "[]",
        "[::g]",
        "[12345::]",
        "a[b]",
    ] {
        assert_eq!(kinds(&UrlPolicy::default(), &format!("https://{host}/")), [Form], "{host}");
    }
    for zone in ["[fe80::1%25eth0]", "[fe80::1%eth0]", "[::1%lo]"] {
        assert!(problem(&format!("https://{zone}/")).contains("zone id"), "{zone}");
    }
}

#[test]
fn urls_over_2048_bytes_are_refused_as_given_and_in_canonical_form() {
    let url = |path: &str| format!("https://example.com/{path}");
    let fits = "a".repeat(2048 - url("").len());
    assert_eq!(UrlPolicy::default().check(&url(&fits)).unwrap().as_str().len(), 2048);
    assert!(problem(&url(&(fits + "a"))).contains("2048"));
    assert!(problem(&url(&"ü".repeat(500))).contains("2048"));
}

#[test]
fn everything_that_is_wrong_is_reported_at_once() {
    assert_eq!(kinds(&UrlPolicy::default(), "http://u:p@10.0.0.1:22/#x"), [Form, Form, Form, Blocked]);
    assert_eq!(kinds(&UrlPolicy::default(), "https://u:p@10.0.0.1:22/#x"), [Form, Form, Blocked, Port]);
}

#[test]
fn development_policy_allows_http_port_80_and_loopback_and_no_more() {
    let policy = development();
    for text in [
        "http://localhost/",
        "http://localhost:9000/x",
        "http://127.0.0.1:80/",
        "https://[::1]:9000/",
        "http://x.localhost/",
        "http://[::ffff:127.0.0.1]/",
        "https://example.com/",
    ] {
        assert!(policy.check(text).is_ok(), "{text}");
    }
    assert_eq!(kinds(&policy, "http://10.0.0.1/"), [Blocked]);
    assert_eq!(kinds(&policy, "http://localhost:8443/"), [Port]);
    assert_eq!(kinds(&policy, "ftp://localhost/"), [Form]);
    let only_v6 = AddressPolicy { allowed: vec!["::1/128".parse().unwrap()], ..AddressPolicy::default() };
    let policy = UrlPolicy { addresses: only_v6, ..UrlPolicy::default() };
    assert!(policy.check("https://localhost/").is_ok());
    assert_eq!(kinds(&policy, "https://127.0.0.1/"), [Blocked]);
}

#[test]
fn the_servers_own_listener_is_refused_by_address_and_by_name() {
    let mut policy = development();
    policy.addresses.listeners.push("127.0.0.1:9000".parse().unwrap());
    for text in
        ["http://127.0.0.1:9000/", "http://2130706433:9000/", "http://localhost:9000/", "http://x.localhost:9000"]
    {
        assert_eq!(kinds(&policy, text), [Blocked], "{text}");
    }
    for text in ["https://127.0.0.1/", "http://127.0.0.2:9000/", "https://localhost/"] {
        assert!(policy.check(text).is_ok(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_judged_without_a_panic_and_what_passes_passes_again(
        text in "(https?://)?(\\[)?[a-z0-9.:%@\\[\\]#?/xＡ-Ｚ。-]{0,20}|https://.{0,30}",
    ) {
        for policy in [UrlPolicy::default(), development()] {
            match policy.check(&text) {
                Ok(url) => prop_assert_eq!(policy.check(url.as_str()), Ok(url)),
                Err(errors) => prop_assert!(!errors.is_empty()),
            }
        }
    }

    #[test]
    fn numeric_hosts_are_judged_by_their_address(bits: u32) {
        let policy = UrlPolicy::default();
        let permitted = policy.addresses.permits(std::net::Ipv4Addr::from_bits(bits).into());
        for host in [bits.to_string(), format!("0x{bits:x}"), format!("0{bits:o}")] {
            prop_assert_eq!(policy.check(&format!("https://{}/", host)).is_ok(), permitted, "{}", host);
        }
    }
}
