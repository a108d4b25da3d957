use super::{super::SchemePreset, *};

fn standard() -> SchemeDefinition {
    SchemePreset::Standard.scheme().definition().clone()
}

/// What is found wrong when `change` was made to Standard Webhooks.
fn wrong(change: impl FnOnce(&mut SchemeDefinition)) -> Vec<(String, String)> {
    let mut definition = standard();
    change(&mut definition);
    check(&definition).into_iter().map(|violation| (violation.path, violation.problem)).collect()
}

#[track_caller]
fn assert_only(change: impl FnOnce(&mut SchemeDefinition), path: &str, reason: &str) {
    let found = wrong(change);
    let [(at, problem)] = &found[..] else { panic!("{found:?}") };
    assert!(at == path && problem.contains(reason), "{at}: {problem}");
}

#[track_caller]
fn assert_none(change: impl FnOnce(&mut SchemeDefinition)) {
    assert_eq!(wrong(change), []);
}

fn header(name: &str, value: Vec<Part>) -> SchemeHeader {
    SchemeHeader { name: name.to_owned(), value }
}

fn body() -> Part {
    Variable::Body.into()
}

#[test]
fn what_is_signed_has_1_to_16_parts() {
    assert_only(|it| it.signed.clear(), "signed", "1 to 16");
    assert_none(|it| it.signed.extend(vec![Part::from("x"); 11]));
    assert_only(|it| it.signed.extend(vec![Part::from("x"); 12]), "signed", "it has 17");
}

#[test]
fn body_is_signed_once_and_the_signature_never() {
    assert_only(|it| it.signed.truncate(4), "signed", "must have BODY");
    assert_only(|it| it.signed.extend([Part::from("."), body()]), "signed", "only once");
    assert_only(|it| it.signed.extend([".".into(), Variable::Signature.into()]), "signed[6].variable", "SIGNATURE");
}

#[test]
fn literals_have_1_to_64_bytes() {
    assert_only(|it| it.signed.insert(0, "".into()), "signed[0].literal", "1 to 64");
    assert_none(|it| it.signed.insert(0, "x".repeat(64).as_str().into()));
    assert_only(|it| it.signed.insert(0, "x".repeat(65).as_str().into()), "signed[0].literal", "it is 65");
    assert_only(|it| it.headers[0].value.push("".into()), "headers[0].value[1].literal", "1 to 64");
}

#[test]
fn literals_in_headers_are_printable_and_those_that_are_signed_may_be_anything() {
    assert_none(|it| it.signed.insert(0, "\n\0ä".into()));
    for literal in [":\n", ":\0", ":ä", ":\x7f"] {
        assert_only(|it| it.headers[0].value.push(literal.into()), "headers[0].value[1].literal", "printable");
    }
}

#[test]
fn variables_do_not_touch() {
    assert_only(|it| drop(it.signed.remove(1)), "signed[1].variable", "literal before it: TIMESTAMP");
    assert_only(
        |it| it.headers[0].value.push(Variable::Timestamp.into()),
        "headers[0].value[1].variable",
        "TIMESTAMP stands right at ID",
    );
}

#[test]
fn url_and_body_alone_may_touch() {
    assert_none(|it| it.signed.insert(4, Variable::Url.into()));
    assert_none(|it| it.signed.push(Variable::Url.into()));
    assert_only(|it| it.signed.insert(3, Variable::Url.into()), "signed[3].variable", "URL stands right at TIMESTAMP");
    assert_only(|it| it.signed.insert(0, Variable::Url.into()), "signed[1].variable", "ID stands right at URL");
    assert_only(|it| drop(it.signed.remove(3)), "signed[3].variable", "BODY stands right at TIMESTAMP");
    let twice = |it: &mut SchemeDefinition| {
        drop(it.signed.splice(0..0, [Variable::Url.into(), Variable::Url.into(), ".".into()]))
    };
    assert_only(twice, "signed[1].variable", "URL stands right at URL");
}

#[test]
fn literal_between_values_is_told_from_them() {
    assert_only(|it| it.signed[1] = "-".into(), "signed[1].literal", "ID");
    assert_none(|it| it.signed[1] = "-:".into());
    assert_only(|it| it.signed[3] = "0".into(), "signed[3].literal", "TIMESTAMP");
    assert_none(|it| it.signed[3] = "a".into());
    let event_type = |literal: &'static str| {
        move |it: &mut SchemeDefinition| {
            it.headers.push(header("type", vec![Variable::EventType.into()]));
            it.signed.splice(0..0, [Variable::EventType.into(), literal.into()]);
        }
    };
    assert_only(event_type("."), "signed[1].literal", "EVENT_TYPE");
    assert_none(event_type(":"));
    // After BODY values are told apart from the right.
    let behind = |literal: &'static str| {
        move |it: &mut SchemeDefinition| {
            it.signed = vec![body(), literal.into(), Variable::Timestamp.into(), "0".into()];
        }
    };
    assert_only(behind("0"), "signed[1].literal", "TIMESTAMP");
    assert_none(behind("."));
    assert_only(|it| it.headers[1].value.push("1".into()), "headers[1].value[1].literal", "TIMESTAMP");
}

#[test]
fn whatever_is_signed_a_receiver_can_know() {
    assert_only(|it| drop(it.headers.remove(0)), "signed[0].variable", "is ID, which no header carries");
    assert_none(|it| it.signed.splice(0..0, [Variable::Url.into(), "\n".into()]).for_each(drop));
    let operation = |carried: Option<Variable>| {
        move |it: &mut SchemeDefinition| {
            it.signed.splice(0..0, [Variable::Operation.into(), ".".into()]);
            it.headers.extend(carried.map(|variable| header("type", vec![variable.into()])));
        }
    };
    assert_only(operation(None), "signed[0].variable", "is OPERATION, which no header carries");
    assert_none(operation(Some(Variable::Operation)));
    assert_only(operation(Some(Variable::EventType)), "signed[0].variable", "is OPERATION: sign EVENT_TYPE");
    assert_none(|it| {
        operation(Some(Variable::EventType))(it);
        it.signed.splice(0..0, [Variable::EventType.into(), ":".into()]);
    });
    assert_only(
        |it| {
            it.signed.splice(0..0, [Variable::EventType.into(), ":".into()]);
            it.headers.push(header("type", vec![Variable::Operation.into()]));
        },
        "signed[0].variable",
        "EVENT_TYPE",
    );
}

#[test]
fn there_are_1_to_8_headers_of_1_to_8_parts() {
    let with = |count: usize| {
        move |it: &mut SchemeDefinition| {
            let added = 0..count - it.headers.len();
            it.headers.extend(added.map(|index| header(&format!("x-{index}"), vec!["x".into()])));
        }
    };
    assert_none(with(8));
    assert_only(with(9), "headers", "there are 9");
    assert!(wrong(|it| it.headers.clear()).contains(&("headers".to_owned(), "must be 1 to 8; there are 0".to_owned())));
    assert_only(|it| it.headers.push(header("x", vec![])), "headers[3].value", "it has 0");
    assert_none(|it| it.headers.push(header("x", vec!["x".into(); 8])));
    assert_only(|it| it.headers.push(header("x", vec!["x".into(); 9])), "headers[3].value", "it has 9");
}

#[test]
fn names_are_tokens_unique_and_not_reserved() {
    let named = |name: &'static str| move |it: &mut SchemeDefinition| it.headers[0].name = name.to_owned();
    assert_none(named("X-Id"));
    assert_only(named(""), "headers[0].name", "empty");
    assert_only(named("x id"), "headers[0].name", "letters");
    assert_only(named("Content-Type"), "headers[0].name", "reserved");
    assert_only(named("WEBHOOK-signature"), "headers[2].name", "headers[0]");
}

#[test]
fn body_and_url_stand_in_no_header() {
    for variable in [Variable::Body, Variable::Url] {
        let path = "headers[3].value[0].variable";
        assert_only(|it| it.headers.push(header("x", vec![variable.into()])), path, "only signed");
    }
}

#[test]
fn signature_stands_once_at_the_end_of_one_header() {
    let signature = || Part::from(Variable::Signature);
    assert_only(|it| drop(it.headers.pop()), "headers", "0 times");
    assert_only(|it| it.headers.push(header("x", vec![signature()])), "headers", "2 times");
    assert_only(|it| it.headers[2].value.push(";".into()), "headers[2].value[0].variable", "last");
    let twice = wrong(|it| it.headers[2].value = vec![signature(), ";".into(), signature()]);
    assert_eq!(twice.len(), 2, "{twice:?}");
    assert_none(|it| it.headers[2].value = vec!["t=".into(), Variable::Timestamp.into(), ",".into(), signature()]);
}

#[test]
fn values_have_no_spaces_at_their_ends() {
    assert_only(|it| it.headers[0].value.insert(0, " x".into()), "headers[0].value", "space");
    assert_only(|it| it.headers[0].value.push(", ".into()), "headers[0].value", "space");
    assert_none(|it| it.headers[0].value.extend([", ".into(), "x".into()]));
    let prefixed = |it: &mut SchemeDefinition| {
        it.signature_prefix = " v1".to_owned();
        it.signature_separator = Some(",".to_owned());
    };
    assert_only(prefixed, "headers[2].value", "space");
    assert_none(|it| {
        prefixed(it);
        it.headers[2].value.insert(0, "x".into());
    });
}

#[test]
fn prefix_is_short_and_without_the_separator() {
    let prefixed = |prefix: String| move |it: &mut SchemeDefinition| it.signature_prefix = prefix;
    assert_none(prefixed(String::new()));
    assert_none(prefixed("x".repeat(32)));
    assert_only(prefixed("x".repeat(33)), "signature_prefix", "at most 32");
    assert_only(prefixed("ä".to_owned()), "signature_prefix", "printable");
    assert_only(prefixed("v1 ,".to_owned()), "signature_prefix", "separator");
}

#[test]
fn separator_is_short_and_stands_in_no_signature() {
    let separated =
        |separator: &'static str| move |it: &mut SchemeDefinition| it.signature_separator = Some(separator.to_owned());
    assert_none(separated("; - "));
    assert_only(separated(""), "signature_separator", "1 to 4");
    assert_only(separated("-----"), "signature_separator", "1 to 4");
    assert_only(separated("\t"), "signature_separator", "printable");
    for shared in ["+", " /", "=", "a", "G"] {
        assert_only(separated(shared), "signature_separator", "so encoded");
    }
    let hex = |separator: &'static str| {
        move |it: &mut SchemeDefinition| {
            it.encoding = Encoding::Hex;
            it.signature_separator = Some(separator.to_owned());
        }
    };
    assert_none(hex("+"));
    assert_none(hex("G"));
    assert_only(hex("F"), "signature_separator", "so encoded");
}

#[test]
fn key_fits_the_algorithm() {
    assert_none(|it| it.key_form = KeyForm::Text);
    assert_only(|it| it.key_form = KeyForm::Ed25519Seed, "key_form", "TEXT or BASE64");
    assert_only(|it| it.algorithm = Algorithm::Ed25519, "key_form", "ED25519_SEED");
    assert_none(|it| (it.algorithm, it.key_form) = (Algorithm::Ed25519, KeyForm::Ed25519Seed));
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let found = wrong(|it| {
        it.signed.pop();
        it.key_form = KeyForm::Ed25519Seed;
        it.signature_separator = Some("a".to_owned());
        it.headers[1].name.clear();
    });
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["signed", "key_form", "signature_separator", "headers[1].name"]);
}
