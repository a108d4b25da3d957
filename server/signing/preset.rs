//! The schemes in the field, ready to be named.

use std::sync::LazyLock;

use super::scheme::{
    Algorithm::{Ed25519, HmacSha256},
    Encoding::{self, Base64, Hex},
    KeyForm, Part, SchemeDefinition, SchemeHeader, SignatureScheme,
    Variable::{Body, Id, Operation, Signature, Timestamp},
};

/// A scheme that somebody's receivers know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SchemePreset {
    /// Standard Webhooks (<https://www.standardwebhooks.com>), version `v1`.
    #[default]
    Standard,
    /// Standard Webhooks with Ed25519, version `v1a`.
    StandardEd25519,
    /// The headers of Standard Webhooks around time and body alone, under the whole secret.
    ParaTimestampBody,
    /// The same, under the secret decoded.
    ParaTimestampBodyDecoded,
    /// Parra.
    Parra,
    /// Erudika Para.
    ErudikaPara,
    /// PartyLayer.
    PartyLayer,
    /// GitHub.
    GitHub,
    /// Stripe.
    Stripe,
    /// Shopify.
    Shopify,
    /// Slack.
    Slack,
    /// Paragon. That its signatures are in hexadecimal is assumed.
    Paragon,
}

impl SchemePreset {
    /// Every preset, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::Standard,
        Self::StandardEd25519,
        Self::ParaTimestampBody,
        Self::ParaTimestampBodyDecoded,
        Self::Parra,
        Self::ErudikaPara,
        Self::PartyLayer,
        Self::GitHub,
        Self::Stripe,
        Self::Shopify,
        Self::Slack,
        Self::Paragon,
    ];

    /// Its name, as configuration and the command line have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::StandardEd25519 => "standard-ed25519",
            Self::ParaTimestampBody => "para-timestamp-body",
            Self::ParaTimestampBodyDecoded => "para-timestamp-body-decoded",
            Self::Parra => "parra",
            Self::ErudikaPara => "erudika-para",
            Self::PartyLayer => "partylayer",
            Self::GitHub => "github",
            Self::Stripe => "stripe",
            Self::Shopify => "shopify",
            Self::Slack => "slack",
            Self::Paragon => "paragon",
        }
    }

    /// Finds a preset by its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// Its scheme. Made once.
    pub fn scheme(self) -> &'static SignatureScheme {
        static SCHEMES: LazyLock<[SignatureScheme; SchemePreset::ALL.len()]> = LazyLock::new(|| {
            SchemePreset::ALL
                .map(|preset| SignatureScheme::new(preset.definition()).expect("presets keep the rules of schemes"))
        });
        &SCHEMES[self as usize]
    }

    fn definition(self) -> SchemeDefinition {
        let webhook = |signed: Vec<Part>| {
            let headers = [
                ("webhook-id", vec![Id.into()]),
                ("webhook-timestamp", vec![Timestamp.into()]),
                alone("webhook-signature"),
            ];
            (signed, headers)
        };
        let id_time_body = || vec![Id.into(), ".".into(), Timestamp.into(), ".".into(), Body.into()];
        let time_body = || vec![Timestamp.into(), ".".into(), Body.into()];
        let body = || vec![Body.into()];
        match self {
            Self::Standard => {
                let (signed, headers) = webhook(id_time_body());
                several(" ", hmac(signed, KeyForm::Base64, Base64, "v1,", headers))
            }
            Self::StandardEd25519 => {
                let (signed, headers) = webhook(id_time_body());
                let ed25519 = hmac(signed, KeyForm::Ed25519Seed, Base64, "v1a,", headers);
                several(" ", SchemeDefinition { algorithm: Ed25519, ..ed25519 })
            }
            Self::ParaTimestampBody => {
                let (signed, headers) = webhook(time_body());
                hmac(signed, KeyForm::Text, Base64, "", headers)
            }
            Self::ParaTimestampBodyDecoded => {
                let (signed, headers) = webhook(time_body());
                hmac(signed, KeyForm::Base64, Base64, "", headers)
            }
            Self::Parra => hmac(body(), KeyForm::Text, Hex, "", [alone("parra-signature")]),
            Self::ErudikaPara => {
                let headers = [alone("X-Webhook-Signature"), ("X-Para-Event", vec![Operation.into()])];
                hmac(body(), KeyForm::Text, Base64, "", headers)
            }
            Self::PartyLayer => {
                let headers = [
                    alone("X-PartyLayer-Signature"),
                    ("X-PartyLayer-Timestamp", vec![Timestamp.into()]),
                    ("X-PartyLayer-Event-Id", vec![Id.into()]),
                ];
                hmac(time_body(), KeyForm::Text, Hex, "sha256=", headers)
            }
            Self::GitHub => hmac(body(), KeyForm::Text, Hex, "sha256=", [alone("X-Hub-Signature-256")]),
            Self::Stripe => {
                let value = vec!["t=".into(), Timestamp.into(), ",".into(), Signature.into()];
                several(",", hmac(time_body(), KeyForm::Text, Hex, "v1=", [("Stripe-Signature", value)]))
            }
            Self::Shopify => hmac(body(), KeyForm::Text, Base64, "", [alone("X-Shopify-Hmac-Sha256")]),
            Self::Slack => {
                let signed = vec!["v0:".into(), Timestamp.into(), ":".into(), Body.into()];
                let headers = [alone("X-Slack-Signature"), ("X-Slack-Request-Timestamp", vec![Timestamp.into()])];
                hmac(signed, KeyForm::Text, Hex, "v0=", headers)
            }
            Self::Paragon => hmac(body(), KeyForm::Text, Hex, "v1=", [alone("x-paragon-signature")]),
        }
    }
}

type Header = (&'static str, Vec<Part>);

fn alone(name: &'static str) -> Header {
    (name, vec![Signature.into()])
}

fn hmac(
    signed: Vec<Part>,
    key_form: KeyForm,
    encoding: Encoding,
    prefix: &str,
    headers: impl IntoIterator<Item = Header>,
) -> SchemeDefinition {
    let header = |(name, value): Header| SchemeHeader { name: name.to_owned(), value };
    SchemeDefinition {
        signed,
        algorithm: HmacSha256,
        key_form,
        encoding,
        signature_prefix: prefix.to_owned(),
        signature_separator: None,
        headers: headers.into_iter().map(header).collect(),
    }
}

fn several(separator: &str, definition: SchemeDefinition) -> SchemeDefinition {
    SchemeDefinition { signature_separator: Some(separator.to_owned()), ..definition }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_found_by_its_name() {
        for preset in SchemePreset::ALL {
            assert_eq!(SchemePreset::from_name(preset.name()), Some(preset));
        }
        assert_eq!(SchemePreset::from_name("Standard"), None);
        assert_eq!(SchemePreset::from_name("svix"), None);
    }

    #[test]
    fn every_preset_keeps_the_rules_and_is_at_its_place() {
        for preset in SchemePreset::ALL {
            assert_eq!(SignatureScheme::new(preset.definition()).as_ref(), Ok(preset.scheme()), "{preset:?}");
        }
    }

    #[test]
    fn only_standard_webhooks_and_stripe_carry_several_signatures() {
        let several = SchemePreset::ALL.into_iter().filter(|preset| preset.scheme().joins_signatures());
        let names: Vec<_> = several.map(SchemePreset::name).collect();
        assert_eq!(names, ["standard", "standard-ed25519", "stripe"]);
    }
}
