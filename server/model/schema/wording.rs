//! What is wrong with a payload or a schema, in words. The payload's own words are repeated for 64 characters at most, and
//! escaped; its values not at all.

use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use serde_json::Value;

use super::SchemaViolation;
use crate::model::echo;

/// What a payload breaks.
pub(super) fn of_payload(error: &ValidationError<'_>) -> SchemaViolation {
    SchemaViolation { pointer: echo(error.instance_path().as_str()), problem: broken(error.kind()) }
}

/// What the compiler refuses of a schema.
pub(super) fn of_schema(error: &ValidationError<'_>) -> String {
    let place = echo(error.instance_path().as_str());
    match error.kind() {
        Kind::Referencing(_) => "must have in itself whatever it refers to".to_owned(),
        Kind::Format { format } if format == "regex" => {
            format!(
                "must have regular expressions without look-around and back-references, of moderate size; see {place}"
            )
        }
        kind => format!(
            "must be valid under its draft; at {place} it breaks `{}` of the draft's own schema",
            kind.keyword()
        ),
    }
}

fn broken(kind: &Kind) -> String {
    match kind {
        Kind::Type { kind: TypeKind::Single(single) } => format!("must be of type {single}"),
        Kind::Type { kind: TypeKind::Multiple(several) } => {
            let names: Vec<String> = several.iter().map(|single| single.to_string()).collect();
            format!("must be of type {}", names.join(" or "))
        }
        Kind::Required { property } => format!("must have the member `{}`", echo(&text(property))),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            format!("must not have members that its schema does not name: `{}`", echo(&unexpected.join(", ")))
        }
        Kind::Maximum { limit } => format!("must be at most {}", echo(&text(limit))),
        Kind::Minimum { limit } => format!("must be at least {}", echo(&text(limit))),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {}", echo(&text(limit))),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {}", echo(&text(limit))),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} members"),
        Kind::MinProperties { limit } => format!("must have at least {limit} members"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::Pattern { pattern } => format!("must match the pattern `{}`", echo(pattern)),
        Kind::Constant { expected_value } => format!("must be `{}`", echo(&text(expected_value))),
        Kind::Enum { options } => format!("must be among `{}`", echo(&text(options))),
        Kind::UniqueItems => "must not have an item twice".to_owned(),
        Kind::FalseSchema => "must not be there".to_owned(),
        Kind::OneOfMultipleValid { .. } => {
            "must match one alternative of `oneOf` alone, and matches several".to_owned()
        }
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => format!("must match an alternative of `{}`", kind.keyword()),
        kind => format!("must keep to `{}` of its schema", echo(kind.keyword())),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
