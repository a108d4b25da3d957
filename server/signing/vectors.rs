//! Signatures that others made, or that follow from what they document: each scheme has to make them and to accept them, or
//! to refuse them.

use super::scheme::SignatureScheme;
use super::{
    KeyForm, Message, Part, Received, SchemePreset, Secret, Signer, Variable, VerifyError, VerifyingKey, sign,
};
use crate::model::Timestamp;

struct Vector {
    name: &'static str,
    preset: SchemePreset,
    /// Newest first; those that sign.
    secrets: &'static [&'static str],
    id: &'static str,
    secs: i64,
    body: &'static str,
    /// The headers, all of them.
    headers: &'static [(&'static str, &'static str)],
    /// `None`: it is what the scheme signs.
    refused: Option<Refused>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Refused {
    Malformed,
    Mismatch,
}

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_KEY: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PUBLIC_KEY: &str = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
const TEST: &str = r#"{"test": 2432232314}"#;
const WALLET: &str = r#"{"id":"evt_550e8400-e29b-41d4-a716-446655440000","type":"wallet.created","createdAt":"2026-03-01T10:00:00.000Z","data":{"walletId":"w_1","userId":"u_1","type":"EVM"}}"#;
const FORM_JSON: &str = r#"{"appid":"myapp","event":"create","items":[{"id":"1","type":"user","name":"Gordon Freeman"}],"timestamp":1486848081865}"#;
const USER: &str = r#"{"id":"evt_abc123","type":"user.created","created_at":"2026-03-01T10:00:00.000Z","api_version":"2026-03-01","data":{"userId":"usr_xyz","email":"alice@example.com","partyId":"myapp_alice::1220abcd"}}"#;

const VECTORS: &[Vector] = &[
    Vector {
        name: "the reference libraries' message",
        preset: SchemePreset::Standard,
        secrets: &[KEY],
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        secs: 1_614_265_330,
        body: TEST,
        headers: &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ],
        refused: None,
    },
    Vector {
        name: "both secrets of a rotation, newest first",
        preset: SchemePreset::Standard,
        secrets: &[KEY, OTHER_KEY],
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        secs: 1_614_265_330,
        body: TEST,
        headers: &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            (
                "webhook-signature",
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,O4Gjv1HqPqsMrjmczoggs/sWA8gZD0VyHG+fLh4+ktI=",
            ),
        ],
        refused: None,
    },
    Vector {
        name: "the reference libraries' message with Ed25519",
        preset: SchemePreset::StandardEd25519,
        secrets: &["whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="],
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        secs: 1_614_265_330,
        body: TEST,
        headers: &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            (
                "webhook-signature",
                "v1a,yoUrgEkc12aGqm0n4Sydmdz55xJfTz4AsAgieHFjmkR7LJtqVCZOQYzvvHjI5kAey+r4iaBGxTFRrl2iBQxtDQ==",
            ),
        ],
        refused: None,
    },
    Vector {
        name: "Standard Webhooks around an envelope",
        preset: SchemePreset::Standard,
        secrets: &[KEY],
        id: "evt_550e8400-e29b-41d4-a716-446655440000",
        secs: 1_772_359_200,
        body: WALLET,
        headers: &[
            ("webhook-id", "evt_550e8400-e29b-41d4-a716-446655440000"),
            ("webhook-timestamp", "1772359200"),
            ("webhook-signature", "v1,z3OM8PVxvebZw4JnG0UuDnAP4C9hS6XbuBGqjLdsogY="),
        ],
        refused: None,
    },
    Vector {
        name: "time and body under the whole secret",
        preset: SchemePreset::ParaTimestampBody,
        secrets: &[KEY],
        id: "evt_550e8400-e29b-41d4-a716-446655440000",
        secs: 1_772_359_200,
        body: WALLET,
        headers: &[
            ("webhook-id", "evt_550e8400-e29b-41d4-a716-446655440000"),
            ("webhook-timestamp", "1772359200"),
            ("webhook-signature", "6S8/WM5zjH66hMiQCLWtdV/xyQ94UYmGrktDTuFhzCI="),
        ],
        refused: None,
    },
    Vector {
        name: "time and body under the decoded secret",
        preset: SchemePreset::ParaTimestampBodyDecoded,
        secrets: &[KEY],
        id: "evt_550e8400-e29b-41d4-a716-446655440000",
        secs: 1_772_359_200,
        body: WALLET,
        headers: &[
            ("webhook-id", "evt_550e8400-e29b-41d4-a716-446655440000"),
            ("webhook-timestamp", "1772359200"),
            ("webhook-signature", "6cv5ikorx5CejBiJtInCnTa7a+hvevjXsnum9UHZs9I="),
        ],
        refused: None,
    },
    Vector {
        name: "parra, a body of ASCII",
        preset: SchemePreset::Parra,
        secrets: &["parra_test_secret"],
        id: "evt_1",
        secs: 1_772_359_200,
        body: r#"{"id":"a056V7R7NmNRjl70","type":"conversation.updated","payload":{"id":"WAz8eIbvDR60rouK"}}"#,
        headers: &[("parra-signature", "49fabfc535bf5273092cf51bfcb4f09fc34a3c1c5909fff47d38abc36219b5fe")],
        refused: None,
    },
    Vector {
        name: "parra, a body beyond ASCII",
        preset: SchemePreset::Parra,
        secrets: &["parra_test_secret"],
        id: "evt_1",
        secs: 1_772_359_200,
        body: r#"{"id":"a056V7R7NmNRjl70","type":"message.updated","payload":{"id":"SIuAFUNKdSYHZF2w","message":"I’m traveling"}}"#,
        headers: &[("parra-signature", "de78d81846f9af5b4c4fc41ceaabc2ff9625c5e771ceca56ab990fb465a63aa8")],
        refused: None,
    },
    Vector {
        name: "parra, a body escaped after it was signed",
        preset: SchemePreset::Parra,
        secrets: &["parra_test_secret"],
        id: "evt_1",
        secs: 1_772_359_200,
        body: r#"{"id":"a056V7R7NmNRjl70","type":"message.updated","payload":{"id":"SIuAFUNKdSYHZF2w","message":"I\u2019m traveling"}}"#,
        headers: &[("parra-signature", "de78d81846f9af5b4c4fc41ceaabc2ff9625c5e771ceca56ab990fb465a63aa8")],
        refused: Some(Refused::Mismatch),
    },
    Vector {
        name: "erudika-para, a JSON body",
        preset: SchemePreset::ErudikaPara,
        secrets: &["secret"],
        id: "evt_1",
        secs: 1_772_359_200,
        body: FORM_JSON,
        headers: &[("X-Webhook-Signature", "CBZlxPIyrqEQJrjx3rcAllmGMSdY4sBJR/zUzrwWS18="), ("X-Para-Event", "create")],
        refused: None,
    },
    Vector {
        name: "erudika-para, the JSON that a form carries",
        preset: SchemePreset::ErudikaPara,
        secrets: &["secret"],
        id: "evt_1",
        secs: 1_772_359_200,
        body: FORM_JSON,
        headers: &[("X-Webhook-Signature", "CBZlxPIyrqEQJrjx3rcAllmGMSdY4sBJR/zUzrwWS18="), ("X-Para-Event", "create")],
        refused: None,
    },
    Vector {
        name: "erudika-para, signed over the bytes of the form",
        preset: SchemePreset::ErudikaPara,
        secrets: &["secret"],
        id: "evt_1",
        secs: 1_772_359_200,
        body: FORM_JSON,
        headers: &[("X-Webhook-Signature", "Kcu4ZFfPybuksZiG6MV63b83CvJyFjYzDp45ibK+V7M="), ("X-Para-Event", "create")],
        refused: Some(Refused::Mismatch),
    },
    Vector {
        name: "partylayer",
        preset: SchemePreset::PartyLayer,
        secrets: &["whsec_partylayer_test"],
        id: "evt_abc123",
        secs: 1_772_359_200,
        body: USER,
        headers: &[
            ("X-PartyLayer-Signature", "sha256=7e9015174d701de3502789ef2f3cab05aab6b3f1928371e2b594e66e07600ddc"),
            ("X-PartyLayer-Timestamp", "1772359200"),
            ("X-PartyLayer-Event-Id", "evt_abc123"),
        ],
        refused: None,
    },
    Vector {
        name: "partylayer, a body as ECMAScript writes it",
        preset: SchemePreset::PartyLayer,
        secrets: &["whsec_partylayer_test"],
        id: "evt_abc123",
        secs: 1_772_359_200,
        body: r#"{"id":"evt_abc123","type":"user.created","created_at":"2026-03-01T10:00:00.000Z","api_version":"2026-03-01","data":{"n":1,"s":"é","u":"a/b"}}"#,
        headers: &[
            ("X-PartyLayer-Signature", "sha256=48f095eb84071feab523e2c1d51aee1f73c8865870bc4b84177c10b95850c1d7"),
            ("X-PartyLayer-Timestamp", "1772359200"),
            ("X-PartyLayer-Event-Id", "evt_abc123"),
        ],
        refused: None,
    },
    Vector {
        name: "partylayer, signed without its time",
        preset: SchemePreset::PartyLayer,
        secrets: &["whsec_partylayer_test"],
        id: "evt_abc123",
        secs: 1_772_359_200,
        body: USER,
        headers: &[
            ("X-PartyLayer-Signature", "sha256=b21eabbad2190dd70aa9f4754ac1bd86d64a5314541ba4d89f761d91a332b526"),
            ("X-PartyLayer-Timestamp", "1772359200"),
            ("X-PartyLayer-Event-Id", "evt_abc123"),
        ],
        refused: Some(Refused::Mismatch),
    },
    Vector {
        name: "nothing after the version",
        preset: SchemePreset::Standard,
        secrets: &[KEY],
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        secs: 1_614_265_330,
        body: TEST,
        headers: &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,"),
        ],
        refused: Some(Refused::Malformed),
    },
    Vector {
        name: "a secret used whole instead of decoded",
        preset: SchemePreset::Standard,
        secrets: &[KEY],
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        secs: 1_614_265_330,
        body: TEST,
        headers: &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,TcxlhK9b6UD6iVI1ZU2tTqp8PEVfYRseNNfa6b+LcUg="),
        ],
        refused: Some(Refused::Mismatch),
    },
    Vector {
        name: "github",
        preset: SchemePreset::GitHub,
        secrets: &["It's a Secret to Everybody"],
        id: "evt_1",
        secs: 1_772_359_200,
        body: "Hello, World!",
        headers: &[("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")],
        refused: None,
    },
    Vector {
        name: "stripe",
        preset: SchemePreset::Stripe,
        secrets: &["whsec_test_secret"],
        id: "evt_1",
        secs: 1_772_359_200,
        body: WALLET,
        headers: &[(
            "Stripe-Signature",
            "t=1772359200,v1=cf48d35d05bfc79810c85a9991d12c7fbe9053e675f516fd7fdd32928071ebd4",
        )],
        refused: None,
    },
    Vector {
        name: "shopify",
        preset: SchemePreset::Shopify,
        secrets: &["shpss_test"],
        id: "evt_1",
        secs: 1_772_359_200,
        body: WALLET,
        headers: &[("X-Shopify-Hmac-Sha256", "RQeAMg0aw0q+bZ/HLYn+8aoPAF9S5Zmn7RkE4SmnJLM=")],
        refused: None,
    },
    Vector {
        name: "slack",
        preset: SchemePreset::Slack,
        secrets: &["8f742231b10e8888abcd99yyyzzz85a5"],
        id: "evt_1",
        secs: 1_531_420_618,
        body: "token=xyz&team_id=T1&text=hi",
        headers: &[
            ("X-Slack-Signature", "v0=a18534929256988d8478aa1cf1d284073f9ebdbc7c0af65d83e340bac7f765a5"),
            ("X-Slack-Request-Timestamp", "1531420618"),
        ],
        refused: None,
    },
    Vector {
        name: "paragon",
        preset: SchemePreset::Paragon,
        secrets: &["paragon_signing_secret"],
        id: "evt_1",
        secs: 1_772_359_200,
        body: r#"{"eventId":"00000000-0000-4000-8000-000000000001","userId":"12345","integration":"salesforce","triggerType":"SALESFORCE_TRIGGER_RECORD_CREATED","payload":{}}"#,
        headers: &[("x-paragon-signature", "v1=76ad4f706b5c1af219418cfaa3d635369f25dfd6109d6b2b722ccf0eff6f93ab")],
        refused: None,
    },
];

impl Vector {
    fn scheme(&self) -> &'static SignatureScheme {
        self.preset.scheme()
    }

    fn form(&self) -> KeyForm {
        self.scheme().definition().key_form
    }

    fn secrets(&self) -> Vec<Secret> {
        self.secrets.iter().map(|text| Secret::parse(text, self.form()).unwrap()).collect()
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.secs * 1_000_000)
    }

    fn verify(&self, key: &VerifyingKey) -> Result<super::Verified<'static>, VerifyError> {
        let header = |name: &str| {
            self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
        };
        let received = Received { header: &header, body: self.body.as_bytes(), url: None };
        self.scheme().verify(std::slice::from_ref(key), &received, self.now(), super::DEFAULT_TOLERANCE)
    }

    fn signed(&self) -> Vec<(&'static str, String)> {
        let secrets = self.secrets();
        let secrets: Vec<&Secret> = secrets.iter().collect();
        let message = Message {
            id: self.id,
            timestamp: self.now(),
            event_type: "user.create",
            url: "https://example.com/hook",
            body: self.body.as_bytes(),
        };
        let signed = sign(&[Signer { scheme: self.scheme(), secrets: &secrets }], &message);
        signed.into_iter().map(|header| (self.own_name(header.name), header.value)).collect()
    }

    /// The vector's own text for a header's name, so that the case is compared too.
    fn own_name(&self, name: &str) -> &'static str {
        self.headers.iter().find(|(known, _)| *known == name).map_or("another header", |(known, _)| known)
    }
}

#[test]
fn every_accepted_vector_is_what_its_scheme_signs() {
    for vector in VECTORS.iter().filter(|vector| vector.refused.is_none()) {
        let mut expected: Vec<_> = vector.headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut signed = vector.signed();
        expected.sort();
        signed.sort();
        assert_eq!(signed, expected, "{}", vector.name);
    }
}

#[test]
fn every_accepted_vector_verifies_by_each_of_its_secrets() {
    for vector in VECTORS.iter().filter(|vector| vector.refused.is_none()) {
        for secret in vector.secrets() {
            let verified = vector.verify(&VerifyingKey::from(&secret)).unwrap_or_else(|error| {
                panic!("{}: {error}", vector.name);
            });
            let definition = vector.scheme().definition();
            let carries =
                |variable| definition.headers.iter().any(|header| header.value.contains(&Part::Variable(variable)));
            assert_eq!(verified.id, carries(Variable::Id).then_some(vector.id), "{}", vector.name);
            assert_eq!(verified.signed, carries(Variable::Timestamp).then_some(vector.now()), "{}", vector.name);
        }
    }
}

#[test]
fn every_refused_vector_is_refused_for_its_reason() {
    for vector in VECTORS {
        let Some(expected) = vector.refused else { continue };
        for secret in vector.secrets() {
            let refused = match vector.verify(&VerifyingKey::from(&secret)).unwrap_err() {
                VerifyError::Mismatch => Refused::Mismatch,
                VerifyError::MalformedSignature { .. } => Refused::Malformed,
                other => panic!("{}: {other}", vector.name),
            };
            assert_eq!(refused, expected, "{}", vector.name);
        }
    }
}

#[test]
fn public_key_is_enough_to_verify() {
    let vector = VECTORS.iter().find(|vector| vector.preset == SchemePreset::StandardEd25519).unwrap();
    assert_eq!(vector.secrets()[0].public_key().unwrap().to_string(), PUBLIC_KEY);
    let key = VerifyingKey::parse(PUBLIC_KEY, KeyForm::Ed25519Seed).unwrap();
    assert_eq!(vector.verify(&key).unwrap().id, Some(vector.id));
}

#[test]
fn every_preset_has_a_vector() {
    for preset in SchemePreset::ALL {
        let own = |vector: &&Vector| vector.preset == preset && vector.refused.is_none();
        assert!(VECTORS.iter().any(|vector| own(&vector)), "{}", preset.name());
    }
}
