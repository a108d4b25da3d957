//! Building a body: the payload is taken as JSON where that is needed, made stable, wrapped, and written down.

use std::fmt;

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::{
    BodyForm, CloudEventsMode, Envelope, Enveloped,
    cloud_events::{self, Data},
    form, json,
    stable_json::stable,
};
use crate::model::{debug_unshown, is_json_media_type};

const JSON: &str = "application/json";

/// A body as it is signed and as it is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// What BODY stands for in a signature scheme.
    pub signed: Bytes,
    /// What is sent, if that is not what is signed.
    pub sent: Option<Bytes>,
    /// The media type of what is sent; `None` for the event's own.
    pub content_type: Option<&'static str>,
    /// Headers that belong to the envelope: names in lower case, values in printable ASCII.
    pub headers: Vec<(&'static str, String)>,
    /// What the person who reads the attempt should know.
    pub note: Option<BodyNote>,
}

/// Why the payload stands in a body as it was published although stable JSON was asked for. A receiver that writes the
/// body again before it verifies it will refuse it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyNote {
    /// ECMAScript would have printed one of its numbers as another number.
    NumberKept,
    /// ECMAScript would have kept only the last of several members of one name.
    RepeatedMemberKept,
}

/// Why there is no such body of an event: ENVELOPE_UNSUPPORTED. No attempt can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// JSON is needed, and the payload is of another media type.
    #[error(
        "the endpoint's envelope or body form needs a JSON payload; the event's content type is neither \
         application/json nor ends in +json"
    )]
    NotJson,
    /// The payload is not JSON although its media type says so.
    #[error("the endpoint's envelope or body form needs a JSON payload; the event's is not valid JSON")]
    InvalidJson,
}

debug_unshown!(Body { content_type, headers, note } but { signed, sent });

impl Body {
    /// The bytes that are sent.
    pub fn to_send(&self) -> &Bytes {
        self.sent.as_ref().unwrap_or(&self.signed)
    }
}

impl fmt::Display for BodyNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NumberKept => {
                "the payload was sent as published, not as stable JSON: that would change the value of a number in it"
            }
            Self::RepeatedMemberKept => {
                "the payload was sent as published, not as stable JSON: an object in it repeats a member name"
            }
        })
    }
}

/// Makes the body that `envelope` and `form` make of an event; the same whenever it is asked for. As published, nothing
/// is copied. Goes by what [`Envelope::check`] accepts; of anything else it makes some body too.
pub fn build(envelope: &Envelope, form: BodyForm, event: &Enveloped<'_>) -> Result<Body, BodyError> {
    let payload = Payload::read(envelope, form, event)?;
    let (signed, content_type, headers) = match envelope {
        Envelope::Raw => (payload.bytes, None, Vec::new()),
        Envelope::Json { fields } => (json::wrap(fields, event, &payload.bytes).into(), Some(JSON), Vec::new()),
        Envelope::CloudEvents { mode: CloudEventsMode::Structured, source } => {
            let data = if payload.is_json { Data::Json(&payload.bytes) } else { Data::Binary(&payload.bytes) };
            (cloud_events::structured(source, event, &data).into(), Some(cloud_events::STRUCTURED), Vec::new())
        }
        Envelope::CloudEvents { mode: CloudEventsMode::Binary, source } => {
            (payload.bytes, None, cloud_events::headers(source, event))
        }
    };
    let (sent, content_type) = match form {
        BodyForm::AsIs | BodyForm::StableJson => (None, content_type),
        BodyForm::FormPayload => (Some(form::encode(&signed).into()), Some(form::CONTENT_TYPE)),
    };
    Ok(Body { signed, sent, content_type, headers, note: payload.note })
}

/// A payload as it stands in the envelope.
struct Payload {
    bytes: Bytes,
    /// Whether it was taken as JSON, and is.
    is_json: bool,
    note: Option<BodyNote>,
}

impl Payload {
    /// The envelopes themselves are stable JSON, so the payload alone decides whether the body is.
    fn read(envelope: &Envelope, form: BodyForm, event: &Enveloped<'_>) -> Result<Self, BodyError> {
        let is_json = is_json_media_type(event.content_type);
        let must_be_json = match envelope {
            Envelope::Json { .. } => true,
            Envelope::CloudEvents { mode: CloudEventsMode::Structured, .. } => is_json,
            Envelope::Raw | Envelope::CloudEvents { mode: CloudEventsMode::Binary, .. } => form != BodyForm::AsIs,
        };
        let as_published = Self { bytes: event.payload.clone(), is_json: must_be_json, note: None };
        if !must_be_json {
            return Ok(as_published);
        }
        if !is_json {
            return Err(BodyError::NotJson);
        }
        let text = json_text(event.payload).ok_or(BodyError::InvalidJson)?;
        if form != BodyForm::StableJson {
            return Ok(as_published);
        }
        Ok(match stable(text) {
            Ok(bytes) => Self { bytes: bytes.into(), ..as_published },
            Err(note) => Self { note: Some(note), ..as_published },
        })
    }
}

/// The bytes as text, if they are valid JSON (RFC 8259).
fn json_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    serde_json::from_str::<IgnoredAny>(text).is_ok().then_some(text)
}
