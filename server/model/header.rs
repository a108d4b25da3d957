//! Names of headers that requests may be given beside those that HTTP and the server write themselves.

/// The longest header name, in bytes.
pub const HEADER_NAME_BYTES_MAX: usize = 64;

/// Names that are kept back.
const RESERVED: [&str; 10] = [
    "accept-encoding",
    "connection",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Beginnings of names that are kept back.
const RESERVED_PREFIXES: [&str; 4] = ["ce-", "content-", "proxy-", "tidings-"];

/// Why a header may not be named so, as the rest of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderNameError {
    /// There is no name.
    #[error("is empty")]
    Empty,
    /// It is longer than [`HEADER_NAME_BYTES_MAX`].
    #[error("is longer than {HEADER_NAME_BYTES_MAX} bytes")]
    TooLong,
    /// It is not a token of RFC 9110, section 5.6.2.
    #[error("must be letters, digits and any of !#$%&'*+-.^_`|~")]
    NotAToken,
    /// HTTP, or the server itself, writes it.
    #[error("is reserved; HTTP or the server itself sets it")]
    Reserved,
}

/// Checks the name of a header that a caller wants to add to requests. Upper and lower case do not differ.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_header_name(name: &str) -> Result<(), HeaderNameError> {
    if name.is_empty() {
        return Err(HeaderNameError::Empty);
    }
    if name.len() > HEADER_NAME_BYTES_MAX {
        return Err(HeaderNameError::TooLong);
    }
    if !name.bytes().all(is_token_byte) {
        return Err(HeaderNameError::NotAToken);
    }
    let lower = name.to_ascii_lowercase();
    if RESERVED.contains(&lower.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
        return Err(HeaderNameError::Reserved);
    }
    Ok(())
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_names() {
        for name in
            ["x", "webhook-id", "X-Hub-Signature-256", "a!#$%&'*+-.^_`|~9", "hosts", "ce", "x-ce-", &"a".repeat(64)]
        {
            assert_eq!(check_header_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_is_no_token_is_no_name() {
        assert_eq!(check_header_name(""), Err(HeaderNameError::Empty));
        assert_eq!(check_header_name(&"a".repeat(65)), Err(HeaderNameError::TooLong));
        for name in [" ", "a b", "a:", "a\r\nb", "ä", "a,b", "\"a\"", "a\0"] {
            assert_eq!(check_header_name(name), Err(HeaderNameError::NotAToken), "{name:?}");
        }
    }

    #[test]
    fn what_http_or_the_server_sets_is_reserved_in_any_case() {
        for name in ["host", "Host", "CONTENT-TYPE", "content-x", "Proxy-Authorization", "tidings-x", "CE-id", "TE"] {
            assert_eq!(check_header_name(name), Err(HeaderNameError::Reserved), "{name}");
        }
        for name in RESERVED {
            assert_eq!(check_header_name(name), Err(HeaderNameError::Reserved), "{name}");
        }
    }
}
