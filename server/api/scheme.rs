//! Signature schemes between the protocol and [`crate::signing`].

use super::violation::Violations;
use crate::{
    proto,
    signing::{
        Algorithm, Encoding, KeyForm, Part, SchemeDefinition, SchemeHeader, SchemePreset, SignatureScheme, Variable,
    },
};

/// Reads a scheme's definition at `field`. What protobuf lets pass and no definition can hold is noted here, all else is
/// for [`SignatureScheme::new`] to judge.
pub(super) fn read_definition(
    scheme: &proto::SignatureScheme,
    field: &str,
    violations: &mut Violations,
) -> Option<SchemeDefinition> {
    let algorithm = algorithm(scheme.algorithm());
    let (key_form, encoding) = (key_form(scheme.key_form()), encoding(scheme.encoding()));
    for (name, missing) in
        [("algorithm", algorithm.is_none()), ("key_form", key_form.is_none()), ("encoding", encoding.is_none())]
    {
        if missing {
            violations.add(format!("{field}.{name}"), "is required, and must be one of those listed");
        }
    }
    let signed = read_parts(&scheme.signed, &format!("{field}.signed"), violations);
    let mut headers = Vec::with_capacity(scheme.headers.len());
    for (index, header) in scheme.headers.iter().enumerate() {
        let value = read_parts(&header.value, &format!("{field}.headers[{index}].value"), violations);
        headers.extend(value.map(|value| SchemeHeader { name: header.name.clone(), value }));
    }
    let whole = headers.len() == scheme.headers.len();
    Some(SchemeDefinition {
        signed: signed?,
        algorithm: algorithm?,
        key_form: key_form?,
        encoding: encoding?,
        signature_prefix: scheme.signature_prefix.clone(),
        signature_separator: scheme.signature_separator.clone(),
        headers: whole.then_some(headers)?,
    })
}

fn read_parts(parts: &[proto::SignaturePart], field: &str, violations: &mut Violations) -> Option<Vec<Part>> {
    let mut read = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let part = match &part.part {
            None => Err("must have one of `literal` and `variable`"),
            Some(proto::signature_part::Part::Literal(literal)) => Ok(Part::Literal(literal.clone())),
            Some(proto::signature_part::Part::Variable(number)) => proto::SignatureVariable::try_from(*number)
                .ok()
                .and_then(variable)
                .map(Part::Variable)
                .ok_or("must be one of SignatureVariable"),
        };
        read.extend(violations.take(&format!("{field}[{index}]"), part));
    }
    (read.len() == parts.len()).then_some(read)
}

/// A scheme as the protocol has it.
pub(super) fn write_scheme(scheme: &SignatureScheme) -> proto::SignatureScheme {
    let definition = scheme.definition();
    let headers = definition.headers.iter();
    proto::SignatureScheme {
        signed: definition.signed.iter().map(write_part).collect(),
        algorithm: match definition.algorithm {
            Algorithm::HmacSha256 => proto::SignatureAlgorithm::HmacSha256,
            Algorithm::Ed25519 => proto::SignatureAlgorithm::Ed25519,
        } as i32,
        key_form: match definition.key_form {
            KeyForm::Text => proto::KeyForm::Text,
            KeyForm::Base64 => proto::KeyForm::Base64,
            KeyForm::Ed25519Seed => proto::KeyForm::Ed25519Seed,
        } as i32,
        encoding: match definition.encoding {
            Encoding::Base64 => proto::SignatureEncoding::Base64,
            Encoding::Hex => proto::SignatureEncoding::Hex,
        } as i32,
        signature_prefix: definition.signature_prefix.clone(),
        signature_separator: definition.signature_separator.clone(),
        headers: headers
            .map(|header| proto::SignatureHeader {
                name: header.name.clone(),
                value: header.value.iter().map(write_part).collect(),
            })
            .collect(),
    }
}

fn write_part(part: &Part) -> proto::SignaturePart {
    let part = match part {
        Part::Literal(literal) => proto::signature_part::Part::Literal(literal.clone()),
        Part::Variable(variable) => {
            let variable = match variable {
                Variable::Id => proto::SignatureVariable::Id,
                Variable::Timestamp => proto::SignatureVariable::Timestamp,
                Variable::EventType => proto::SignatureVariable::EventType,
                Variable::Operation => proto::SignatureVariable::Operation,
                Variable::Url => proto::SignatureVariable::Url,
                Variable::Body => proto::SignatureVariable::Body,
                Variable::Signature => proto::SignatureVariable::Signature,
            };
            proto::signature_part::Part::Variable(variable as i32)
        }
    };
    proto::SignaturePart { part: Some(part) }
}

fn variable(variable: proto::SignatureVariable) -> Option<Variable> {
    match variable {
        proto::SignatureVariable::Unspecified => None,
        proto::SignatureVariable::Id => Some(Variable::Id),
        proto::SignatureVariable::Timestamp => Some(Variable::Timestamp),
        proto::SignatureVariable::EventType => Some(Variable::EventType),
        proto::SignatureVariable::Operation => Some(Variable::Operation),
        proto::SignatureVariable::Url => Some(Variable::Url),
        proto::SignatureVariable::Body => Some(Variable::Body),
        proto::SignatureVariable::Signature => Some(Variable::Signature),
    }
}

fn algorithm(algorithm: proto::SignatureAlgorithm) -> Option<Algorithm> {
    match algorithm {
        proto::SignatureAlgorithm::Unspecified => None,
        proto::SignatureAlgorithm::HmacSha256 => Some(Algorithm::HmacSha256),
        proto::SignatureAlgorithm::Ed25519 => Some(Algorithm::Ed25519),
    }
}

fn key_form(form: proto::KeyForm) -> Option<KeyForm> {
    match form {
        proto::KeyForm::Unspecified => None,
        proto::KeyForm::Text => Some(KeyForm::Text),
        proto::KeyForm::Base64 => Some(KeyForm::Base64),
        proto::KeyForm::Ed25519Seed => Some(KeyForm::Ed25519Seed),
    }
}

fn encoding(encoding: proto::SignatureEncoding) -> Option<Encoding> {
    match encoding {
        proto::SignatureEncoding::Unspecified => None,
        proto::SignatureEncoding::Base64 => Some(Encoding::Base64),
        proto::SignatureEncoding::Hex => Some(Encoding::Hex),
    }
}

/// Reads the name of a scheme; `None` if it is none.
pub(super) fn read_preset(number: i32) -> Option<SchemePreset> {
    SchemePreset::ALL.into_iter().find(|preset| write_preset(*preset) as i32 == number)
}

/// The name of a scheme as the protocol has it.
pub(super) fn write_preset(preset: SchemePreset) -> proto::SchemePreset {
    match preset {
        SchemePreset::Standard => proto::SchemePreset::Standard,
        SchemePreset::StandardEd25519 => proto::SchemePreset::StandardEd25519,
        SchemePreset::ParaTimestampBody => proto::SchemePreset::ParaTimestampBody,
        SchemePreset::ParaTimestampBodyDecoded => proto::SchemePreset::ParaTimestampBodyDecoded,
        SchemePreset::Parra => proto::SchemePreset::Parra,
        SchemePreset::ErudikaPara => proto::SchemePreset::ErudikaPara,
        SchemePreset::PartyLayer => proto::SchemePreset::Partylayer,
        SchemePreset::GitHub => proto::SchemePreset::Github,
        SchemePreset::Stripe => proto::SchemePreset::Stripe,
        SchemePreset::Shopify => proto::SchemePreset::Shopify,
        SchemePreset::Slack => proto::SchemePreset::Slack,
        SchemePreset::Paragon => proto::SchemePreset::Paragon,
    }
}
