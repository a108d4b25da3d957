//! Tenants are apart: whatever of another tenant's stands in whatever field of whatever method, the answer is that to something
//! which does not exist. Methods and fields are read from the protocol, so one that is added has to say here what it names.

mod naming;

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage as _, Value};
use tidings::{model, proto::*};
use tonic::Code;
use tonic_types::StatusExt as _;

use self::naming::{Names, fields, set};
use crate::{
    arbitrary::{
        call::{Answer, Caller},
        methods,
    },
    created,
    keys::{empty, pool, refusal, tenant_scopes},
    support::{Api, OTHER_TENANT, soon},
};

/// What adds to one's own, whatever others have: what their requests hold is new, or only shown.
const ADDING: [&str; 3] = ["CreateEndpoint", "CreateEventType", "ImportEventTypes"];

/// What there is of a tenant's, by what names it.
type Things = BTreeMap<Names, String>;

/// An endpoint, an event, its delivery, a secret and an event type of a tenant's; `number` tells them from others of theirs.
async fn made_in(api: &Api, tenant: &str, number: u32) -> Things {
    let (mut client, tenant_id) = (api.client.clone(), tenant.to_owned());
    let endpoint = created(api, tenant).await.id;
    let disable =
        DisableEndpointRequest { tenant_id: tenant_id.clone(), endpoint_id: endpoint.clone(), ..Default::default() };
    // Of which none is in another's.
    let of = if tenant.is_empty() { "default" } else { tenant };
    let event_id = format!("event-{number}-of-{of}");
    let event = Event { id: event_id.clone(), r#type: "a.b".to_owned(), payload: "{}".into(), ..Default::default() };
    client.publish_event(PublishEventRequest { tenant_id: tenant_id.clone(), event: Some(event) }).await.unwrap();
    client.disable_endpoint(disable).await.unwrap();
    let list = ListDeliveriesRequest { tenant_id: tenant_id.clone(), ..Default::default() };
    let delivery = client.list_deliveries(list).await.unwrap().into_inner().deliveries[0].id.clone();
    let list = ListEndpointSecretsRequest {
        tenant_id: tenant_id.clone(),
        endpoint_id: endpoint.clone(),
        ..Default::default()
    };
    let secret = client.list_endpoint_secrets(list).await.unwrap().into_inner().secrets[0].id.clone();
    let name = format!("type.{number}.of.{of}");
    let event_type = Some(EventType { name: name.clone(), ..Default::default() });
    client.create_event_type(CreateEventTypeRequest { tenant_id, event_type, ..Default::default() }).await.unwrap();
    [
        (Names::Endpoint, endpoint),
        (Names::Selected, event_id.clone()),
        (Names::Event, event_id),
        (Names::Delivery, delivery),
        (Names::Secret, secret),
        (Names::EventType, name),
    ]
    .into()
}

/// What never was.
fn nowhere(api: &Api) -> Things {
    let codec = &api.shared().ids;
    let (endpoint, event) = (model::EndpointKey(9_999), model::EventKey(9_999));
    [
        (Names::Endpoint, codec.endpoint(endpoint)),
        (Names::Event, "no-such-event".to_owned()),
        (Names::Selected, "no-such-event".to_owned()),
        (Names::Delivery, codec.delivery(model::DeliveryKey { event, endpoint })),
        (Names::Secret, codec.secret(model::SecretKey(9_999))),
        (Names::EventType, "no.such.type".to_owned()),
    ]
    .into()
}

/// A request of a method in which everything is the caller's own.
fn own_request(method: &MethodDescriptor, own: &Things) -> DynamicMessage {
    let mut request = empty(method);
    for (names, id) in own {
        // Filters select among all.
        for field in fields(method, *names).into_iter().filter(|field| !field.starts_with("filter.")) {
            set(&mut request, field, id);
        }
    }
    set(&mut request, "update_mask.paths", "description");
    request
}

/// Two tenants' things, and who calls with a key of one of them.
struct House {
    api: Api,
    own: Things,
    foreign: Things,
    caller: Caller,
}

impl House {
    async fn new() -> Self {
        let api = Api::start().await;
        let (own, foreign) = (made_in(&api, OTHER_TENANT, 1).await, made_in(&api, "", 1).await);
        let key = api.tenants_key(OTHER_TENANT, &tenant_scopes()).await;
        let caller = Caller::with(&key.secret, api.address()).await;
        Self { api, own, foreign, caller }
    }

    /// Asserts that a method refuses two requests in the same words.
    async fn refuses_alike(
        &mut self,
        case: &str,
        method: &MethodDescriptor,
        [one, other]: [&DynamicMessage; 2],
        code: Code,
    ) {
        let one = refusal(self.caller.call(method, one).await);
        let other = refusal(self.caller.call(method, other).await);
        assert_eq!(one.code(), code, "{case}: {one:?}");
        assert_eq!(one.message(), other.message(), "{case}");
        assert_eq!(one.details(), other.details(), "{case}");
    }
}

#[tokio::test]
async fn another_tenants_ids_are_as_if_they_were_not_there_in_every_field_of_every_method() {
    let mut house = House::new().await;
    let (own, foreign, nowhere) = (house.own.clone(), house.foreign.clone(), nowhere(&house.api));
    let before = house.api.kept().await;
    let mut tried = 0;
    for method in methods(&pool()).into_iter().filter(|method| !ADDING.contains(&method.name())) {
        for (names, id) in &foreign {
            for field in fields(&method, *names) {
                let case = format!("{}.{field}", method.name());
                let (mut theirs, mut gone) = (own_request(&method, &own), own_request(&method, &own));
                assert!(set(&mut theirs, field, id) && set(&mut gone, field, &nowhere[names]), "{case}");
                tried += 1;
                if *names != Names::Selected {
                    house.refuses_alike(&case, &method, [&theirs, &gone], Code::NotFound).await;
                    continue;
                }
                let (theirs, gone) =
                    (house.caller.call(&method, &theirs).await, house.caller.call(&method, &gone).await);
                match (theirs, gone) {
                    (Answer::Message(theirs), Answer::Message(gone)) if !method.is_server_streaming() => {
                        assert_eq!(theirs, gone, "{case}");
                    }
                    // Of a stream that has begun the heartbeats differ by their times.
                    (theirs, gone) => assert_eq!((theirs.code(), gone.code()), (Code::Ok, Code::Ok), "{case}"),
                }
            }
        }
    }
    assert!(tried >= 27, "{tried}");
    assert_eq!(house.api.kept().await, before, "nothing was touched");
}

#[tokio::test]
async fn nothing_of_another_tenants_is_in_any_answer_or_stream() {
    let mut house = House::new().await;
    let foreign: Vec<String> = house.foreign.values().cloned().collect();
    let mut answered = 0;
    // Reading only: what changes something would change what the next is asked for.
    let reading = |method: &MethodDescriptor| ["Get", "List"].iter().any(|verb| method.name().starts_with(verb));
    for method in methods(&pool()).into_iter().filter(reading) {
        let Answer::Message(answer) = house.caller.call(&method, &own_request(&method, &house.own)).await else {
            continue;
        };
        let said = answer.to_string();
        assert!(foreign.iter().all(|id| !said.contains(id.as_str())), "{}: {said}", method.name());
        answered += 1;
    }
    assert!(answered >= 10, "{answered}");

    // Everything since the beginning, up to what one's own did last.
    let key = house.api.tenants_key(OTHER_TENANT, &tenant_scopes()).await;
    let mut client = house.api.calling_with(&key.secret).await;
    let last = client.create_endpoint(crate::create("")).await.unwrap().into_inner().endpoint.unwrap().id;
    let start = Some(watch_deliveries_request::Start::FromOldest(true));
    let request = WatchDeliveriesRequest { start, ..Default::default() };
    let mut stream = client.watch_deliveries(request).await.unwrap().into_inner();
    let mut said = String::new();
    while !said.contains(&last) {
        said += &format!("{:?}", soon(stream.message()).await.unwrap().unwrap().message);
    }
    assert!(said.contains(&house.own[&Names::Delivery]), "{said}");
    assert!(foreign.iter().all(|id| !said.contains(id.as_str())), "{said}");
}

#[tokio::test]
async fn tenants_key_acts_for_its_tenant_alone() {
    let House { api, mut caller, .. } = House::new().await;
    let mut tried = 0;
    for method in methods(&pool()) {
        for field in fields(&method, Names::Tenant) {
            let (mut there, mut nowhere) = (empty(&method), empty(&method));
            set(&mut there, field, "default");
            set(&mut nowhere, field, "nobody");
            let (there, nowhere) = (caller.call(&method, &there).await, caller.call(&method, &nowhere).await);
            let (there, nowhere) = (refusal(there), refusal(nowhere));
            // Those that are for operators are refused before anybody looks at the tenant.
            let expected = if there.code() == Code::PermissionDenied { Code::PermissionDenied } else { Code::NotFound };
            assert_eq!(there.code(), expected, "{}: {there:?}", method.name());
            assert_eq!((there.message(), there.details()), (nowhere.message(), nowhere.details()), "{}", method.name());
            tried += 1;
        }
        for field in fields(&method, Names::OfOperators) {
            let mut request = empty(&method);
            set(&mut request, field, "default");
            assert_eq!(refusal(caller.call(&method, &request).await).code(), Code::PermissionDenied, "{field}");
        }
    }
    assert!(tried > 30, "{tried}");
    let key = api.tenants_key(OTHER_TENANT, &tenant_scopes()).await;
    let mut client = api.calling_with(&key.secret).await;
    for tenant in ["", OTHER_TENANT] {
        let endpoint = client.create_endpoint(crate::create(tenant)).await.unwrap().into_inner().endpoint.unwrap();
        assert_eq!(endpoint.tenant_id, OTHER_TENANT);
    }
    let listed = client.list_endpoints(ListEndpointsRequest::default()).await.unwrap().into_inner().endpoints;
    assert!(listed.len() == 3 && listed.iter().all(|endpoint| endpoint.tenant_id == OTHER_TENANT), "{listed:?}");
    let of_default = api.client.clone().list_endpoints(ListEndpointsRequest::default()).await.unwrap().into_inner();
    assert_eq!(of_default.endpoints.len(), 1);
}

#[tokio::test]
async fn another_tenants_tokens_are_as_good_as_garbage() {
    let mut house = House::new().await;
    made_in(&house.api, "", 2).await;
    // An operator's pages of the other tenant: there are two of each thing by now.
    let mut operator = Caller::new(house.api.address()).await;
    let mut tokens = BTreeMap::new();
    for method in methods(&pool()) {
        if fields(&method, Names::PageToken).is_empty() {
            continue;
        }
        let mut request = own_request(&method, &house.foreign);
        let size = request.descriptor().get_field_by_name("page_size").expect("whatever has pages has their size");
        request.set_field(&size, Value::I32(1));
        let Answer::Message(page) = operator.call(&method, &request).await else { panic!("{}", method.name()) };
        let token = page.get_field_by_name("next_page_token").unwrap().as_str().unwrap().to_owned();
        tokens.insert(method.name().to_owned(), token);
    }
    let (made, none): (Vec<_>, Vec<_>) = tokens.iter().partition(|(_, token)| !token.is_empty());
    assert!(made.len() >= 6, "without a second page: {none:?}");
    let any = made[0].1.clone();
    let mut tried = 0;
    for method in methods(&pool()) {
        let Some(token) = tokens.get(method.name()) else { continue };
        let (mut theirs, mut garbage) = (own_request(&method, &house.own), own_request(&method, &house.own));
        // Where there is no second page, the token of another list stands for it.
        set(&mut theirs, "page_token", if token.is_empty() { &any } else { token });
        set(&mut garbage, "page_token", "garbage");
        let first = refusal(house.caller.call(&method, &theirs).await);
        if first.code() == Code::PermissionDenied {
            continue;
        }
        assert_eq!(first.get_details_error_info().unwrap().reason, "INVALID_PAGE_TOKEN", "{}", method.name());
        house.refuses_alike(method.name(), &method, [&theirs, &garbage], Code::InvalidArgument).await;
        tried += 1;
    }
    assert!(tried >= 6, "{tried}");

    let watch = methods(&pool()).into_iter().find(|method| !fields(method, Names::ResumeToken).is_empty()).unwrap();
    let mut stream =
        house.api.client.clone().watch_deliveries(WatchDeliveriesRequest::default()).await.unwrap().into_inner();
    let token = stream.message().await.unwrap().unwrap().resume_token;
    let (mut theirs, mut garbage) = (empty(&watch), empty(&watch));
    assert!(set(&mut theirs, "resume_token", &token) && set(&mut garbage, "resume_token", "garbage"));
    house.refuses_alike("resume_token", &watch, [&theirs, &garbage], Code::InvalidArgument).await;
}

#[tokio::test]
async fn another_tenants_etags_are_as_good_as_any_that_is_wrong() {
    let mut house = House::new().await;
    let mut client = house.api.client.clone();
    let endpoint = GetEndpointRequest { endpoint_id: house.foreign[&Names::Endpoint].clone(), ..Default::default() };
    let endpoint = client.get_endpoint(endpoint).await.unwrap().into_inner().endpoint.unwrap();
    let event_type = GetEventTypeRequest { name: house.foreign[&Names::EventType].clone(), ..Default::default() };
    let event_type = client.get_event_type(event_type).await.unwrap().into_inner().event_type.unwrap();
    let before = house.api.kept().await;
    let mut tried = 0;
    for method in methods(&pool()).into_iter().filter(|method| !ADDING.contains(&method.name())) {
        for field in fields(&method, Names::Etag) {
            let etag = if method.name().contains("EventType") { &event_type.etag } else { &endpoint.etag };
            let (mut theirs, mut wrong) = (own_request(&method, &house.own), own_request(&method, &house.own));
            set(&mut theirs, field, etag);
            set(&mut wrong, field, "wrong");
            let case = format!("{}.{field}", method.name());
            // An operator changes tenants.
            let code = if method.name().ends_with("Tenant") { Code::PermissionDenied } else { Code::Aborted };
            house.refuses_alike(&case, &method, [&theirs, &wrong], code).await;
            tried += 1;
        }
    }
    assert!(tried >= 8, "{tried}");
    assert_eq!(house.api.kept().await, before, "nothing was touched");
}

#[tokio::test]
async fn another_tenants_request_id_is_as_one_that_nobody_used() {
    let mut house = House::new().await;
    let (foreign, nowhere) = (house.foreign.clone(), nowhere(&house.api));
    let mut operator = Caller::new(house.api.address()).await;
    let mut tried = 0;
    for method in methods(&pool()) {
        if fields(&method, Names::RequestId).is_empty() || ADDING.contains(&method.name()) {
            continue;
        }
        // Whatever comes of it, the other tenant's call was made under this id; the same call gets no answer of that one's.
        let id = format!("used-for-{}", method.name());
        let mut theirs = own_request(&method, &foreign);
        set(&mut theirs, "request_id", &id);
        let _any = operator.call(&method, &theirs).await;
        let mut gone = own_request(&method, &nowhere);
        set(&mut gone, "request_id", "used-by-nobody");
        let code = match refusal(house.caller.call(&method, &theirs).await).code() {
            Code::PermissionDenied => Code::PermissionDenied,
            // What one may delete only when it is empty, say, is another matter.
            _ => Code::NotFound,
        };
        house.refuses_alike(method.name(), &method, [&theirs, &gone], code).await;
        tried += 1;
    }
    assert!(tried >= 12, "{tried}");
    // What adds acts once for each tenant.
    let request = CreateEndpointRequest { request_id: "one".to_owned(), ..crate::create("") };
    let key = house.api.tenants_key(OTHER_TENANT, &tenant_scopes()).await;
    let theirs = house.api.client.clone().create_endpoint(request.clone()).await.unwrap().into_inner();
    let own = house.api.calling_with(&key.secret).await.create_endpoint(request).await.unwrap().into_inner();
    let (theirs, own) = (theirs.endpoint.unwrap(), own.endpoint.unwrap());
    assert!(own.id != theirs.id && own.tenant_id == OTHER_TENANT && theirs.tenant_id == "default");
}
