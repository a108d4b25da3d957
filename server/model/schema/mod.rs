//! JSON Schemas of event types: compiled once, held against payloads.
//!
//! Nothing is fetched, and neither a schema nor a payload can cost more than bounds say: `bounds` looks at a schema before it
//! is compiled, `meter` counts what a check reads of the payload, `wording` says what a payload breaks without repeating it.
//! Regular expressions run in linear time. Whether events are checked at all is not decided here.

mod bounds;
mod meter;
#[cfg(test)]
mod tests;
mod wording;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

pub use self::bounds::SCHEMA_BYTES_MAX;
use self::meter::{Meter, Metered, Reading};
use super::echo;

/// The most that one regular expression takes once it is compiled, in bytes.
const PATTERN_BYTES_MAX: usize = 256 * 1024;

/// Schemas at one place of the payload, times levels of the payload, that a check goes down at most: what is bounded is the
/// stack, and a test goes there on one of 1 MiB.
const STEPS_DEEP_MAX: usize = 384;

/// Levels that the JSON reader itself goes down.
const LEVELS_MAX: usize = 127;

/// What every check may read, and as much again for each byte of the payload.
const READS_MIN: u64 = 100_000;
const READS_PER_BYTE: u64 = 32;

/// Violations that are looked for at most: each takes some hundred bytes until the ones to show are picked.
const FAULTS_MAX: u64 = 4_096;

/// A schema, compiled.
pub struct Schema {
    text: Box<str>,
    validator: Validator<Metered>,
    /// How many schemas look at one value, one through another.
    steps: usize,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schema").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

/// Why a text is not a schema that payloads can be held against, as the rest of a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(String);

/// A rule of a schema that a payload breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaViolation {
    /// Where in the payload: a JSON Pointer (RFC 6901), escaped and cut to 64 characters.
    pub pointer: String,
    /// What is wrong there, as the rest of a sentence. Repeats at most 64 characters of the payload, escaped.
    pub problem: String,
}

impl Schema {
    /// Compiles a schema. Takes up to some tens of milliseconds of processor time, and stack: not for a task that others
    /// wait for.
    ///
    /// # Errors
    /// [`SchemaError`]: it is too large, not JSON, not a schema of a known draft, or goes beyond the bounds of this module.
    pub fn compile(text: &str) -> Result<Self, SchemaError> {
        let value = bounds::read(text)?;
        let draft = draft(&value)?;
        let steps = bounds::check(&value, draft)?;
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
        let options = jsonschema::options_for::<Metered>()
            .offline()
            .with_draft(draft)
            .should_validate_formats(false)
            .with_pattern_options(patterns);
        let validator = options.build(&value).map_err(|error| SchemaError(wording::of_schema(&error)))?;
        Ok(Self { text: text.into(), validator, steps })
    }

    /// The schema as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What `payload` breaks of the schema: nothing, or the first `limit` violations. What cannot be checked within the
    /// bounds breaks it.
    pub fn violations(&self, payload: &[u8], limit: usize) -> Vec<SchemaViolation> {
        match self.read(payload) {
            Ok(value) => self.broken_by(&value, payload.len(), limit),
            Err(problem) => vec![SchemaViolation { pointer: String::new(), problem }],
        }
    }

    /// Reads a payload that is not too deep for this schema.
    fn read(&self, payload: &[u8]) -> Result<Value, String> {
        let levels = LEVELS_MAX.min(STEPS_DEEP_MAX / self.steps);
        if bounds::levels(payload) > levels {
            return Err(format!("must be nested at most {levels} deep to be checked"));
        }
        serde_json::from_slice(payload).map_err(|error| {
            if error.is_syntax() && serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok() {
                "must have no lone surrogate, and no number beyond a double, to be checked".to_owned()
            } else {
                "must be JSON".to_owned()
            }
        })
    }

    fn broken_by(&self, value: &Value, bytes: usize, limit: usize) -> Vec<SchemaViolation> {
        let reads = READS_MIN + READS_PER_BYTE * u64::try_from(bytes).unwrap_or(u64::MAX / READS_PER_BYTE);
        let meter = Meter::new(reads, u64::MAX);
        let valid = self.validator.is_valid(Reading::new(value, &meter));
        if meter.is_spent() {
            return too_dear("must be checkable against its schema with less work");
        }
        if valid {
            return Vec::new();
        }
        // Each of these goes on where the other gives up: all violations, then the first, then none in particular.
        let meter = Meter::new(reads, FAULTS_MAX);
        let errors = self.validator.iter_errors(Reading::new(value, &meter));
        if !meter.is_spent() {
            return errors.take(limit).map(|error| wording::of_payload(&error)).collect();
        }
        let meter = Meter::new(reads, FAULTS_MAX);
        match self.validator.validate(Reading::new(value, &meter)) {
            Err(error) if !meter.is_spent() => vec![wording::of_payload(&error)],
            Ok(()) | Err(_) => too_dear("does not match its schema, in places that take too long to find"),
        }
    }
}

fn too_dear(problem: &str) -> Vec<SchemaViolation> {
    vec![SchemaViolation { pointer: String::new(), problem: problem.to_owned() }]
}

/// The draft that a schema is of.
fn draft(schema: &Value) -> Result<Draft, SchemaError> {
    let named = match schema.get("$schema") {
        None => return Ok(Draft::Draft202012),
        Some(Value::String(named)) => named,
        Some(_) => return Err(SchemaError("must have a text as `$schema`".to_owned())),
    };
    let name = named.trim_end_matches('#');
    let name = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
    match name {
        "json-schema.org/draft/2020-12/schema" => Ok(Draft::Draft202012),
        "json-schema.org/draft/2019-09/schema" => Ok(Draft::Draft201909),
        "json-schema.org/draft-07/schema" => Ok(Draft::Draft7),
        "json-schema.org/draft-06/schema" => Ok(Draft::Draft6),
        "json-schema.org/draft-04/schema" => Ok(Draft::Draft4),
        _ => Err(SchemaError(format!(
            "must be of draft 2020-12, 2019-09, 7, 6 or 4; its `$schema` is `{}`",
            echo(named)
        ))),
    }
}
