//! Styles: how an endpoint's webhooks look on the wire, as one setting.
//!
//! A [`StyleChoice`] is what somebody asked for, a preset and what is to differ from it. A [`Style`] is one that was checked
//! and resolved, so that an attempt looks nothing up. What the styles are is data, here and in [`crate::signing`].

mod choice;
mod preset;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc};

pub use self::{
    choice::{ChosenScheme, SchemeChoice, StyleChoice},
    preset::StylePreset,
};
use super::envelope::{BodyForm, Envelope};
use crate::signing::{SchemeConflict, SchemePreset, SignatureScheme, schemes_conflict};

/// Schemes that sign one message, at most: each costs a signature and its headers.
pub const SCHEMES_MAX: usize = 4;

/// The longest name of an endpoint's scheme, in bytes.
const SCHEME_NAME_BYTES_MAX: usize = 32;

/// The longest `app_id` and `api_version`, in bytes.
const PARAMETER_BYTES_MAX: usize = 256;

/// What is wrong with a style, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {problem}")]
pub struct StyleViolation {
    /// The field, by its name in the protocol's `EndpointStyle`: `schemes[0].name`.
    pub path: String,
    /// What is wrong with it, as the rest of a sentence.
    pub problem: String,
}

/// A signature scheme of an endpoint's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointScheme {
    /// Its name within the endpoint; secrets belong to it.
    pub name: Arc<str>,
    signs: Signs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Signs {
    Preset(SchemePreset),
    Custom(Arc<SignatureScheme>),
}

impl EndpointScheme {
    /// The name under which everybody knows it, if it has one.
    pub fn preset(&self) -> Option<SchemePreset> {
        match self.signs {
            Signs::Preset(preset) => Some(preset),
            Signs::Custom(_) => None,
        }
    }

    /// How it signs.
    pub fn scheme(&self) -> &SignatureScheme {
        match &self.signs {
            Signs::Preset(preset) => preset.scheme(),
            Signs::Custom(scheme) => scheme,
        }
    }
}

/// A style that was checked, with all that an attempt needs. Cheap to clone: most endpoints have one of a few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style(Arc<Resolved>);

#[derive(Debug, PartialEq, Eq)]
struct Resolved {
    choice: StyleChoice,
    schemes: Vec<EndpointScheme>,
    envelope: Envelope,
    body_form: BodyForm,
}

impl Default for Style {
    fn default() -> Self {
        Self::from_preset(StylePreset::Standard)
    }
}

impl Style {
    /// Checks and resolves a style.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn new(choice: StyleChoice) -> Result<Self, Vec<StyleViolation>> {
        let mut found = Vec::new();
        let schemes = resolve_schemes(&choice, &mut found);
        check_parameters(&choice, &mut found);
        let body_form = choice.body_form.unwrap_or_else(|| choice.preset.body_form());
        let envelope = match &choice.envelope {
            Some(envelope) => envelope.clone(),
            None => {
                let parameter = |text: &Option<String>| text.clone().unwrap_or_default();
                choice.preset.envelope(&parameter(&choice.app_id), &parameter(&choice.api_version))
            }
        };
        // What the presets' envelopes hold was checked above, where callers know it by its own name.
        let chosen = choice.envelope.as_ref().and_then(|envelope| envelope.check(body_form).err());
        found.extend(chosen.into_iter().flatten().map(|violation| StyleViolation {
            path: format!("envelope.{}", violation.path),
            problem: violation.problem,
        }));
        if found.is_empty() {
            Ok(Self(Arc::new(Resolved { choice, schemes, envelope, body_form })))
        } else {
            Err(found)
        }
    }

    /// The style of a preset that takes no parameters, and nothing else.
    fn from_preset(preset: StylePreset) -> Self {
        let scheme = own_scheme(preset.scheme());
        let (envelope, body_form) = (preset.envelope("", ""), preset.body_form());
        let choice = StyleChoice { preset, ..StyleChoice::default() };
        Self(Arc::new(Resolved { choice, schemes: vec![scheme], envelope, body_form }))
    }

    /// The style as it was asked for.
    pub fn choice(&self) -> &StyleChoice {
        &self.0.choice
    }

    /// The preset that it starts from.
    pub fn preset(&self) -> StylePreset {
        self.0.choice.preset
    }

    /// How messages are signed; from one scheme to [`SCHEMES_MAX`], names unique.
    pub fn schemes(&self) -> &[EndpointScheme] {
        &self.0.schemes
    }

    /// The scheme of this name.
    pub fn scheme(&self, name: &str) -> Option<&EndpointScheme> {
        self.0.schemes.iter().find(|scheme| &*scheme.name == name)
    }

    /// How the payload stands in the body.
    pub fn envelope(&self) -> &Envelope {
        &self.0.envelope
    }

    /// How the body is written.
    pub fn body_form(&self) -> BodyForm {
        self.0.body_form
    }

    /// Whether the body is the payload as it was published.
    pub fn is_plain(&self) -> bool {
        self.0.envelope == Envelope::Raw && self.0.body_form == BodyForm::AsIs
    }
}

fn own_scheme(preset: SchemePreset) -> EndpointScheme {
    EndpointScheme { name: preset.name().into(), signs: Signs::Preset(preset) }
}

fn resolve_schemes(choice: &StyleChoice, found: &mut Vec<StyleViolation>) -> Vec<EndpointScheme> {
    if choice.schemes.is_empty() {
        return vec![own_scheme(choice.preset.scheme())];
    }
    let before = found.len();
    let mut report = |path: String, problem: String| found.push(StyleViolation { path, problem });
    if choice.schemes.len() > SCHEMES_MAX {
        report("schemes".to_owned(), format!("has {} entries, which is more than {SCHEMES_MAX}", choice.schemes.len()));
        return Vec::new();
    }
    let (mut names, mut schemes) = (HashSet::new(), Vec::new());
    for (index, SchemeChoice { name, scheme }) in choice.schemes.iter().enumerate() {
        if !is_scheme_name(name) {
            report(
                format!("schemes[{index}].name"),
                format!("must be 1 to {SCHEME_NAME_BYTES_MAX} of `a` to `z`, `0` to `9` and `-`"),
            );
        } else if !names.insert(name) {
            report(format!("schemes[{index}].name"), "is the name of an earlier scheme".to_owned());
        }
        let signs = match scheme {
            ChosenScheme::Preset(preset) => Signs::Preset(*preset),
            ChosenScheme::Custom(definition) => match SignatureScheme::new(definition.clone()) {
                Ok(scheme) => Signs::Custom(Arc::new(scheme)),
                Err(violations) => {
                    for violation in violations {
                        report(format!("schemes[{index}].definition.{}", violation.path), violation.problem);
                    }
                    continue;
                }
            },
        };
        schemes.push(EndpointScheme { name: name.as_str().into(), signs });
    }
    if found.len() == before {
        let all: Vec<&SignatureScheme> = schemes.iter().map(EndpointScheme::scheme).collect();
        found.extend(schemes_conflict(&all).iter().map(|conflict| collision(&schemes, conflict)));
    }
    schemes
}

/// A preset has no headers that callers could change, so it is in the way as a whole.
fn collision(schemes: &[EndpointScheme], conflict: &SchemeConflict) -> StyleViolation {
    let SchemeConflict { scheme: index, header, earlier } = *conflict;
    let scheme = &schemes[index];
    let name = &scheme.scheme().definition().headers[header].name;
    let path = match scheme.preset() {
        Some(_) => format!("schemes[{index}]"),
        None => format!("schemes[{index}].definition.headers[{header}].name"),
    };
    StyleViolation { path, problem: format!("cannot sign beside schemes[{earlier}]: both set `{name}`, differently") }
}

fn is_scheme_name(name: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=SCHEME_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(valid)
}

fn check_parameters(choice: &StyleChoice, found: &mut Vec<StyleViolation>) {
    let preset = choice.preset;
    let parameters = [
        ("app_id", &choice.app_id, preset.takes_app_id()),
        ("api_version", &choice.api_version, preset.takes_api_version()),
    ];
    for (path, value, taken) in parameters {
        let taken = taken && choice.envelope.is_none();
        let problem = match value {
            None if taken => format!("is required with the style `{}`", preset.name()),
            None => continue,
            Some(_) if !taken => format!("stands in no body of the style `{}` with this envelope", preset.name()),
            Some(text) if text.is_empty() => "is empty".to_owned(),
            Some(text) if text.len() > PARAMETER_BYTES_MAX => {
                format!("is {} bytes long, more than {PARAMETER_BYTES_MAX}", text.len())
            }
            Some(text) if text.contains('\0') => "contains NUL".to_owned(),
            Some(_) => continue,
        };
        found.push(StyleViolation { path: path.to_owned(), problem });
    }
}
