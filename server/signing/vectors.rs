//! Signatures that others made, or that follow from what they document: each scheme has to make them and to accept them, or
//! to refuse them.

mod table;

use self::table::VECTORS;
use super::{
    KeyForm, Message, Part, Received, SchemePreset, Secret, SignatureScheme, Signer, Variable, VerifyError,
    VerifyingKey, sign,
};
use crate::model::{
    Timestamp,
    envelope::{BodyForm, signed_part},
};

struct Vector {
    name: &'static str,
    preset: SchemePreset,
    /// Newest first; those that sign.
    secrets: &'static [&'static str],
    id: &'static str,
    secs: i64,
    /// What is signed.
    body: &'static str,
    /// The form that it came in, if it did.
    form: Option<&'static str>,
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

const PUBLIC_KEY: &str = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";

impl Vector {
    fn scheme(&self) -> &'static SignatureScheme {
        self.preset.scheme()
    }

    fn key_form(&self) -> KeyForm {
        self.scheme().definition().key_form
    }

    fn secrets(&self) -> Vec<Secret> {
        self.secrets.iter().map(|text| Secret::parse(text, self.key_form()).unwrap()).collect()
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.secs * 1_000_000)
    }

    /// As it came off the wire.
    fn verify(&self, key: &VerifyingKey) -> Result<super::Verified<'static>, VerifyError> {
        match self.form {
            Some(form) => self.verify_over(key, &signed_part(BodyForm::FormPayload, form.as_bytes()).unwrap()),
            None => self.verify_over(key, self.body.as_bytes()),
        }
    }

    fn verify_over(&self, key: &VerifyingKey, body: &[u8]) -> Result<super::Verified<'static>, VerifyError> {
        let header = |name: &str| {
            self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
        };
        let received = Received { header: &header, body, url: None };
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

/// So that what refuses the vector is what it was signed over, and nothing else about it.
#[test]
fn signature_over_the_bytes_of_a_form_is_right_over_these_alone() {
    let over_form = VECTORS.iter().find(|vector| vector.form.is_some() && vector.refused.is_some()).unwrap();
    let key = VerifyingKey::from(&over_form.secrets()[0]);
    assert!(over_form.verify_over(&key, over_form.form.unwrap().as_bytes()).is_ok());
    assert_eq!(over_form.verify(&key), Err(VerifyError::Mismatch));
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
