//! JSON envelopes: an object whose members say what the event is, the payload among them as its own bytes.

use super::{
    EnvelopeField, Enveloped, FieldValue,
    iso8601::{iso8601, unix_millis},
    string::push_text,
};
use crate::model::operation;

/// Room for names, values and punctuation around a payload, so that the usual envelope is allocated once.
const AROUND_BYTES: usize = 512;

/// Writes the object, without white space of its own. `payload` is valid JSON.
pub(super) fn wrap(fields: &[EnvelopeField], event: &Enveloped<'_>, payload: &[u8]) -> Vec<u8> {
    let mut out = Object::new(payload.len());
    for field in fields {
        out.name(&field.name);
        match &field.value {
            FieldValue::Id => out.text(event.id),
            FieldValue::Type => out.text(event.event_type),
            FieldValue::Operation => out.text(operation(event.event_type)),
            FieldValue::TimeIso8601 => out.text(&iso8601(event.time)),
            FieldValue::TimeUnixSecs => out.json(event.time.as_secs().to_string().as_bytes()),
            FieldValue::TimeUnixMillis => out.json(unix_millis(event.time).to_string().as_bytes()),
            FieldValue::Payload => out.json(payload),
            FieldValue::PayloadAsArray if is_array(payload) => out.json(payload),
            FieldValue::PayloadAsArray => {
                out.json(b"[");
                out.json(payload);
                out.json(b"]");
            }
            FieldValue::Constant(text) => out.text(text),
        }
    }
    out.finish()
}

/// A JSON object that is being written.
pub(super) struct Object(Vec<u8>);

impl Object {
    /// An empty object with room for so many bytes of payload.
    pub(super) fn new(payload_bytes: usize) -> Self {
        let mut out = Vec::with_capacity(payload_bytes + AROUND_BYTES);
        out.push(b'{');
        Self(out)
    }

    /// Begins a member; its value is written next.
    pub(super) fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        push_text(&mut self.0, name);
        self.0.push(b':');
    }

    pub(super) fn text(&mut self, text: &str) {
        push_text(&mut self.0, text);
    }

    pub(super) fn json(&mut self, json: &[u8]) {
        self.0.extend_from_slice(json);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

fn is_array(json: &[u8]) -> bool {
    json.trim_ascii_start().starts_with(b"[")
}
