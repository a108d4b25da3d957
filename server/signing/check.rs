//! The rules of a scheme. What keeps them can be verified by whoever gets what it signed.

use super::scheme::{Algorithm, Encoding, KeyForm, Part, SchemeDefinition, SchemeHeader, SchemeViolation, Variable};
use crate::model::check_header_name;

const SIGNED_PARTS_MAX: usize = 16;
const HEADERS_MAX: usize = 8;
const VALUE_PARTS_MAX: usize = 8;
const LITERAL_BYTES_MAX: usize = 64;
const PREFIX_BYTES_MAX: usize = 32;
const SEPARATOR_BYTES_MAX: usize = 4;

/// Everything that is wrong with `definition`. Lists that are too long are not looked into.
pub(super) fn check(definition: &SchemeDefinition) -> Vec<SchemeViolation> {
    let mut violations = Violations(Vec::new());
    violations.check_signed(definition);
    violations.check_key(definition.algorithm, definition.key_form);
    violations.check_signature(definition);
    violations.check_headers(definition);
    violations.0
}

struct Violations(Vec<SchemeViolation>);

impl Violations {
    fn add(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        self.0.push(SchemeViolation { path: path.into(), problem: problem.into() });
    }

    fn check_signed(&mut self, definition: &SchemeDefinition) {
        let parts = &definition.signed;
        if !(1..=SIGNED_PARTS_MAX).contains(&parts.len()) {
            let problem = format!("must have 1 to {SIGNED_PARTS_MAX} parts; it has {}", parts.len());
            return self.add("signed", problem);
        }
        self.check_literals("signed", parts);
        self.check_neighbours("signed", parts);
        match positions(parts, Variable::Body)[..] {
            [body] => self.check_marks(parts, body),
            [] => self.add("signed", "must have BODY; what is not signed can be changed on its way"),
            [..] => self.add("signed", "must have BODY only once"),
        }
        for (index, part) in parts.iter().enumerate() {
            let Part::Variable(variable) = *part else { continue };
            let path = || format!("signed[{index}].variable");
            if variable == Variable::Signature {
                self.add(path(), "must not be SIGNATURE, which is made of what is signed");
            } else if variable.is_read() && !is_told(definition, variable) {
                self.add(path(), untold(&definition.headers, variable));
            }
        }
    }

    /// What stands before BODY is told apart from the left, what stands after it from the right.
    fn check_marks(&mut self, parts: &[Part], body: usize) {
        for (index, part) in parts.iter().enumerate() {
            let mark = if index < body { Some(index + 1) } else { index.checked_sub(1) };
            if let (Part::Variable(variable), Some(mark)) = (part, mark) {
                self.check_mark("signed", parts, *variable, mark);
            }
        }
    }

    /// The literal at `mark` tells where the value of `variable` ends or begins.
    fn check_mark(&mut self, list: &str, parts: &[Part], variable: Variable, mark: usize) {
        let Some(Part::Literal(literal)) = parts.get(mark) else { return };
        if variable.is_read() && !literal.is_empty() && literal.chars().all(|c| variable.may_contain(c)) {
            let problem = format!(
                "must have a character that cannot stand in {}, or nobody can tell where the one ends and the other begins",
                variable.name()
            );
            self.add(format!("{list}[{mark}].literal"), problem);
        }
    }

    fn check_literals(&mut self, list: &str, parts: &[Part]) {
        for (index, part) in parts.iter().enumerate() {
            if let Part::Literal(literal) = part
                && !(1..=LITERAL_BYTES_MAX).contains(&literal.len())
            {
                let problem = format!("must be 1 to {LITERAL_BYTES_MAX} bytes long; it is {}", literal.len());
                self.add(format!("{list}[{index}].literal"), problem);
            }
        }
    }

    fn check_neighbours(&mut self, list: &str, parts: &[Part]) {
        for (index, pair) in parts.windows(2).enumerate() {
            if let [Part::Variable(left), Part::Variable(right)] = pair
                && !may_touch(*left, *right)
            {
                let problem = format!("needs a literal before it: {} stands right at {}", right.name(), left.name());
                self.add(format!("{list}[{}].variable", index + 1), problem);
            }
        }
    }

    fn check_key(&mut self, algorithm: Algorithm, form: KeyForm) {
        match (algorithm, form) {
            (Algorithm::HmacSha256, KeyForm::Text | KeyForm::Base64) | (Algorithm::Ed25519, KeyForm::Ed25519Seed) => {}
            (Algorithm::HmacSha256, KeyForm::Ed25519Seed) => {
                self.add("key_form", "must be TEXT or BASE64 for HMAC_SHA256")
            }
            (Algorithm::Ed25519, KeyForm::Text | KeyForm::Base64) => {
                self.add("key_form", "must be ED25519_SEED for ED25519");
            }
        }
    }

    fn check_signature(&mut self, definition: &SchemeDefinition) {
        let prefix = &definition.signature_prefix;
        if prefix.len() > PREFIX_BYTES_MAX || !is_printable(prefix) {
            self.add("signature_prefix", format!("must be at most {PREFIX_BYTES_MAX} bytes of printable ASCII"));
        }
        let Some(separator) = &definition.signature_separator else { return };
        self.check_separator(separator, definition.encoding);
        if !separator.is_empty() && prefix.contains(separator.as_str()) {
            self.add("signature_prefix", "must not contain the separator");
        }
    }

    fn check_separator(&mut self, separator: &str, encoding: Encoding) {
        if !(1..=SEPARATOR_BYTES_MAX).contains(&separator.len()) || !is_printable(separator) {
            let problem = format!("must be 1 to {SEPARATOR_BYTES_MAX} bytes of printable ASCII, or absent");
            self.add("signature_separator", problem);
        }
        if separator.chars().any(|c| encoding.may_contain(c)) {
            self.add("signature_separator", "must have no character that stands in signatures so encoded");
        }
    }

    fn check_headers(&mut self, definition: &SchemeDefinition) {
        let headers = &definition.headers;
        if !(1..=HEADERS_MAX).contains(&headers.len()) {
            return self.add("headers", format!("must be 1 to {HEADERS_MAX}; there are {}", headers.len()));
        }
        for (index, header) in headers.iter().enumerate() {
            self.check_name(headers, index);
            self.check_value(&format!("headers[{index}].value"), header, definition);
        }
        let signatures: usize = headers.iter().map(|header| positions(&header.value, Variable::Signature).len()).sum();
        if signatures != 1 {
            self.add("headers", format!("must have SIGNATURE exactly once; they have it {signatures} times"));
        }
    }

    fn check_name(&mut self, headers: &[SchemeHeader], index: usize) {
        let name = &headers[index].name;
        if let Err(error) = check_header_name(name) {
            self.add(format!("headers[{index}].name"), error.to_string());
        } else if let Some(first) = headers[..index].iter().position(|other| other.name.eq_ignore_ascii_case(name)) {
            self.add(format!("headers[{index}].name"), format!("is also the name of headers[{first}]"));
        }
    }

    fn check_value(&mut self, list: &str, header: &SchemeHeader, definition: &SchemeDefinition) {
        let parts = &header.value;
        if !(1..=VALUE_PARTS_MAX).contains(&parts.len()) {
            return self.add(list, format!("must have 1 to {VALUE_PARTS_MAX} parts; it has {}", parts.len()));
        }
        self.check_literals(list, parts);
        self.check_neighbours(list, parts);
        for (index, part) in parts.iter().enumerate() {
            match part {
                Part::Literal(literal) if !is_printable(literal) => {
                    self.add(format!("{list}[{index}].literal"), "must be printable ASCII");
                }
                Part::Literal(_) => {}
                Part::Variable(variable @ (Variable::Url | Variable::Body)) => {
                    let problem = format!("must not be {}, which is only signed", variable.name());
                    self.add(format!("{list}[{index}].variable"), problem);
                }
                Part::Variable(Variable::Signature) if index + 1 < parts.len() => {
                    self.add(format!("{list}[{index}].variable"), "is SIGNATURE, which must be the last part");
                }
                Part::Variable(variable) => self.check_mark(list, parts, *variable, index + 1),
            }
        }
        self.check_ends(list, parts, &definition.signature_prefix);
    }

    /// HTTP takes white space off both ends of a value.
    fn check_ends(&mut self, list: &str, parts: &[Part], prefix: &str) {
        let starts = match parts.first() {
            Some(Part::Literal(literal)) => literal.starts_with(' '),
            Some(Part::Variable(Variable::Signature)) => prefix.starts_with(' '),
            _ => false,
        };
        let ends = matches!(parts.last(), Some(Part::Literal(literal)) if literal.ends_with(' '));
        if starts || ends {
            self.add(list, "must neither begin nor end with a space, which HTTP takes off");
        }
    }
}

fn positions(parts: &[Part], variable: Variable) -> Vec<usize> {
    let is_it = |part: &Part| *part == Part::Variable(variable);
    parts.iter().enumerate().filter(|(_, part)| is_it(part)).map(|(index, _)| index).collect()
}

/// A receiver brings the URL along, so that what else is signed is the body: there is one way to split the two.
fn may_touch(left: Variable, right: Variable) -> bool {
    matches!((left, right), (Variable::Url, Variable::Body) | (Variable::Body, Variable::Url))
}

/// Whether a receiver learns the variable's value from the headers. An event type tells its operation too, if all of it is
/// signed: otherwise what stands before the operation could be changed on its way.
fn is_told(definition: &SchemeDefinition, variable: Variable) -> bool {
    let is_type_signed = definition.signed.contains(&Part::Variable(Variable::EventType));
    is_carried(&definition.headers, variable)
        || (variable == Variable::Operation && is_type_signed && is_carried(&definition.headers, Variable::EventType))
}

fn is_carried(headers: &[SchemeHeader], variable: Variable) -> bool {
    headers.iter().any(|header| header.value.contains(&Part::Variable(variable)))
}

fn untold(headers: &[SchemeHeader], variable: Variable) -> String {
    if variable == Variable::Operation && is_carried(headers, Variable::EventType) {
        return "is OPERATION: sign EVENT_TYPE, which a header carries, as well, or carry OPERATION in a header"
            .to_owned();
    }
    format!("is {}, which no header carries: a receiver could not know it", variable.name())
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests;
