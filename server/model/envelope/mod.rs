//! How an event becomes the body of a request: the envelope around its payload, and the form the body takes.
//!
//! An [`Envelope`] is data: names, order and what stands under each name. A [`BodyForm`] says how the result is written
//! down. [`build`] makes one of an event, the same bytes for every attempt; nothing in it depends on when or how often
//! a delivery is tried. What is signed and what is sent may differ, so a [`Body`] has both. [`Envelope::check`] tells
//! what is wrong with one that somebody wrote.

mod body;
mod check;
mod cloud_events;
mod form;
mod iso8601;
mod json;
mod member_order;
mod number;
mod stable_json;
mod string;
mod uri_reference;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::{
    body::{Body, BodyError, BodyNote, build},
    check::{CONSTANT_BYTES_MAX, EnvelopeViolation, FIELDS_MAX, NAME_BYTES_MAX, SOURCE_BYTES_MAX},
    form::{FormError, signed_part},
};
pub(crate) use self::{form::encode as encode_form, stable_json::stable};
use super::{Timestamp, debug_unshown};

/// How the payload stands in the body. Stored as JSON: the names that serde gives stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// By itself, as it was published.
    #[default]
    Raw,
    /// As a member of a JSON object.
    Json {
        /// The object's members, in order.
        fields: Vec<EnvelopeField>,
    },
    /// As the data of a CloudEvent, version 1.0.
    CloudEvents {
        /// Where the event's attributes stand.
        mode: CloudEventsMode,
        /// The attribute `source`: a URI reference.
        source: String,
    },
}

/// One member of a JSON envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeField {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: FieldValue,
}

/// What stands in a member of a JSON envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldValue {
    /// The event's id.
    Id,
    /// The event's type.
    Type,
    /// The last segment of the event's type.
    Operation,
    /// The event's time in UTC, ISO 8601 with milliseconds: `2026-03-01T10:00:00.000Z`. Rounded down.
    TimeIso8601,
    /// The event's time in seconds since the Unix epoch, a number. Rounded down.
    TimeUnixSecs,
    /// The event's time in milliseconds since the Unix epoch, a number. Rounded down.
    TimeUnixMillis,
    /// The payload.
    Payload,
    /// The payload if it is an array, otherwise an array of it alone.
    PayloadAsArray,
    /// A text that is the same for every event.
    Constant(String),
}

/// Where the attributes of a CloudEvent stand (CloudEvents HTTP Protocol Binding 1.0.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloudEventsMode {
    /// In the body, a JSON object, with the payload.
    Structured,
    /// In headers; the body is the payload.
    Binary,
}

/// How a body is written down. Stored as JSON, like [`Envelope`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyForm {
    /// As the envelope has it.
    #[default]
    AsIs,
    /// The JSON as the field `payload` of an HTML form. What is signed is the JSON.
    FormPayload,
    /// The JSON as ECMAScript's `JSON.stringify(JSON.parse(body))` writes it, for receivers that write the body again
    /// before they verify it.
    StableJson,
}

/// What an envelope reads of an event.
#[derive(Clone, Copy)]
pub struct Enveloped<'a> {
    /// Its public id.
    pub id: &'a str,
    /// Its type.
    pub event_type: &'a str,
    /// When it happened.
    pub time: Timestamp,
    /// Its media type.
    pub content_type: &'a str,
    /// Its payload.
    pub payload: &'a Bytes,
}

debug_unshown!(Enveloped<'a> { id, event_type, time, content_type } but { payload });

#[cfg(test)]
mod tests;
