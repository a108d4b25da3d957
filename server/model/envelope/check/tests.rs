use super::*;

fn field(name: &str, value: FieldValue) -> EnvelopeField {
    EnvelopeField { name: name.to_owned(), value }
}

fn payload_and(name: &str, value: FieldValue) -> Envelope {
    Envelope::Json { fields: vec![field("data", FieldValue::Payload), field(name, value)] }
}

fn cloud_event(mode: CloudEventsMode, source: &str) -> Envelope {
    Envelope::CloudEvents { mode, source: source.to_owned() }
}

/// The paths of what is wrong.
fn wrong(envelope: &Envelope, form: BodyForm) -> Vec<String> {
    let violations = envelope.check(form).err().unwrap_or_default();
    violations.into_iter().map(|violation| violation.path).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn a_payload_by_itself_takes_every_form() {
    for form in [BodyForm::AsIs, BodyForm::FormPayload, BodyForm::StableJson] {
        assert_eq!(wrong(&Envelope::Raw, form), NONE);
    }
}

#[test]
fn an_envelope_has_one_to_thirty_two_fields() {
    let fields = |count: usize| {
        let constants = (1..count).map(|n| field(&format!("c{n}"), FieldValue::Constant(String::new())));
        Envelope::Json { fields: constants.chain([field("data", FieldValue::Payload)]).collect() }
    };
    assert_eq!(wrong(&fields(1), BodyForm::AsIs), NONE);
    assert_eq!(wrong(&fields(32), BodyForm::AsIs), NONE);
    assert_eq!(wrong(&fields(33), BodyForm::AsIs), ["json.fields"]);
    assert_eq!(wrong(&Envelope::Json { fields: vec![] }, BodyForm::AsIs), ["json.fields", "json.fields"]);
}

#[test]
fn names_are_short_visible_and_different() {
    let name = |name: &str| wrong(&payload_and(name, FieldValue::Id), BodyForm::AsIs);
    for good in ["id", "é", "a b", "__proto__", "\"", "7", &"x".repeat(64)] {
        assert_eq!(name(good), NONE, "{good}");
    }
    for bad in ["", "data", "a\n", "\0", "\x7f", "\u{85}", &"x".repeat(65), &"é".repeat(33)] {
        assert_eq!(name(bad), ["json.fields[1].name"], "{bad}");
    }
}

#[test]
fn names_that_ecmascript_would_move_are_refused_for_stable_json_only() {
    for (name, moves) in [("0", true), ("42", true), ("4294967294", true), ("4294967295", false), ("01", false)] {
        let envelope = payload_and(name, FieldValue::Id);
        assert_eq!(wrong(&envelope, BodyForm::AsIs), NONE);
        assert_eq!(wrong(&envelope, BodyForm::StableJson).len(), usize::from(moves), "{name}");
    }
}

#[test]
fn the_payload_stands_in_an_envelope_exactly_once() {
    let without = Envelope::Json { fields: vec![field("id", FieldValue::Id)] };
    assert_eq!(wrong(&without, BodyForm::AsIs), ["json.fields"]);
    for second in [FieldValue::Payload, FieldValue::PayloadAsArray] {
        assert_eq!(wrong(&payload_and("again", second), BodyForm::AsIs), ["json.fields"]);
    }
}

#[test]
fn constants_are_short_and_without_nul() {
    let constant = |text: &str| wrong(&payload_and("c", FieldValue::Constant(text.to_owned())), BodyForm::FormPayload);
    for good in ["", "a\nb", &"x".repeat(256)] {
        assert_eq!(constant(good), NONE, "{good}");
    }
    for bad in ["a\0b", &"x".repeat(257)] {
        assert_eq!(constant(bad), ["json.fields[1].value.constant"], "{bad}");
    }
}

#[test]
fn a_cloud_event_needs_a_source_and_takes_no_form() {
    for mode in [CloudEventsMode::Structured, CloudEventsMode::Binary] {
        let longest = format!("/{}", "x".repeat(1_023));
        for good in ["/payments", "https://example.com", &longest] {
            assert_eq!(wrong(&cloud_event(mode, good), BodyForm::AsIs), NONE);
            assert_eq!(wrong(&cloud_event(mode, good), BodyForm::StableJson), NONE);
            assert_eq!(wrong(&cloud_event(mode, good), BodyForm::FormPayload), ["cloud_events"]);
        }
        for bad in ["", "a b", "é", &format!("{longest}x")] {
            assert_eq!(wrong(&cloud_event(mode, bad), BodyForm::AsIs), ["cloud_events.source"], "{bad}");
        }
    }
}

#[test]
fn everything_that_is_wrong_is_reported() {
    let fields = vec![
        field("", FieldValue::Id),
        field("a", FieldValue::Constant("\0".to_owned())),
        field("a", FieldValue::Type),
    ];
    let expected = ["json.fields[0].name", "json.fields[1].value.constant", "json.fields[2].name", "json.fields"];
    assert_eq!(wrong(&Envelope::Json { fields }, BodyForm::AsIs), expected);
    assert_eq!(wrong(&cloud_event(CloudEventsMode::Binary, ""), BodyForm::FormPayload).len(), 2);
}
