use serde_json::{Value, json};

use super::*;

fn compile(schema: &Value) -> Schema {
    Schema::compile(&schema.to_string()).unwrap()
}

fn refused(schema: &str) -> String {
    Schema::compile(schema).unwrap_err().to_string()
}

/// Where `payload` breaks `schema`.
fn pointers(schema: &Value, payload: &str) -> Vec<String> {
    compile(schema).violations(payload.as_bytes(), 64).into_iter().map(|violation| violation.pointer).collect()
}

/// Runs a test on half the stack that the server's threads have; the rest is for whoever calls.
fn on_small_stack(test: fn()) {
    std::thread::Builder::new().stack_size(1 << 20).spawn(test).unwrap().join().unwrap();
}

/// A payload nested `levels` deep: `{"a": {"a": … 0}}`.
fn nested(levels: usize) -> String {
    format!("{}0{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

#[test]
fn payload_is_held_against_every_rule() {
    let schema = json!({
        "type": "object",
        "required": ["id", "items"],
        "properties": {
            "id": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 3},
            "items": {"type": "array", "items": {"type": "integer", "minimum": 1}, "uniqueItems": true}
        },
        "additionalProperties": false
    });
    assert_eq!(pointers(&schema, r#"{"id": "abc", "items": [1, 2]}"#), Vec::<String>::new());
    assert_eq!(pointers(&schema, r#"{"id": "A b", "items": [1, 0, "x"]}"#), ["/id", "/items/1", "/items/2"]);
    assert_eq!(pointers(&schema, r#"{"id": "abcd", "items": [1, 1], "x": 0}"#), ["/id", "/items", ""]);
    assert_eq!(pointers(&schema, "{}"), ["", ""]);
    assert_eq!(pointers(&schema, "1"), [""]);
    assert_eq!(pointers(&json!(false), "1"), [""]);
    assert_eq!(pointers(&json!(true), "1"), Vec::<String>::new());
}

#[test]
fn violations_are_cut_off_at_their_limit() {
    let payload = format!("[{}]", vec!["\"x\""; 100].join(","));
    let schema = compile(&json!({"items": {"type": "integer"}}));
    assert_eq!(schema.violations(payload.as_bytes(), 64).len(), 64);
    assert_eq!(schema.violations(payload.as_bytes(), 1)[0].pointer, "/0");
    let endless = format!("[{}]", vec!["\"x\""; 50_000].join(","));
    assert_eq!(schema.violations(endless.as_bytes(), 64).len(), 1, "of very many, the first");
}

#[test]
fn little_of_a_payload_is_repeated_and_that_escaped() {
    let schema = compile(&json!({"additionalProperties": false, "propertyNames": {"maxLength": 3}}));
    let payload = format!(r#"{{"{}\u0007\n": "canary-value"}}"#, "n".repeat(60));
    let rule = compile(&json!({"additionalProperties": {"const": 1}}));
    for violation in [schema.violations(payload.as_bytes(), 64), rule.violations(payload.as_bytes(), 64)].concat() {
        let said = format!("{} {}", violation.pointer, violation.problem);
        assert!(!said.contains("canary") && !said.contains(['\u{7}', '\n']), "{said}");
        assert!(violation.pointer.chars().count() <= 65, "{said}");
        assert!(said.matches('n').count() < 64 + 20, "{said}");
    }
}

#[test]
fn what_cannot_be_checked_breaks_every_schema() {
    let schema = compile(&json!(true));
    let deep = nested(128);
    for payload in ["", "no json", "{", r#""\ud800""#, "1e400", &deep, "\u{feff}{}"] {
        assert_eq!(schema.violations(payload.as_bytes(), 64).len(), 1, "{payload}");
    }
    assert_eq!(schema.violations(b"\"\xff\"", 64).len(), 1);
    for payload in [&nested(127), r#""\ud83d\ude00""#, "1e308", r#"{"a":1,"a":2}"#] {
        assert_eq!(schema.violations(payload.as_bytes(), 64), [], "{payload}");
    }
}

#[test]
fn older_drafts_are_read_as_such_and_unknown_ones_refused() {
    let tuple = |draft: &str| json!({"$schema": draft, "items": [{"type": "string"}]});
    for draft in ["http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-06/schema#"] {
        assert_eq!(pointers(&tuple(draft), "[1]"), ["/0"], "{draft}");
    }
    for draft in ["http://json-schema.org/draft-07/schema", "https://json-schema.org/draft/2019-09/schema"] {
        assert_eq!(pointers(&tuple(draft), "[1]"), ["/0"], "{draft}");
    }
    let newest = "https://json-schema.org/draft/2020-12/schema";
    assert_eq!(pointers(&json!({"$schema": newest, "prefixItems": [{"type": "string"}]}), "[1]"), ["/0"]);
    assert!(Schema::compile(&tuple(newest).to_string()).is_err(), "that draft has no lists there");
    for unknown in [json!("https://example.com/own"), json!(""), json!(7)] {
        refused(&json!({"$schema": unknown}).to_string());
    }
}

#[test]
fn what_is_no_schema_is_refused() {
    let long = format!("{{\"description\": \"{}\"}}", "x".repeat(SCHEMA_BYTES_MAX));
    let deep = format!("{}{}{}", r#"{"not":"#.repeat(65), "{}", "}".repeat(65));
    let patterns: serde_json::Map<_, _> = (0..257).map(|number| (format!("^a{number}"), json!(true))).collect();
    let patterns = json!({"patternProperties": patterns}).to_string();
    let cases = [
        "",
        "{",
        "null",
        "[]",
        "1",
        "\"x\"",
        r#"{"type": "nonsense"}"#,
        r#"{"required": "a"}"#,
        r#"{"minimum": "1"}"#,
        r#"{"pattern": "("}"#,
        r#"{"pattern": "(?=a)"}"#,
        r#"{"pattern": "(a)\\1"}"#,
        r#"{"pattern": "(\\w{500}){50}"}"#,
        &long,
        &deep,
        &patterns,
    ];
    for schema in cases {
        assert!(refused(schema).starts_with("must "), "{}", &schema[..schema.len().min(60)]);
    }
}

#[test]
fn references_lead_to_parts_of_the_schema_only() {
    let inside = json!({
        "$id": "https://example.com/own",
        "$defs": {"a/b": {"$anchor": "name", "type": "integer"}, "const": {"type": "string"}},
        "properties": {
            "pointer": {"$ref": "#/$defs/a~1b"}, "anchor": {"$ref": "#name"}, "text": {"$ref": "#/$defs/const"},
            "$ref": {"type": "null"}
        },
        "enum-like": {"const": {"$ref": "https://example.com/data"}}
    });
    let payload = r#"{"pointer": "x", "anchor": "x", "text": 1, "$ref": 1}"#;
    let mut found = pointers(&inside, payload);
    found.sort();
    assert_eq!(found, ["/$ref", "/anchor", "/pointer", "/text"]);
    let outside = [
        "https://example.com/x",
        "http://127.0.0.1:1/x",
        "file:///etc/passwd",
        "other.json",
        "/x",
        "?x",
        "urn:x",
        "",
        "https://json-schema.org/draft/2020-12/schema",
    ];
    for target in outside {
        for reference in ["$ref", "$dynamicRef"] {
            let said = refused(&json!({"items": {"anyOf": [{reference: target}]}}).to_string());
            assert!(said.contains("refer to parts of itself"), "{target}: {said}");
        }
    }
    for nowhere in ["#/$defs/none", "#none"] {
        refused(&json!({"$ref": nowhere}).to_string());
    }
    refused(&json!({"$defs": {"a": {"$id": "https://example.com/a"}}}).to_string());
    let draft4 = "http://json-schema.org/draft-04/schema#";
    refused(&json!({"$schema": draft4, "definitions": {"a": {"id": "https://example.com/a"}}}).to_string());
    compile(&json!({"x-owner": {"id": "no name of a schema here"}}));
}

#[test]
fn schema_that_never_ends_or_multiplies_is_refused() {
    refused(&json!({"$ref": "#"}).to_string());
    refused(
        &json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}}).to_string(),
    );
    let chain = |links: usize, each: fn(Value) -> Value| {
        let mut links: serde_json::Map<_, _> = (1..links)
            .map(|number| (format!("d{number}"), each(json!({"$ref": format!("#/$defs/d{}", number - 1)}))))
            .collect();
        links.insert("d0".to_owned(), json!(false));
        json!({"$defs": links})
    };
    let doubling = |next: Value| json!({"anyOf": [next.clone(), next]});
    compile(&chain(10, doubling));
    assert!(refused(&chain(16, doubling).to_string()).contains("to one value"));
    assert!(refused(&chain(1_000, |next| next).to_string()).contains("lead through"));
}

#[test]
fn deepest_payload_under_the_deepest_schema_fits_the_stack() {
    on_small_stack(|| {
        // Each level of the payload is reached through as many schemas as may be.
        for steps in [1, 2, 5, 14, STEPS_OF_DEEPEST] {
            let mut links: serde_json::Map<String, Value> = (1..steps)
                .map(|number| (format!("d{number}"), json!({"anyOf": [{"$ref": format!("#/$defs/d{}", number + 1)}]})))
                .collect();
            let last =
                json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/d1"}}, "unevaluatedProperties": false});
            links.insert(format!("d{steps}"), last);
            let schema = compile(&json!({"$defs": links, "properties": {"a": {"$ref": "#/$defs/d1"}}}));
            let levels = LEVELS_MAX.min(STEPS_DEEP_MAX / schema.steps);
            assert_eq!(schema.violations(nested(levels).as_bytes(), 64).len(), 1, "{steps}: no object at the bottom");
            let said = &schema.violations(nested(levels + 1).as_bytes(), 64)[0].problem;
            assert!(said.contains("nested"), "{steps}: {said}");
        }
    });
}

/// Two steps each, and a reference to the first.
const STEPS_OF_DEEPEST: usize = 15;

#[test]
fn deepest_schema_is_compiled_on_a_small_stack() {
    on_small_stack(|| {
        let deep = format!("{}{{}}{}", r#"{"properties":{"a":"#.repeat(31), "}}".repeat(31));
        Schema::compile(&deep).unwrap();
        let links: serde_json::Map<String, Value> = (0..1_000)
            .map(|number| (format!("d{number}"), json!({"items": {"$ref": format!("#/$defs/d{}", number + 1)}})))
            .chain([("d1000".to_owned(), json!({}))])
            .collect();
        compile(&json!({"$defs": links, "$ref": "#/$defs/d0"}));
        let in_lists = format!("{}{{}}{}", r#"{"allOf":["#.repeat(31), "]}".repeat(31));
        Schema::compile(&in_lists).unwrap();
    });
}

#[test]
fn check_that_multiplies_with_the_payload_ends() {
    // Each level doubles the work, so the bottom of the payload is never reached.
    let twice = json!({"properties": {"a": {"$ref": "#"}}});
    let own = json!({"allOf": [twice, twice, {"properties": {"b": false}}]});
    let levels = LEVELS_MAX.min(STEPS_DEEP_MAX / compile(&own).steps);
    let payload = nested(levels).replacen('{', r#"{"b":0,"#, 1);
    assert_eq!(compile(&own).violations(payload.as_bytes(), 64).len(), 1);
    let links: serde_json::Map<_, _> = (0..100)
        .map(|number| {
            let next = json!({"properties": {"a": {"$ref": format!("#/$defs/d{}", number + 1)}}});
            (format!("d{number}"), json!({"anyOf": [next, next]}))
        })
        .chain([("d100".to_owned(), json!({"type": "string"}))])
        .collect();
    let acyclic = json!({"$defs": links, "$ref": "#/$defs/d0"});
    let violations = compile(&acyclic).violations(nested(100).as_bytes(), 64);
    assert!(violations[0].problem.contains("less work"), "{violations:?}");
}

#[test]
fn pattern_takes_linear_time() {
    let schema = compile(&json!({"pattern": "^(a+)+$"}));
    let payload = format!("\"{}!\"", "a".repeat(200_000));
    assert_eq!(schema.violations(payload.as_bytes(), 64).len(), 1);
}

#[test]
fn going_through_a_long_text_again_and_again_ends() {
    let patterns: Vec<_> = (0..250).map(|number| json!({"pattern": format!("[ab]{{{number}}}x")})).collect();
    let schema = compile(&json!({"allOf": [{"anyOf": patterns}, {"minLength": 1}]}));
    let payload = format!("\"{}\"", "ab".repeat(100_000));
    let violations = schema.violations(payload.as_bytes(), 64);
    assert_eq!(violations.len(), 1);
    let short = schema.violations(b"\"x\"", 64);
    assert_eq!(short, []);
}

#[test]
fn formats_are_not_checked() {
    let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "format": "email"});
    assert_eq!(pointers(&schema, "\"nobody\""), Vec::<String>::new());
}
