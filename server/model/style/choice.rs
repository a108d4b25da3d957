//! A style as it is asked for and stored.

use serde::{Deserialize, Serialize};

use super::StylePreset;
use crate::{
    model::envelope::{BodyForm, Envelope},
    signing::{SchemeDefinition, SchemePreset},
};

/// A style as it was asked for: a preset, and what is to differ from it. Not checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct StyleChoice {
    /// The style by name.
    pub preset: StylePreset,
    /// How messages are signed; empty: by the preset's one scheme, under its own name.
    pub schemes: Vec<SchemeChoice>,
    /// How the payload stands in the body.
    pub envelope: Option<Envelope>,
    /// How the body is written.
    pub body_form: Option<BodyForm>,
    /// Erudika Para's `appid`.
    pub app_id: Option<String>,
    /// PartyLayer's `api_version`.
    pub api_version: Option<String>,
}

/// A scheme as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct SchemeChoice {
    /// Its name within the endpoint.
    pub name: String,
    /// The scheme.
    pub scheme: ChosenScheme,
}

/// A scheme by name or by itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenScheme {
    /// One known by name.
    Preset(#[serde(with = "preset_by_name")] SchemePreset),
    /// Another.
    Custom(SchemeDefinition),
}

mod preset_by_name {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::signing::SchemePreset;

    pub(super) fn serialize<S: Serializer>(preset: &SchemePreset, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(preset.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SchemePreset, D::Error> {
        let name = String::deserialize(deserializer)?;
        SchemePreset::from_name(&name).ok_or_else(|| D::Error::custom("no such scheme"))
    }
}
