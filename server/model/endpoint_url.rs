//! The URL of an endpoint, kept as its text until an attempt needs it parsed, which of very many endpoints few do.

use std::{str::FromStr, sync::OnceLock};

use url::{ParseError, Url};

/// The URL of an endpoint in canonical form.
#[derive(Clone, Debug)]
pub struct EndpointUrl {
    text: Box<str>,
    /// The same parsed, once it was asked for.
    parsed: OnceLock<Box<Url>>,
}

impl EndpointUrl {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether what is sent there is encrypted.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// The URL parsed. It is kept, for where one attempt is made there will be others.
    ///
    /// # Errors
    /// None in practice: what is parsed was written by the parser.
    pub fn parsed(&self) -> Result<&Url, ParseError> {
        match self.parsed.get() {
            Some(url) => Ok(url),
            None => {
                let url = Url::parse(&self.text)?;
                Ok(self.parsed.get_or_init(|| Box::new(url)))
            }
        }
    }
}

impl From<Url> for EndpointUrl {
    fn from(url: Url) -> Self {
        Self { text: String::from(url).into(), parsed: OnceLock::new() }
    }
}

impl PartialEq for EndpointUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for EndpointUrl {}

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
        assert_eq!(url.parsed().cloned().map(EndpointUrl::from), Ok(url.clone()));
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
