//! What each field of a request names: those of which the protocol says so by how they end.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage as _, Value};

use crate::{arbitrary::methods, keys::pool};

/// What a field of a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Names {
    /// What is acted on, or asked for.
    Endpoint,
    Event,
    Delivery,
    Secret,
    EventType,
    /// Events of a filter. Their ids are their publishers', so one that is not there selects nothing, as any other does.
    Selected,
    Tenant,
    PageToken,
    ResumeToken,
    Etag,
    RequestId,
    /// Something that only operators may name.
    OfOperators,
    /// Nothing that is kept: the name of what is made, of a part of the request, of something elsewhere, or what is only shown.
    Nothing,
}

/// All fields whose names end as those of [`NAMING`] do, in lists and messages within too.
const FIELDS: &[(&str, Names)] = &[
    ("delivery_id", Names::Delivery),
    ("display_name", Names::Nothing),
    ("endpoint.credentials.http.bearer.token", Names::Nothing),
    ("endpoint.credentials.http.oauth2.client_id", Names::Nothing),
    ("endpoint.display_name", Names::Nothing),
    ("endpoint.etag", Names::Etag),
    ("endpoint.headers.name", Names::Nothing),
    ("endpoint.id", Names::Endpoint),
    ("endpoint.style.app_id", Names::Nothing),
    ("endpoint.style.effective_schemes.definition.headers.name", Names::Nothing),
    ("endpoint.style.effective_schemes.name", Names::Nothing),
    ("endpoint.style.envelope.json.fields.name", Names::Nothing),
    ("endpoint.style.schemes.definition.headers.name", Names::Nothing),
    ("endpoint.style.schemes.name", Names::Nothing),
    ("endpoint.tenant_id", Names::Nothing),
    ("endpoint_id", Names::Endpoint),
    ("etag", Names::Etag),
    ("event.id", Names::Nothing),
    ("event.tenant_id", Names::Nothing),
    ("event_id", Names::Event),
    ("event_type.etag", Names::Etag),
    ("event_type.name", Names::EventType),
    ("event_type.tenant_id", Names::Nothing),
    ("event_types.etag", Names::Nothing),
    ("event_types.name", Names::Nothing),
    ("event_types.tenant_id", Names::Nothing),
    ("events.id", Names::Nothing),
    ("events.tenant_id", Names::Nothing),
    ("filter.endpoint_ids", Names::Endpoint),
    ("filter.event_ids", Names::Selected),
    ("filter.key_id", Names::OfOperators),
    ("filter.tenant_id", Names::OfOperators),
    ("key_id", Names::OfOperators),
    ("name", Names::EventType),
    ("page_token", Names::PageToken),
    ("request_id", Names::RequestId),
    ("resume_token", Names::ResumeToken),
    ("secret_id", Names::Secret),
    ("tenant.display_name", Names::Nothing),
    ("tenant.etag", Names::Etag),
    ("tenant.id", Names::Tenant),
    ("tenant_id", Names::Tenant),
];

/// How the names of fields end that name something.
const NAMING: [&str; 5] = ["id", "ids", "name", "token", "etag"];

/// The paths of all texts in a message that name something.
fn naming(message: &MessageDescriptor, before: &str, found: &mut BTreeSet<String>) {
    for field in message.fields() {
        let path = format!("{before}{}", field.name());
        match field.kind() {
            Kind::Message(inner) if inner.package_name() == "tidings.v1" && !field.is_map() => {
                naming(&inner, &format!("{path}."), found);
            }
            Kind::String if NAMING.contains(&field.name().rsplit('_').next().unwrap()) => drop(found.insert(path)),
            _ => {}
        }
    }
}

/// The fields of a method's request that name something of this kind.
pub(super) fn fields(method: &MethodDescriptor, names: Names) -> Vec<&'static str> {
    let mut found = BTreeSet::new();
    naming(&method.input(), "", &mut found);
    FIELDS.iter().filter(|(path, what)| *what == names && found.contains(*path)).map(|(path, _)| *path).collect()
}

/// Sets a field of a request, which may stand in a message within; whether there is one.
pub(super) fn set(message: &mut DynamicMessage, path: &str, value: &str) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let Some(field) = message.descriptor().get_field_by_name(name) else { return false };
    match rest {
        Some(rest) => {
            if field.kind().as_message().is_none() || field.is_list() {
                return false;
            }
            let inner = message.get_field_mut(&field).as_message_mut().unwrap();
            set(inner, rest, value)
        }
        None => {
            let value = Value::String(value.to_owned());
            let value = if field.is_list() { Value::List(vec![value]) } else { value };
            message.set_field(&field, value);
            true
        }
    }
}

#[test]
fn every_field_says_what_it_names() {
    let mut found = BTreeSet::new();
    for method in methods(&pool()) {
        naming(&method.input(), "", &mut found);
    }
    let known: BTreeSet<String> = FIELDS.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(known, found, "what is new has to be listed, by what it names");
    assert_eq!(known.len(), FIELDS.len(), "none is listed twice");
}
