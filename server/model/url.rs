//! Which URLs an endpoint may have.
//!
//! The raw text is judged before the `url` crate sees it, because that crate strips, maps and completes what a person
//! may not have meant; the host is judged afterwards, when `0x7f.1` and full-width digits have become the addresses
//! that they are. What a name resolves to is judged at every attempt, elsewhere.

use url::{Host, ParseError, Url};

use super::AddressPolicy;

/// The longest URL, in bytes, as given and in canonical form.
const URL_BYTES_MAX: usize = 2048;

/// The longest host name and the longest of its labels, in bytes (RFC 1035).
const HOST_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Which URLs an endpoint may have.
#[derive(Clone, Debug)]
pub struct UrlPolicy {
    /// Plain `http:` is allowed too.
    pub allow_http: bool,
    /// The ports allowed; with `allow_http` port 80 as well.
    pub ports: Vec<u16>,
    /// The addresses allowed.
    pub addresses: AddressPolicy,
}

impl Default for UrlPolicy {
    fn default() -> Self {
        Self { allow_http: false, ports: vec![443, 8443], addresses: AddressPolicy::default() }
    }
}

/// Why a URL was refused. The text says what to do and repeats nothing of the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is not an absolute URL of the right form.
    #[error("{0}")]
    Form(String),
    /// It names an address that the server does not send to.
    #[error("names an address that this server does not send to; use a public host name")]
    BlockedAddress,
    /// Its port is not among those allowed.
    #[error("has a port that is not allowed")]
    Port,
}

impl UrlPolicy {
    /// Checks the raw text and returns the URL in canonical form, or everything that is wrong with it. Text that is too
    /// long, has control characters or is no absolute URL is not looked into further.
    pub fn check(&self, text: &str) -> Result<Url, Vec<UrlError>> {
        check_text(text).map_err(|error| vec![error])?;
        let raw = RawUrl::split(text).ok_or_else(|| vec![self.not_absolute(text)])?;
        let mut errors = raw.check();
        if !self.allows_scheme(raw.scheme) {
            errors.push(self.wrong_scheme());
        }
        match Url::parse(text) {
            Ok(url) => {
                self.check_host(&url, raw.host, &mut errors);
                self.check_port(&url, &mut errors);
                if errors.is_empty() {
                    return Ok(url);
                }
            }
            Err(ParseError::InvalidPort) => errors.push(UrlError::Port),
            // What is reported already made it unreadable, or is reason enough.
            Err(_) if !errors.is_empty() => {}
            Err(_) => errors.push(form("has a host that is neither a name nor an address")),
        }
        Err(errors)
    }

    fn allows_scheme(&self, scheme: &str) -> bool {
        scheme.eq_ignore_ascii_case("https") || self.allow_http && scheme.eq_ignore_ascii_case("http")
    }

    fn wrong_scheme(&self) -> UrlError {
        form(if self.allow_http { "must have the scheme https or http" } else { "must have the scheme https" })
    }

    fn not_absolute(&self, text: &str) -> UrlError {
        match text.split_once(':') {
            Some((scheme, _)) if is_scheme(scheme) && !self.allows_scheme(scheme) => self.wrong_scheme(),
            _ => form("must be an absolute https URL, such as https://example.com/webhooks"),
        }
    }

    fn check_host(&self, url: &Url, raw_host: &str, errors: &mut Vec<UrlError>) {
        // A URL without a port is refused for its scheme.
        let port = url.port_or_known_default().unwrap_or_default();
        let blocked = match url.host() {
            Some(Host::Ipv4(address)) => !self.addresses.permits_target((address, port).into()),
            Some(Host::Ipv6(address)) => !self.addresses.permits_target((address, port).into()),
            Some(Host::Domain(name)) if is_localhost(name) => !self.addresses.permits_loopback(port),
            Some(Host::Domain(name)) => {
                errors.extend(check_name(name));
                false
            }
            // Schemes refused already may have none.
            None => false,
        };
        if blocked {
            errors.push(UrlError::BlockedAddress);
        } else if !raw_host.is_ascii() && !url.host_str().is_some_and(is_international) {
            errors.push(form("has a host in look-alike characters; write it in plain letters and digits"));
        }
        if url.as_str().len() > URL_BYTES_MAX {
            errors.push(too_long());
        }
    }

    fn check_port(&self, url: &Url, errors: &mut Vec<UrlError>) {
        let allowed = |port: u16| self.ports.contains(&port) || self.allow_http && port == 80;
        if url.port_or_known_default().is_some_and(|port| !allowed(port)) && self.allows_scheme(url.scheme()) {
            errors.push(UrlError::Port);
        }
    }
}

fn form(problem: &str) -> UrlError {
    UrlError::Form(problem.to_owned())
}

fn too_long() -> UrlError {
    UrlError::Form(format!("is longer than {URL_BYTES_MAX} bytes"))
}

/// Refuses text that would be read otherwise than it looks.
fn check_text(text: &str) -> Result<(), UrlError> {
    if text.len() > URL_BYTES_MAX {
        return Err(too_long());
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(form("has spaces or control characters; percent-encode them"));
    }
    if text.chars().any(is_invisible) {
        return Err(form("has invisible or direction-changing characters; percent-encode them"));
    }
    if text.contains('\\') {
        return Err(form("has a backslash; use /, or percent-encode it"));
    }
    Ok(())
}

/// Format characters, joiners, direction marks, variation selectors, tags and private use (Unicode's default ignorables).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..)
}

/// RFC 3986, 3.1.
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// The parts of a URL that are judged as they were written.
struct RawUrl<'a> {
    scheme: &'a str,
    /// What stands before the last `@` of the authority.
    userinfo: Option<&'a str>,
    host: &'a str,
    has_fragment: bool,
}

impl<'a> RawUrl<'a> {
    /// `None` unless `text` is `scheme://authority…` with something for an authority.
    fn split(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = &rest[..end];
        if !is_scheme(scheme) || authority.is_empty() {
            return None;
        }
        let (userinfo, host_and_port) = match authority.rsplit_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, authority),
        };
        let host_end = match host_and_port.rfind(']') {
            Some(bracket) => bracket + 1,
            None => host_and_port.find(':').unwrap_or(host_and_port.len()),
        };
        let host = &host_and_port[..host_end];
        Some(Self { scheme, userinfo, host, has_fragment: text.contains('#') })
    }

    fn check(&self) -> Vec<UrlError> {
        let mut errors = Vec::new();
        if self.userinfo.is_some() {
            errors.push(form("must not contain a user name or password"));
        }
        if self.has_fragment {
            errors.push(form("must not have a fragment (#…)"));
        }
        if self.host.starts_with('[') && self.host.contains('%') {
            errors.push(form("must not have an IPv6 zone id"));
        } else if self.host.contains('%') {
            errors.push(form("has a percent-encoded host; write it in plain letters and digits"));
        }
        errors
    }
}

/// `localhost` and all names under it (RFC 6761), whatever a resolver would say.
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

fn is_international(host: &str) -> bool {
    host.split('.').any(|label| label.starts_with("xn--"))
}

/// Judges a host name in canonical form (RFC 1123; underscores are in use and do no harm).
fn check_name(name: &str) -> Option<UrlError> {
    if name.len() > HOST_BYTES_MAX {
        return Some(form("has a host longer than 253 bytes"));
    }
    if name.ends_with('.') {
        return Some(form("has a host that ends in a dot; leave it out"));
    }
    name.split('.').find_map(|label| {
        let letters = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if label.is_empty() {
            Some(form("has a host with an empty label"))
        } else if label.len() > LABEL_BYTES_MAX {
            Some(form("has a host with a label longer than 63 bytes"))
        } else if !letters || label.starts_with('-') || label.ends_with('-') {
            Some(form("has a host that is not a valid name"))
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests;
