//! Publishing under schemas and deprecation: what is warned of, what is refused, what is let through.

use tidings::proto::*;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{Api, OTHER_TENANT, shown};

const SCHEMA: &str = r#"{"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}"#;

fn described(schema: &str) -> EventType {
    EventType { name: "order.paid".to_owned(), schema: schema.to_owned(), ..Default::default() }
}

fn publish(payload: &str) -> PublishEventRequest {
    let payload = payload.as_bytes().to_vec().into();
    let event = Event { r#type: "order.paid".to_owned(), payload, ..Default::default() };
    PublishEventRequest { event: Some(event), ..Default::default() }
}

fn with_id(id: &str, payload: &str) -> PublishEventRequest {
    let mut request = publish(payload);
    request.event.as_mut().unwrap().id = id.to_owned();
    request
}

/// The kinds of warnings and their places.
fn told(answer: &PublishEventResponse) -> Vec<(PublishWarningKind, &str)> {
    answer.warnings.iter().map(|warning| (warning.kind(), warning.json_pointer.as_str())).collect()
}

const VIOLATION: PublishWarningKind = PublishWarningKind::SchemaViolation;
const DEPRECATED: PublishWarningKind = PublishWarningKind::EventTypeDeprecated;

impl Api {
    async fn publishes(&self, request: PublishEventRequest) -> PublishEventResponse {
        self.client.clone().publish_event(request).await.unwrap().into_inner()
    }

    /// Asserts that an event is refused for its payload, and returns what is said of it.
    async fn rejects(&self, request: PublishEventRequest, violations: usize) -> String {
        let mut client = self.client.clone();
        let fields = vec!["event.payload"; violations];
        let call = client.publish_event(request);
        shown(&self.refuses("rejected", call, Code::InvalidArgument, "SCHEMA_VIOLATION", &fields).await)
    }
}

#[tokio::test]
async fn schemas_are_not_looked_at_unless_the_tenant_wants_it() {
    let api = Api::start().await;
    api.with_type(described(SCHEMA)).await;
    assert_eq!(told(&api.publishes(publish("[]")).await), []);
    api.check_schemas(OTHER_TENANT, SchemaCheck::Reject).await;
    assert_eq!(told(&api.publishes(publish("[]")).await), [], "another tenant's setting is another's");
}

#[tokio::test]
async fn warnings_tell_what_is_wrong_with_an_accepted_event() {
    let api = Api::start().await;
    api.with_type(described(SCHEMA)).await;
    api.check_schemas("", SchemaCheck::Warn).await;
    assert_eq!(told(&api.publishes(publish(r#"{"id": 1}"#)).await), []);
    let answer = api.publishes(publish(r#"{"id": "canary"}"#)).await;
    assert_eq!(told(&answer), [(VIOLATION, "/id")]);
    assert!(!answer.warnings[0].message.contains("canary"), "{answer:?}");
    let request = GetEventRequest { event_id: answer.event_id, ..Default::default() };
    api.client.clone().get_event(request).await.unwrap();

    let mut client = api.client.clone();
    let strict = EventType { schema: r#"{"items": false}"#.to_owned(), ..described("") };
    let strict = EventType { name: "strict".to_owned(), deprecated: true, ..strict };
    api.with_type(strict).await;
    let mut many = publish(&format!("[{}]", vec!["1"; 100].join(",")));
    many.event.as_mut().unwrap().r#type = "strict".to_owned();
    let answer = client.publish_event(many).await.unwrap().into_inner();
    assert_eq!(answer.warnings.len(), 16);
    let told = told(&answer);
    assert_eq!((told[0], told[1].0, told[15].0), ((DEPRECATED, ""), VIOLATION, VIOLATION));
}

#[tokio::test]
async fn rejected_events_are_refused_with_every_violation_and_not_stored() {
    let api = Api::start().await;
    api.with_type(described(SCHEMA)).await;
    api.check_schemas("", SchemaCheck::Reject).await;
    assert_eq!(told(&api.publishes(publish(r#"{"id": 1}"#)).await), []);
    let said = api.rejects(with_id("refused", r#"{"id": "canary"}"#), 1).await;
    assert!(said.contains("at `/id` must be of type integer") && !said.contains("canary"), "{said}");
    let mut client = api.client.clone();
    let call = client.get_event(GetEventRequest { event_id: "refused".to_owned(), ..Default::default() });
    api.refuses("refused", call, Code::NotFound, "NOT_FOUND", &[]).await;
    api.rejects(publish("{}"), 1).await;

    let api = api.restart().await;
    api.rejects(publish("[]"), 1).await;
    let mut bad = publish("[]");
    bad.event.as_mut().unwrap().content_type = "\n".to_owned();
    let status = api.client.clone().publish_event(bad).await.unwrap_err();
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "INVALID_REQUEST");
}

#[tokio::test]
async fn types_without_a_schema_or_outside_of_the_catalogue_pass() {
    let api = Api::start().await;
    api.check_schemas("", SchemaCheck::Reject).await;
    assert_eq!(told(&api.publishes(publish("[]")).await), []);
    api.with_type(described("")).await;
    assert_eq!(told(&api.publishes(publish("[]")).await), []);
    let theirs = CreateEventTypeRequest {
        tenant_id: OTHER_TENANT.to_owned(),
        event_type: Some(described("false")),
        ..Default::default()
    };
    api.client.clone().create_event_type(theirs).await.unwrap();
    assert_eq!(told(&api.publishes(publish("[]")).await), []);
}

#[tokio::test]
async fn payload_that_is_not_json_breaks_a_schema() {
    let api = Api::start().await;
    api.with_type(described("true")).await;
    let mut text = publish("plain text");
    text.event.as_mut().unwrap().content_type = "text/plain".to_owned();
    assert_eq!(told(&api.publishes(text.clone()).await), []);
    api.check_schemas("", SchemaCheck::Warn).await;
    assert_eq!(told(&api.publishes(text.clone()).await), [(VIOLATION, "")]);
    api.check_schemas("", SchemaCheck::Reject).await;
    api.rejects(text, 1).await;
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    api.rejects(publish(&deep), 1).await;
}

#[tokio::test]
async fn deprecated_type_is_warned_of_whatever_the_setting() {
    let api = Api::start().await;
    api.with_type(EventType { deprecated: true, ..described("") }).await;
    for check in [SchemaCheck::Off, SchemaCheck::Warn, SchemaCheck::Reject] {
        api.check_schemas("", check).await;
        assert_eq!(told(&api.publishes(publish("{}")).await), [(DEPRECATED, "")], "{check:?}");
    }
    let request = DeleteEventTypeRequest { name: "order.paid".to_owned(), ..Default::default() };
    api.client.clone().delete_event_type(request).await.unwrap();
    assert_eq!(told(&api.publishes(publish("{}")).await), []);
}

#[tokio::test]
async fn repeat_of_an_accepted_event_is_a_duplicate_however_strict_its_schema_is_now() {
    let api = Api::start().await;
    let first = api.publishes(with_id("id", "[]")).await;
    api.with_type(described(SCHEMA)).await;
    api.check_schemas("", SchemaCheck::Reject).await;
    let again = api.publishes(with_id("id", "[]")).await;
    assert_eq!((again.event_id.as_str(), again.duplicate), (first.event_id.as_str(), true));
    assert_eq!(told(&again), [(VIOLATION, "")]);
    api.rejects(with_id("id", "[ ]"), 1).await;
    api.rejects(with_id("other", "[]"), 1).await;
}

#[tokio::test]
async fn changed_schema_counts_from_its_answer_on_and_deletion_ends_it() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    api.check_schemas("", SchemaCheck::Reject).await;
    api.with_type(described("false")).await;
    api.rejects(publish("{}"), 1).await;
    let import = ImportEventTypesRequest { event_types: vec![described("true")], ..Default::default() };
    client.import_event_types(import).await.unwrap();
    api.publishes(publish("{}")).await;
    let update_mask = Some(prost_types::FieldMask { paths: vec!["schema".to_owned()] });
    let update = UpdateEventTypeRequest { event_type: Some(described(SCHEMA)), update_mask, ..Default::default() };
    client.update_event_type(update).await.unwrap();
    api.rejects(publish("{}"), 1).await;
    // What is changed beside it leaves the schema in force.
    let update_mask = Some(prost_types::FieldMask { paths: vec!["description".to_owned()] });
    let update = UpdateEventTypeRequest { event_type: Some(described("true")), update_mask, ..Default::default() };
    client.update_event_type(update).await.unwrap();
    api.rejects(publish("{}"), 1).await;
    let delete = DeleteEventTypeRequest { name: "order.paid".to_owned(), ..Default::default() };
    client.delete_event_type(delete).await.unwrap();
    api.publishes(publish("{}")).await;
}

#[tokio::test]
async fn large_payload_is_checked_too_and_what_it_says_is_bounded() {
    let api = Api::start().await;
    api.check_schemas("", SchemaCheck::Reject).await;
    api.with_type(described(r#"{"items": {"maxLength": 1}}"#)).await;
    let items = |count: usize| format!("[{}]", vec![format!("\"{}\"", "x".repeat(900)); count].join(","));
    let said = api.rejects(publish(&items(200)), 64).await;
    assert!(!said.contains("xxx"), "{said}");
    let fine = format!("[{}]", vec!["\"x\""; 50_000].join(","));
    api.publishes(publish(&fine)).await;
}
