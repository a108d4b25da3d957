//! Headers of an endpoint's own. What is wrong with a value is told without a word of it.

use std::collections::HashSet;

use zeroize::Zeroizing;

use super::violation::Violations;
use crate::{
    configure::HeaderPatch,
    model::{CustomHeader, HEADERS_BYTES_MAX, HEADERS_MAX, check_custom_header_name, check_custom_header_value},
    proto,
};

/// Reads headers at `endpoint.headers`.
pub(super) fn read_headers(headers: &[proto::EndpointHeader], violations: &mut Violations) -> Vec<HeaderPatch> {
    const FIELD: &str = "endpoint.headers";
    if headers.len() > HEADERS_MAX {
        violations.add(FIELD, format!("must have at most {HEADERS_MAX} entries; it has {}", headers.len()));
    }
    let bytes: usize =
        headers.iter().map(|header| header.name.len() + header.value.as_ref().map_or(0, String::len)).sum();
    if bytes > HEADERS_BYTES_MAX {
        violations.add(FIELD, format!("must take at most {HEADERS_BYTES_MAX} bytes together; they take {bytes}"));
    }
    let mut names = HashSet::new();
    let mut read = Vec::with_capacity(headers.len().min(HEADERS_MAX));
    for (index, header) in headers.iter().take(HEADERS_MAX).enumerate() {
        let name_field = format!("{FIELD}[{index}].name");
        let name =
            violations.take(&name_field, check_custom_header_name(&header.name).map_err(|error| error.to_string()));
        if name.is_some() && !names.insert(header.name.to_ascii_lowercase()) {
            violations.add(name_field, format!("is `{}`, as an earlier header", header.name));
        }
        if let Some(value) = &header.value {
            violations.take(&format!("{FIELD}[{index}].value"), check_custom_header_value(value));
        }
        read.push(HeaderPatch { name: header.name.clone(), value: header.value.clone().map(Zeroizing::new) });
    }
    read
}

/// Reads the headers of a new endpoint, which has no values to keep.
pub(super) fn read_new_headers(headers: &[proto::EndpointHeader], violations: &mut Violations) -> Vec<CustomHeader> {
    let read = read_headers(headers, violations).into_iter().enumerate();
    read.filter_map(|(index, HeaderPatch { name, value })| {
        let value = value.ok_or("is required for a new endpoint");
        let value = violations.take(&format!("endpoint.headers[{index}].value"), value)?;
        Some(CustomHeader { name, value })
    })
    .collect()
}
