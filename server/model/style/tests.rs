use super::{preset::object, *};
use crate::{
    model::{RetrySchedule, envelope::FieldValue},
    signing::KeyForm,
};

fn choice(preset: StylePreset) -> StyleChoice {
    let app_id = preset.takes_app_id().then(|| "myapp".to_owned());
    let api_version = preset.takes_api_version().then(|| "2026-03-01".to_owned());
    StyleChoice { preset, app_id, api_version, ..StyleChoice::default() }
}

fn named(name: &str, preset: SchemePreset) -> SchemeChoice {
    SchemeChoice { name: name.to_owned(), scheme: ChosenScheme::Preset(preset) }
}

fn wrong(choice: StyleChoice) -> Vec<String> {
    Style::new(choice).unwrap_err().into_iter().map(|violation| violation.path).collect()
}

#[test]
fn every_preset_makes_a_style_and_survives_being_stored() {
    for preset in StylePreset::ALL {
        let style = Style::new(choice(preset)).unwrap();
        assert_eq!(style.preset(), preset);
        assert_eq!(style.schemes().len(), 1);
        assert_eq!(style.schemes()[0].preset(), Some(preset.scheme()));
        assert_eq!(&*style.schemes()[0].name, preset.scheme().name());
        assert_eq!(style.envelope().check(style.body_form()), Ok(()));
        let text = serde_json::to_string(style.choice()).unwrap();
        assert!(text.contains(&format!("\"preset\":\"{}\"", preset.name())), "{text}");
        assert_eq!(Style::new(serde_json::from_str(&text).unwrap()).unwrap(), style);
        assert_eq!(StylePreset::from_name(preset.name()), Some(preset));
    }
    assert_eq!(StylePreset::from_name("Standard"), None);
}

#[test]
fn what_was_stored_before_there_were_styles_is_standard() {
    let style = Style::new(serde_json::from_str("{}").unwrap()).unwrap();
    assert_eq!(style, Style::default());
    assert_eq!(style.schemes()[0].scheme().definition().key_form, KeyForm::Base64);
}

#[test]
fn presets_have_the_retries_and_timeouts_of_their_services() {
    for preset in StylePreset::ALL {
        let (retry, timeout, dead) = match preset {
            StylePreset::PartyLayer => (RetrySchedule::Partylayer, 30, 0),
            StylePreset::ErudikaPara | StylePreset::ErudikaParaForm => (RetrySchedule::Standard, 15, 10),
            _ => (RetrySchedule::Standard, 15, 0),
        };
        assert_eq!(*preset.retry(), retry);
        assert_eq!((preset.timeout().as_secs(), preset.disable_after_dead()), (timeout, dead), "{preset:?}");
    }
}

#[test]
fn parameters_stand_where_they_are_used_and_nowhere_else() {
    assert_eq!(wrong(StyleChoice { preset: StylePreset::ErudikaPara, ..StyleChoice::default() }), ["app_id"]);
    assert_eq!(wrong(StyleChoice { app_id: Some("x".to_owned()), ..choice(StylePreset::PartyLayer) }), ["app_id"]);
    let raw = StyleChoice { envelope: Some(Envelope::Raw), ..choice(StylePreset::PartyLayer) };
    assert_eq!(wrong(raw.clone()), ["api_version"]);
    assert!(Style::new(StyleChoice { api_version: None, ..raw }).is_ok());
    let empty = StyleChoice { app_id: Some(String::new()), ..choice(StylePreset::ErudikaPara) };
    assert_eq!(wrong(empty), ["app_id"]);
    let long = StyleChoice { app_id: Some("x".repeat(256)), ..choice(StylePreset::ErudikaPara) };
    assert!(Style::new(long).is_ok());
}

#[test]
fn several_schemes_sign_together_unless_their_headers_collide() {
    let with = |schemes| StyleChoice { schemes, ..StyleChoice::default() };
    let asymmetric = named("asymmetric", SchemePreset::StandardEd25519);
    let both = Style::new(with(vec![named("standard", SchemePreset::Standard), asymmetric])).unwrap();
    assert_eq!(both.schemes().len(), 2);
    assert!(both.scheme("asymmetric").is_some() && both.scheme("Asymmetric").is_none());

    let collide = vec![named("a", SchemePreset::Standard), named("b", SchemePreset::ParaTimestampBody)];
    assert_eq!(wrong(with(collide)), ["schemes[1].headers[2].name"]);
    let many: Vec<_> = ["a", "b", "c", "d", "e"].map(|name| named(name, SchemePreset::Parra)).into();
    assert_eq!(wrong(with(many)), ["schemes"]);
    let long = "x".repeat(33);
    for name in ["", "A", "a b", "é", "a_b", long.as_str()] {
        assert_eq!(wrong(with(vec![named(name, SchemePreset::Parra)])), ["schemes[0].name"], "{name}");
    }
    let twice = vec![named("a", SchemePreset::Parra), named("a", SchemePreset::GitHub)];
    assert_eq!(wrong(with(twice)), ["schemes[1].name"]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let mut definition = SchemePreset::Parra.scheme().definition().clone();
    definition.signed.clear();
    definition.headers[0].name = "host".to_owned();
    let custom = SchemeChoice { name: "A".to_owned(), scheme: ChosenScheme::Custom(definition) };
    let choice = StyleChoice {
        schemes: vec![custom],
        envelope: Some(object([("", FieldValue::Payload)])),
        app_id: Some("x".to_owned()),
        ..StyleChoice::default()
    };
    let paths = [
        "schemes[0].name",
        "schemes[0].definition.signed",
        "schemes[0].definition.headers[0].name",
        "app_id",
        "envelope.json.fields[0].name",
    ];
    assert_eq!(wrong(choice), paths);
}
