//! The styles in the field, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    model::{
        RetrySchedule,
        envelope::{BodyForm, Envelope, EnvelopeField, FieldValue},
    },
    signing::SchemePreset,
};

/// Styles known by name. The numbers are those of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(i32)]
pub enum StylePreset {
    /// Standard Webhooks.
    #[default]
    Standard = 1,
    /// Standard Webhooks with asymmetric keys.
    StandardEd25519 = 2,
    /// Para, read as Standard Webhooks.
    Para = 3,
    /// Para's announcement, read to the letter.
    ParaTimestampBody = 4,
    /// The same with a decoded key.
    ParaTimestampBodyDecoded = 5,
    /// Parra.
    Parra = 6,
    /// Erudika Para.
    ErudikaPara = 7,
    /// Erudika Para, sent as a form.
    ErudikaParaForm = 8,
    /// PartyLayer.
    #[serde(rename = "partylayer")]
    PartyLayer = 9,
    /// GitHub.
    #[serde(rename = "github")]
    GitHub = 10,
    /// Stripe.
    Stripe = 11,
    /// Shopify.
    Shopify = 12,
    /// Slack.
    Slack = 13,
    /// Paragon.
    Paragon = 14,
}

impl StylePreset {
    /// All of them, by their numbers.
    pub const ALL: [Self; 14] = [
        Self::Standard,
        Self::StandardEd25519,
        Self::Para,
        Self::ParaTimestampBody,
        Self::ParaTimestampBodyDecoded,
        Self::Parra,
        Self::ErudikaPara,
        Self::ErudikaParaForm,
        Self::PartyLayer,
        Self::GitHub,
        Self::Stripe,
        Self::Shopify,
        Self::Slack,
        Self::Paragon,
    ];

    /// Its name, as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::StandardEd25519 => "standard-ed25519",
            Self::Para => "para",
            Self::ParaTimestampBody => "para-timestamp-body",
            Self::ParaTimestampBodyDecoded => "para-timestamp-body-decoded",
            Self::Parra => "parra",
            Self::ErudikaPara => "erudika-para",
            Self::ErudikaParaForm => "erudika-para-form",
            Self::PartyLayer => "partylayer",
            Self::GitHub => "github",
            Self::Stripe => "stripe",
            Self::Shopify => "shopify",
            Self::Slack => "slack",
            Self::Paragon => "paragon",
        }
    }

    /// The style of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// How it signs.
    pub fn scheme(self) -> SchemePreset {
        match self {
            Self::Standard | Self::Para => SchemePreset::Standard,
            Self::StandardEd25519 => SchemePreset::StandardEd25519,
            Self::ParaTimestampBody => SchemePreset::ParaTimestampBody,
            Self::ParaTimestampBodyDecoded => SchemePreset::ParaTimestampBodyDecoded,
            Self::Parra => SchemePreset::Parra,
            Self::ErudikaPara | Self::ErudikaParaForm => SchemePreset::ErudikaPara,
            Self::PartyLayer => SchemePreset::PartyLayer,
            Self::GitHub => SchemePreset::GitHub,
            Self::Stripe => SchemePreset::Stripe,
            Self::Shopify => SchemePreset::Shopify,
            Self::Slack => SchemePreset::Slack,
            Self::Paragon => SchemePreset::Paragon,
        }
    }

    /// How its body is written.
    pub fn body_form(self) -> BodyForm {
        match self {
            Self::ErudikaParaForm => BodyForm::FormPayload,
            Self::PartyLayer => BodyForm::StableJson,
            Self::Standard
            | Self::StandardEd25519
            | Self::Para
            | Self::ParaTimestampBody
            | Self::ParaTimestampBodyDecoded
            | Self::Parra
            | Self::ErudikaPara
            | Self::GitHub
            | Self::Stripe
            | Self::Shopify
            | Self::Slack
            | Self::Paragon => BodyForm::AsIs,
        }
    }

    /// When failed attempts are repeated.
    pub fn retry(self) -> &'static RetrySchedule {
        if self == Self::PartyLayer { &RetrySchedule::Partylayer } else { &RetrySchedule::Standard }
    }

    /// The limit over one whole exchange.
    pub fn timeout(self) -> Duration {
        Duration::from_secs(if self == Self::PartyLayer { 30 } else { 15 })
    }

    /// After how many dead deliveries in a row the endpoint is disabled; 0 for never.
    pub fn disable_after_dead(self) -> u32 {
        if self.takes_app_id() { 10 } else { 0 }
    }

    pub(super) fn takes_app_id(self) -> bool {
        matches!(self, Self::ErudikaPara | Self::ErudikaParaForm)
    }

    pub(super) fn takes_api_version(self) -> bool {
        self == Self::PartyLayer
    }

    /// How the payload stands in its body.
    pub(super) fn envelope(self, app_id: &str, api_version: &str) -> Envelope {
        let constant = |text: &str| FieldValue::Constant(text.to_owned());
        match self {
            Self::Standard
            | Self::StandardEd25519
            | Self::GitHub
            | Self::Stripe
            | Self::Shopify
            | Self::Slack
            | Self::Paragon => Envelope::Raw,
            Self::Para | Self::ParaTimestampBody | Self::ParaTimestampBodyDecoded => object([
                ("id", FieldValue::Id),
                ("type", FieldValue::Type),
                ("createdAt", FieldValue::TimeIso8601),
                ("data", FieldValue::Payload),
            ]),
            Self::Parra => {
                object([("id", FieldValue::Id), ("type", FieldValue::Type), ("payload", FieldValue::Payload)])
            }
            Self::ErudikaPara | Self::ErudikaParaForm => object([
                ("appid", constant(app_id)),
                ("event", FieldValue::Operation),
                ("items", FieldValue::PayloadAsArray),
                ("timestamp", FieldValue::TimeUnixMillis),
            ]),
            Self::PartyLayer => object([
                ("id", FieldValue::Id),
                ("type", FieldValue::Type),
                ("created_at", FieldValue::TimeIso8601),
                ("api_version", constant(api_version)),
                ("data", FieldValue::Payload),
            ]),
        }
    }
}

pub(super) fn object<const N: usize>(fields: [(&str, FieldValue); N]) -> Envelope {
    let field = |(name, value): (&str, FieldValue)| EnvelopeField { name: name.to_owned(), value };
    Envelope::Json { fields: fields.map(field).into() }
}
