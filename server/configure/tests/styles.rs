//! Styles, schemes and headers of endpoints: what a change keeps, makes and refuses.

use zeroize::Zeroizing;

use super::*;
use crate::model::{ChosenScheme, CustomHeader, SchemeChoice, Style, StyleChoice, StylePreset};
use crate::signing::{KeyForm, SchemePreset};

fn style(schemes: &[(&str, SchemePreset)]) -> Style {
    let choice = |(name, preset): &(&str, SchemePreset)| SchemeChoice {
        name: (*name).to_owned(),
        scheme: ChosenScheme::Preset(*preset),
    };
    Style::new(StyleChoice { schemes: schemes.iter().map(choice).collect(), ..StyleChoice::default() }).unwrap()
}

fn to(style: Style) -> EndpointPatch {
    EndpointPatch { style: Some(style), ..EndpointPatch::default() }
}

fn imported(scheme: &str, text: &str) -> NewSecret {
    let value = Arc::new(signing::Secret::parse(text, KeyForm::Text).unwrap());
    NewSecret { scheme: scheme.to_owned(), value }
}

fn schemes(secrets: &[Secret]) -> Vec<&str> {
    secrets.iter().map(|secret| &*secret.scheme).collect()
}

fn refused_fields<T>(result: Result<T, Error>) -> Vec<String> {
    match result {
        Err(Error::Refused(refusals)) => refusals.into_iter().map(|refusal| refusal.field).collect(),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was taken"),
    }
}

#[tokio::test]
async fn every_scheme_begins_with_the_secret_given_for_it_or_a_new_one() {
    let fixture = Fixture::new().await;
    let style = style(&[("old", SchemePreset::Parra), ("standard", SchemePreset::Standard)]);
    let new = NewEndpoint {
        settings: EndpointSettings { style, ..settings() },
        disabled: false,
        secrets: vec![imported("old", "abc")],
        headers: Vec::new(),
        credentials: Default::default(),
    };
    let (endpoint, issued) = fixture.configurator.create_endpoint(TENANT, new).await.unwrap();
    assert_eq!(schemes(&issued), ["old", "standard"]);
    assert_eq!(issued[0].value.expose(), "abc");
    assert_eq!(issued[1].value.form(), KeyForm::Base64);
    let stored = fixture.stored_secrets(endpoint.key).await;
    assert_eq!(texts(&stored), [issued[1].value.expose(), "abc"]);
    assert_eq!(fixture.stored(endpoint.key).await, endpoint);
}

#[tokio::test]
async fn scheme_that_keeps_name_and_key_form_keeps_its_secrets() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    fixture.configurator.rotate_secret(TENANT, key, None, rotation(DAY)).await.unwrap();
    let before = fixture.stored_secrets(key).await;

    let both = style(&[("standard", SchemePreset::Standard), ("old", SchemePreset::Parra)]);
    let (_, issued) = fixture.configurator.update_endpoint(TENANT, key, None, to(both)).await.unwrap();
    assert_eq!(schemes(&issued), ["old"]);
    let with_old = fixture.stored_secrets(key).await;
    assert_eq!(texts(&with_old)[1..], texts(&before));

    // Of the same form although of another kind: what a receiver holds goes on being the key.
    let renamed = style(&[("standard", SchemePreset::ParaTimestampBodyDecoded)]);
    let (_, issued) = fixture.configurator.update_endpoint(TENANT, key, None, to(renamed)).await.unwrap();
    assert!(issued.is_empty());
    assert_eq!(texts(&fixture.stored_secrets(key).await), texts(&before));

    let text = style(&[("standard", SchemePreset::GitHub)]);
    let (_, issued) = fixture.configurator.update_endpoint(TENANT, key, None, to(text)).await.unwrap();
    assert_eq!(schemes(&issued), ["standard"]);
    let after = fixture.stored_secrets(key).await;
    assert_eq!(texts(&after), texts(&issued));
    assert_eq!(texts(&fixture.shared.routes.endpoint(key).unwrap().secrets), texts(&issued));
}

#[tokio::test]
async fn secrets_are_taken_for_new_schemes_only() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    let before = fixture.stored(key).await;
    let both = style(&[("standard", SchemePreset::Standard), ("old", SchemePreset::Parra)]);
    let secrets = vec![imported("standard", "a"), imported("old", "b"), imported("none", "c")];
    let patch = EndpointPatch { secrets, ..to(both.clone()) };
    let refused = fixture.configurator.update_endpoint(TENANT, key, None, patch).await;
    assert_eq!(refused_fields(refused), ["secrets[0].scheme", "secrets[2].scheme"]);
    assert_eq!(fixture.stored(key).await, before);
    assert_eq!(fixture.stored_secrets(key).await.len(), 1);

    let patch = EndpointPatch { secrets: vec![imported("old", "b")], ..to(both) };
    let (_, issued) = fixture.configurator.update_endpoint(TENANT, key, None, patch).await.unwrap();
    assert_eq!(texts(&issued), ["b"]);
}

#[tokio::test]
async fn each_scheme_rotates_by_itself_and_as_its_header_allows() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    let both = style(&[("standard", SchemePreset::Standard), ("old", SchemePreset::Parra)]);
    fixture.configurator.update_endpoint(TENANT, key, None, to(both)).await.unwrap();
    let standard = fixture.configurator.rotate_secret(TENANT, key, None, rotation(DAY)).await.unwrap();
    assert_eq!(schemes(&standard), ["standard", "standard"]);
    let value = Arc::new(signing::Secret::generate(KeyForm::Text));
    let old = |takeover| Rotation { scheme: "old".into(), value: value.clone(), takeover };
    let staged = fixture.configurator.rotate_secret(TENANT, key, None, old(Takeover::OnActivation)).await.unwrap();
    assert_eq!(schemes(&staged), ["old", "old"]);
    let entry = fixture.shared.routes.endpoint(key).unwrap();
    let now = fixture.shared.clock.now();
    assert_eq!(entry.signing_secrets("standard", now).len(), 2);
    assert_eq!(entry.signing_secrets("old", now).len(), 1);

    let unfit = [
        Rotation { takeover: Takeover::OnActivation, ..rotation(DAY) },
        old(Takeover::Overlap(DAY)),
        Rotation { scheme: "none".into(), ..rotation(DAY) },
        Rotation { scheme: "old".into(), takeover: Takeover::OnActivation, ..rotation(DAY) },
    ];
    for rotation in unfit {
        let refused = fixture.configurator.rotate_secret(TENANT, key, None, rotation).await;
        assert!(matches!(refused, Err(Error::SchemeChanged)), "{refused:?}");
    }
}

#[tokio::test]
async fn overlap_is_kept_by_a_scheme_that_turns_to_one_signature() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    let both = fixture.configurator.rotate_secret(TENANT, key, None, rotation(DAY)).await.unwrap();
    let single = style(&[("standard", SchemePreset::ParaTimestampBodyDecoded)]);
    fixture.configurator.update_endpoint(TENANT, key, None, to(single)).await.unwrap();
    let signing = || {
        let entry = fixture.shared.routes.endpoint(key).unwrap();
        let signing = entry.signing_secrets("standard", fixture.shared.clock.now());
        signing.iter().map(|secret| secret.key).collect::<Vec<_>>()
    };
    assert_eq!(signing(), [both[1].key], "receivers were promised the old secret for a day");
    fixture.shared.clock.advance(DAY);
    assert_eq!(signing(), [both[0].key]);
}

#[tokio::test]
async fn staged_secret_goes_on_waiting_in_a_scheme_that_turns_to_several_signatures() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    let single = style(&[("standard", SchemePreset::ParaTimestampBodyDecoded)]);
    fixture.configurator.update_endpoint(TENANT, key, None, to(single)).await.unwrap();
    let staged = Rotation { takeover: Takeover::OnActivation, ..rotation(DAY) };
    let staged = fixture.configurator.rotate_secret(TENANT, key, None, staged).await.unwrap();
    let joining = style(&[("standard", SchemePreset::Standard)]);
    fixture.configurator.update_endpoint(TENANT, key, None, to(joining)).await.unwrap();
    let rotated = fixture.configurator.rotate_secret(TENANT, key, None, rotation(DAY)).await.unwrap();
    assert_eq!(rotated.len(), 3);
    let activated = fixture.configurator.activate_secret(TENANT, key, None, staged[0].key).await.unwrap();
    assert_eq!(texts(&activated), texts(&rotated), "all of them sign, side by side");
    let entry = fixture.shared.routes.endpoint(key).unwrap();
    assert_eq!(entry.signing_secrets("standard", fixture.shared.clock.now()).len(), 3);
    fixture.shared.clock.advance(DAY);
    assert_eq!(entry.signing_secrets("standard", fixture.shared.clock.now())[0].key, staged[0].key);
    assert_eq!(entry.signing_secrets("standard", fixture.shared.clock.now()).len(), 1);
}

fn patch(name: &str, value: Option<&str>) -> HeaderPatch {
    HeaderPatch { name: name.to_owned(), value: value.map(|value| Zeroizing::new(value.to_owned())) }
}

fn pairs(headers: &[CustomHeader]) -> Vec<(&str, &str)> {
    headers.iter().map(|header| (header.name.as_str(), header.value.as_str())).collect()
}

#[tokio::test]
async fn headers_without_a_value_keep_the_one_stored_and_are_sealed() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    let set = |headers| EndpointPatch { headers: Some(headers), ..EndpointPatch::default() };
    let first = set(vec![patch("X-One", Some("canary-1")), patch("X-Two", Some("2"))]);
    let (endpoint, _) = fixture.configurator.update_endpoint(TENANT, key, None, first).await.unwrap();
    assert_eq!(endpoint.settings.header_names, ["X-One", "X-Two"]);

    let second = set(vec![patch("x-one", None), patch("X-Three", Some("3"))]);
    fixture.configurator.update_endpoint(TENANT, key, None, second).await.unwrap();
    let refused = set(vec![patch("X-Two", None), patch("X-One", None), patch("X-Four", None)]);
    let refused = fixture.configurator.update_endpoint(TENANT, key, None, refused).await;
    assert_eq!(refused_fields(refused), ["endpoint.headers[0].value", "endpoint.headers[2].value"]);

    let fixture = fixture.reopened().await;
    let entry = fixture.shared.routes.endpoint(key).unwrap();
    assert_eq!(pairs(&entry.headers), [("x-one", "canary-1"), ("X-Three", "3")]);
    assert!(!format!("{entry:?}").contains("canary"));

    fixture.configurator.update_endpoint(TENANT, key, None, set(Vec::new())).await.unwrap();
    assert!(fixture.shared.routes.endpoint(key).unwrap().headers.is_empty());
}

#[tokio::test]
async fn headers_and_schemes_do_not_meet_whichever_comes_first() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    let headers = EndpointPatch {
        headers: Some(vec![patch("A", Some("1")), patch("PARRA-signature", Some("2"))]),
        ..EndpointPatch::default()
    };
    fixture.configurator.update_endpoint(TENANT, key, None, headers.clone()).await.unwrap();
    let parra = Style::new(StyleChoice { preset: StylePreset::Parra, ..StyleChoice::default() }).unwrap();
    let refused = fixture.configurator.update_endpoint(TENANT, key, None, to(parra.clone())).await;
    assert_eq!(refused_fields(refused), ["endpoint.style"]);

    let other = fixture.endpoint(false).await.key;
    fixture.configurator.update_endpoint(TENANT, other, None, to(parra)).await.unwrap();
    let refused = fixture.configurator.update_endpoint(TENANT, other, None, headers).await;
    assert_eq!(refused_fields(refused), ["endpoint.headers[1].name"]);
    assert!(fixture.shared.routes.endpoint(other).unwrap().headers.is_empty());
}

twins!(
    "styles.rs",
    [
        every_scheme_begins_with_the_secret_given_for_it_or_a_new_one,
        scheme_that_keeps_name_and_key_form_keeps_its_secrets,
        secrets_are_taken_for_new_schemes_only,
        each_scheme_rotates_by_itself_and_as_its_header_allows,
        overlap_is_kept_by_a_scheme_that_turns_to_one_signature,
        staged_secret_goes_on_waiting_in_a_scheme_that_turns_to_several_signatures,
        headers_without_a_value_keep_the_one_stored_and_are_sealed,
        headers_and_schemes_do_not_meet_whichever_comes_first,
    ]
);
