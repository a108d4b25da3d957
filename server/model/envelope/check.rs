//! What is wrong with an envelope that somebody wrote.

use std::collections::HashSet;

use super::{BodyForm, CloudEventsMode, Envelope, EnvelopeField, FieldValue, member_order::array_index, uri_reference};

/// The most members a JSON envelope has.
pub const FIELDS_MAX: usize = 32;

/// The longest name of a member, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// The longest constant, in bytes.
pub const CONSTANT_BYTES_MAX: usize = 256;

/// The longest `source` of a CloudEvent, in bytes.
pub const SOURCE_BYTES_MAX: usize = 1_024;

/// One thing that is wrong with an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeViolation {
    /// Where, from the envelope down: `json.fields[3].name`.
    pub path: String,
    /// What is wrong, and what to do. Follows the path in a sentence.
    pub problem: String,
}

impl Envelope {
    /// Whether bodies of this form can be built with it; otherwise everything that stands against that. Fields beyond
    /// the limit are reported together, not one by one.
    ///
    /// Stable JSON goes with every envelope: in binary mode a CloudEvent's body is its data alone, and that is written
    /// in stable form. A form goes with no CloudEvent: neither of its modes knows one.
    pub fn check(&self, form: BodyForm) -> Result<(), Vec<EnvelopeViolation>> {
        let mut violations = Violations::default();
        match self {
            Self::Raw => {}
            Self::Json { fields } => violations.check_fields(fields, form),
            Self::CloudEvents { mode: CloudEventsMode::Structured | CloudEventsMode::Binary, source } => {
                violations.check_cloud_event(source, form);
            }
        }
        if violations.0.is_empty() { Ok(()) } else { Err(violations.0) }
    }
}

#[derive(Default)]
struct Violations(Vec<EnvelopeViolation>);

impl Violations {
    fn add(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        self.0.push(EnvelopeViolation { path: path.into(), problem: problem.into() });
    }

    fn check_fields(&mut self, fields: &[EnvelopeField], form: BodyForm) {
        if !(1..=FIELDS_MAX).contains(&fields.len()) {
            self.add("json.fields", format!("must have 1 to {FIELDS_MAX} entries; it has {}", fields.len()));
        }
        let mut names = HashSet::new();
        for (index, field) in fields.iter().take(FIELDS_MAX).enumerate() {
            let path = format!("json.fields[{index}]");
            if let Err(problem) = check_name(&field.name, form) {
                self.add(format!("{path}.name"), problem);
            } else if !names.insert(field.name.as_str()) {
                self.add(format!("{path}.name"), "repeats the name of another field; an object has each name once");
            }
            if let FieldValue::Constant(text) = &field.value
                && let Err(problem) = check_constant(text)
            {
                self.add(format!("{path}.value.constant"), problem);
            }
        }
        let is_payload =
            |field: &&EnvelopeField| matches!(field.value, FieldValue::Payload | FieldValue::PayloadAsArray);
        let payloads = fields.iter().filter(is_payload).count();
        if payloads != 1 {
            self.add("json.fields", format!("must have the payload exactly once; it has it {payloads} times"));
        }
    }

    fn check_cloud_event(&mut self, source: &str, form: BodyForm) {
        if source.len() > SOURCE_BYTES_MAX {
            self.add(
                "cloud_events.source",
                format!("must be at most {SOURCE_BYTES_MAX} bytes; it has {}", source.len()),
            );
        } else if let Err(problem) = uri_reference::check(source) {
            self.add("cloud_events.source", problem);
        }
        if form == BodyForm::FormPayload {
            self.add("cloud_events", "cannot be sent as a form; choose another body form or a JSON envelope");
        }
    }
}

fn check_name(name: &str, form: BodyForm) -> Result<(), String> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(format!("must be 1 to {NAME_BYTES_MAX} bytes; it has {}", name.len()));
    }
    if name.chars().any(char::is_control) {
        return Err("must not have control characters".to_owned());
    }
    if form == BodyForm::StableJson && array_index(name.as_bytes()).is_some() {
        return Err(
            "is a whole number, which ECMAScript would move to the front; choose a name for stable JSON".to_owned()
        );
    }
    Ok(())
}

fn check_constant(text: &str) -> Result<(), String> {
    if text.len() > CONSTANT_BYTES_MAX {
        return Err(format!("must be at most {CONSTANT_BYTES_MAX} bytes; it has {}", text.len()));
    }
    if text.contains('\0') {
        return Err("must not have a NUL character".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
