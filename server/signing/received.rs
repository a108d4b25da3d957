//! What a receiver got, and what its headers say by a scheme.

use std::fmt;

use super::{
    scheme::{Part, SchemeDefinition, SchemeHeader, Variable},
    values::Values,
    verify::VerifyError,
};
use crate::model::operation;

/// A message as it was received. `'a` is how long its headers live; `'m` is how long the rest does.
#[derive(Clone, Copy)]
pub struct Received<'m, 'a> {
    /// Looks up a header's value by its name, without regard to case. `None` where there is none, or more than one.
    pub header: &'m dyn Fn(&str) -> Option<&'a str>,
    /// The body as it came off the wire, never re-serialised.
    pub body: &'m [u8],
    /// Where it was sent to, as the sender writes it; needed only by schemes that sign it.
    pub url: Option<&'m str>,
}

impl fmt::Debug for Received<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Received({} bytes)", self.body.len())
    }
}

/// What the headers say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said<'a> {
    pub(super) values: Values<'a>,
    pub(super) signatures: &'a str,
}

/// Reads the headers that `definition` asks for, all of them and strictly.
pub(super) fn read<'a>(definition: &SchemeDefinition, received: &Received<'_, 'a>) -> Result<Said<'a>, VerifyError> {
    let mut said = Said::default();
    for header in &definition.headers {
        let value = (received.header)(&header.name).filter(|value| !value.trim().is_empty());
        let value = value.ok_or_else(|| VerifyError::MissingHeader(header.name.clone()))?;
        read_header(header, value, &mut said)?;
    }
    if said.values.operation.is_none() {
        said.values.operation = said.values.event_type.map(operation);
    }
    check_marks(definition, said.values)?;
    Ok(said)
}

fn read_header<'a>(header: &SchemeHeader, value: &'a str, said: &mut Said<'a>) -> Result<(), VerifyError> {
    let malformed = || VerifyError::MalformedHeader { header: header.name.clone(), form: template(&header.value) };
    let mut rest = value;
    let mut parts = header.value.iter().peekable();
    while let Some(part) = parts.next() {
        match part {
            Part::Literal(literal) => rest = rest.strip_prefix(literal.as_str()).ok_or_else(malformed)?,
            Part::Variable(Variable::Signature) => said.signatures = std::mem::take(&mut rest),
            Part::Variable(variable) => {
                let end = match parts.peek() {
                    Some(Part::Literal(literal)) => rest.find(literal.as_str()).ok_or_else(malformed)?,
                    Some(Part::Variable(_)) | None => rest.len(),
                };
                let (value, after) = rest.split_at(end);
                if value.is_empty() {
                    return Err(malformed());
                }
                if !said.values.set(*variable, value) {
                    return Err(VerifyError::Contradiction(header.name.clone()));
                }
                rest = after;
            }
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(malformed()) }
}

/// As documentation writes it: `t={TIMESTAMP},{SIGNATURE}`.
fn template(parts: &[Part]) -> String {
    parts.iter().map(ToString::to_string).collect()
}

/// Refuses values that have a character of the literal which marks them off in what is signed: with those, the same bytes
/// could be read in two ways.
fn check_marks(definition: &SchemeDefinition, values: Values<'_>) -> Result<(), VerifyError> {
    let parts = &definition.signed;
    let body = parts.iter().position(|part| *part == Part::Variable(Variable::Body)).unwrap_or(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let Part::Variable(variable) = *part else { continue };
        let mark =
            if index < body { parts.get(index + 1) } else { index.checked_sub(1).and_then(|mark| parts.get(mark)) };
        if let (true, Some(Part::Literal(literal)), Some(value)) = (variable.is_read(), mark, values.get(variable))
            && let Some(mark) = literal.chars().find(|c| !variable.may_contain(*c) && value.contains(*c))
        {
            let header = carrier(definition, variable).unwrap_or_default().to_owned();
            return Err(VerifyError::Ambiguous { header, mark });
        }
    }
    Ok(())
}

/// The header that tells a variable's value.
pub(super) fn carrier(definition: &SchemeDefinition, variable: Variable) -> Option<&str> {
    let of = |wanted: Variable| {
        let tells = |header: &&SchemeHeader| header.value.contains(&Part::Variable(wanted));
        definition.headers.iter().find(tells).map(|header| header.name.as_str())
    };
    match variable {
        Variable::Operation => of(variable).or_else(|| of(Variable::EventType)),
        _ => of(variable),
    }
}

#[cfg(test)]
mod tests;
