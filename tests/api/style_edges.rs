//! Styles, schemes and envelopes at and beyond their limits: what is wrong is told by the place where it stands.

use tidings::proto::{envelope_field, signature_part, *};
use tonic::Code;

use crate::{
    create, created,
    support::{Api, shown},
};

use SignatureVariable::{Body, EventType, Id, Operation, Signature, Timestamp, Url};

fn literal(text: &str) -> SignaturePart {
    SignaturePart { part: Some(signature_part::Part::Literal(text.to_owned())) }
}

fn variable(variable: SignatureVariable) -> SignaturePart {
    SignaturePart { part: Some(signature_part::Part::Variable(variable as i32)) }
}

fn header(name: &str, value: Vec<SignaturePart>) -> SignatureHeader {
    SignatureHeader { name: name.to_owned(), value }
}

/// Signs `id.body`, as `x-id: <id>` and `x-signature: <hex>`.
fn definition() -> SignatureScheme {
    SignatureScheme {
        signed: vec![variable(Id), literal("."), variable(Body)],
        algorithm: SignatureAlgorithm::HmacSha256 as i32,
        key_form: KeyForm::Text as i32,
        encoding: SignatureEncoding::Hex as i32,
        headers: vec![header("x-id", vec![variable(Id)]), header("x-signature", vec![variable(Signature)])],
        ..Default::default()
    }
}

fn scheme(change: impl FnOnce(&mut SignatureScheme)) -> EndpointStyle {
    let mut definition = definition();
    change(&mut definition);
    let scheme = EndpointScheme { name: "a".to_owned(), definition: Some(definition), ..Default::default() };
    EndpointStyle { schemes: vec![scheme], ..Default::default() }
}

fn json(fields: Vec<EnvelopeField>) -> EndpointStyle {
    enveloped(envelope::Envelope::Json(JsonEnvelope { fields }))
}

fn enveloped(envelope: envelope::Envelope) -> EndpointStyle {
    EndpointStyle { envelope: Some(Envelope { envelope: Some(envelope) }), ..Default::default() }
}

fn cloud_events(source: &str) -> EndpointStyle {
    enveloped(envelope::Envelope::CloudEvents(CloudEventsEnvelope { mode: 1, source: source.to_owned() }))
}

fn payload(name: &str) -> EnvelopeField {
    let value = Some(envelope_field::Value::Variable(EnvelopeVariable::Payload as i32));
    EnvelopeField { name: name.to_owned(), value }
}

fn constant(name: &str, text: &str) -> EnvelopeField {
    EnvelopeField { name: name.to_owned(), value: Some(envelope_field::Value::Constant(text.to_owned())) }
}

fn named(name: &str, preset: i32) -> EndpointScheme {
    EndpointScheme { name: name.to_owned(), preset, ..Default::default() }
}

fn styled(style: EndpointStyle) -> CreateEndpointRequest {
    let mut request = create("");
    request.endpoint.as_mut().unwrap().style = Some(style);
    request
}

/// Asserts for each style that both calls refuse it for these fields of it.
async fn assert_refused(cases: Vec<(EndpointStyle, &[&str])>) {
    let api = Api::start().await;
    let id = created(&api, "").await.id;
    for (style, fields) in cases {
        let case = format!("{style:?}");
        let fields: Vec<String> = fields.iter().map(|field| format!("endpoint.style.{field}")).collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let mut client = api.client.clone();
        let call = client.create_endpoint(styled(style.clone()));
        let status = api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
        for inner in ["::", "Some(", "server/"] {
            assert!(!status.message().contains(inner) && !shown_problems(&status).contains(inner), "{status:?}");
        }
        let endpoint = Some(Endpoint { id: id.clone(), style: Some(style), ..Default::default() });
        let update_mask = Some(prost_types::FieldMask { paths: vec!["style".to_owned()] });
        let call = client.update_endpoint(UpdateEndpointRequest { endpoint, update_mask, ..Default::default() });
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
    }
}

/// The descriptions of all violations.
fn shown_problems(status: &tonic::Status) -> String {
    use tonic_types::StatusExt as _;
    let details = status.get_error_details();
    let violations = details.bad_request().map_or(&[][..], |bad| bad.field_violations.as_slice());
    violations.iter().map(|violation| violation.description.as_str()).collect::<Vec<_>>().join("\n")
}

async fn assert_taken(styles: Vec<EndpointStyle>) {
    let api = Api::start().await;
    for style in styles {
        let case = format!("{style:?}");
        let answer = api.client.clone().create_endpoint(styled(style)).await;
        answer.unwrap_or_else(|status| panic!("{case}: {}", shown(&status)));
    }
}

#[tokio::test]
async fn what_a_scheme_signs_has_rules() {
    // The body comes first, so that nothing but the number is wrong with too many.
    let ids = |count: usize| [variable(Body)].into_iter().chain((1..count).map(|_| literal("|"))).collect::<Vec<_>>();
    assert_refused(vec![
        (scheme(|s| s.signed.clear()), &["schemes[0].definition.signed"]),
        (scheme(|s| s.signed = ids(17)), &["schemes[0].definition.signed"]),
        (scheme(|s| s.signed.truncate(1)), &["schemes[0].definition.signed"]),
        (scheme(|s| s.signed.extend([literal("."), variable(Body)])), &["schemes[0].definition.signed"]),
        (scheme(|s| s.signed[1] = literal("")), &["schemes[0].definition.signed[1].literal"]),
        (scheme(|s| s.signed[1] = literal(&"|".repeat(65))), &["schemes[0].definition.signed[1].literal"]),
        (scheme(|s| s.signed[1] = literal("-")), &["schemes[0].definition.signed[1].literal"]),
        (scheme(|s| drop(s.signed.remove(1))), &["schemes[0].definition.signed[1].variable"]),
        (scheme(|s| s.signed[0] = variable(Timestamp)), &["schemes[0].definition.signed[0].variable"]),
        (scheme(|s| s.signed[0] = variable(Operation)), &["schemes[0].definition.signed[0].variable"]),
        (
            // A dot may stand in an event type, and no header carries it.
            scheme(|s| s.signed[0] = variable(EventType)),
            &["schemes[0].definition.signed[1].literal", "schemes[0].definition.signed[0].variable"],
        ),
        (scheme(|s| s.signed[0] = variable(Signature)), &["schemes[0].definition.signed[0].variable"]),
        (
            scheme(|s| {
                for number in [0, 8, 999, -1] {
                    s.signed.push(SignaturePart { part: Some(signature_part::Part::Variable(number)) });
                }
            }),
            &[
                "schemes[0].definition.signed[3]",
                "schemes[0].definition.signed[4]",
                "schemes[0].definition.signed[5]",
                "schemes[0].definition.signed[6]",
            ],
        ),
    ])
    .await;
    assert_taken(vec![
        scheme(|s| s.signed = ids(16)),
        scheme(|s| s.signed[1] = literal(&"|".repeat(64))),
        scheme(|s| s.signed = vec![variable(Url), variable(Body)]),
    ])
    .await;
}

#[tokio::test]
async fn keys_and_signatures_of_a_scheme_have_rules() {
    let joined = |separator: &str, prefix: &str| {
        scheme(|s| {
            (s.signature_separator, s.signature_prefix) = (Some(separator.to_owned()), prefix.to_owned());
        })
    };
    assert_refused(vec![
        (scheme(|s| s.algorithm = 0), &["schemes[0].definition.algorithm"]),
        (scheme(|s| s.key_form = 999), &["schemes[0].definition.key_form"]),
        (scheme(|s| s.encoding = -1), &["schemes[0].definition.encoding"]),
        (scheme(|s| s.key_form = KeyForm::Ed25519Seed as i32), &["schemes[0].definition.key_form"]),
        (scheme(|s| s.algorithm = SignatureAlgorithm::Ed25519 as i32), &["schemes[0].definition.key_form"]),
        (scheme(|s| s.signature_prefix = "x".repeat(33)), &["schemes[0].definition.signature_prefix"]),
        (scheme(|s| s.signature_prefix = "v1\n".to_owned()), &["schemes[0].definition.signature_prefix"]),
        (scheme(|s| s.signature_prefix = "é".to_owned()), &["schemes[0].definition.signature_prefix"]),
        (joined("", ""), &["schemes[0].definition.signature_separator"]),
        (joined("     ", ""), &["schemes[0].definition.signature_separator"]),
        (joined("\t", ""), &["schemes[0].definition.signature_separator"]),
        (joined("a", ""), &["schemes[0].definition.signature_separator"]),
        (joined(",", "v1,"), &["schemes[0].definition.signature_prefix"]),
    ])
    .await;
    assert_taken(vec![
        scheme(|s| s.signature_prefix = "x".repeat(32)),
        joined(" ", "v1,"),
        joined(", , ", "v1="),
        scheme(|s| {
            (s.algorithm, s.key_form) = (SignatureAlgorithm::Ed25519 as i32, KeyForm::Ed25519Seed as i32);
        }),
    ])
    .await;
}

#[tokio::test]
async fn headers_of_a_scheme_have_rules() {
    const AT: &str = "schemes[0].definition.headers";
    // Signs the body alone, so that no header is needed for more than its own sake.
    let scheme = |change: &dyn Fn(&mut SignatureScheme)| {
        scheme(|definition| {
            definition.signed = vec![variable(Body)];
            change(definition);
        })
    };
    let many = |count: usize| {
        scheme(&|s| s.headers.extend((2..count).map(|number| header(&format!("x-{number}"), vec![literal("v")]))))
    };
    let first = |value: Vec<SignaturePart>| scheme(&|s| s.headers[0].value = value.clone());
    let parts = |count: usize| {
        // The id, and text after it that cannot be mistaken for more of it.
        let mut parts = vec![variable(Id), literal("|")];
        parts.extend((2..count).map(|_| literal("v")));
        first(parts)
    };
    let mut cases: Vec<(EndpointStyle, &[&str])> = vec![
        (scheme(&|s| s.headers.clear()), &["schemes[0].definition.headers"]),
        (many(9), &["schemes[0].definition.headers"]),
        (scheme(&|s| drop(s.headers.pop())), &["schemes[0].definition.headers"]),
        (scheme(&|s| s.headers.push(header("x-other", vec![variable(Signature)]))), &["schemes[0].definition.headers"]),
        (scheme(&|s| s.headers[1].name = "X-ID".to_owned()), &["schemes[0].definition.headers[1].name"]),
        (
            first(vec![variable(Id), literal("-"), variable(Timestamp)]),
            &["schemes[0].definition.headers[0].value[1].literal"],
        ),
        (parts(9), &["schemes[0].definition.headers[0].value"]),
        (first(vec![variable(Id), literal("é")]), &["schemes[0].definition.headers[0].value[1].literal"]),
        (first(vec![literal(" "), variable(Id)]), &["schemes[0].definition.headers[0].value"]),
        (first(vec![variable(Id), literal("; ")]), &["schemes[0].definition.headers[0].value"]),
        (
            first(vec![variable(Id), literal(";"), variable(Body)]),
            &["schemes[0].definition.headers[0].value[2].variable"],
        ),
        (
            first(vec![variable(Id), literal(";"), variable(Url)]),
            &["schemes[0].definition.headers[0].value[2].variable"],
        ),
        (scheme(&|s| s.headers[1].value.push(literal(";"))), &["schemes[0].definition.headers[1].value[0].variable"]),
        (first(vec![SignaturePart { part: None }]), &["schemes[0].definition.headers[0].value[0]"]),
    ];
    for name in ["", "a b", ":path", "é", "host", "Content-Length", "connection", "user-agent", "ce-id", "tidings-x"] {
        cases.push((scheme(&|s| s.headers[1].name = name.to_owned()), &["schemes[0].definition.headers[1].name"]));
    }
    assert!(cases.iter().all(|(_, fields)| fields[0].starts_with(AT)));
    assert_refused(cases).await;
    assert_taken(vec![many(8), parts(8)]).await;
}

#[tokio::test]
async fn styles_and_names_of_schemes_have_limits() {
    let preset = |number: i32| EndpointStyle { preset: number, ..Default::default() };
    let schemes = |schemes: Vec<EndpointScheme>| EndpointStyle { schemes, ..Default::default() };
    let parra = SchemePreset::Parra as i32;
    let app = |text: &str| EndpointStyle { app_id: text.to_owned(), ..preset(StylePreset::ErudikaPara as i32) };
    let standards = |count: usize| {
        let presets = [SchemePreset::Standard, SchemePreset::Parra, SchemePreset::Stripe, SchemePreset::Github];
        let chosen = presets.iter().cycle().take(count).enumerate();
        chosen.map(|(at, preset)| named(&format!("s-{at}"), *preset as i32)).collect::<Vec<_>>()
    };
    let mut cases: Vec<(EndpointStyle, &[&str])> = vec![
        (preset(15), &["preset"]),
        (preset(i32::MIN), &["preset"]),
        (EndpointStyle { body_form: -1, ..Default::default() }, &["body_form"]),
        (EndpointStyle { body_form: 4, ..Default::default() }, &["body_form"]),
        (schemes(standards(5)), &["schemes"]),
        (schemes(vec![named("", 0)]), &["schemes[0]"]),
        (schemes(vec![named("", 999)]), &["schemes[0].preset"]),
        (schemes(vec![named("", -1)]), &["schemes[0].preset"]),
        (app(""), &["app_id"]),
        (app(&"x".repeat(257)), &["app_id"]),
        (app("a\0"), &["app_id"]),
        (
            EndpointStyle { envelope: Some(Envelope::default()), body_form: 999, ..preset(99) },
            &["preset", "envelope", "body_form"],
        ),
    ];
    let long = "x".repeat(33);
    for name in ["A", "a b", "a_b", "é", "a\0", "a.b", &long] {
        cases.push((schemes(vec![named(name, parra)]), &["schemes[0].name"]));
    }
    assert_refused(cases).await;
    assert_taken(vec![schemes(standards(4)), schemes(vec![named(&long[..32], parra)]), app(&"x".repeat(256))]).await;
}

#[tokio::test]
async fn envelopes_have_limits() {
    let many = |count: usize| {
        // The payload comes first, so that nothing but the number is wrong with too many.
        let fields = (1..count).map(|number| constant(&format!("f{number}"), "v"));
        [payload("payload")].into_iter().chain(fields).collect::<Vec<_>>()
    };
    let stable = |fields| EndpointStyle { body_form: BodyForm::StableJson as i32, ..json(fields) };
    let form = |style: EndpointStyle| EndpointStyle { body_form: BodyForm::FormPayload as i32, ..style };
    let (name, text, source) = ("n".repeat(65), "c".repeat(257), format!("/{}", "s".repeat(1_024)));
    let refused: Vec<(EndpointStyle, &[&str])> = vec![
        (json(vec![]), &["envelope.json.fields", "envelope.json.fields"]),
        (json(many(33)), &["envelope.json.fields"]),
        (json(vec![constant("a", "v")]), &["envelope.json.fields"]),
        (json(vec![payload("a"), payload("b")]), &["envelope.json.fields"]),
        (json(vec![payload("a"), constant("a", "v")]), &["envelope.json.fields[1].name"]),
        (json(vec![payload("")]), &["envelope.json.fields[0].name"]),
        (json(vec![payload("a\n")]), &["envelope.json.fields[0].name"]),
        (json(vec![payload(&name)]), &["envelope.json.fields[0].name"]),
        (json(vec![payload("a"), constant("b", &text)]), &["envelope.json.fields[1].constant"]),
        (json(vec![payload("a"), constant("b", "\0")]), &["envelope.json.fields[1].constant"]),
        (stable(vec![payload("a"), constant("17", "v")]), &["envelope.json.fields[1].name"]),
        (cloud_events(""), &["envelope.cloud_events.source"]),
        (cloud_events("a b"), &["envelope.cloud_events.source"]),
        (cloud_events("é"), &["envelope.cloud_events.source"]),
        (cloud_events("/a\0"), &["envelope.cloud_events.source"]),
        (cloud_events(&source), &["envelope.cloud_events.source"]),
        (form(cloud_events("/x")), &["envelope.cloud_events"]),
    ];
    assert_refused(refused).await;
    assert_taken(vec![
        json(many(32)),
        json(vec![payload(&name[..64]), constant("b", &text[..256])]),
        json(vec![payload("a"), constant("17", "")]),
        cloud_events(&source[..1_024]),
        form(json(vec![payload("a")])),
    ])
    .await;
}

#[tokio::test]
async fn secrets_fit_the_key_form_of_their_scheme_or_are_refused_without_a_word_of_them() {
    const CANARY: &str = "Q0FOQVJZQ0FOQVJZ";
    let preset = |preset: StylePreset| EndpointStyle { preset: preset as i32, ..Default::default() };
    let text = |secret: &str| secret.to_owned();
    let cases: Vec<(StylePreset, Vec<String>, Vec<String>)> = vec![
        (
            StylePreset::Slack,
            vec![text(""), "x".repeat(257), text("a\0Q0FOQVJZQ0FOQVJZ"), format!("whpk_{CANARY}")],
            vec!["x".repeat(256), text("x"), text("ключ"), format!("whsec_{CANARY}")],
        ),
        (
            StylePreset::Standard,
            vec![
                text("whsec_"),
                text(CANARY),
                // 23 bytes, badly padded and well, and 65.
                format!("whsec_{}Q0E", "Q0FO".repeat(7)),
                format!("whsec_{}Q0E=", "Q0FO".repeat(7)),
                format!("whsec_{}Q0E=", "Q0FO".repeat(21)),
                format!("WHSEC_{}", "Q0FO".repeat(8)),
                format!("whsec_ {}", "Q0FO".repeat(8)),
                format!("whsec_{}-_-_", "Q0FO".repeat(8)),
                format!("whsk_{}", "Q0FO".repeat(8)),
                format!("whpk_{}", "Q0FO".repeat(8)),
            ],
            // 24 and 64 bytes.
            vec![format!("whsec_{}", "Q0FO".repeat(8)), format!("whsec_{}QQ==", "Q0FO".repeat(21))],
        ),
        (
            StylePreset::StandardEd25519,
            vec![
                text("whsk_"),
                format!("whsec_{}", "Q0FO".repeat(8)),
                format!("whpk_{}Q0E=", "Q0FO".repeat(10)),
                // 31 and 33 bytes; and a seed with a public key that is another's.
                format!("whsk_{}QQ==", "Q0FO".repeat(10)),
                format!("whsk_{}", "Q0FO".repeat(11)),
                format!("whsk_{}QQ==", "Q0FO".repeat(21)),
            ],
            vec![format!("whsk_{}Q0E=", "Q0FO".repeat(10))],
        ),
    ];
    let api = Api::start().await;
    for (style, bad, good) in cases {
        let made = api.client.clone().create_endpoint(styled(preset(style))).await.unwrap().into_inner();
        let endpoint_id = made.endpoint.unwrap().id;
        let scheme = made.issued_secrets[0].scheme.clone();
        for secret in bad {
            let case = format!("{style:?} {secret}");
            let mut client = api.client.clone();
            let first = CreateEndpointRequest { secret: Some(secret.clone()), ..styled(preset(style)) };
            let by_name = ImportedSecret { scheme: scheme.clone(), secret: secret.clone() };
            let by_name = CreateEndpointRequest { secrets: vec![by_name], ..styled(preset(style)) };
            let rotate = RotateEndpointSecretRequest {
                endpoint_id: endpoint_id.clone(),
                secret: Some(secret.clone()),
                ..Default::default()
            };
            let mut said = Vec::new();
            let call = client.create_endpoint(first);
            said.push(api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", &["secret"]).await);
            let call = client.create_endpoint(by_name);
            let field = ["secrets[0].secret"];
            said.push(api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", &field).await);
            let call = client.rotate_endpoint_secret(rotate);
            said.push(api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", &["secret"]).await);
            for status in said {
                let told = ["Q0FO", "xxx"].iter().any(|part| shown(&status).contains(part));
                assert!(!told, "{case}: {}", shown(&status));
            }
        }
        for secret in good {
            let request = CreateEndpointRequest { secret: Some(secret.clone()), ..styled(preset(style)) };
            let answer = api.client.clone().create_endpoint(request).await;
            answer.unwrap_or_else(|status| panic!("{style:?} {secret}: {}", shown(&status)));
        }
    }
}
