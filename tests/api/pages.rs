//! What holds for the pages of every list there is: their sizes, and what a token is good for. Which methods list is read
//! from the descriptors, so that none can be forgotten.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};
use tidings::proto::*;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    arbitrary::{
        call::{Answer, Caller},
        methods,
    },
    created,
    support::{Api, OTHER_TENANT},
};

/// A list of which there are two pages at least when one item makes a page.
struct List {
    method: MethodDescriptor,
    own: DynamicMessage,
    /// The same method for another tenant, another parent and another filter, where there are two pages as well.
    others: Vec<DynamicMessage>,
}

/// Something of each kind that a tenant has, two at least.
struct Made {
    endpoint: String,
    event: String,
    delivery: String,
}

async fn made(api: &Api, tenant: &str, number: usize) -> Made {
    let (mut client, tenant_id) = (api.client.clone(), tenant.to_owned());
    let mut endpoint = String::new();
    for _ in 0..2 {
        endpoint = created(api, tenant).await.id;
        let tenant_id = tenant_id.clone();
        let rotate = RotateEndpointSecretRequest { tenant_id, endpoint_id: endpoint.clone(), ..Default::default() };
        client.rotate_endpoint_secret(rotate).await.unwrap();
    }
    let mut event = String::new();
    for turn in 0..2 {
        event = format!("evt-{number}-{turn}");
        let given = Event { id: event.clone(), r#type: "a.b".to_owned(), payload: "{}".into(), ..Default::default() };
        // Tomorrow, so that nothing happens to its deliveries by itself.
        let tomorrow = std::time::SystemTime::now() + std::time::Duration::from_secs(24 * 3_600);
        let given = Event { deliver_time: Some(tomorrow.into()), ..given };
        client.publish_event(PublishEventRequest { tenant_id: tenant_id.clone(), event: Some(given) }).await.unwrap();
        let scopes = vec!["events:publish".to_owned()];
        let key = CreateKeyRequest { tenant_id: tenant_id.clone(), scopes, ..Default::default() };
        api.admin.clone().create_key(key).await.unwrap();
        let name = format!("type.of.{number}.{turn}");
        let event_type = Some(EventType { name, ..Default::default() });
        let create = CreateEventTypeRequest { tenant_id: tenant_id.clone(), event_type, ..Default::default() };
        client.create_event_type(create).await.unwrap();
    }
    let list = ListDeliveriesRequest { tenant_id, ..Default::default() };
    let delivery = client.list_deliveries(list).await.unwrap().into_inner().deliveries[0].id.clone();
    Made { endpoint, event, delivery }
}

/// Every list, with requests that have something to list.
async fn lists(api: &Api) -> Vec<List> {
    const ATTEMPTS: &str = "INSERT INTO attempt (event, endpoint, n, result, status, latency, kind, ended, truncated, detail, \
                            response, note) \
                            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 3) \
                            SELECT event, endpoint, n, 3, 500, 5, 7, 1, 0, 'status 500', $1, 0 \
                            FROM numbers CROSS JOIN delivery";
    let (own, sibling) = (made(api, "", 0).await, made(api, "", 1).await);
    let foreign = made(api, OTHER_TENANT, 2).await;
    api.execute(ATTEMPTS, b"no").await;
    let tenant = || OTHER_TENANT.to_owned();
    // Each filter selects what there is all the same.
    let endpoint_filter = EndpointFilter { states: vec![1], ..Default::default() };
    let type_filter = EventTypeFilter { name_prefix: "type.".to_owned(), ..Default::default() };
    let event_filter = EventFilter { event_types: vec!["a.*".to_owned()], ..Default::default() };
    let delivery_filter = DeliveryFilter { event_types: vec!["a.*".to_owned()], ..Default::default() };
    let audit_filter = AuditFilter { tenant_id: "default".to_owned(), ..Default::default() };
    let mut requests: BTreeMap<&str, Vec<Vec<u8>>> = BTreeMap::new();
    macro_rules! list {
        ($method:literal, $request:ident: $({ $($field:ident: $value:expr),* $(,)? }),+ $(,)?) => {
            let of_method = vec![$($request { $($field: $value,)* ..$request::default() }.encode_to_vec()),+];
            requests.insert($method, of_method);
        };
    }
    list!("ListEndpoints", ListEndpointsRequest: {}, { tenant_id: tenant() }, { filter: Some(endpoint_filter) });
    list!("ListEndpointSecrets", ListEndpointSecretsRequest: { endpoint_id: own.endpoint.clone() },
        { endpoint_id: sibling.endpoint.clone() }, { tenant_id: tenant(), endpoint_id: foreign.endpoint.clone() });
    list!("ListEventTypes", ListEventTypesRequest: {}, { tenant_id: tenant() }, { filter: Some(type_filter) });
    list!("GetEvent", GetEventRequest: { event_id: own.event.clone() }, { event_id: sibling.event.clone() },
        { tenant_id: tenant(), event_id: foreign.event.clone() });
    list!("ListEvents", ListEventsRequest: {}, { tenant_id: tenant() }, { filter: Some(event_filter) });
    list!("ListDeliveries", ListDeliveriesRequest: {}, { tenant_id: tenant() }, { filter: Some(delivery_filter) });
    list!("ListAttempts", ListAttemptsRequest: { delivery_id: own.delivery.clone() },
        { delivery_id: sibling.delivery.clone() }, { tenant_id: tenant(), delivery_id: foreign.delivery.clone() });
    list!("ListTenants", ListTenantsRequest: {});
    list!("ListKeys", ListKeysRequest: {}, { tenant_id: tenant() }, { tenant_id: "default".to_owned() });
    list!("ListAuditEntries", ListAuditEntriesRequest: {}, { filter: Some(audit_filter) });

    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let listing = methods(&pool).into_iter().filter(|method| method.input().get_field_by_name("page_token").is_some());
    let listing: BTreeMap<String, MethodDescriptor> =
        listing.map(|method| (method.name().to_owned(), method)).collect();
    let known: BTreeSet<&str> = requests.keys().copied().collect();
    assert_eq!(known, listing.keys().map(String::as_str).collect(), "every method that pages is tried");
    let list = |(name, requests): (&str, Vec<Vec<u8>>)| {
        let method = listing[name].clone();
        let read = |bytes: Vec<u8>| DynamicMessage::decode(method.input(), bytes.as_slice()).unwrap();
        let mut requests = requests.into_iter().map(read);
        let own = requests.next().unwrap();
        List { own, others: requests.collect(), method }
    };
    requests.into_iter().map(list).collect()
}

fn paged(request: &DynamicMessage, size: i32, token: &str) -> DynamicMessage {
    let mut request = request.clone();
    request.set_field_by_name("page_size", Value::I32(size));
    request.set_field_by_name("page_token", Value::String(token.to_owned()));
    request
}

/// What a page shows, and the token of the next.
async fn page(caller: &mut Caller, method: &MethodDescriptor, request: &DynamicMessage) -> (usize, String) {
    let answer = match caller.call(method, request).await {
        Answer::Message(answer) => answer,
        other => panic!("{}: {other:?}", method.name()),
    };
    let token = answer.get_field_by_name("next_page_token").unwrap().as_str().unwrap().to_owned();
    let items = answer.fields().find_map(|(field, value)| value.as_list().filter(|_| field.is_list()).map(<[_]>::len));
    (items.unwrap_or(0), token)
}

async fn refusal(caller: &mut Caller, method: &MethodDescriptor, request: &DynamicMessage, case: &str) -> Status {
    match caller.call(method, request).await {
        Answer::Refused(status) => status,
        other => panic!("{} {case}: {other:?}", method.name()),
    }
}

fn reason_and_fields(status: &Status) -> (Code, String, Vec<String>) {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let fields = details.bad_request().map_or(&[][..], |bad| bad.field_violations.as_slice());
    (status.code(), reason, fields.iter().map(|violation| violation.field.clone()).collect())
}

#[tokio::test]
async fn sizes_of_pages_are_bounded_in_every_list() {
    let api = Api::start().await;
    let lists = lists(&api).await;
    let mut caller = Caller::new(api.address()).await;
    let before = api.kept().await;
    for List { method, own, .. } in &lists {
        for size in [-1, i32::MIN] {
            let status = refusal(&mut caller, method, &paged(own, size, ""), "negative").await;
            let expected = (Code::InvalidArgument, "INVALID_REQUEST".to_owned(), vec!["page_size".to_owned()]);
            assert_eq!(reason_and_fields(&status), expected, "{}", method.name());
        }
        let (all, rest) = page(&mut caller, method, &paged(own, 100_000, "")).await;
        assert!(all >= 2 && rest.is_empty(), "{}: {all}", method.name());
        // One item a page leads to all of them, and the last page says that it is the last.
        let (mut found, mut token) = (0, String::new());
        loop {
            let (items, next) = page(&mut caller, method, &paged(own, 1, &token)).await;
            found += items;
            assert!(items <= 1 && found <= all, "{}: {found} of {all}", method.name());
            token = next;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(found, all, "{}", method.name());
        // Both parts of a page are judged at once.
        let status = refusal(&mut caller, method, &paged(own, -1, "garbage"), "both").await;
        let fields = vec!["page_size".to_owned(), "page_token".to_owned()];
        let expected = (Code::InvalidArgument, "INVALID_PAGE_TOKEN".to_owned(), fields);
        assert_eq!(reason_and_fields(&status), expected, "{}", method.name());
    }
    assert_eq!(api.kept().await, before, "a list writes nothing");
}

#[tokio::test]
async fn token_is_good_for_the_list_that_gave_it_and_every_other_is_refused_in_one_text() {
    let api = Api::start().await;
    let lists = lists(&api).await;
    let mut caller = Caller::new(api.address()).await;
    let mut tokens = Vec::new();
    for List { method, own, others } in &lists {
        let mut of_list = Vec::new();
        for request in [own].into_iter().chain(others) {
            let (_, token) = page(&mut caller, method, &paged(request, 1, "")).await;
            assert!(!token.is_empty(), "{} has one page: {request}", method.name());
            page(&mut caller, method, &paged(request, 1, &token)).await;
            of_list.push(token);
        }
        tokens.push(of_list);
    }
    let mut said = BTreeSet::new();
    for (index, List { method, own, .. }) in lists.iter().enumerate() {
        let good = &tokens[index][0];
        let mut bad: Vec<(String, String)> = ["garbage", "' OR 1=1", "AAAA", "=", "\0", "é", " "]
            .map(|token| ("nonsense".to_owned(), token.to_owned()))
            .into();
        bad.extend(tokens[index][1..].iter().map(|token| ("of another tenant or filter".to_owned(), token.clone())));
        let of_others = lists.iter().zip(&tokens).filter(|(list, _)| list.method.name() != method.name());
        bad.extend(of_others.map(|(list, tokens)| (format!("of {}", list.method.name()), tokens[0].clone())));
        for place in [0, good.len() / 2, good.len() - 1] {
            let other = if good.as_bytes()[place] == b'A' { "B" } else { "A" };
            let mut tampered = good.clone();
            tampered.replace_range(place..=place, other);
            bad.push((format!("tampered at {place}"), tampered));
        }
        bad.extend(
            [("cut", good[1..].to_owned()), ("longer", format!("{good}AAAA")), ("padded", format!("{good}="))]
                .map(|(case, token)| (case.to_owned(), token)),
        );
        for (case, token) in bad {
            let status = refusal(&mut caller, method, &paged(own, 1, &token), &case).await;
            let expected = (Code::InvalidArgument, "INVALID_PAGE_TOKEN".to_owned(), vec!["page_token".to_owned()]);
            assert_eq!(reason_and_fields(&status), expected, "{} {case}", method.name());
            said.insert((status.message().to_owned(), status.details().to_vec()));
        }
    }
    assert_eq!(said.len(), 1, "nobody is told what is wrong with a token: {said:?}");
}
