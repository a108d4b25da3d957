use super::{super::SchemePreset, *};

fn read(json: &str) -> Result<SchemeDefinition, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

const STRIPE: &str = r#"{
    "signed": [{"variable": "SIGNATURE_VARIABLE_TIMESTAMP"}, {"literal": "."}, {"variable": "SIGNATURE_VARIABLE_BODY"}],
    "algorithm": "SIGNATURE_ALGORITHM_HMAC_SHA256",
    "keyForm": "KEY_FORM_TEXT",
    "encoding": "SIGNATURE_ENCODING_HEX",
    "signaturePrefix": "v1=",
    "signatureSeparator": ",",
    "headers": [{
        "name": "Stripe-Signature",
        "value": [
            {"literal": "t="}, {"variable": "SIGNATURE_VARIABLE_TIMESTAMP"}, {"literal": ","},
            {"variable": "SIGNATURE_VARIABLE_SIGNATURE"}
        ]
    }]
}"#;

#[test]
fn definition_is_read_as_protobuf_json() {
    assert_eq!(&read(STRIPE).unwrap(), SchemePreset::Stripe.scheme().definition());
}

#[test]
fn names_with_underscores_are_read_too() {
    let snake = STRIPE
        .replace("keyForm", "key_form")
        .replace("signaturePrefix", "signature_prefix")
        .replace("signatureSeparator", "signature_separator");
    assert_eq!(read(&snake), read(STRIPE));
}

#[test]
fn every_preset_survives_being_written_and_read() {
    for preset in SchemePreset::ALL {
        let definition = preset.scheme().definition();
        let json = serde_json::to_string(definition).unwrap();
        assert_eq!(&read(&json).unwrap(), definition, "{json}");
    }
}

#[test]
fn what_is_empty_is_not_written() {
    let json = serde_json::to_string(SchemePreset::Parra.scheme().definition()).unwrap();
    assert_eq!(
        json,
        concat!(
            r#"{"signed":[{"variable":"SIGNATURE_VARIABLE_BODY"}],"algorithm":"SIGNATURE_ALGORITHM_HMAC_SHA256","#,
            r#""keyForm":"KEY_FORM_TEXT","encoding":"SIGNATURE_ENCODING_HEX","headers":[{"name":"parra-signature","#,
            r#""value":[{"variable":"SIGNATURE_VARIABLE_SIGNATURE"}]}]}"#
        )
    );
}

#[test]
fn unknown_fields_and_values_are_refused() {
    for (known, unknown) in [
        ("keyForm", "keyfrom"),
        ("literal", "text"),
        ("\"name\"", "\"title\""),
        ("KEY_FORM_TEXT", "TEXT"),
        ("VARIABLE_BODY", "VARIABLE_PAYLOAD"),
        ("SIGNATURE_ENCODING_HEX", "SIGNATURE_ENCODING_UNSPECIFIED"),
    ] {
        let error = read(&STRIPE.replace(known, unknown)).unwrap_err();
        assert!(error.contains("unknown"), "{unknown}: {error}");
    }
}

#[test]
fn part_is_shown_as_in_a_template() {
    let shown: String =
        SchemePreset::Stripe.scheme().definition().headers[0].value.iter().map(Part::to_string).collect();
    assert_eq!(shown, "t={TIMESTAMP},{SIGNATURE}");
}
