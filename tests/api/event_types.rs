//! Catalogues of event types: what is written, read and refused.

use tidings::proto::*;
use tonic::Code;

use crate::support::{Api, OTHER_TENANT, shown};

const IMPORT_MAX: usize = 1_000;
const CATALOGUE_MAX: usize = 10_000;

fn event_type(name: &str, description: &str) -> EventType {
    EventType { name: name.to_owned(), description: description.to_owned(), ..Default::default() }
}

fn import(event_types: Vec<EventType>) -> ImportEventTypesRequest {
    ImportEventTypesRequest { event_types, ..Default::default() }
}

/// As many event types as one import takes, of the `batch`th thousand.
fn thousand(batch: usize) -> Vec<EventType> {
    (0..IMPORT_MAX).map(|number| event_type(&format!("type.{:05}", batch * IMPORT_MAX + number), "")).collect()
}

impl Api {
    /// Imports, and returns how many were created, updated and unchanged.
    async fn imported(&self, request: ImportEventTypesRequest) -> (i32, i32, i32) {
        let answer = self.client.clone().import_event_types(request).await.unwrap().into_inner();
        (answer.created_count, answer.updated_count, answer.unchanged_count)
    }

    async fn event_type(&self, tenant: &str, name: &str) -> EventType {
        let request = GetEventTypeRequest { tenant_id: tenant.to_owned(), name: name.to_owned() };
        self.client.clone().get_event_type(request).await.unwrap().into_inner().event_type.unwrap()
    }

    async fn catalogue_page(&self, page_size: i32, page_token: String) -> ListEventTypesResponse {
        let request = ListEventTypesRequest { page_size, page_token, ..Default::default() };
        self.client.clone().list_event_types(request).await.unwrap().into_inner()
    }
}

#[tokio::test]
async fn import_creates_updates_and_leaves_what_it_does_not_name() {
    let api = Api::start().await;
    let first = import(vec![event_type("user.created", "A user registered"), event_type("user.deleted", "")]);
    assert_eq!(api.imported(first.clone()).await, (2, 0, 0));
    let created = api.event_type("", "user.created").await;
    assert_eq!((created.tenant_id.as_str(), created.description.as_str()), ("default", "A user registered"));
    assert!(created.create_time.is_some() && created.create_time == created.update_time);
    assert_eq!(api.imported(first).await, (0, 0, 2));
    assert_eq!(api.event_type("", "user.created").await, created, "an import of the same changes nothing");

    // What is output only is ignored, so that a list can be imported as it was read.
    let changed =
        EventType { description: "A user signed up".to_owned(), tenant_id: "x".to_owned(), ..created.clone() };
    assert_eq!(api.imported(import(vec![changed, event_type("User.created", "")])).await, (1, 1, 0));
    let updated = api.event_type("", "user.created").await;
    assert_eq!((updated.tenant_id.as_str(), updated.description.as_str()), ("default", "A user signed up"));
    assert_eq!(updated.create_time, created.create_time);
    let micros = |event_type: &EventType| event_type.update_time.map(|time| (time.seconds, time.nanos)).unwrap();
    assert!(micros(&updated) > micros(&created));

    let api = api.restart().await;
    assert_eq!(api.event_type("", "user.created").await, updated);
    let listed = api.catalogue_page(0, String::new()).await;
    let names: Vec<_> = listed.event_types.iter().map(|listed| listed.name.as_str()).collect();
    assert_eq!(names, ["User.created", "user.created", "user.deleted"]);
    assert_eq!(listed.event_types[1], updated);
}

#[tokio::test]
async fn list_pages_through_more_than_a_thousand_by_name() {
    let api = Api::start().await;
    // The later names first: order is not that of creation.
    for batch in [1, 0] {
        assert_eq!(api.imported(import(thousand(batch))).await, (1_000, 0, 0));
    }
    let extra = "x".repeat(128);
    assert_eq!(api.imported(import(vec![event_type(&extra, ""), event_type("A", "")])).await, (2, 0, 0));

    let (mut names, mut sizes, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = api.catalogue_page(i32::MAX, token).await;
        sizes.push(page.event_types.len());
        names.extend(page.event_types.into_iter().map(|listed| listed.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [1_000, 1_000, 2]);
    let mut expected: Vec<String> = [0, 1].into_iter().flat_map(thousand).map(|given| given.name).collect();
    expected.insert(0, "A".to_owned());
    expected.push(extra);
    assert_eq!(names, expected);

    assert_eq!(api.catalogue_page(0, String::new()).await.event_types.len(), 50);
}

#[tokio::test]
async fn page_may_begin_after_the_longest_name() {
    let api = Api::start().await;
    let longest = "x".repeat(128);
    api.imported(import(vec![event_type(&longest, ""), event_type("y", "")])).await;
    let first = api.catalogue_page(1, String::new()).await;
    assert_eq!(first.event_types[0].name, longest);
    let second = api.catalogue_page(1, first.next_page_token).await;
    assert_eq!((second.event_types[0].name.as_str(), second.next_page_token.as_str()), ("y", ""));
}

#[tokio::test]
async fn everything_wrong_with_an_import_is_told_at_once_by_index() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let long = "x".repeat(129);
    let list = vec![
        event_type("ok", &"x".repeat(1_024)),
        event_type("", ""),
        event_type("a..b", "a\0b"),
        event_type("user.*", ""),
        event_type(&long, &"é".repeat(513)),
        event_type("a b", ""),
        event_type("ok", ""),
        event_type("Ok", ""),
        event_type("ok", "\0"),
        event_type("a b", ""),
    ];
    let call = client.import_event_types(import(list));
    let fields = [
        "event_types[1].name",
        "event_types[2].name",
        "event_types[2].description",
        "event_types[3].name",
        "event_types[4].name",
        "event_types[4].description",
        "event_types[5].name",
        "event_types[6].name",
        "event_types[8].name",
        "event_types[8].description",
        "event_types[9].name",
    ];
    let status = api.refuses("bad list", call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
    assert!(shown(&status).contains("repeats the name of event_types[0]"), "{}", shown(&status));

    let call = client.import_event_types(import(Vec::new()));
    api.refuses("empty", call, Code::InvalidArgument, "INVALID_REQUEST", &["event_types"]).await;

    let mut many = thousand(0);
    many[7].name = "a b".to_owned();
    many.extend([event_type("one.more", ""), event_type("not looked at", "\0")]);
    let call = client.import_event_types(import(many));
    let fields = ["event_types", "event_types[7].name"];
    let status = api.refuses("1,002", call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
    assert!(shown(&status).contains("it has 1002"), "{}", shown(&status));
}

#[tokio::test]
async fn catalogue_has_a_limit_and_what_would_exceed_it_changes_nothing() {
    let api = Api::start().await;
    for batch in 0..CATALOGUE_MAX / IMPORT_MAX {
        assert_eq!(api.imported(import(thousand(batch))).await, (1_000, 0, 0));
    }
    let described = event_type("type.00000", "new");
    let call = async {
        let list = vec![described.clone(), event_type("one.more", ""), event_type("two.more", "")];
        api.client.clone().import_event_types(import(list)).await
    };
    let status = api.refuses("full", call, Code::FailedPrecondition, "TOO_MANY_EVENT_TYPES", &[]).await;
    assert!(status.message().contains("10002"), "{}", status.message());
    assert_eq!(api.event_type("", "type.00000").await.description, "", "the import was undone as a whole");
    assert_eq!(api.imported(import(vec![described])).await, (0, 1, 0), "what is there may still change");
    let theirs = import(vec![event_type("one.more", "")]);
    let theirs = ImportEventTypesRequest { tenant_id: OTHER_TENANT.to_owned(), ..theirs };
    assert_eq!(api.imported(theirs).await, (1, 0, 0), "each tenant has a catalogue of its own");
}

#[tokio::test]
async fn event_types_that_are_not_there_are_not_found() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let theirs =
        ImportEventTypesRequest { tenant_id: OTHER_TENANT.to_owned(), ..import(vec![event_type("theirs", "")]) };
    api.imported(theirs).await;
    assert_eq!(api.event_type(OTHER_TENANT, "theirs").await.tenant_id, OTHER_TENANT);
    let mut answers = Vec::new();
    for name in ["nobodys", "theirs"] {
        let call = client.get_event_type(GetEventTypeRequest { name: name.to_owned(), ..Default::default() });
        answers.push(shown(&api.refuses(name, call, Code::NotFound, "NOT_FOUND", &[]).await));
    }
    assert_eq!(answers[0], answers[1], "another tenant's is as good as none");
    for name in ["", "a b", "user.*", &"x".repeat(129)] {
        let call = client.get_event_type(GetEventTypeRequest { name: name.to_owned(), ..Default::default() });
        api.refuses(name, call, Code::InvalidArgument, "INVALID_REQUEST", &["name"]).await;
    }
}

#[tokio::test]
async fn tokens_of_other_lists_and_tenants_are_refused() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let list = vec![event_type("a", ""), event_type("b", "")];
    let theirs = ImportEventTypesRequest { tenant_id: OTHER_TENANT.to_owned(), ..import(list.clone()) };
    api.imported(import(list)).await;
    api.imported(theirs).await;
    for _ in 0..2 {
        crate::created(&api, "").await;
    }
    let request = ListEndpointsRequest { page_size: 1, ..Default::default() };
    let of_endpoints = client.list_endpoints(request).await.unwrap().into_inner().next_page_token;
    let request = ListEventTypesRequest { tenant_id: OTHER_TENANT.to_owned(), page_size: 1, ..Default::default() };
    let of_another = client.list_event_types(request).await.unwrap().into_inner().next_page_token;
    let own = api.catalogue_page(1, String::new()).await.next_page_token;
    for token in [of_endpoints, of_another, "a".to_owned(), own[1..].to_owned(), "AAAA".repeat(1_000)] {
        assert!(!token.is_empty());
        let request = ListEventTypesRequest { page_token: token, page_size: -1, ..Default::default() };
        let call = client.list_event_types(request);
        let fields = ["page_size", "page_token"];
        api.refuses("token", call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &fields).await;
    }
    let request = ListEndpointsRequest { page_token: own.clone(), ..Default::default() };
    let call = client.list_endpoints(request);
    api.refuses("endpoints", call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &["page_token"]).await;
    assert_eq!(api.catalogue_page(1, own).await.event_types[0].name, "b");
}

#[tokio::test]
async fn events_need_no_catalogue() {
    let api = Api::start().await;
    api.imported(import(vec![event_type("user.created", "")])).await;
    for name in ["user.created", "not.in.the.catalogue"] {
        let event = Event { r#type: name.to_owned(), payload: b"{}".as_slice().into(), ..Default::default() };
        let request = PublishEventRequest { event: Some(event), ..Default::default() };
        api.client.clone().publish_event(request).await.unwrap();
    }
}
