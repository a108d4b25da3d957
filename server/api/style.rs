//! Styles between the protocol and the model.

use super::{
    scheme::{read_definition, read_preset, write_preset, write_scheme},
    violation::Violations,
};
use crate::{
    model::{
        ChosenScheme, EndpointScheme, SchemeChoice, Style, StyleChoice, StylePreset,
        envelope::{BodyForm, CloudEventsMode, Envelope, EnvelopeField, FieldValue},
    },
    proto::{self, envelope, envelope_field},
};

/// Reads a style at `field`; an absent one is Standard Webhooks.
pub(super) fn read_style(
    style: Option<&proto::EndpointStyle>,
    field: &str,
    violations: &mut Violations,
) -> Option<Style> {
    let Some(style) = style else { return Some(Style::default()) };
    let before = violations.len();
    let preset = match style.preset {
        0 => Some(StylePreset::default()),
        number => StylePreset::ALL.into_iter().find(|preset| *preset as i32 == number),
    };
    if preset.is_none() {
        violations.add(format!("{field}.preset"), "must be one of StylePreset");
    }
    let mut schemes = Vec::with_capacity(style.schemes.len());
    for (index, scheme) in style.schemes.iter().enumerate() {
        schemes.extend(read_scheme(scheme, &format!("{field}.schemes[{index}]"), violations));
    }
    let envelope =
        style.envelope.as_ref().and_then(|envelope| read_envelope(envelope, &format!("{field}.envelope"), violations));
    let body_form = read_body_form(style.body_form, &format!("{field}.body_form"), violations);
    let parameter = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    if violations.len() > before {
        return None;
    }
    let choice = StyleChoice {
        preset: preset?,
        schemes,
        envelope,
        body_form,
        app_id: parameter(&style.app_id),
        api_version: parameter(&style.api_version),
    };
    match Style::new(choice) {
        Ok(style) => Some(style),
        Err(found) => {
            for violation in found {
                violations.add(format!("{field}.{}", violation.path), violation.problem);
            }
            None
        }
    }
}

fn read_scheme(scheme: &proto::EndpointScheme, field: &str, violations: &mut Violations) -> Option<SchemeChoice> {
    let (own_name, chosen) = match (scheme.preset, &scheme.definition) {
        (0, None) => {
            violations.add(field, "must have one of `preset` and `definition`");
            return None;
        }
        (0, Some(definition)) => {
            let definition = read_definition(definition, &format!("{field}.definition"), violations)?;
            ("", ChosenScheme::Custom(definition))
        }
        (number, _) => {
            let preset = read_preset(number).ok_or("must be one of SchemePreset");
            let preset = violations.take(&format!("{field}.preset"), preset)?;
            (preset.name(), ChosenScheme::Preset(preset))
        }
    };
    let name = if scheme.name.is_empty() { own_name } else { &scheme.name };
    Some(SchemeChoice { name: name.to_owned(), scheme: chosen })
}

fn read_body_form(number: i32, field: &str, violations: &mut Violations) -> Option<BodyForm> {
    match proto::BodyForm::try_from(number) {
        Ok(proto::BodyForm::Unspecified) => None,
        Ok(proto::BodyForm::AsIs) => Some(BodyForm::AsIs),
        Ok(proto::BodyForm::FormPayload) => Some(BodyForm::FormPayload),
        Ok(proto::BodyForm::StableJson) => Some(BodyForm::StableJson),
        Err(_) => {
            violations.add(field, "must be one of BodyForm");
            None
        }
    }
}

fn read_envelope(envelope: &proto::Envelope, field: &str, violations: &mut Violations) -> Option<Envelope> {
    match &envelope.envelope {
        None => {
            violations.add(field, "must have one of `raw`, `json` and `cloud_events`");
            None
        }
        Some(envelope::Envelope::Raw(proto::RawEnvelope {})) => Some(Envelope::Raw),
        Some(envelope::Envelope::Json(json)) => {
            let mut fields = Vec::with_capacity(json.fields.len());
            for (index, given) in json.fields.iter().enumerate() {
                let value = read_field_value(given);
                let value = violations.take(&format!("{field}.json.fields[{index}]"), value);
                fields.extend(value.map(|value| EnvelopeField { name: given.name.clone(), value }));
            }
            Some(Envelope::Json { fields })
        }
        Some(envelope::Envelope::CloudEvents(cloud_events)) => {
            let mode = match cloud_events.mode() {
                proto::CloudEventsMode::Structured => Ok(CloudEventsMode::Structured),
                proto::CloudEventsMode::Binary => Ok(CloudEventsMode::Binary),
                proto::CloudEventsMode::Unspecified => Err("is required: structured or binary"),
            };
            let mode = violations.take(&format!("{field}.cloud_events.mode"), mode)?;
            Some(Envelope::CloudEvents { mode, source: cloud_events.source.clone() })
        }
    }
}

fn read_field_value(field: &proto::EnvelopeField) -> Result<FieldValue, &'static str> {
    match &field.value {
        None => Err("must have one of `variable` and `constant`"),
        Some(envelope_field::Value::Constant(text)) => Ok(FieldValue::Constant(text.clone())),
        Some(envelope_field::Value::Variable(number)) => match proto::EnvelopeVariable::try_from(*number) {
            Ok(proto::EnvelopeVariable::Id) => Ok(FieldValue::Id),
            Ok(proto::EnvelopeVariable::Type) => Ok(FieldValue::Type),
            Ok(proto::EnvelopeVariable::Operation) => Ok(FieldValue::Operation),
            Ok(proto::EnvelopeVariable::TimeIso8601) => Ok(FieldValue::TimeIso8601),
            Ok(proto::EnvelopeVariable::TimeUnixSeconds) => Ok(FieldValue::TimeUnixSecs),
            Ok(proto::EnvelopeVariable::TimeUnixMillis) => Ok(FieldValue::TimeUnixMillis),
            Ok(proto::EnvelopeVariable::Payload) => Ok(FieldValue::Payload),
            Ok(proto::EnvelopeVariable::PayloadAsArray) => Ok(FieldValue::PayloadAsArray),
            Ok(proto::EnvelopeVariable::Unspecified) | Err(_) => Err("must have a `variable` of EnvelopeVariable"),
        },
    }
}

/// A style as the protocol has it: as it was chosen, and the schemes that follow from that.
pub(super) fn write_style(style: &Style) -> proto::EndpointStyle {
    let choice = style.choice();
    let effective: Vec<_> = style.schemes().iter().map(write_endpoint_scheme).collect();
    proto::EndpointStyle {
        preset: choice.preset as i32,
        schemes: if choice.schemes.is_empty() { Vec::new() } else { effective.clone() },
        envelope: choice.envelope.as_ref().map(write_envelope),
        body_form: match choice.body_form {
            None => proto::BodyForm::Unspecified,
            Some(BodyForm::AsIs) => proto::BodyForm::AsIs,
            Some(BodyForm::FormPayload) => proto::BodyForm::FormPayload,
            Some(BodyForm::StableJson) => proto::BodyForm::StableJson,
        } as i32,
        app_id: choice.app_id.clone().unwrap_or_default(),
        api_version: choice.api_version.clone().unwrap_or_default(),
        effective_schemes: effective,
    }
}

fn write_endpoint_scheme(scheme: &EndpointScheme) -> proto::EndpointScheme {
    proto::EndpointScheme {
        name: scheme.name.to_string(),
        preset: scheme.preset().map_or(0, |preset| write_preset(preset) as i32),
        definition: Some(write_scheme(scheme.scheme())),
    }
}

fn write_envelope(envelope: &Envelope) -> proto::Envelope {
    let envelope = match envelope {
        Envelope::Raw => envelope::Envelope::Raw(proto::RawEnvelope {}),
        Envelope::Json { fields } => {
            envelope::Envelope::Json(proto::JsonEnvelope { fields: fields.iter().map(write_field).collect() })
        }
        Envelope::CloudEvents { mode, source } => envelope::Envelope::CloudEvents(proto::CloudEventsEnvelope {
            mode: match mode {
                CloudEventsMode::Structured => proto::CloudEventsMode::Structured,
                CloudEventsMode::Binary => proto::CloudEventsMode::Binary,
            } as i32,
            source: source.clone(),
        }),
    };
    proto::Envelope { envelope: Some(envelope) }
}

fn write_field(field: &EnvelopeField) -> proto::EnvelopeField {
    let variable = |variable: proto::EnvelopeVariable| envelope_field::Value::Variable(variable as i32);
    let value = match &field.value {
        FieldValue::Id => variable(proto::EnvelopeVariable::Id),
        FieldValue::Type => variable(proto::EnvelopeVariable::Type),
        FieldValue::Operation => variable(proto::EnvelopeVariable::Operation),
        FieldValue::TimeIso8601 => variable(proto::EnvelopeVariable::TimeIso8601),
        FieldValue::TimeUnixSecs => variable(proto::EnvelopeVariable::TimeUnixSeconds),
        FieldValue::TimeUnixMillis => variable(proto::EnvelopeVariable::TimeUnixMillis),
        FieldValue::Payload => variable(proto::EnvelopeVariable::Payload),
        FieldValue::PayloadAsArray => variable(proto::EnvelopeVariable::PayloadAsArray),
        FieldValue::Constant(text) => envelope_field::Value::Constant(text.clone()),
    };
    proto::EnvelopeField { name: field.name.clone(), value: Some(value) }
}
