use proptest::prelude::*;
use serde_json::json;

use super::*;

/// 2026-03-01T10:00:00.000Z
const TIME: Timestamp = Timestamp::from_micros(1_772_359_200_000_000);
const JSON: &str = "application/json";
const FORMS: [BodyForm; 3] = [BodyForm::AsIs, BodyForm::FormPayload, BodyForm::StableJson];

fn made(envelope: &Envelope, form: BodyForm, content_type: &str, payload: &[u8]) -> Result<Body, BodyError> {
    let payload = Bytes::copy_from_slice(payload);
    let event = Enveloped { id: "evt_abc123", event_type: "user.created", time: TIME, content_type, payload: &payload };
    build(envelope, form, &event)
}

/// What is signed of a JSON payload.
fn signed(envelope: &Envelope, form: BodyForm, payload: &str) -> String {
    text(&made(envelope, form, JSON, payload.as_bytes()).unwrap().signed)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn fields<const N: usize>(fields: [(&str, FieldValue); N]) -> Envelope {
    let fields = fields.map(|(name, value)| EnvelopeField { name: name.to_owned(), value });
    Envelope::Json { fields: fields.into() }
}

fn constant(text: &str) -> FieldValue {
    FieldValue::Constant(text.to_owned())
}

fn data() -> Envelope {
    fields([("data", FieldValue::Payload)])
}

fn partylayer() -> Envelope {
    fields([
        ("id", FieldValue::Id),
        ("type", FieldValue::Type),
        ("created_at", FieldValue::TimeIso8601),
        ("api_version", constant("2026-03-01")),
        ("data", FieldValue::Payload),
    ])
}

fn erudika_para() -> Envelope {
    fields([
        ("appid", constant("myapp")),
        ("event", FieldValue::Operation),
        ("items", FieldValue::PayloadAsArray),
        ("timestamp", FieldValue::TimeUnixMillis),
    ])
}

fn cloud_event(mode: CloudEventsMode) -> Envelope {
    Envelope::CloudEvents { mode, source: "/payments/eu".to_owned() }
}

#[test]
fn a_payload_as_published_is_not_copied() {
    let payload = Bytes::from_static(b"{ \"a\" : 1.0 }\r\n\xff");
    let event = Enveloped { id: "e", event_type: "t", time: TIME, content_type: "application/json", payload: &payload };
    let body = build(&Envelope::default(), BodyForm::default(), &event).unwrap();
    assert_eq!(body.signed.as_ptr(), payload.as_ptr());
    assert_eq!(body.to_send().as_ptr(), payload.as_ptr());
    let expected = Body { signed: payload.clone(), sent: None, content_type: None, headers: vec![], note: None };
    assert_eq!(body, expected);
}

#[test]
fn an_envelope_has_its_members_in_order_and_no_space_of_its_own() {
    let envelope = fields([
        ("z", FieldValue::TimeUnixSecs),
        ("data", FieldValue::Payload),
        ("a", FieldValue::TimeUnixMillis),
        ("10", FieldValue::Id),
        ("9", FieldValue::Operation),
    ]);
    let body = made(&envelope, BodyForm::AsIs, "application/vnd.x+json", b"1").unwrap();
    assert_eq!(text(&body.signed), r#"{"z":1772359200,"data":1,"a":1772359200000,"10":"evt_abc123","9":"created"}"#);
    assert_eq!((body.sent, body.content_type, body.note), (None, Some("application/json"), None));
}

#[test]
fn a_json_payload_stands_in_an_envelope_byte_for_byte() {
    for payload in ["{\r\n\t\"b\" : 1.0 ,\"a\":\"\\u00e9\\/\" }\n", " [ ] ", "1e400", r#"{"a":1,"a":2}"#] {
        assert_eq!(signed(&data(), BodyForm::AsIs, payload), format!(r#"{{"data":{payload}}}"#));
    }
}

#[test]
fn names_and_constants_are_escaped_as_ecmascript_does() {
    let envelope = fields([("a\"\\é/", constant("\n\x01\x7f\u{2028}\"🐎")), ("data", FieldValue::Payload)]);
    let expected = "{\"a\\\"\\\\é/\":\"\\n\\u0001\x7f\u{2028}\\\"🐎\",\"data\":0}";
    assert_eq!(signed(&envelope, BodyForm::AsIs, "0"), expected);
}

#[test]
fn an_array_stands_unchanged_and_anything_else_becomes_an_array_of_one() {
    let envelope = fields([("items", FieldValue::PayloadAsArray)]);
    let cases = [
        (" [1, 2] ", r#"{"items": [1, 2] }"#),
        ("[]", r#"{"items":[]}"#),
        (r#"{"a":[]}"#, r#"{"items":[{"a":[]}]}"#),
        ("null", r#"{"items":[null]}"#),
        ("\"[\"", r#"{"items":["["]}"#),
    ];
    for (payload, expected) in cases {
        assert_eq!(signed(&envelope, BodyForm::AsIs, payload), expected);
    }
}

#[test]
fn the_operation_is_the_last_segment_of_the_type() {
    let envelope = fields([("op", FieldValue::Operation), ("data", FieldValue::Payload)]);
    let payload = Bytes::from_static(b"0");
    for (event_type, operation) in [("a", "a"), ("user.update", "update"), ("a.b.createAll", "createAll")] {
        let event = Enveloped { id: "e", event_type, time: TIME, content_type: JSON, payload: &payload };
        let body = build(&envelope, BodyForm::AsIs, &event).unwrap();
        assert_eq!(text(&body.signed), format!(r#"{{"op":"{operation}","data":0}}"#));
    }
}

#[test]
fn a_payload_that_is_not_json_cannot_be_wrapped() {
    let binary = cloud_event(CloudEventsMode::Binary);
    for content_type in ["text/plain", "application/octet-stream", "text/json"] {
        for form in FORMS {
            assert_eq!(made(&data(), form, content_type, b"{}"), Err(BodyError::NotJson));
        }
        for form in [BodyForm::FormPayload, BodyForm::StableJson] {
            assert_eq!(made(&Envelope::Raw, form, content_type, b"{}"), Err(BodyError::NotJson));
            assert_eq!(made(&binary, form, content_type, b"{}"), Err(BodyError::NotJson));
        }
        assert!(made(&Envelope::Raw, BodyForm::AsIs, content_type, b"{}").is_ok());
    }
}

#[test]
fn a_payload_that_is_no_json_although_it_says_so_is_refused() {
    let structured = cloud_event(CloudEventsMode::Structured);
    for payload in [&b""[..], b"{", b"\"\xff\"", b"\xef\xbb\xbf{}", b"01", b"{} {}", b"[1,]", b"NaN"] {
        assert_eq!(made(&structured, BodyForm::AsIs, JSON, payload), Err(BodyError::InvalidJson));
        for form in FORMS {
            assert_eq!(made(&data(), form, JSON, payload), Err(BodyError::InvalidJson));
        }
        for form in [BodyForm::FormPayload, BodyForm::StableJson] {
            assert_eq!(made(&Envelope::Raw, form, JSON, payload), Err(BodyError::InvalidJson));
        }
    }
}

#[test]
fn a_structured_cloud_event_has_everything_in_its_body() {
    let envelope = cloud_event(CloudEventsMode::Structured);
    let content_type = "application/json; charset=\"utf-8\"";
    let body = made(&envelope, BodyForm::AsIs, content_type, b"{ \"a\": 1.0 }").unwrap();
    let expected = r#"{"specversion":"1.0","id":"evt_abc123","source":"/payments/eu","type":"user.created","time":"2026-03-01T10:00:00.000Z","datacontenttype":"application/json; charset=\"utf-8\"","data":{ "a": 1.0 }}"#;
    assert_eq!(text(&body.signed), expected);
    assert_eq!(body.content_type, Some("application/cloudevents+json; charset=utf-8"));
    assert_eq!((body.sent, body.headers), (None, vec![]));
}

#[test]
fn a_structured_cloud_event_takes_what_is_not_json_in_base64() {
    let envelope = cloud_event(CloudEventsMode::Structured);
    for form in [BodyForm::AsIs, BodyForm::StableJson] {
        let body = made(&envelope, form, "text/plain", b"\xff\x00hi").unwrap();
        let event: serde_json::Value = serde_json::from_slice(&body.signed).unwrap();
        assert_eq!(event["data_base64"], json!("/wBoaQ=="));
        assert_eq!(event["datacontenttype"], json!("text/plain"));
        assert_eq!(event.get("data"), None);
    }
}

#[test]
fn a_binary_cloud_event_has_its_attributes_in_headers() {
    let envelope = Envelope::CloudEvents { mode: CloudEventsMode::Binary, source: "/a%20b".to_owned() };
    let body = made(&envelope, BodyForm::AsIs, "text/plain", b"\xff").unwrap();
    let expected = [
        ("ce-specversion", "1.0"),
        ("ce-id", "evt_abc123"),
        ("ce-source", "/a%2520b"),
        ("ce-type", "user.created"),
        ("ce-time", "2026-03-01T10:00:00.000Z"),
    ];
    assert_eq!(body.headers, expected.map(|(name, value)| (name, value.to_owned())));
    assert_eq!((&body.signed[..], body.sent, body.content_type), (&b"\xff"[..], None, None));
}

#[test]
fn a_binary_cloud_event_may_have_its_data_in_stable_form() {
    let body = made(&cloud_event(CloudEventsMode::Binary), BodyForm::StableJson, JSON, b"[ 1.0 ]").unwrap();
    assert_eq!((text(&body.signed).as_str(), body.content_type, body.headers.len()), ("[1]", None, 5));
}

#[test]
fn a_form_is_sent_and_its_json_is_signed() {
    let payload = Bytes::from_static(br#"{"id":"1","type":"user","name":"Gordon Freeman"}"#);
    let event = Enveloped {
        id: "e",
        event_type: "user.create",
        time: Timestamp::from_micros(1_486_848_081_865_000),
        content_type: JSON,
        payload: &payload,
    };
    let body = build(&erudika_para(), BodyForm::FormPayload, &event).unwrap();
    let json = r#"{"appid":"myapp","event":"create","items":[{"id":"1","type":"user","name":"Gordon Freeman"}],"timestamp":1486848081865}"#;
    assert_eq!(text(&body.signed), json);
    let form = "payload=%7B%22appid%22%3A%22myapp%22%2C%22event%22%3A%22create%22%2C%22items%22%3A%5B%7B%22id%22%3A%221%22%2C%22type%22%3A%22user%22%2C%22name%22%3A%22Gordon+Freeman%22%7D%5D%2C%22timestamp%22%3A1486848081865%7D";
    assert_eq!(text(body.to_send()), form);
    assert_eq!(body.content_type, Some("application/x-www-form-urlencoded"));

    let as_is = build(&erudika_para(), BodyForm::AsIs, &event).unwrap();
    assert_eq!((text(as_is.to_send()).as_str(), as_is.content_type), (json, Some("application/json")));
}

#[test]
fn a_payload_by_itself_may_be_a_form_or_stable() {
    let form = made(&Envelope::Raw, BodyForm::FormPayload, JSON, b"[ 1.0 ]").unwrap();
    assert_eq!((text(&form.signed).as_str(), text(form.to_send()).as_str()), ("[ 1.0 ]", "payload=%5B+1.0+%5D"));
    let stable = made(&Envelope::Raw, BodyForm::StableJson, "application/x+json", b"[ 1.0 ]").unwrap();
    assert_eq!((text(stable.to_send()).as_str(), stable.content_type), ("[1]", None));
}

#[test]
fn a_stable_envelope_is_what_ecmascript_makes_of_it() {
    let payload = r#"{"n": 1.0, "s": "\u00e9", "u": "a\/b"}"#;
    let expected = r#"{"id":"evt_abc123","type":"user.created","created_at":"2026-03-01T10:00:00.000Z","api_version":"2026-03-01","data":{"n":1,"s":"é","u":"a/b"}}"#;
    assert_eq!(signed(&partylayer(), BodyForm::StableJson, payload), expected);
}

#[test]
fn what_stable_json_would_change_goes_out_as_published_with_a_note() {
    let cases = [
        ("[ 1e400 ]", BodyNote::NumberKept),
        ("[ 9007199254740993 ]", BodyNote::NumberKept),
        (r#"{"a": 1, "\u0061": 1}"#, BodyNote::RepeatedMemberKept),
    ];
    for (payload, note) in cases {
        let wrapped = made(&data(), BodyForm::StableJson, JSON, payload.as_bytes()).unwrap();
        assert_eq!((text(&wrapped.signed), wrapped.note), (format!(r#"{{"data":{payload}}}"#), Some(note)));
        let raw = made(&Envelope::Raw, BodyForm::StableJson, JSON, payload.as_bytes()).unwrap();
        assert_eq!((text(&raw.signed).as_str(), raw.note), (payload, Some(note)));
    }
}

#[test]
fn stored_envelopes_keep_their_names() {
    let all = [
        FieldValue::Id,
        FieldValue::Type,
        FieldValue::Operation,
        FieldValue::TimeIso8601,
        FieldValue::TimeUnixSecs,
        FieldValue::TimeUnixMillis,
        FieldValue::Payload,
        FieldValue::PayloadAsArray,
        constant("x"),
    ];
    let stored = r#"["id","type","operation","time_iso8601","time_unix_secs","time_unix_millis","payload","payload_as_array",{"constant":"x"}]"#;
    assert_eq!(serde_json::to_string(&all).unwrap(), stored);
    assert_eq!(serde_json::from_str::<[FieldValue; 9]>(stored).unwrap(), all);
    let envelopes = [Envelope::Raw, data(), cloud_event(CloudEventsMode::Binary)];
    let stored = r#"["raw",{"json":{"fields":[{"name":"data","value":"payload"}]}},{"cloud_events":{"mode":"binary","source":"/payments/eu"}}]"#;
    assert_eq!(serde_json::to_string(&envelopes).unwrap(), stored);
    assert_eq!(serde_json::from_str::<[Envelope; 3]>(stored).unwrap(), envelopes);
    assert_eq!(serde_json::to_string(&CloudEventsMode::Structured).unwrap(), r#""structured""#);
    assert_eq!(serde_json::to_string(&FORMS).unwrap(), r#"["as_is","form_payload","stable_json"]"#);
}

proptest! {
    #[test]
    fn no_payload_makes_build_panic_and_every_envelope_of_json_is_json(
        payload in prop_oneof![
            any::<Vec<u8>>(),
            r#"([\[\]{},:"\\ ]|u00|e1|-|1\.0|true|[a-z]|é){0,20}"#.prop_map(String::into_bytes),
        ],
        content_type in prop::sample::select(vec![JSON, "text/plain", ""]),
    ) {
        let envelopes = [
            Envelope::Raw,
            partylayer(),
            erudika_para(),
            cloud_event(CloudEventsMode::Structured),
            cloud_event(CloudEventsMode::Binary),
        ];
        for envelope in &envelopes {
            for form in FORMS {
                let Ok(body) = made(envelope, form, content_type, &payload) else { continue };
                let is_object = !matches!(body.content_type, None | Some(form::CONTENT_TYPE));
                if is_object {
                    prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&body.signed).is_ok());
                }
                let read = signed_part(form, body.to_send()).unwrap();
                prop_assert_eq!(&*read, &body.signed[..]);
                prop_assert_eq!(body.sent.is_some(), form == BodyForm::FormPayload);
            }
        }
    }
}
