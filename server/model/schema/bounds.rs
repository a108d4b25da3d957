//! What a schema may be, looked at before it is compiled: its size, how deep it is nested, where its references lead, how
//! many regular expressions it has, and how many schemas look at one and the same value.
//!
//! The last is what makes schemas dangerous: twenty lines of references can stand for more schemas than there are atoms. So
//! the schemas that apply to one value are counted as often as they are reached, and one that reaches itself without going
//! down into the value is refused.

use std::collections::HashMap;

use jsonschema::Draft;
use serde_json::Value;

use super::SchemaError;
use crate::model::echo;

/// The longest schema, in bytes.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;

/// How deep a schema's JSON is nested at most.
const LEVELS_MAX: usize = 64;

/// Regular expressions of one schema at most.
const PATTERNS_MAX: usize = 256;

/// Schemas that look at one value at most, one through another.
const STEPS_MAX: usize = 32;

/// Schemas that look at one value at most, in all.
const SCHEMAS_PER_VALUE_MAX: usize = 10_000;

/// Keywords whose values are data, not schemas.
const DATA: [&str; 5] = ["const", "enum", "default", "examples", "example"];

/// Keywords whose value is a schema for the same value.
const SAME_VALUE: [&str; 4] = ["not", "if", "then", "else"];

/// Keywords whose value is a list of schemas for the same value.
const SAME_VALUE_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// Keywords whose value's members are schemas for the same value.
const SAME_VALUE_MAPS: [&str; 2] = ["dependentSchemas", "dependencies"];

/// Keywords that refer to a schema for the same value.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Reads a schema's text.
pub(super) fn read(text: &str) -> Result<Value, SchemaError> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(SchemaError(format!("must be at most {SCHEMA_BYTES_MAX} bytes; it has {}", text.len())));
    }
    if levels(text.as_bytes()) > LEVELS_MAX {
        return Err(SchemaError(format!("must be nested at most {LEVELS_MAX} deep")));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| {
        SchemaError(format!("must be JSON; it is not at line {}, column {}", error.line(), error.column()))
    })?;
    match value {
        Value::Object(_) | Value::Bool(_) => Ok(value),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(SchemaError("must be a JSON object, `true` or `false`".to_owned()))
        }
    }
}

/// How deep JSON text is nested: counted by brackets outside of strings, so it may be of any depth.
pub(super) fn levels(json: &[u8]) -> usize {
    let (mut level, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                level += 1;
                deepest = deepest.max(level);
            }
            b']' | b'}' if !in_string => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Checks a schema, and returns how many of its schemas look at one value, one through another.
pub(super) fn check(schema: &Value, draft: Draft) -> Result<usize, SchemaError> {
    let id = if draft == Draft::Draft4 { "id" } else { "$id" };
    let mut survey = Survey { root: schema, id, anchors: HashMap::new(), nodes: Vec::new(), patterns: 0 };
    survey.visit(schema)?;
    if survey.patterns > PATTERNS_MAX {
        let count = survey.patterns;
        return Err(SchemaError(format!("must have at most {PATTERNS_MAX} regular expressions; it has {count}")));
    }
    let mut measured = HashMap::new();
    let mut steps = 1;
    for node in std::mem::take(&mut survey.nodes) {
        let reach = survey.measure(node, 1, &mut measured)?;
        steps = steps.max(reach.steps);
    }
    Ok(steps)
}

/// What applies to a value through one schema.
#[derive(Clone, Copy)]
struct Reach {
    /// Schemas, counted as often as they are reached.
    schemas: usize,
    /// Schemas, one through another.
    steps: usize,
}

/// What was found in a schema.
struct Survey<'a> {
    root: &'a Value,
    /// What its draft calls the keyword that names a schema.
    id: &'static str,
    anchors: HashMap<&'a str, &'a Value>,
    /// All objects that may be schemas.
    nodes: Vec<&'a Value>,
    patterns: usize,
}

impl<'a> Survey<'a> {
    /// Goes through all that may be a schema.
    fn visit(&mut self, value: &'a Value) -> Result<(), SchemaError> {
        match value {
            Value::Object(members) => {
                self.nodes.push(value);
                for (keyword, member) in members {
                    self.note(value, keyword, member)?;
                    if !DATA.contains(&keyword.as_str()) {
                        self.visit(member)?;
                    }
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.visit(item)?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(())
    }

    /// Notes what a keyword says; of a property of that name the value is no text.
    fn note(&mut self, of: &'a Value, keyword: &str, member: &'a Value) -> Result<(), SchemaError> {
        match (keyword, member) {
            ("$anchor" | "$dynamicAnchor", Value::String(name)) => {
                self.anchors.insert(name, of);
            }
            (keyword, Value::String(id)) if keyword == self.id && !std::ptr::eq(of, self.root) => {
                match id.strip_prefix('#') {
                    Some(name) => {
                        self.anchors.insert(name, of);
                    }
                    None => {
                        let text = echo(id);
                        return Err(SchemaError(format!("must have no `$id` but its own; a part of it has `{text}`")));
                    }
                }
            }
            (reference, Value::String(target)) if REFERENCES.contains(&reference) && !target.starts_with('#') => {
                let text = echo(target);
                return Err(SchemaError(format!("must refer to parts of itself only, by `#…`; it has `{text}`")));
            }
            ("pattern", Value::String(_)) => self.patterns += 1,
            ("patternProperties", Value::Object(patterns)) => self.patterns += patterns.len(),
            _ => {}
        }
        Ok(())
    }

    /// How much applies to a value through `node`, which is the `depth`th schema on the way.
    fn measure(
        &self,
        node: &'a Value,
        depth: usize,
        measured: &mut HashMap<*const Value, Option<Reach>>,
    ) -> Result<Reach, SchemaError> {
        let key = std::ptr::from_ref(node);
        match measured.get(&key) {
            Some(Some(reach)) => return Ok(*reach),
            Some(None) => {
                return Err(SchemaError(
                    "must not refer back to a schema for the same value: that would never end".to_owned(),
                ));
            }
            None => {}
        }
        if depth > STEPS_MAX {
            return Err(too_many_steps());
        }
        measured.insert(key, None);
        let mut reach = Reach { schemas: 1, steps: 1 };
        for next in self.for_same_value(node) {
            let through = self.measure(next, depth + 1, measured)?;
            reach.schemas = reach.schemas.saturating_add(through.schemas);
            reach.steps = reach.steps.max(through.steps + 1);
        }
        if reach.steps > STEPS_MAX {
            return Err(too_many_steps());
        }
        if reach.schemas > SCHEMAS_PER_VALUE_MAX {
            let max = SCHEMAS_PER_VALUE_MAX;
            return Err(SchemaError(format!("must apply at most {max} of its schemas to one value, repeats counted")));
        }
        measured.insert(key, Some(reach));
        Ok(reach)
    }

    /// The schemas that `node` applies to the value that it is applied to itself. A reference that leads nowhere is left for
    /// the compiler to refuse.
    fn for_same_value(&self, node: &'a Value) -> Vec<&'a Value> {
        let Value::Object(members) = node else { return Vec::new() };
        let mut found = Vec::new();
        for (keyword, member) in members {
            match (keyword.as_str(), member) {
                (keyword, Value::Object(_)) if SAME_VALUE.contains(&keyword) => found.push(member),
                (keyword, Value::Array(items)) if SAME_VALUE_LISTS.contains(&keyword) => found.extend(items),
                (keyword, Value::Object(map)) if SAME_VALUE_MAPS.contains(&keyword) => found.extend(map.values()),
                (keyword, Value::String(target)) if REFERENCES.contains(&keyword) => found.extend(self.target(target)),
                _ => {}
            }
        }
        found
    }

    /// What a reference leads to.
    fn target(&self, reference: &str) -> Option<&'a Value> {
        let fragment = percent_decoded(reference.strip_prefix('#')?)?;
        if fragment.is_empty() || fragment.starts_with('/') {
            return self.root.pointer(&fragment);
        }
        self.anchors.get(fragment.as_str()).copied()
    }
}

fn too_many_steps() -> SchemaError {
    SchemaError(format!("must lead through at most {STEPS_MAX} schemas for one value"))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%'
            && let Some((digits, after)) = rest.split_at_checked(2)
            && let Ok(byte) = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16)
        {
            bytes.push(byte);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}
