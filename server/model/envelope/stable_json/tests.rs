use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn stable_text(text: &str) -> Result<String, BodyNote> {
    stable(text).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[track_caller]
fn assert_stable(text: &str, expected: &str) {
    assert_eq!(stable_text(text).as_deref(), Ok(expected), "{text}");
    assert_eq!(stable_text(expected).as_deref(), Ok(expected), "{text}");
}

/// Made by `tests/e2e/stable.mjs`: a text, what ECMAScript makes of it, and which of its values changes by that, if one
/// does.
#[test]
fn every_text_becomes_what_ecmascript_makes_of_it() {
    let cases: Vec<(String, String, Option<String>)> =
        include_str!("../ecmascript.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(cases.len() > 1_000);
    for (text, made, changed) in cases {
        let expected = match changed.as_deref() {
            None => Ok(made.as_str()),
            Some("number") => Err(BodyNote::NumberKept),
            Some("member") => Err(BodyNote::RepeatedMemberKept),
            Some(other) => panic!("{other}"),
        };
        assert_eq!(stable_text(&text).as_deref(), expected.as_deref(), "{text}");
        // What ECMAScript has made is final.
        assert_eq!(stable_text(&made).as_deref(), Ok(made.as_str()), "{text}");
    }
}

#[test]
fn white_space_goes_and_literals_stay() {
    assert_stable(" \r\n\t[ true , false,null , { } , [ ] ] \n", "[true,false,null,{},[]]");
    assert_stable(" 1.0 ", "1");
    assert_stable(r#" "\u00e9" "#, "\"é\"");
}

#[test]
fn members_named_like_array_indices_come_first_and_ascending() {
    assert_stable(r#"{"b":1,"10":2,"a":3,"9":4,"0":5}"#, r#"{"0":5,"9":4,"10":2,"b":1,"a":3}"#);
    assert_stable(
        r#"{"01":1,"-1":2,"1.0":3,"4294967295":4,"4294967294":5}"#,
        r#"{"4294967294":5,"01":1,"-1":2,"1.0":3,"4294967295":4}"#,
    );
    assert_stable(r#"{"\u0031":1,"\u0030":2}"#, r#"{"0":2,"1":1}"#);
    assert_stable(r#"{"1":1,"2":2,"a":3}"#, r#"{"1":1,"2":2,"a":3}"#);
}

#[test]
fn members_are_put_in_order_inside_members_that_move() {
    assert_stable(
        r#"{"b":[{"y":{"c":0,"3":1},"1":{"d":{},"2":[{"e":9,"0":8}]}}],"1":{"f":"{","0":","},"0":{"z":1}}"#,
        r#"{"0":{"z":1},"1":{"0":",","f":"{"},"b":[{"1":{"2":[{"0":8,"e":9}],"d":{}},"y":{"3":1,"c":0}}]}"#,
    );
}

#[test]
fn the_member_proto_is_like_any_other() {
    assert_stable(
        r#"{ "a":1,"__proto__":{"toJSON":2},"constructor":3,"":4}"#,
        r#"{"a":1,"__proto__":{"toJSON":2},"constructor":3,"":4}"#,
    );
}

#[test]
fn an_object_that_repeats_a_name_has_no_stable_form() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"\u0061":3}"#,
        r#"[{"x":{"":1,"":1}}]"#,
        r#"{"\ud83d\ude00":1,"😀":2}"#,
        r#"{"\uD800":1,"\ud800":2}"#,
        r#"{"__proto__":1,"__proto__":2}"#,
    ] {
        assert_eq!(stable_text(text), Err(BodyNote::RepeatedMemberKept), "{text}");
    }
    assert_stable(r#"{"a":{"a":1},"b":[{"a":1},{"a":1}],"A":"a"}"#, r#"{"a":{"a":1},"b":[{"a":1},{"a":1}],"A":"a"}"#);
}

#[test]
fn a_number_that_would_change_has_no_stable_form() {
    for text in ["1e400", "[9007199254740993]", r#"{"a":[0.1000000000000000055511151231257827]}"#, "-1e-400"] {
        assert_eq!(stable_text(text), Err(BodyNote::NumberKept), "{text}");
    }
    assert_stable("[1.0,-0,1e2,9007199254740992]", "[1,0,100,9007199254740992]");
}

#[test]
fn ten_thousand_levels_are_no_deeper_than_one() {
    const DEPTH: usize = 10_000;
    let arrays = format!("{}1.0{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    assert_eq!(stable_text(&arrays).unwrap(), arrays.replace("1.0", "1"));
    // Every object moves, and everything deeper moves with it.
    let (open, close) = ("{\"b\":0,\"1\":".repeat(DEPTH), "}".repeat(DEPTH));
    let (opened, closed) = ("{\"1\":".repeat(DEPTH), ",\"b\":0}".repeat(DEPTH));
    assert_stable(&format!("{open}null{close}"), &format!("{opened}null{closed}"));
}

/// JSON of every kind, written in many ways.
fn any_json() -> impl Strategy<Value = String> {
    let space = "[ \t\r\n]{0,2}";
    let string = r#""([a-c0-9é😀/]|\\["\\/bfnrt]|\\u(00[0-9a-fA-F]{2}|[dD][89a-fA-F][0-9]{2}|20[0-9]{2})){0,4}""#;
    let number = r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?";
    let leaf = prop_oneof![Just("true".to_owned()), Just("null".to_owned()), string, number, "[1-9][0-9]{0,3}"];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let member = (string, space, inner.clone()).prop_map(|(name, space, value)| format!("{name}{space}:{value}"));
        let index = ("[0-9]{1,2}", inner.clone()).prop_map(|(name, value)| format!("\"{name}\":{value}"));
        let spaced = (inner, space).prop_map(|(value, space)| format!("{space}{value}"));
        prop_oneof![
            prop::collection::vec(spaced, 0..6).prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::vec(prop_oneof![member, index], 0..6)
                .prop_map(|members| format!("{{{}}}", members.join(" , "))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_stable_stays_and_means_the_same(text in any_json()) {
        prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
        if let Ok(once) = stable_text(&text) {
            prop_assert_eq!(stable_text(&once), Ok(once.clone()));
            // Lone surrogates, which Rust's strings cannot hold, are compared by the corpus only.
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert!(alike(&serde_json::from_str(&once).unwrap(), &value));
            }
        }
    }

    #[test]
    fn any_text_never_panics(text in r#"([\[\]{},:"\\ ]|u00|[dD]8|e1|-|\.|[a-z]|[0-9]|é){0,40}"#) {
        let _ = stable(&text);
    }
}

/// Whether two values are equal but for the last bits of numbers, which serde_json does not read exactly.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            (one - other).abs() <= one.abs() * 1e-14
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| alike(one, other)))
        }
        _ => one == other,
    }
}
