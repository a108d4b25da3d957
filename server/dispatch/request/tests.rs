//! What stands on the wire for the styles of endpoints.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{
    configure::{NewEndpoint, NewSecret, Rotation, Takeover},
    dispatch::{Origin, Place},
    fixture::{Fixture, TENANT, settings},
    model::{
        ChosenScheme, CustomHeader, DeliveryKey, EndpointSettings, EventContent, EventKey, SchemeChoice, StyleChoice,
        StylePreset, Timestamp,
    },
    signing::{DEFAULT_TOLERANCE, KeyForm, Received, SchemePreset, VerifyingKey},
};

const PAYLOAD: &str = "{ \"id\": \"1\", \"type\": \"user\", \"name\": \"Gordon Freeman\" }";

fn style(preset: StylePreset) -> StyleChoice {
    let (app_id, api_version) = match preset {
        StylePreset::ErudikaPara | StylePreset::ErudikaParaForm => (Some("myapp".to_owned()), None),
        StylePreset::PartyLayer => (None, Some("2026-03-01".to_owned())),
        _ => (None, None),
    };
    StyleChoice { preset, app_id, api_version, ..StyleChoice::default() }
}

async fn endpoint(fixture: &Fixture, choice: StyleChoice, headers: &[(&str, &str)]) -> EndpointEntry {
    let headers: Vec<CustomHeader> = headers
        .iter()
        .map(|(name, value)| CustomHeader { name: (*name).to_owned(), value: (*value).to_owned().into() })
        .collect();
    let settings = EndpointSettings {
        style: Style::new(choice).unwrap(),
        header_names: headers.iter().map(|header| header.name.clone()).collect(),
        ..settings()
    };
    let new = NewEndpoint {
        settings,
        disabled: false,
        secrets: Vec::<NewSecret>::new(),
        headers,
        credentials: Default::default(),
    };
    let (endpoint, _) = fixture.configurator.create_endpoint(TENANT, new).await.unwrap();
    EndpointEntry::clone(&fixture.shared.routes.endpoint(endpoint.key).unwrap())
}

fn job(entry: &EndpointEntry, content_type: &str, payload: &'static str) -> Job {
    let event = EventContent {
        key: EventKey(7),
        tenant: TENANT,
        id: "evt_abc123".into(),
        event_type: "user.create".into(),
        content_type: content_type.into(),
        payload: Bytes::from_static(payload.as_bytes()),
        time: Timestamp::from_micros(1_486_848_081_865_999),
        created: Timestamp::from_micros(1_700_000_000_000_000),
        ping_of: None,
        expires: None,
    };
    let key = DeliveryKey { event: event.key, endpoint: entry.endpoint.key };
    Job { key, event: event.into(), attempt: 3, base: 0, origin: Origin::Fresh, place: Place::Slot, last_chance: false }
}

fn sent(fixture: &Fixture, entry: &EndpointEntry, payload: &'static str) -> Request {
    let job = job(entry, "application/json", payload);
    let body = body(&job.event, &entry.endpoint.settings.style).unwrap();
    request(&fixture.shared, &job, entry, body).unwrap()
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().unwrap())
}

/// Which of the endpoint's present secrets of a scheme verify the request.
fn verifies(fixture: &Fixture, entry: &EndpointEntry, request: &Request, scheme: &str) -> bool {
    let style = &entry.endpoint.settings.style;
    let keys: Vec<VerifyingKey> = entry
        .signing_secrets(scheme, fixture.shared.clock.now())
        .into_iter()
        .map(|secret| VerifyingKey::from(&*secret.value))
        .collect();
    let body = crate::model::envelope::signed_part(style.body_form(), &request.body).unwrap();
    let header = |name: &str| header(request, name);
    let received = Received { header: &header, body: &body, url: Some(request.url.as_str()) };
    let now = fixture.shared.clock.wall();
    style.scheme(scheme).unwrap().scheme().verify(&keys, &received, now, DEFAULT_TOLERANCE).is_ok()
}

#[tokio::test]
async fn every_style_signs_what_its_receivers_verify() {
    let fixture = Fixture::new().await;
    for preset in StylePreset::ALL {
        let entry = endpoint(&fixture, style(preset), &[]).await;
        let request = sent(&fixture, &entry, PAYLOAD);
        let scheme = &entry.endpoint.settings.style.schemes()[0];
        assert!(verifies(&fixture, &entry, &request, &scheme.name), "{preset:?}");
        let names = scheme.scheme().definition().headers.iter().map(|header| header.name.to_ascii_lowercase());
        let mut expected: Vec<String> = names.collect();
        expected.extend(["content-type", "tidings-event-type", "tidings-attempt-id"].map(str::to_owned));
        expected.sort();
        let mut present: Vec<&str> = request.headers.keys().map(HeaderName::as_str).collect();
        present.sort_unstable();
        assert_eq!(present, expected, "{preset:?}");
        assert_eq!(header(&request, "tidings-event-type"), Some("user.create"));
        assert_eq!(request.timeout, preset.timeout());
    }
}

#[tokio::test]
async fn bodies_are_those_of_the_style() {
    let fixture = Fixture::new().await;
    let data = PAYLOAD;
    let erudika = format!(r#"{{"appid":"myapp","event":"create","items":[{data}],"timestamp":1486848081865}}"#);
    let form: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &erudika).finish();
    let cases = [
        (StylePreset::Standard, "application/json", data.to_owned()),
        (
            StylePreset::Para,
            "application/json",
            format!(r#"{{"id":"evt_abc123","type":"user.create","createdAt":"2017-02-11T21:21:21.865Z","data":{data}}}"#),
        ),
        (
            StylePreset::Parra,
            "application/json",
            format!(r#"{{"id":"evt_abc123","type":"user.create","payload":{data}}}"#),
        ),
        (StylePreset::ErudikaPara, "application/json", erudika.clone()),
        (StylePreset::ErudikaParaForm, "application/x-www-form-urlencoded", form),
        (
            StylePreset::PartyLayer,
            "application/json",
            r#"{"id":"evt_abc123","type":"user.create","created_at":"2017-02-11T21:21:21.865Z","api_version":"2026-03-01","data":{"id":"1","type":"user","name":"Gordon Freeman"}}"#.to_owned(),
        ),
    ];
    for (preset, content_type, expected) in cases {
        let entry = endpoint(&fixture, style(preset), &[]).await;
        let request = sent(&fixture, &entry, PAYLOAD);
        assert_eq!(std::str::from_utf8(&request.body).unwrap(), expected, "{preset:?}");
        assert_eq!(header(&request, "content-type"), Some(content_type), "{preset:?}");
    }
}

#[tokio::test]
async fn headers_of_operation_and_event_are_set() {
    let fixture = Fixture::new().await;
    let erudika = endpoint(&fixture, style(StylePreset::ErudikaPara), &[]).await;
    assert_eq!(header(&sent(&fixture, &erudika, PAYLOAD), "x-para-event"), Some("create"));
    let partylayer = endpoint(&fixture, style(StylePreset::PartyLayer), &[]).await;
    assert_eq!(header(&sent(&fixture, &partylayer, PAYLOAD), "x-partylayer-event-id"), Some("evt_abc123"));
}

#[tokio::test]
async fn old_and_new_schemes_sign_together_through_the_rotation_of_both() {
    let fixture = Fixture::new().await;
    let scheme = |name: &str, preset| SchemeChoice { name: name.to_owned(), scheme: ChosenScheme::Preset(preset) };
    let schemes = vec![scheme("old", SchemePreset::ErudikaPara), scheme("standard", SchemePreset::Standard)];
    let before = endpoint(&fixture, StyleChoice { schemes, ..StyleChoice::default() }, &[]).await;
    let key = before.endpoint.key;
    let both = |request: &Request, entry: &EndpointEntry| {
        verifies(&fixture, entry, request, "old") && verifies(&fixture, entry, request, "standard")
    };
    let now = || EndpointEntry::clone(&fixture.shared.routes.endpoint(key).unwrap());
    assert!(both(&sent(&fixture, &before, PAYLOAD), &before));

    let value = |form| std::sync::Arc::new(Secret::generate(form));
    let overlap = Takeover::Overlap(Duration::from_secs(60));
    let standard = Rotation { scheme: "standard".into(), value: value(KeyForm::Base64), takeover: overlap };
    fixture.configurator.rotate_secret(TENANT, key, None, standard).await.unwrap();
    let old = Rotation { scheme: "old".into(), value: value(KeyForm::Text), takeover: Takeover::OnActivation };
    let staged = fixture.configurator.rotate_secret(TENANT, key, None, old).await.unwrap();
    // A receiver that knows none of the new secrets, and one that knows all of them.
    let during = sent(&fixture, &now(), PAYLOAD);
    assert!(both(&during, &before) && both(&during, &now()));
    assert_eq!(header(&during, "webhook-signature").unwrap().split(' ').count(), 2);

    fixture.configurator.activate_secret(TENANT, key, None, staged[0].key).await.unwrap();
    fixture.shared.clock.advance(Duration::from_secs(61));
    let after = sent(&fixture, &now(), PAYLOAD);
    assert!(both(&after, &now()));
    assert!(!verifies(&fixture, &before, &after, "old"));
    assert_eq!(header(&after, "webhook-signature").unwrap().split(' ').count(), 1);
}

#[tokio::test]
async fn own_headers_are_sent_and_marked_sensitive() {
    let fixture = Fixture::new().await;
    let entry = endpoint(&fixture, StyleChoice::default(), &[("Authorization", "Bearer canary"), ("X-A", "")]).await;
    let request = sent(&fixture, &entry, PAYLOAD);
    assert_eq!(header(&request, "authorization"), Some("Bearer canary"));
    assert_eq!(header(&request, "x-a"), Some(""));
    assert!(!format!("{:?}", request.headers).contains("canary"));
}

#[tokio::test]
async fn payload_that_is_not_json_has_no_body_in_an_envelope() {
    let fixture = Fixture::new().await;
    for preset in StylePreset::ALL {
        let style = Style::new(style(preset)).unwrap();
        let entry = endpoint(&fixture, StyleChoice::default(), &[]).await;
        let made = body(&job(&entry, "text/plain", "hello").event, &style);
        let wraps = *style.envelope() != crate::model::envelope::Envelope::Raw;
        assert_eq!(made.is_err(), wraps, "{preset:?}");
    }
}
