//! The URL of an endpoint, kept as its text: it is parsed for an attempt, while of very many endpoints few have one at a time.

use std::str::FromStr;

use url::{ParseError, Url};

/// The URL of an endpoint in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointUrl(Box<str>);

impl EndpointUrl {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what is sent there is encrypted.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// The URL parsed.
    ///
    /// # Errors
    /// None in practice: what is parsed was written by the parser.
    pub fn parsed(&self) -> Result<Url, ParseError> {
        Url::parse(&self.0)
    }
}

impl From<Url> for EndpointUrl {
    fn from(url: Url) -> Self {
        Self(String::from(url).into())
    }
}

impl FromStr for EndpointUrl {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Url::parse(text).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_canonical_one() {
        let url: EndpointUrl = "HTTPS://ex%41mple.com:443/a/../b?c".parse().unwrap();
        assert_eq!(url.as_str(), "https://example.com/b?c");
        assert_eq!(url.parsed().map(EndpointUrl::from), Ok(url));
        assert!("example.com".parse::<EndpointUrl>().is_err());
    }

    #[test]
    fn only_https_is_encrypted() {
        for (text, is_https) in
            [("https://a/", true), ("HTTPS://a/", true), ("http://a/", false), ("httpsx://a/", false)]
        {
            assert_eq!(text.parse::<EndpointUrl>().unwrap().is_https(), is_https, "{text}");
        }
    }
}
