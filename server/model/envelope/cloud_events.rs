//! CloudEvents 1.0.2: its JSON event format for structured mode, the headers of its HTTP protocol binding for binary
//! mode.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Enveloped, iso8601::iso8601, json::Object};

/// The media type of an event in structured mode.
pub(super) const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";

const SPEC_VERSION: &str = "1.0";

/// What the data of an event is.
pub(super) enum Data<'a> {
    /// Valid JSON, which stands in the event as it is.
    Json(&'a [u8]),
    /// Anything else, which stands in the event in base64.
    Binary(&'a [u8]),
}

/// An event as a JSON object.
pub(super) fn structured(source: &str, event: &Enveloped<'_>, data: &Data<'_>) -> Vec<u8> {
    let mut out = Object::new(event.payload.len());
    for (attribute, value) in attributes(source, event) {
        out.name(attribute);
        out.text(&value);
    }
    out.name("datacontenttype");
    out.text(event.content_type);
    match data {
        Data::Json(json) => {
            out.name("data");
            out.json(json);
        }
        Data::Binary(bytes) => {
            out.name("data_base64");
            out.text(&STANDARD.encode(bytes));
        }
    }
    out.finish()
}

/// The headers of an event whose data is the body. Its `datacontenttype` is the header `content-type`.
pub(super) fn headers(source: &str, event: &Enveloped<'_>) -> Vec<(&'static str, String)> {
    let [version, id, source, event_type, time] = attributes(source, event).map(|(_, value)| header_value(&value));
    vec![("ce-specversion", version), ("ce-id", id), ("ce-source", source), ("ce-type", event_type), ("ce-time", time)]
}

fn attributes(source: &str, event: &Enveloped<'_>) -> [(&'static str, String); 5] {
    [
        ("specversion", SPEC_VERSION.to_owned()),
        ("id", event.id.to_owned()),
        ("source", source.to_owned()),
        ("type", event.event_type.to_owned()),
        ("time", iso8601(event.time)),
    ]
}

/// Percent-encodes what may not stand in a header (section 3.1.3.2 of the binding): space, `"`, `%`, and everything
/// that is not printable ASCII.
fn header_value(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'"' | b'%' => write!(out, "%{byte:02X}").unwrap_or_default(),
            b'!'..=b'~' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_are_percent_encoded_as_the_binding_says() {
        // The binding's own example.
        assert_eq!(header_value("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(header_value("a\"b%20\n\x7f"), "a%22b%2520%0A%7F");
        let plain: String = ('!'..='~').filter(|c| !matches!(c, '"' | '%')).collect();
        assert_eq!(header_value(&plain), plain);
    }
}
