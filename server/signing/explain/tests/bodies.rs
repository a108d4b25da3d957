use super::*;

#[test]
fn reserialised_bodies_are_recognised() {
    let cases = [
        (r#"{"n":1.0,"who":"Zoë/\u2019<&>😀","none":[],"some":[1,{}]}"#, Layout::Compact, Strings::AsTheyAre),
        (r#"{"n":1.0,"who":"Zoë/’<&>😀","none":[],"some":[1,{}]}"#, Layout::Compact, Strings::Unescaped),
        (
            r#"{"n": 1.0, "who": "Zo\u00eb/\u2019<&>\ud83d\ude00", "none": [], "some": [1, {}]}"#,
            Layout::AsItIs,
            Strings::Ascii,
        ),
        (
            r#"{"n":1.0,"who":"Zo\u00eb\/\u2019<&>\ud83d\ude00","none":[],"some":[1,{}]}"#,
            Layout::Compact,
            Strings::AsciiAndSlashes,
        ),
        (r#"{"n":1.0,"who":"Zoë/’\u003c\u0026\u003e😀","none":[],"some":[1,{}]}"#, Layout::Compact, Strings::Html),
        (
            "{\n  \"n\": 1.0,\n  \"who\": \"Zoë/’<&>😀\",\n  \"none\": [],\n  \"some\": [\n    1,\n    {}\n  ]\n}",
            Layout::Indented2,
            Strings::Unescaped,
        ),
        (
            "{\n    \"n\": 1.0,\n    \"who\": \"Zoë/\\u2019<&>😀\",\n    \"none\": [],\n    \"some\": [\n        1,\n        {}\n    ]\n}",
            Layout::Indented4,
            Strings::AsTheyAre,
        ),
    ];
    for (signed, layout, strings) in cases {
        let parcel = over(SchemePreset::Parra, "secret", signed.as_bytes(), BODY);
        let reserialised = Cause::Body(BodyChange::Reserialised { layout, strings });
        assert_eq!(cause(SchemePreset::Parra, "secret", &parcel), Some(reserialised), "{signed}");
    }
    let compact = br#"{"a":[1,2],"b":{"c":null}}"#;
    let parcel = over(SchemePreset::Parra, "secret", br#"{"a": [1, 2], "b": {"c": null}}"#, compact);
    let spaced = BodyChange::Reserialised { layout: Layout::Spaced, strings: Strings::AsTheyAre };
    assert_eq!(cause(SchemePreset::Parra, "secret", &parcel), Some(Cause::Body(spaced)));
}

/// Numbers and the order of members change too.
#[test]
fn body_as_ecmascript_writes_it_is_recognised() {
    let parcel = over(SchemePreset::PartyLayer, "secret", br#"{"1":1,"b":"/"}"#, br#"{"b": "\/", "1": 1.0}"#);
    let told = cause(SchemePreset::PartyLayer, "secret", &parcel);
    assert_eq!(told, Some(Cause::Body(BodyChange::Restringified)));
}

/// The JSON was signed, the form sent, or the other way round.
#[test]
fn form_and_its_json_are_told_apart() {
    let json = br#"{"a":"b c&d=\u00e9"}"#;
    let form = b"payload=%7B%22a%22%3A%22b+c%26d%3D%5Cu00e9%22%7D";
    let preset = SchemePreset::ErudikaPara;
    let got_form = over(preset, "secret", json, form);
    assert_eq!(cause(preset, "secret", &got_form), Some(Cause::Body(BodyChange::FormPayload)));
    let got_json = over(preset, "secret", form, json);
    assert_eq!(cause(preset, "secret", &got_json), Some(Cause::Body(BodyChange::FormBytes)));
}

#[test]
fn line_ends_that_changed_on_the_way_are_recognised() {
    let cases: [(&[u8], &[u8], BodyChange); 8] = [
        (b"a\nb\n", b"a\nb", BodyChange::LineEndAdded),
        (b"a\r\n", b"a", BodyChange::LineEndAdded),
        (b"ab", b"ab\n", BodyChange::LineEndRemoved),
        (b"ab", b"ab\r\n", BodyChange::LineEndRemoved),
        (b"{}", b"{}\n", BodyChange::LineEndRemoved),
        (b"{\n}", b"{\r\n}", BodyChange::Lf),
        (b"a\r\nb\r\n", b"a\nb\n", BodyChange::CrLf),
        (b"a\nb\rc\n", b"a\r\nb\rc\r\n", BodyChange::Lf),
    ];
    for (signed, got, change) in cases {
        let parcel = over(SchemePreset::Standard, KEY, signed, got);
        assert_eq!(cause(SchemePreset::Standard, KEY, &parcel), Some(Cause::Body(change)));
    }
}

proptest! {
    /// A receiver that parses and writes the body anew has another one, yet the sender's is found.
    #[test]
    fn every_way_of_writing_json_is_found(keys in prop::collection::vec(".{0,6}", 0..5)) {
        let of = |value: String| (value.clone(), serde_json::Value::from(value));
        let value = serde_json::Value::Object(keys.into_iter().map(of).collect());
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let compact = serde_json::to_string(&value).unwrap();
        for (signed, got) in [(&pretty, &compact), (&compact, &pretty)] {
            let parcel = over(SchemePreset::GitHub, "secret", signed.as_bytes(), got.as_bytes());
            match told(SchemePreset::GitHub, &["secret"], &[], &parcel) {
                Explanation::Verified { .. } => prop_assert_eq!(signed, got),
                Explanation::Refused { cause, .. } => {
                    let is_found = matches!(cause, Some(Cause::Body(BodyChange::Reserialised { .. })));
                    prop_assert!(is_found, "{:?} {} {}", cause, signed, got);
                }
            }
        }
    }
}

#[test]
fn deep_nesting_is_not_indented_without_end() {
    let deep = "[".repeat(20_000) + &"]".repeat(20_000);
    let longest = body::changes(deep.as_bytes()).map(|(_, bytes)| bytes.len()).max().unwrap();
    assert!(longest < deep.len() * 20, "{longest}");
}
