//! One line of what `tidings publish` reads: an event as a JSON object, whose payload is sent as it stands there.

use std::{collections::BTreeMap, str::FromStr as _};

use prost_types::Timestamp;
use serde::de::{Deserializer, Error as _};
use serde_json::value::RawValue;

use crate::proto::Event;

/// Fields are named as in the protocol, or in camel case as its JSON has them.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    id: String,
    r#type: String,
    payload: Box<RawValue>,
    #[serde(default, alias = "contentType")]
    content_type: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default, alias = "eventTime", deserialize_with = "time")]
    event_time: Option<Timestamp>,
    #[serde(default, alias = "deliverTime", deserialize_with = "time")]
    deliver_time: Option<Timestamp>,
    #[serde(default, alias = "expireTime", deserialize_with = "time")]
    expire_time: Option<Timestamp>,
}

/// Reads a line; `None` if it is blank.
///
/// # Errors
/// In words, what is wrong with it.
pub(super) fn read(text: &[u8]) -> Result<Option<Event>, String> {
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let Line { id, r#type, payload, content_type, labels, event_time, deliver_time, expire_time } =
        serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let payload = Box::<str>::from(payload).into_string().into();
    let times = Event { event_time, deliver_time, expire_time, ..Event::default() };
    Ok(Some(Event { id, r#type, payload, content_type, labels, ..times }))
}

/// Reads a time as RFC 3339 has it.
fn time<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Timestamp>, D::Error> {
    let text = <String as serde::Deserialize>::deserialize(text)?;
    let time = Timestamp::from_str(&text).map_err(|_| D::Error::custom("a time looks like 2026-01-31T12:00:00Z"))?;
    Ok(Some(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_an_event_with_its_payload_as_it_stands() {
        let text = br#" {"id": "one", "type": "a.b", "payload": {"n" : 1.0, "n":2}, "labels": {"k": "v"},
            "contentType": "application/json", "deliver_time": "2026-01-31T12:00:00.5+01:00"} "#;
        let event = read(text).unwrap().unwrap();
        assert_eq!((event.id.as_str(), event.r#type.as_str(), event.labels["k"].as_str()), ("one", "a.b", "v"));
        assert_eq!(&event.payload[..], br#"{"n" : 1.0, "n":2}"#);
        assert_eq!(event.content_type, "application/json");
        assert_eq!(event.deliver_time, Some(Timestamp { seconds: 1_769_857_200, nanos: 500_000_000 }));
        assert_eq!((event.event_time, event.expire_time), (None, None));
    }

    #[test]
    fn blank_line_is_none() {
        for blank in ["", "\n", " \t\r\n"] {
            assert_eq!(read(blank.as_bytes()), Ok(None), "{blank:?}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused_in_words() {
        let cases: [(&[u8], &str); 8] = [
            (b"{", "EOF"),
            (b"7", "expected struct"),
            (b"{\"type\": \"a\", \"payload\": \"\xff\"}", "unicode"),
            (br#"{"type": "a"}"#, "missing field `payload`"),
            (br#"{"payload": 1}"#, "missing field `type`"),
            (br#"{"type": "a", "payload": 1, "tpye": "b"}"#, "unknown field `tpye`"),
            (br#"{"type": "a", "payload": 1} {"type": "a", "payload": 1}"#, "trailing characters"),
            (br#"{"type": "a", "payload": 1, "expire_time": "tomorrow"}"#, "a time looks like"),
        ];
        for (text, problem) in cases {
            let said = read(text).unwrap_err();
            assert!(said.contains(problem), "{}: {said}", text.escape_ascii());
        }
    }
}
