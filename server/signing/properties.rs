//! What holds for every scheme and message, presets and others: what is signed verifies, and nothing else does.

use std::time::Duration;

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select, subsequence},
    strategy::ValueTree as _,
    test_runner::TestRunner,
};

use super::{
    Algorithm, Encoding, KeyForm, Message, Part, SchemeDefinition, SchemeHeader, SchemePreset, Secret, SignatureScheme,
    Signer, Variable, VerifyingKey,
    parcel::{NOW, Parcel, URL, secrets},
};
use crate::model::Timestamp;

const SIGNABLE: [Variable; 5] =
    [Variable::Id, Variable::Timestamp, Variable::EventType, Variable::Operation, Variable::Url];

/// A literal that keeps the rules at most places, and now and then one that keeps none.
fn literal() -> impl Strategy<Value = String> {
    prop_oneof![15 => "[a-z0-9]{0,2}[:;|,!][a-z0-9.]{0,2}", 1 => "[ -~]{0,3}", 1 => "."]
}

fn mixed(variables: Vec<Variable>, literals: Vec<String>) -> Vec<Part> {
    let mut parts = Vec::new();
    for (index, variable) in variables.into_iter().enumerate() {
        if index > 0 {
            parts.push(Part::Literal(literals[index % literals.len()].clone()));
        }
        parts.push(variable.into());
    }
    parts
}

fn signed() -> impl Strategy<Value = Vec<Part>> {
    let variables = subsequence(SIGNABLE.to_vec(), 0..=SIGNABLE.len()).prop_map(|mut variables| {
        variables.push(Variable::Body);
        variables
    });
    let ends = (option::of(literal()), option::of(literal()));
    (variables.prop_shuffle(), vec(literal(), 5), ends, any::<bool>()).prop_map(
        |(variables, literals, (before, after), touching)| {
            let ends = |literal: Option<String>| literal.map(Part::Literal).into_iter();
            let mut parts = mixed(variables, literals);
            if touching {
                join_url_and_body(&mut parts);
            }
            ends(before).chain(parts).chain(ends(after)).collect()
        },
    )
}

/// Takes out what stands between URL and BODY, if nothing but a literal does.
fn join_url_and_body(parts: &mut Vec<Part>) {
    let place = |variable| parts.iter().position(|part| *part == Part::Variable(variable));
    if let (Some(url), Some(body)) = (place(Variable::Url), place(Variable::Body))
        && url.abs_diff(body) == 2
    {
        parts.remove(url.min(body) + 1);
    }
}

/// Headers that carry whatever is signed, each in one of its own or beside another, and the signatures.
fn headers(signed: Vec<Part>) -> impl Strategy<Value = Vec<SchemeHeader>> {
    let mut carried: Vec<Vec<Variable>> = Vec::new();
    for part in signed {
        if let Part::Variable(variable) = part
            && !matches!(variable, Variable::Body | Variable::Url)
        {
            carried.push(vec![variable]);
        }
    }
    let extra = option::of(select(vec![Variable::Id, Variable::EventType, Variable::Timestamp]));
    (extra, vec(literal(), 6), any::<bool>(), option::of(literal()), any::<Index>()).prop_map(
        move |(extra, literals, together, before, place)| {
            let mut groups = carried.clone();
            groups.extend(extra.map(|variable| vec![variable]));
            if together {
                groups = vec![groups.into_iter().flatten().collect()];
                groups.retain(|group| !group.is_empty());
            }
            groups.insert(place.index(groups.len() + 1), vec![Variable::Signature]);
            let own = |(index, group): (usize, Vec<Variable>)| {
                let before = before.clone().map(Part::Literal).into_iter();
                let value = before.chain(mixed(group, literals.clone())).collect();
                SchemeHeader { name: format!("X-{index}"), value }
            };
            groups.into_iter().enumerate().map(own).collect()
        },
    )
}

fn definition() -> impl Strategy<Value = SchemeDefinition> {
    let key = select(vec![
        (Algorithm::HmacSha256, KeyForm::Text),
        (Algorithm::HmacSha256, KeyForm::Base64),
        (Algorithm::Ed25519, KeyForm::Ed25519Seed),
    ]);
    let encoding = select(vec![Encoding::Base64, Encoding::Hex]);
    let signed = signed().prop_flat_map(|signed| (Just(signed.clone()), headers(signed)));
    (signed, key, encoding, "[!-~]{0,6}", option::of("[ ,;:|]{1,3}")).prop_map(
        |((signed, headers), (algorithm, key_form), encoding, signature_prefix, signature_separator)| {
            SchemeDefinition { signed, algorithm, key_form, encoding, signature_prefix, signature_separator, headers }
        },
    )
}

fn scheme() -> impl Strategy<Value = SignatureScheme> {
    let preset = select(SchemePreset::ALL.to_vec()).prop_map(|preset| preset.scheme().clone());
    let other = definition().prop_filter_map("is refused", |definition| SignatureScheme::new(definition).ok());
    prop_oneof![preset, other]
}

/// Anything that can be written down.
fn anything() -> impl Strategy<Value = SchemeDefinition> {
    let variable = select([&SIGNABLE[..], &[Variable::Body, Variable::Signature]].concat());
    let part = prop_oneof![variable.prop_map(Part::Variable), ".{0,70}".prop_map(Part::Literal)];
    let parts = vec(part, 0..20);
    let header = (".{0,70}", parts.clone()).prop_map(|(name, value)| SchemeHeader { name, value });
    (definition(), parts, vec(header, 0..10), ".{0,40}", option::of(".{0,6}"), 0..16_u8).prop_map(
        |(mut definition, signed, headers, prefix, separator, which)| {
            if which & 1 != 0 {
                definition.signed = signed;
            }
            if which & 2 != 0 {
                definition.headers = headers;
            }
            if which & 4 != 0 {
                definition.signature_prefix = prefix;
            }
            if which & 8 != 0 {
                definition.signature_separator = separator;
            }
            definition
        },
    )
}

#[derive(Clone, Debug)]
struct Content {
    id: String,
    secs: i64,
    event_type: String,
    body: Vec<u8>,
}

impl Content {
    fn message(&self) -> Message<'_> {
        let timestamp = Timestamp::from_micros(self.secs * 1_000_000);
        Message { id: &self.id, timestamp, event_type: &self.event_type, url: URL, body: &self.body }
    }
}

fn content() -> impl Strategy<Value = Content> {
    let event_type = "[A-Za-z0-9_-]{1,9}(\\.[A-Za-z0-9_-]{1,9}){0,3}";
    ("[A-Za-z0-9_-]{1,40}", 0..100_000_000_000_i64, event_type, vec(any::<u8>(), 0..200))
        .prop_map(|(id, secs, event_type, body)| Content { id, secs, event_type, body })
}

fn accepts(scheme: &SignatureScheme, secret: &Secret, parcel: &Parcel) -> bool {
    parcel.verify(scheme, &[secret.into()], NOW, Duration::MAX).is_ok()
}

/// Whether the header tells nothing but what is signed, and the signature.
fn is_signed(definition: &SchemeDefinition, header: &SchemeHeader) -> bool {
    header.value.iter().all(|part| match part {
        Part::Literal(_) | Part::Variable(Variable::Signature) => true,
        Part::Variable(_) => definition.signed.contains(part),
    })
}

/// Whether only the case of hexadecimal digits differs.
fn is_same(definition: &SchemeDefinition, one: &str, other: &str) -> bool {
    let start = one.len() - one.len().min(if definition.algorithm == Algorithm::Ed25519 { 128 } else { 64 });
    let (head, tail) = one.split_at(start);
    definition.encoding == Encoding::Hex
        && other.get(..start) == Some(head)
        && other.get(start..).is_some_and(|other| other.eq_ignore_ascii_case(tail))
}

proptest! {
    #[test]
    fn what_is_signed_verifies_by_every_secret_that_signed(scheme in scheme(), content in content()) {
        let [one, other] = secrets(scheme.definition().key_form);
        let message = content.message();
        let parcel = Parcel::signed(&[Signer { scheme: &scheme, secrets: &[&one, &other] }], &message);
        let keys = [VerifyingKey::from(&one)];
        let verified = parcel.verify(&scheme, &keys, message.timestamp, Duration::ZERO).unwrap();
        prop_assert!(verified.id.is_none_or(|id| id == content.id));
        prop_assert!(verified.signed.is_none_or(|signed| signed == message.timestamp));
        prop_assert_eq!(accepts(&scheme, &other, &parcel), scheme.joins_signatures());
    }

    #[test]
    fn changed_body_is_refused(scheme in scheme(), content in content(), place: Index, flip in 1..=255_u8) {
        let [secret, _] = secrets(scheme.definition().key_form);
        let parcel = Parcel::by(&scheme, &secret, &content.message());
        prop_assert!(accepts(&scheme, &secret, &parcel));
        let mut changed = parcel.clone();
        changed.body.push(flip);
        prop_assert!(!accepts(&scheme, &secret, &changed));
        changed.body.pop();
        if !changed.body.is_empty() {
            let at = place.index(changed.body.len());
            changed.body[at] ^= flip;
            prop_assert!(!accepts(&scheme, &secret, &changed));
            changed.body.truncate(at);
            prop_assert!(!accepts(&scheme, &secret, &changed));
        }
    }

    /// No separator is put in: it would only add an empty signature, which is ignored.
    #[test]
    fn changed_headers_are_refused(
        scheme in scheme(), content in content(), place: Index, which: Index, put in "[!-+./0-9<-z{}~-]|é",
    ) {
        let definition = scheme.definition();
        let [secret, _] = secrets(definition.key_form);
        let parcel = Parcel::by(&scheme, &secret, &content.message());
        let header = which.get(&definition.headers);
        let value = parcel.value(&header.name).unwrap();

        let mut dropped = parcel.clone();
        dropped.headers.retain(|(name, _)| *name != header.name);
        prop_assert!(!accepts(&scheme, &secret, &dropped));
        let mut doubled = parcel.clone();
        doubled.headers.push((header.name.clone(), value.to_owned()));
        prop_assert!(!accepts(&scheme, &secret, &doubled));

        prop_assume!(is_signed(definition, header));
        let carries_signature = header.value.contains(&Part::Variable(Variable::Signature));
        let at = place.index(value.len());
        let (head, tail) = (&value[..at], &value[at..]);
        let changes = [head.to_owned(), format!("{head}{put}{}", &tail[1..]), format!("{head}{}", &tail[1..]),
            format!("{head}{put}{tail}"), format!("{value}{put}"), format!("{put}{value}")];
        for changed in changes {
            let same = changed == value || (carries_signature && is_same(definition, value, &changed));
            let parcel = parcel.clone().with(&header.name, &changed);
            prop_assert_eq!(accepts(&scheme, &secret, &parcel), same, "{} {}", value, changed);
        }
    }

    #[test]
    fn other_key_url_and_message_are_refused(scheme in scheme(), content in content(), next in content()) {
        let definition = scheme.definition();
        let [secret, other] = secrets(definition.key_form);
        let parcel = Parcel::by(&scheme, &secret, &content.message());
        prop_assert!(!accepts(&scheme, &other, &parcel));
        prop_assume!(content.body != next.body);
        let moved = Parcel::by(&scheme, &secret, &next.message()).with_body(parcel.body.clone());
        prop_assert!(!accepts(&scheme, &secret, &moved));
        if definition.signed.contains(&Part::Variable(Variable::Url)) {
            let message = Message { url: "https://example.com/other", ..content.message() };
            prop_assert!(!accepts(&scheme, &secret, &Parcel::by(&scheme, &secret, &message)));
        }
    }

    #[test]
    fn any_headers_and_body_are_refused_without_a_panic(
        scheme in scheme(), values in vec(".{0,80}|[ -~]{0,80}", 8), body: Vec<u8>, now: i64,
    ) {
        let keys = secrets(scheme.definition().key_form).map(|secret| VerifyingKey::from(&secret));
        let names = scheme.definition().headers.iter().map(|header| header.name.clone());
        let parcel = Parcel { headers: names.zip(values).collect(), body };
        prop_assert!(parcel.verify(&scheme, &keys, Timestamp::from_micros(now), Duration::MAX).is_err());
    }

    #[test]
    fn any_definition_is_checked_without_a_panic_and_verifies_what_it_signs_if_it_is_accepted(
        definition in anything(), content in content(),
    ) {
        match SignatureScheme::new(definition) {
            Ok(scheme) => {
                let [secret, _] = secrets(scheme.definition().key_form);
                let parcel = Parcel::by(&scheme, &secret, &content.message());
                // HTTP takes white space off both ends.
                prop_assert!(parcel.headers.iter().all(|(_, value)| value.trim() == value));
                prop_assert!(accepts(&scheme, &secret, &parcel));
            }
            Err(violations) => prop_assert!(!violations.is_empty()),
        }
    }

    #[test]
    fn written_definition_is_read_back(definition in anything()) {
        let json = serde_json::to_string(&definition).unwrap();
        prop_assert_eq!(serde_json::from_str::<SchemeDefinition>(&json).unwrap(), definition);
    }
}

/// The properties above would say little if hardly a definition were accepted, or hardly one refused.
#[test]
fn definitions_tried_are_accepted_and_refused_in_numbers() {
    let mut runner = TestRunner::deterministic();
    let strategy = definition();
    let tried = 200;
    let is_accepted = |_: &usize| SignatureScheme::new(strategy.new_tree(&mut runner).unwrap().current()).is_ok();
    let accepted = (0..tried).filter(is_accepted).count();
    assert!((40..180).contains(&accepted), "{accepted} of {tried}");
}
