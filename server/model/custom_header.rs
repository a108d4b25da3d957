//! Headers of an endpoint's own, which every request to it bears besides those of its style.

use std::{collections::HashSet, fmt};

use zeroize::Zeroizing;

use super::{HeaderNameError, Style, check_header_name};

/// Headers of one endpoint, at most.
pub const HEADERS_MAX: usize = 20;

/// What an endpoint's headers take together, names and values, in bytes, at most.
pub const HEADERS_BYTES_MAX: usize = 4_096;

/// What the names of Standard Webhooks' headers begin with; they are kept back whatever the style.
const STANDARD_PREFIX: &str = "webhook-";

/// A header of an endpoint's own. Its value may be a credential: it is in no Debug output and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomHeader {
    /// Its name, as it was given.
    pub name: String,
    /// Its value.
    pub value: Zeroizing<String>,
}

impl fmt::Debug for CustomHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: …", self.name)
    }
}

/// What is wrong with the name of an endpoint's header by itself, as the rest of a sentence.
pub fn check_custom_header_name(name: &str) -> Result<(), HeaderNameError> {
    check_header_name(name)?;
    let standard = name.get(..STANDARD_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(STANDARD_PREFIX));
    if standard { Err(HeaderNameError::Reserved) } else { Ok(()) }
}

/// What is wrong with a header's value, without a word of it (RFC 9110, section 5.5: visible ASCII, spaces and tabs within).
pub fn check_custom_header_value(value: &str) -> Result<(), String> {
    if !value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
        return Err("must be visible ASCII, spaces and tabs".to_owned());
    }
    if value.starts_with([' ', '\t']) || value.ends_with([' ', '\t']) {
        return Err("must not begin or end with a space or tab".to_owned());
    }
    Ok(())
}

/// The names, by their index, that the style's own headers bear already.
pub fn headers_taken(style: &Style, names: &[String]) -> Vec<(usize, String)> {
    let of_schemes = style.schemes().iter().flat_map(|scheme| &scheme.scheme().definition().headers);
    let taken: HashSet<String> = of_schemes.map(|header| header.name.to_ascii_lowercase()).collect();
    let collides = |(_, name): &(usize, &String)| taken.contains(&name.to_ascii_lowercase());
    names.iter().enumerate().filter(collides).map(|(index, name)| (index, name.clone())).collect()
}
