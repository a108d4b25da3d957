//! A payload that counts how often it is read, so that no check goes on for long.
//!
//! Whatever a schema asks of a value, it asks here. Once the meter is spent every value seems empty: what is under way then
//! ends soon, and whoever asked looks at the meter and does not trust the answer.

use std::{borrow::Cow, cell::Cell, slice};

use jsonschema::{
    JsonType,
    json::{Array, Json, Node, NodeIdentity, Object, SerdeJson},
};
use serde_json::{Map, Number, Value};

/// So much of a text is one read, in bytes: a regular expression goes through all of it, again and again if it is asked to.
const TEXT_BYTES_PER_READ: usize = 16;

/// How much may still be read, and how many violations made of what was read.
#[derive(Debug)]
pub(super) struct Meter {
    reads: Cell<u64>,
    faults: Cell<u64>,
}

impl Meter {
    pub(super) fn new(reads: u64, faults: u64) -> Self {
        Self { reads: Cell::new(reads), faults: Cell::new(faults) }
    }

    /// Whether it ran out, so that nothing that was said since holds.
    pub(super) fn is_spent(&self) -> bool {
        self.reads.get() == 0 || self.faults.get() == 0
    }

    /// Counts a read; `false` if there may be none.
    fn read(&self) -> bool {
        self.spend(1)
    }

    fn spend(&self, reads: u64) -> bool {
        self.reads.set(self.reads.get().saturating_sub(reads));
        !self.is_spent()
    }

    fn fault(&self) {
        self.faults.set(self.faults.get().saturating_sub(1));
    }
}

/// Payloads under a meter, as a representation of JSON.
#[derive(Debug)]
pub(super) struct Metered;

/// A value of a payload; the name of a member has no meter of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    value: &'a Value,
    meter: Option<&'a Meter>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(value: &'a Value, meter: &'a Meter) -> Self {
        Self { value, meter: Some(meter) }
    }

    fn of(self, value: &'a Value) -> Self {
        Self { value, ..self }
    }

    /// The value, or null once the meter is spent.
    fn look(&self) -> &'a Value {
        if self.meter.is_none_or(Meter::read) { self.value } else { &Value::Null }
    }

    /// The value to go through as a whole: a text is as many reads as it has pieces.
    fn look_through(&self) -> &'a Value {
        let pieces = self.value.as_str().map_or(1, |text| 1 + text.len() / TEXT_BYTES_PER_READ);
        let reads = u64::try_from(pieces).unwrap_or(u64::MAX);
        if self.meter.is_none_or(|meter| meter.spend(reads)) { self.value } else { &Value::Null }
    }
}

impl Json for Metered {
    type Node<'a> = Reading<'a>;
    type PreparedKey = String;
    type StringBuffer = Value;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut Value, string: &str, f: impl FnOnce(Reading<'_>) -> T) -> T {
        SerdeJson::with_string_node(buffer, string, |value| f(Reading { value, meter: None }))
    }
}

impl<'a> Node<'a, Metered> for Reading<'a> {
    type Object = Members<'a>;
    type Array = Elements<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        self.look().as_object().map(|members| Members { members, of: *self })
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        self.look().as_array().map(|items| Elements { items, of: *self })
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        self.look_through().as_str().map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<&'a Number> {
        self.look().as_number()
    }

    fn as_boolean(&self) -> Option<bool> {
        self.look().as_bool()
    }

    fn is_null(&self) -> bool {
        self.look().is_null()
    }

    fn json_type(&self) -> JsonType {
        self.look().json_type()
    }

    fn string_length(&self) -> Option<u64> {
        self.look_through().string_length()
    }

    fn equals_value(&self, expected: &Value) -> bool {
        self.look_through().equals_value(expected)
    }

    /// Asked for when a violation is made of the value.
    fn to_value(&self) -> Cow<'a, Value> {
        if let Some(meter) = self.meter {
            meter.fault();
        }
        Cow::Borrowed(self.value)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        self.value.identity()
    }
}

/// The members of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Members<'a> {
    members: &'a Map<String, Value>,
    of: Reading<'a>,
}

impl<'a> Object<'a, Metered> for Members<'a> {
    type Node = Reading<'a>;
    type MemberName = &'a str;
    type MembersIter = EachMember<'a>;

    fn len(&self) -> usize {
        self.members.len()
    }

    fn get(&self, key: &String) -> Option<Reading<'a>> {
        let value = self.members.get(key.as_str())?;
        self.of.meter.is_none_or(Meter::read).then(|| self.of.of(value))
    }

    fn members(&self) -> EachMember<'a> {
        EachMember { rest: self.members.iter(), of: self.of }
    }
}

/// Goes through the members of an object.
#[derive(Debug)]
pub(super) struct EachMember<'a> {
    rest: serde_json::map::Iter<'a>,
    of: Reading<'a>,
}

impl<'a> Iterator for EachMember<'a> {
    type Item = (&'a str, Reading<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.rest.next()?;
        self.of.meter.is_none_or(Meter::read).then(|| (name.as_str(), self.of.of(value)))
    }
}

/// The elements of an array.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a> {
    items: &'a [Value],
    of: Reading<'a>,
}

impl<'a> Array<'a, Metered> for Elements<'a> {
    type Node = Reading<'a>;
    type ElementsIter = EachElement<'a>;

    fn len(&self) -> usize {
        self.items.len()
    }

    fn elements(&self) -> EachElement<'a> {
        EachElement { rest: self.items.iter(), of: self.of }
    }

    fn is_unique(&self) -> bool {
        jsonschema::json::unique::is_unique(self.items)
    }
}

/// Goes through the elements of an array.
#[derive(Debug)]
pub(super) struct EachElement<'a> {
    rest: slice::Iter<'a, Value>,
    of: Reading<'a>,
}

impl<'a> Iterator for EachElement<'a> {
    type Item = Reading<'a>;

    fn next(&mut self) -> Option<Reading<'a>> {
        let value = self.rest.next()?;
        self.of.meter.is_none_or(Meter::read).then(|| self.of.of(value))
    }
}
