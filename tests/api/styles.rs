//! Styles of endpoints: what is taken, what is refused, and what a change of style does to secrets.

use tidings::proto::*;
use tonic::Code;

use crate::{create, created, mask, support::Api};

fn styled(style: EndpointStyle) -> CreateEndpointRequest {
    let mut request = create("");
    request.endpoint.as_mut().unwrap().style = Some(style);
    request
}

fn preset(preset: StylePreset) -> EndpointStyle {
    EndpointStyle { preset: preset as i32, ..Default::default() }
}

fn named(name: &str, preset: SchemePreset) -> EndpointScheme {
    EndpointScheme { name: name.to_owned(), preset: preset as i32, ..Default::default() }
}

fn literal(text: &str) -> SignaturePart {
    SignaturePart { part: Some(signature_part::Part::Literal(text.to_owned())) }
}

fn variable(variable: SignatureVariable) -> SignaturePart {
    SignaturePart { part: Some(signature_part::Part::Variable(variable as i32)) }
}

/// Signs the id and the body, as `x-acme: <id>;<hex>`.
fn custom() -> SignatureScheme {
    SignatureScheme {
        signed: vec![variable(SignatureVariable::Id), literal("|"), variable(SignatureVariable::Body)],
        algorithm: SignatureAlgorithm::HmacSha256 as i32,
        key_form: KeyForm::Text as i32,
        encoding: SignatureEncoding::Hex as i32,
        headers: vec![SignatureHeader {
            name: "x-acme".to_owned(),
            value: vec![variable(SignatureVariable::Id), literal(";"), variable(SignatureVariable::Signature)],
        }],
        ..Default::default()
    }
}

#[tokio::test]
async fn every_preset_makes_an_endpoint_that_comes_back_as_it_was_given() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    for number in 1..=14 {
        let style = StylePreset::try_from(number).unwrap();
        let mut given = preset(style);
        match style {
            StylePreset::ErudikaPara | StylePreset::ErudikaParaForm => given.app_id = "myapp".to_owned(),
            StylePreset::Partylayer => given.api_version = "2026-03-01".to_owned(),
            _ => {}
        }
        let answer = client.create_endpoint(styled(given.clone())).await.unwrap().into_inner();
        let endpoint = answer.endpoint.unwrap();
        let shown = endpoint.style.clone().unwrap();
        let [effective] = shown.effective_schemes.as_slice() else { panic!("{shown:?}") };
        assert!(effective.definition.is_some() && !effective.name.is_empty());
        assert_eq!(EndpointStyle { effective_schemes: Vec::new(), ..shown.clone() }, given);
        let [issued] = answer.issued_secrets.as_slice() else { panic!("{style:?}") };
        assert_eq!((&issued.scheme, &issued.secret), (&effective.name, &answer.secret));
        if style == StylePreset::StandardEd25519 {
            assert!(issued.secret.is_empty() && issued.public_key.starts_with("whpk_"));
        } else {
            assert!(issued.secret.len() >= 32 && issued.public_key.is_empty(), "{issued:?}");
        }

        // What was read can be written back, and changes nothing that signs.
        let update =
            UpdateEndpointRequest { endpoint: Some(endpoint), update_mask: mask(&["style"]), ..Default::default() };
        let answer = client.update_endpoint(update).await.unwrap().into_inner();
        assert_eq!(answer.endpoint.unwrap().style.unwrap(), shown);
        assert!(answer.issued_secrets.is_empty());
    }
    assert!(StylePreset::try_from(15).is_err());
}

#[tokio::test]
async fn styles_carry_their_retries_timeout_and_verdict() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let style = EndpointStyle { api_version: "v".to_owned(), ..preset(StylePreset::Partylayer) };
    let endpoint = client.create_endpoint(styled(style)).await.unwrap().into_inner().endpoint.unwrap();
    let chosen = endpoint.policy.clone().unwrap();
    assert_eq!((chosen.retry, chosen.timeout, chosen.disable_after_dead), (None, None, None));
    let policy = endpoint.effective_policy.unwrap();
    let by_name = RetrySchedule { schedule: Some(retry_schedule::Schedule::Preset(RetryPreset::Partylayer as i32)) };
    assert_eq!((policy.retry, policy.timeout.unwrap().seconds), (Some(by_name), 30));

    let style = EndpointStyle { app_id: "app".to_owned(), ..preset(StylePreset::ErudikaPara) };
    // What was read is written back, policy and all, and pins nothing of the style before.
    let read = GetEndpointRequest { endpoint_id: endpoint.id, ..Default::default() };
    let read = client.get_endpoint(read).await.unwrap().into_inner().endpoint.unwrap();
    let update = UpdateEndpointRequest {
        endpoint: Some(Endpoint { style: Some(style), ..read }),
        update_mask: mask(&["style", "policy"]),
        ..Default::default()
    };
    let changed = client.update_endpoint(update).await.unwrap().into_inner().endpoint.unwrap();
    let policy = changed.effective_policy.unwrap();
    assert_eq!((policy.timeout.unwrap().seconds, policy.disable_after_dead), (15, Some(10)));
}

#[tokio::test]
async fn bad_styles_are_refused_with_everything_that_is_wrong() {
    let api = Api::start().await;
    let style = |change: fn(&mut EndpointStyle)| {
        let mut style = EndpointStyle::default();
        change(&mut style);
        style
    };
    let scheme = |change: fn(&mut SignatureScheme)| {
        let mut definition = custom();
        change(&mut definition);
        EndpointStyle {
            schemes: vec![EndpointScheme { name: "a".to_owned(), definition: Some(definition), ..Default::default() }],
            ..Default::default()
        }
    };
    let cases: Vec<(EndpointStyle, &[&str])> = vec![
        (style(|s| s.preset = 15), &["preset"]),
        (style(|s| s.preset = -1), &["preset"]),
        (style(|s| s.body_form = 999), &["body_form"]),
        (style(|s| s.app_id = "x".to_owned()), &["app_id"]),
        (style(|s| (s.app_id, s.api_version) = ("x".to_owned(), "y".to_owned())), &["app_id", "api_version"]),
        (preset(StylePreset::ErudikaPara), &["app_id"]),
        (preset(StylePreset::ErudikaParaForm), &["app_id"]),
        (preset(StylePreset::Partylayer), &["api_version"]),
        (EndpointStyle { api_version: "x".repeat(257), ..preset(StylePreset::Partylayer) }, &["api_version"]),
        (EndpointStyle { api_version: "a\0".to_owned(), ..preset(StylePreset::Partylayer) }, &["api_version"]),
        (style(|s| s.schemes = vec![EndpointScheme::default()]), &["schemes[0]"]),
        (style(|s| s.schemes = vec![named("A", SchemePreset::Parra)]), &["schemes[0].name"]),
        (style(|s| s.schemes = vec![EndpointScheme { preset: 99, ..Default::default() }]), &["schemes[0].preset"]),
        (
            style(|s| s.schemes = vec![named("a", SchemePreset::Parra), named("a", SchemePreset::Stripe)]),
            &["schemes[1].name"],
        ),
        (
            style(|s| {
                s.schemes = vec![named("a", SchemePreset::Standard), named("b", SchemePreset::ParaTimestampBody)]
            }),
            &["schemes[1]"],
        ),
        (style(|s| s.schemes = vec![named("", SchemePreset::Parra); 5]), &["schemes"]),
        (style(|s| s.envelope = Some(Envelope::default())), &["envelope"]),
        (scheme(|s| s.signed.clear()), &["schemes[0].definition.signed"]),
        (scheme(|s| s.algorithm = 0), &["schemes[0].definition.algorithm"]),
        (
            scheme(|s| (s.algorithm, s.key_form, s.encoding) = (7, 0, -4)),
            &["schemes[0].definition.algorithm", "schemes[0].definition.key_form", "schemes[0].definition.encoding"],
        ),
        (scheme(|s| s.signed[0].part = None), &["schemes[0].definition.signed[0]"]),
        (
            scheme(|s| s.signed[0] = SignaturePart { part: Some(signature_part::Part::Variable(8)) }),
            &["schemes[0].definition.signed[0]"],
        ),
        (scheme(|s| s.headers[0].name = "tidings-x".to_owned()), &["schemes[0].definition.headers[0].name"]),
    ];
    for (style, fields) in cases {
        let case = format!("{style:?}");
        let fields: Vec<String> = fields.iter().map(|field| format!("endpoint.style.{field}")).collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let mut client = api.client.clone();
        let call = client.create_endpoint(styled(style));
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
    }
}

#[tokio::test]
async fn what_is_wrong_in_several_places_is_told_at_once() {
    let api = Api::start().await;
    let style = EndpointStyle {
        schemes: vec![EndpointScheme::default(), named("a", SchemePreset::Parra)],
        body_form: 999,
        ..preset(StylePreset::Partylayer)
    };
    let mut request = styled(style);
    let endpoint = request.endpoint.as_mut().unwrap();
    endpoint.url = "nonsense".to_owned();
    endpoint.headers = vec![EndpointHeader { name: "host".to_owned(), value: None }];
    let fields = [
        "endpoint.style.schemes[0]",
        "endpoint.style.body_form",
        "endpoint.style.api_version",
        "endpoint.headers[0].name",
        "endpoint.headers[0].value",
        "endpoint.url",
    ];
    let mut client = api.client.clone();
    let call = client.create_endpoint(request);
    api.refuses("several", call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;

    // The header without a value counts: the one after it keeps its place.
    let mut request = styled(preset(StylePreset::Github));
    request.endpoint.as_mut().unwrap().headers = vec![
        EndpointHeader { name: "x-a".to_owned(), value: None },
        EndpointHeader { name: "x-hub-signature-256".to_owned(), value: Some("v".to_owned()) },
    ];
    let imported = ImportedSecret { scheme: "github".to_owned(), secret: "x".to_owned() };
    request.secrets = vec![imported; 5];
    let fields = [
        "endpoint.headers[1].name",
        "endpoint.headers[0].value",
        "secrets",
        "secrets[1].scheme",
        "secrets[2].scheme",
        "secrets[3].scheme",
    ];
    let mut client = api.client.clone();
    let call = client.create_endpoint(request);
    api.refuses("header places", call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
}

#[tokio::test]
async fn bad_envelopes_are_refused() {
    let api = Api::start().await;
    let field = |name: &str, value| EnvelopeField { name: name.to_owned(), value };
    let payload = || Some(envelope_field::Value::Variable(EnvelopeVariable::Payload as i32));
    let json = |fields| envelope::Envelope::Json(JsonEnvelope { fields });
    let events = |mode: i32, source: &str| {
        envelope::Envelope::CloudEvents(CloudEventsEnvelope { mode, source: source.to_owned() })
    };
    let unknown = || Some(envelope_field::Value::Variable(9));
    let cases = [
        (json(vec![field("a", None), field("b", payload())]), "envelope.json.fields[0]"),
        (json(vec![field("a", unknown()), field("b", payload())]), "envelope.json.fields[0]"),
        (json(vec![field("", payload())]), "envelope.json.fields[0].name"),
        (events(0, "/x"), "envelope.cloud_events.mode"),
        (events(1, ""), "envelope.cloud_events.source"),
        (events(2, "a b"), "envelope.cloud_events.source"),
    ];
    for (envelope, wrong) in cases {
        let case = format!("{envelope:?}");
        let style = EndpointStyle { envelope: Some(Envelope { envelope: Some(envelope) }), ..Default::default() };
        let mut client = api.client.clone();
        let call = client.create_endpoint(styled(style));
        let field = format!("endpoint.style.{wrong}");
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", &[&field]).await;
    }
}

#[tokio::test]
async fn new_schemes_get_secrets_and_old_ones_keep_theirs() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let endpoint = created(&api, "").await;
    let style = |schemes| Some(EndpointStyle { schemes, ..Default::default() });
    let update = |schemes, secrets: &[(&str, &str)]| UpdateEndpointRequest {
        endpoint: Some(Endpoint { id: endpoint.id.clone(), style: style(schemes), ..Default::default() }),
        update_mask: mask(&["style"]),
        secrets: secrets
            .iter()
            .map(|(scheme, secret)| ImportedSecret { scheme: (*scheme).to_owned(), secret: (*secret).to_owned() })
            .collect(),
        ..Default::default()
    };
    let acme = || EndpointScheme { name: "acme".to_owned(), definition: Some(custom()), ..Default::default() };
    let both = || vec![named("", SchemePreset::Standard), acme()];
    let answer = client.update_endpoint(update(both(), &[("acme", "hunter2")])).await.unwrap().into_inner();
    let [issued] = answer.issued_secrets.as_slice() else { panic!("{:?}", answer.issued_secrets) };
    assert_eq!((issued.scheme.as_str(), issued.secret.as_str()), ("acme", "hunter2"));
    assert!(issued.warning.contains("16"), "{}", issued.warning);

    let mut refusing = api.client.clone();
    let kept = refusing.update_endpoint(update(both(), &[("standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]));
    api.refuses("kept", kept, Code::InvalidArgument, "INVALID_REQUEST", &["secrets[0].scheme"]).await;
    let mut request = update(both(), &[("acme", "x")]);
    request.update_mask = mask(&["description"]);
    let mut refusing = api.client.clone();
    let unmasked = refusing.update_endpoint(request);
    api.refuses("unmasked", unmasked, Code::InvalidArgument, "INVALID_REQUEST", &["secrets"]).await;
    let mut refusing = api.client.clone();
    let secrets = [("none", "x"), ("acme", "x"), ("acme", "y")];
    let unknown = refusing.update_endpoint(update(both(), &secrets));
    let fields = ["secrets[0].scheme", "secrets[2].scheme"];
    api.refuses("unknown", unknown, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;

    // Neither may the first scheme have two in one request, by whichever field.
    let both_ways = CreateEndpointRequest {
        secret: Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()),
        secrets: vec![ImportedSecret {
            scheme: "standard".to_owned(),
            secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        }],
        ..create("")
    };
    let mut refusing = api.client.clone();
    let call = refusing.create_endpoint(both_ways);
    api.refuses("both ways", call, Code::InvalidArgument, "INVALID_REQUEST", &["secrets[0].scheme"]).await;

    let answer = client.update_endpoint(update(vec![acme()], &[])).await.unwrap().into_inner();
    assert!(answer.issued_secrets.is_empty());
    let list = ListEndpointSecretsRequest { endpoint_id: endpoint.id.clone(), ..Default::default() };
    let left = client.list_endpoint_secrets(list).await.unwrap().into_inner().secrets;
    assert_eq!(left.iter().map(|secret| secret.scheme.as_str()).collect::<Vec<_>>(), ["acme"]);
    assert_eq!(left[0].id, issued.secret_id);
}
