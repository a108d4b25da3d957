//! CreateEventType, UpdateEventType, DeleteEventType, and the filter of ListEventTypes.

use prost_types::FieldMask;
use tidings::proto::*;
use tonic::Code;

use crate::support::{Api, OTHER_TENANT, shown};

const SCHEMA: &str = r#"{"type": "object"}"#;

fn named(name: &str) -> EventType {
    EventType { name: name.to_owned(), ..Default::default() }
}

fn create(event_type: EventType) -> CreateEventTypeRequest {
    CreateEventTypeRequest { event_type: Some(event_type), ..Default::default() }
}

fn update(event_type: EventType, paths: &[&str]) -> UpdateEventTypeRequest {
    let paths = paths.iter().map(|&path| path.to_owned()).collect();
    UpdateEventTypeRequest {
        event_type: Some(event_type),
        update_mask: Some(FieldMask { paths }),
        ..Default::default()
    }
}

fn delete(name: &str, etag: &str) -> DeleteEventTypeRequest {
    DeleteEventTypeRequest { name: name.to_owned(), etag: etag.to_owned(), ..Default::default() }
}

impl Api {
    pub(crate) async fn with_type(&self, event_type: EventType) -> EventType {
        self.client.clone().create_event_type(create(event_type)).await.unwrap().into_inner().event_type.unwrap()
    }

    async fn changed(&self, event_type: EventType, paths: &[&str]) -> EventType {
        let request = update(event_type, paths);
        self.client.clone().update_event_type(request).await.unwrap().into_inner().event_type.unwrap()
    }

    async fn of_catalogue(&self, name: &str) -> EventType {
        let request = GetEventTypeRequest { name: name.to_owned(), ..Default::default() };
        self.client.clone().get_event_type(request).await.unwrap().into_inner().event_type.unwrap()
    }
}

#[tokio::test]
async fn event_type_is_created_updated_field_by_field_and_deleted() {
    let api = Api::start().await;
    let given = EventType {
        description: "A user registered".to_owned(),
        schema: SCHEMA.to_owned(),
        tenant_id: "ignored".to_owned(),
        etag: "ignored".to_owned(),
        ..named("user.created")
    };
    let created = api.with_type(given.clone()).await;
    let expected = EventType {
        tenant_id: "default".to_owned(),
        create_time: created.create_time,
        update_time: created.create_time,
        etag: created.etag.clone(),
        ..given
    };
    assert_eq!(created, expected);
    assert!(created.create_time.is_some() && !created.etag.is_empty());
    assert_eq!(api.of_catalogue("user.created").await, created);

    let other = EventType { description: "x".to_owned(), schema: "true".to_owned(), ..named("user.created") };
    let updated = api.changed(EventType { deprecated: true, ..other.clone() }, &["deprecated"]).await;
    assert_eq!((updated.description.as_str(), updated.schema.as_str()), ("A user registered", SCHEMA));
    assert!(updated.deprecated && updated.etag != created.etag && updated.create_time == created.create_time);
    let updated = api.changed(other, &["description", "schema"]).await;
    assert_eq!((updated.description.as_str(), updated.schema.as_str(), updated.deprecated), ("x", "true", true));
    let updated = api.changed(named("user.created"), &["description", "schema", "deprecated"]).await;
    assert_eq!((updated.description.as_str(), updated.schema.as_str(), updated.deprecated), ("", "", false));
    let api = api.restart().await;
    assert_eq!(api.of_catalogue("user.created").await, updated);

    let mut client = api.client.clone();
    client.delete_event_type(delete("user.created", "")).await.unwrap();
    for name in ["user.created", "never.there"] {
        let call = client.delete_event_type(delete(name, ""));
        api.refuses(name, call, Code::NotFound, "NOT_FOUND", &[]).await;
        let call = client.update_event_type(update(named(name), &["schema"]));
        api.refuses(name, call, Code::NotFound, "NOT_FOUND", &[]).await;
    }
    let again = api.with_type(named("user.created")).await;
    assert_ne!(again.etag, updated.etag);
}

#[tokio::test]
async fn name_that_is_there_is_not_created_again() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    api.with_type(named("a")).await;
    let call = client.create_event_type(create(EventType { description: "other".to_owned(), ..named("a") }));
    api.refuses("a", call, Code::AlreadyExists, "EVENT_TYPE_EXISTS", &[]).await;
    let theirs = CreateEventTypeRequest { tenant_id: OTHER_TENANT.to_owned(), ..create(named("a")) };
    let theirs = client.create_event_type(theirs).await.unwrap().into_inner().event_type.unwrap();
    assert_ne!(theirs.etag, api.of_catalogue("a").await.etag);
}

#[tokio::test]
async fn another_tenants_event_type_is_as_good_as_none() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let theirs = CreateEventTypeRequest { tenant_id: OTHER_TENANT.to_owned(), ..create(named("theirs")) };
    client.create_event_type(theirs).await.unwrap();
    let mut answers = Vec::new();
    for name in ["theirs", "nobodys"] {
        let call = client.update_event_type(update(named(name), &["schema"]));
        let updated = api.refuses(name, call, Code::NotFound, "NOT_FOUND", &[]).await;
        let deleted = client.delete_event_type(delete(name, ""));
        let deleted = api.refuses(name, deleted, Code::NotFound, "NOT_FOUND", &[]).await;
        answers.push((shown(&updated), shown(&deleted)));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn stale_etag_aborts_and_changes_nothing() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let created = api.with_type(named("a")).await;
    let with = |etag: &str| EventType { etag: etag.to_owned(), description: "new".to_owned(), ..named("a") };
    let present = api.changed(with(&created.etag), &["description"]).await.etag;
    for etag in [created.etag.as_str(), "x", "' OR 1=1", "\0"] {
        let call = client.update_event_type(update(with(etag), &["description"]));
        api.refuses(etag, call, Code::Aborted, "ETAG_MISMATCH", &[]).await;
        let call = client.delete_event_type(delete("a", etag));
        api.refuses(etag, call, Code::Aborted, "ETAG_MISMATCH", &[]).await;
    }
    client.delete_event_type(delete("a", &present)).await.unwrap();
}

#[tokio::test]
async fn import_changes_the_etag_of_what_differs_alone() {
    let api = Api::start().await;
    let (a, b) = (api.with_type(named("a")).await, api.with_type(named("b")).await);
    let request = |types| ImportEventTypesRequest { event_types: types, ..Default::default() };
    let types = vec![EventType { deprecated: true, schema: SCHEMA.to_owned(), ..named("a") }, b.clone(), named("c")];
    let mut client = api.client.clone();
    let done = client.import_event_types(request(types.clone())).await.unwrap().into_inner();
    assert_eq!((done.created_count, done.updated_count, done.unchanged_count), (1, 1, 1));
    let changed = api.of_catalogue("a").await;
    assert!(changed.etag != a.etag && changed.deprecated && changed.schema == SCHEMA);
    assert_eq!(api.of_catalogue("b").await, b);
    let done = client.import_event_types(request(types)).await.unwrap().into_inner();
    assert_eq!((done.created_count, done.updated_count, done.unchanged_count), (0, 0, 3));
    assert_eq!(api.of_catalogue("a").await, changed, "what is there already is not written again");
}

#[tokio::test]
async fn bad_event_types_are_refused_field_by_field() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let of_schema = |schema: &str| EventType { schema: schema.to_owned(), ..named("a") };
    let long = format!("{{\"title\": \"{}\"}}", "x".repeat(64 * 1024));
    let cases: Vec<(EventType, &[&str])> = vec![
        (named(""), &["event_type.name"]),
        (named("a b"), &["event_type.name"]),
        (named("a.*"), &["event_type.name"]),
        (named("a\0"), &["event_type.name"]),
        (named(&"x".repeat(129)), &["event_type.name"]),
        (EventType { description: "\0".to_owned(), ..named("a") }, &["event_type.description"]),
        (EventType { description: "x".repeat(1_025), ..named("a") }, &["event_type.description"]),
        (of_schema("no json"), &["event_type.schema"]),
        (of_schema("[]"), &["event_type.schema"]),
        (of_schema("{\"type\": \"\0\"}"), &["event_type.schema"]),
        (of_schema(r#"{"type": "nonsense"}"#), &["event_type.schema"]),
        (of_schema(r#"{"$ref": "http://127.0.0.1:1/x"}"#), &["event_type.schema"]),
        (of_schema(r##"{"$ref": "#"}"##), &["event_type.schema"]),
        (of_schema(&long), &["event_type.schema"]),
        (
            EventType { description: "\0".to_owned(), schema: "1".to_owned(), ..named("") },
            &["event_type.name", "event_type.description", "event_type.schema"],
        ),
    ];
    api.with_type(named("a")).await;
    for (event_type, fields) in cases {
        let case = format!("{} {:.40}", event_type.name, event_type.schema);
        let call = client.create_event_type(create(event_type.clone()));
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", fields).await;
        let call = client.update_event_type(update(event_type.clone(), &["description", "schema"]));
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", fields).await;
        let fields: Vec<_> = fields.iter().map(|field| field.replace("event_type.", "event_types[1].")).collect();
        let request = ImportEventTypesRequest { event_types: vec![named("b"), event_type], ..Default::default() };
        let fields: Vec<_> = fields.iter().map(String::as_str).collect();
        let call = client.import_event_types(request);
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
    }
    let call = client.create_event_type(CreateEventTypeRequest::default());
    api.refuses("none", call, Code::InvalidArgument, "INVALID_REQUEST", &["event_type"]).await;
    let call = client.update_event_type(UpdateEventTypeRequest::default());
    api.refuses("none", call, Code::InvalidArgument, "INVALID_REQUEST", &["update_mask", "event_type"]).await;
    let call = client.update_event_type(update(named("a"), &["schema", "name", "etag", "Schema", "\0"]));
    let fields = [1, 2, 3, 4].map(|index| format!("update_mask.paths[{index}]"));
    let fields: Vec<_> = fields.iter().map(String::as_str).collect();
    api.refuses("mask", call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
    for name in ["", "a b", "a\0"] {
        let call = client.delete_event_type(delete(name, ""));
        api.refuses(name, call, Code::InvalidArgument, "INVALID_REQUEST", &["name"]).await;
    }
    // What the mask does not name is not looked at.
    api.changed(EventType { schema: "no json".to_owned(), ..named("a") }, &["deprecated"]).await;
}

#[tokio::test]
async fn schemas_of_a_catalogue_have_a_limit_together_and_pages_one_too() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let padded = |number: usize| {
        let schema = format!("{{\"title\": \"{number:04}{}\"}}", "x".repeat(64 * 1024 - 17));
        EventType { schema, ..named(&format!("t.{number:04}")) }
    };
    assert_eq!(padded(0).schema.len(), 64 * 1024);
    for number in 0..64 {
        api.with_type(padded(number)).await;
    }
    let call = client.create_event_type(create(padded(64)));
    let refused = api.refuses("65th", call, Code::FailedPrecondition, "CATALOGUE_TOO_LARGE", &[]).await;
    assert!(refused.message().contains("4194304"), "{}", refused.message());
    let request = ImportEventTypesRequest { event_types: vec![padded(64)], ..Default::default() };
    let call = client.import_event_types(request);
    api.refuses("65th", call, Code::FailedPrecondition, "CATALOGUE_TOO_LARGE", &[]).await;
    let small = api.with_type(named("small")).await;
    let call = client.update_event_type(update(EventType { schema: padded(64).schema, ..small }, &["schema"]));
    api.refuses("65th", call, Code::FailedPrecondition, "CATALOGUE_TOO_LARGE", &[]).await;

    let (mut sizes, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListEventTypesRequest { page_size: 1_000, page_token: token, ..Default::default() };
        let page = client.list_event_types(request).await.unwrap().into_inner();
        sizes.push(page.event_types.len());
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [1 + 32, 32]);
}

#[tokio::test]
async fn list_is_narrowed_by_prefix_and_deprecation() {
    let api = Api::start().await;
    for (name, deprecated) in [("order.paid", false), ("order.sent", true), ("orders", false), ("Order.paid", false)] {
        api.with_type(EventType { deprecated, ..named(name) }).await;
    }
    let mut client = api.client.clone();
    let request = |prefix: &str, deprecated: Option<bool>| {
        let filter = EventTypeFilter { name_prefix: prefix.to_owned(), deprecated };
        ListEventTypesRequest { filter: Some(filter), ..Default::default() }
    };
    let cases: [(&str, Option<bool>, &[&str]); 6] = [
        ("", None, &["Order.paid", "order.paid", "order.sent", "orders"]),
        ("order", None, &["order.paid", "order.sent", "orders"]),
        ("order.", None, &["order.paid", "order.sent"]),
        ("order.", Some(false), &["order.paid"]),
        ("", Some(true), &["order.sent"]),
        ("none", None, &[]),
    ];
    for (prefix, deprecated, expected) in cases {
        let page = client.list_event_types(request(prefix, deprecated)).await.unwrap().into_inner();
        let found: Vec<_> = page.event_types.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(found, expected, "{prefix} {deprecated:?}");
    }
    let first = ListEventTypesRequest { page_size: 1, ..request("order", Some(false)) };
    let page = client.list_event_types(first.clone()).await.unwrap().into_inner();
    let token = page.next_page_token;
    let second = ListEventTypesRequest { page_token: token.clone(), ..first };
    let page = client.list_event_types(second).await.unwrap().into_inner();
    assert_eq!((page.event_types[0].name.as_str(), page.next_page_token.as_str()), ("orders", ""));
    for other in [request("order", None), request("orde", Some(false)), ListEventTypesRequest::default()] {
        let call = client.list_event_types(ListEventTypesRequest { page_token: token.clone(), ..other });
        api.refuses("token", call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &["page_token"]).await;
    }
    for prefix in ["a b", "a*", "\0", "é", "' OR 1=1", &"x".repeat(129)] {
        let call = client.list_event_types(request(prefix, None));
        api.refuses(prefix, call, Code::InvalidArgument, "INVALID_REQUEST", &["filter.name_prefix"]).await;
    }
}
