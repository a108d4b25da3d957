//! What the variables of a scheme stand for in one message.

use super::scheme::{Part, SchemeDefinition, Variable};
use crate::model::operation;

/// The values of a message's variables, but for BODY and SIGNATURE; `None` where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Values<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) timestamp: Option<&'a str>,
    pub(super) event_type: Option<&'a str>,
    pub(super) operation: Option<&'a str>,
    pub(super) url: Option<&'a str>,
}

impl<'a> Values<'a> {
    pub(super) fn get(&self, variable: Variable) -> Option<&'a str> {
        match variable {
            Variable::Id => self.id,
            Variable::Timestamp => self.timestamp,
            Variable::EventType => self.event_type,
            Variable::Operation => self.operation,
            Variable::Url => self.url,
            Variable::Body | Variable::Signature => None,
        }
    }

    /// Keeps what a header says. `false` if another header said otherwise.
    pub(super) fn set(&mut self, variable: Variable, value: &'a str) -> bool {
        let place = match variable {
            Variable::Id => &mut self.id,
            Variable::Timestamp => &mut self.timestamp,
            Variable::EventType => &mut self.event_type,
            Variable::Operation => &mut self.operation,
            Variable::Url | Variable::Body | Variable::Signature => return true,
        };
        if *place.get_or_insert(value) != value {
            return false;
        }
        match (self.event_type, self.operation) {
            (Some(event_type), Some(said)) => said == operation(event_type),
            _ => true,
        }
    }
}

/// What is signed, piece by piece; nothing is copied.
pub(super) fn signed_pieces<'a>(
    definition: &'a SchemeDefinition,
    values: Values<'a>,
    body: &'a [u8],
) -> impl Iterator<Item = &'a [u8]> {
    definition.signed.iter().map(move |part| match part {
        Part::Literal(literal) => literal.as_bytes(),
        Part::Variable(Variable::Body) => body,
        Part::Variable(variable) => values.get(*variable).unwrap_or_default().as_bytes(),
    })
}
