//! Headers of an endpoint's own. What is wrong with a value is told without a word of it.

use std::{collections::HashSet, mem};

use zeroize::Zeroizing;

use super::violation::{Violations, echo};
use crate::{
    configure::HeaderPatch,
    model::{
        CustomHeader, HEADERS_BYTES_MAX, HEADERS_MAX, Style, check_custom_header_name, check_custom_header_value,
        headers_taken,
    },
    proto,
};

const FIELD: &str = "endpoint.headers";

/// Takes the headers out of a request, so that their values are wiped once they are done with.
pub(super) fn take_headers(headers: &mut Vec<proto::EndpointHeader>) -> Vec<HeaderPatch> {
    let given = mem::take(headers).into_iter();
    given.map(|header| HeaderPatch { name: header.name, value: header.value.map(Zeroizing::new) }).collect()
}

/// Notes what is wrong with headers by themselves.
pub(super) fn check_headers(headers: &[HeaderPatch], violations: &mut Violations) {
    if headers.len() > HEADERS_MAX {
        violations.add(FIELD, format!("must have at most {HEADERS_MAX} entries; it has {}", headers.len()));
    }
    let bytes: usize =
        headers.iter().map(|header| header.name.len() + header.value.as_ref().map_or(0, |value| value.len())).sum();
    if bytes > HEADERS_BYTES_MAX {
        violations.add(FIELD, format!("must take at most {HEADERS_BYTES_MAX} bytes together; they take {bytes}"));
    }
    let mut names = HashSet::new();
    for (index, HeaderPatch { name, value }) in headers.iter().take(HEADERS_MAX).enumerate() {
        let field = format!("{FIELD}[{index}].name");
        match check_custom_header_name(name) {
            Err(error) => violations.add(field, format!("`{}` {error}", echo(name))),
            Ok(()) if !names.insert(name.to_ascii_lowercase()) => {
                violations.add(field, format!("`{name}` is the name of an earlier header"));
            }
            Ok(()) => {}
        }
        if let Some(value) = value {
            violations.take(&format!("{FIELD}[{index}].value"), check_custom_header_value(value));
        }
    }
}

/// Reads the headers of a new endpoint, which has no values to keep.
pub(super) fn read_new_headers(
    headers: Vec<HeaderPatch>,
    style: Option<&Style>,
    violations: &mut Violations,
) -> Vec<CustomHeader> {
    check_headers(&headers, violations);
    let names: Vec<String> = headers.iter().map(|header| header.name.clone()).collect();
    let taken = style.map(|style| headers_taken(style, &names)).unwrap_or_default().into_iter();
    for (index, name) in taken.filter(|(_, name)| check_custom_header_name(name).is_ok()) {
        violations
            .add(format!("{FIELD}[{index}].name"), format!("`{name}` is a header of one of the endpoint's schemes"));
    }
    let valued = |(index, HeaderPatch { name, value }): (usize, HeaderPatch)| {
        let value = value.ok_or("is required for a new endpoint");
        let value = violations.take(&format!("{FIELD}[{index}].value"), value)?;
        Some(CustomHeader { name, value })
    };
    headers.into_iter().take(HEADERS_MAX).enumerate().filter_map(valued).collect()
}
