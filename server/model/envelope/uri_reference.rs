//! URI references (RFC 3986, section 4.1), as far as their characters and punctuation go.

use crate::model::url::is_scheme;

/// What is wrong with `text` as a URI reference, absolute or relative, in printable ASCII.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("is required: a URI or a path, for example `https://example.com` or `/payments`");
    }
    if !text.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
        return Err("has spaces or characters that are not printable ASCII; percent-encode them");
    }
    if text.contains(['"', '<', '>', '\\', '^', '`', '{', '|', '}']) {
        return Err("has characters that may not stand in a URI; percent-encode them");
    }
    if !text.split('%').skip(1).all(begins_with_hex) {
        return Err("has a `%` that is not followed by two hexadecimal digits");
    }
    let (before_fragment, fragment) = text.split_once('#').unwrap_or((text, ""));
    if fragment.contains('#') {
        return Err("has more than one `#`; percent-encode the others");
    }
    let hierarchy = before_fragment.split('?').next().unwrap_or_default();
    let first_segment = hierarchy.split('/').next().unwrap_or_default();
    let (scheme, path) = match first_segment.split_once(':') {
        Some((scheme, _)) => (Some(scheme), &hierarchy[scheme.len() + 1..]),
        None => (None, hierarchy),
    };
    if scheme.is_some_and(|scheme| !is_scheme(scheme)) {
        return Err("has a colon in its first segment, after what is no scheme; percent-encode it");
    }
    check_brackets(text, path)
}

/// Whether the two digits stand there that follow a `%`.
fn begins_with_hex(text: &str) -> bool {
    matches!(text.as_bytes(), [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// Brackets stand only around an address, in an authority.
fn check_brackets(text: &str, path: &str) -> Result<(), &'static str> {
    let authority = path.strip_prefix("//").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    let address = host_and_port.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let allowed = usize::from(address.is_some());
    if text.matches('[').count() > allowed || text.matches(']').count() > allowed {
        return Err("has brackets outside an IPv6 address; percent-encode them");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_paths_and_parts_of_them_are_references() {
        for good in [
            "https://example.com",
            "https://user@[2001:db8::1]:8443/a",
            "urn:uuid:550e8400-e29b-41d4-a716-446655440000",
            "mailto:a@example.com",
            "/payments/eu",
            "payments",
            "//example.com/a",
            "./a:b",
            "?q=a:b/c?d",
            "#part",
            "a%20b%Ff",
            "a!$&'()*+,;=-._~@",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_breaks_the_rules_of_a_reference_is_refused() {
        for bad in [
            "",
            " ",
            "a b",
            "a\n",
            "é",
            "\x7f",
            "\"a\"",
            "<a>",
            "a\\b",
            "a^",
            "a`",
            "{a}",
            "a|b",
            "%",
            "%4",
            "a%zz",
            "%é9",
            "#a#b",
            "1a:b",
            "a_b:c",
            ":",
            "/a[0]",
            "a?b[]",
            "https://[::1]/[",
            "https://a]b",
            "[::1]",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
