//! Any message whatever, to every method there is: what must hold for all of them, methods included that nobody thought of
//! when this was written. Methods and messages are read from the descriptors that the server itself reflects.
//!
//! All that is random derives from one seed, which is shown; `TIDINGS_TEST_SEED` sets another.

pub(crate) mod call;
mod message;
mod panics;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use tidings::proto::*;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use self::{
    call::{Answer, Caller},
    message::Generator,
};
use crate::{
    create,
    support::{Api, OTHER_TENANT},
};

const PACKAGE: &str = "tidings.v1";

/// The services that there are. One that comes is tried without being named here, but is to be seen to be served.
const SERVICES: [&str; 2] = ["AdminService", "WebhookService"];

const SEED: u64 = 47;

/// How often each method is called, in as much of the time as that takes, and at least, however long that takes.
const ROUNDS: usize = 60;
const ROUNDS_MIN: usize = 12;
const TIME_MAX: Duration = Duration::from_secs(10);

/// What a status may take in HTTP trailers: gRPC's C and Java clients accept no more.
const STATUS_BYTES_MAX: usize = 8 * 1024;

/// How often each method got each code.
type Codes = BTreeMap<String, BTreeMap<String, usize>>;

fn seed() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    let given = std::env::var("TIDINGS_TEST_SEED");
    given.map_or(SEED, |seed| seed.parse().expect("a number"))
}

/// Every method of the protocol that takes one message, or may be sent just one.
pub(crate) fn methods(pool: &DescriptorPool) -> Vec<MethodDescriptor> {
    let services = pool.services().filter(|service| service.package_name() == PACKAGE);
    services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_message_to_any_method_is_answered_or_refused_in_order() {
    let seed = seed();
    eprintln!("seed {seed}");
    panics::record();
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let methods = methods(&pool);
    let services: BTreeSet<String> = methods.iter().map(|method| method.parent_service().name().to_owned()).collect();
    assert_eq!(services, SERVICES.map(str::to_owned).into(), "every service, and each with methods");
    let (api, url) = Api::start_local().await;
    let known = created(&api, OTHER_TENANT, &url).await;
    let mut generator = Generator::new(seed, &pool, &url, &known);
    let mut caller = Caller::new(api.address()).await;
    let mut codes = Codes::new();
    for (name, request) in sensible(&url, &created(&api, "", &url).await) {
        let method = methods.iter().find(|method| method.name() == name).expect(name);
        let request = DynamicMessage::decode(method.input(), request.as_slice()).unwrap();
        match caller.call(method, &request).await {
            Answer::Message(answer) => generator.learn(request, Some(answer)),
            other => panic!("{name}: {other:?}"),
        }
    }

    let started = Instant::now();
    let mut kept = api.kept().await;
    for round in 1..=ROUNDS {
        for method in &methods {
            let request = generator.request(&method.input());
            let answer = caller.call(method, &request).await;
            let asked = shown(&request);
            let case = || format!("seed {seed}, {}: {answer:?} to {asked}", method.name());
            let now = api.kept().await;
            match &answer {
                Answer::Message(answer) => generator.learn(request, Some(answer.clone())),
                Answer::Open => generator.learn(request, None),
                Answer::Refused(status) => {
                    assert_refused_well(status, &case);
                    assert_eq!(now, kept, "something was written; {}", case());
                    assert_answers(&api, &known).await;
                }
            }
            kept = now;
            assert_eq!(panics::recorded(), Vec::<String>::new(), "{}", case());
            let code = answer.code();
            *codes.entry(method.name().to_owned()).or_default().entry(format!("{code:?}")).or_default() += 1;
        }
        if round >= ROUNDS_MIN && started.elapsed() > TIME_MAX {
            break;
        }
    }
    eprintln!("{:?}: {codes:#?}", started.elapsed());
    assert_reaches_far(&codes, methods.len());
    api.stop().await;
}

/// The id of a new endpoint.
async fn created(api: &Api, tenant: &str, url: &str) -> String {
    let mut request = create(tenant);
    request.endpoint.as_mut().unwrap().url = url.to_owned();
    api.client.clone().create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap().id
}

/// Requests that are taken, so that there is something to ask about.
fn sensible(url: &str, id: &str) -> Vec<(&'static str, Vec<u8>)> {
    let policy = DeliveryPolicy { max_in_flight: 2, ..Default::default() };
    let endpoint = Endpoint { url: url.to_owned(), policy: Some(policy), ..Default::default() };
    let endpoint = CreateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
    let changed = Endpoint { id: id.to_owned(), description: "changed".to_owned(), ..Default::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["description".to_owned()] });
    let update = UpdateEndpointRequest { endpoint: Some(changed), update_mask, ..Default::default() };
    let rotate = RotateEndpointSecretRequest { endpoint_id: id.to_owned(), ..Default::default() };
    let event = |id: &str| Event {
        id: id.to_owned(),
        r#type: "a.b".to_owned(),
        payload: b"{}".as_slice().into(),
        ..Default::default()
    };
    let tenant = Tenant { id: "a-tenant".to_owned(), display_name: "named".to_owned(), ..Default::default() };
    let key = CreateKeyRequest { scopes: vec!["events:publish".to_owned()], ..Default::default() };
    let token = CreateDashboardTokenRequest { scopes: vec!["deliveries:read".to_owned()], ..Default::default() };
    let batch = BatchPublishEventsRequest { events: vec![event("evt-3"), event("evt-4")], ..Default::default() };
    let described =
        || Some(EventType { name: "a.b".to_owned(), description: "of a test".to_owned(), ..Default::default() });
    let update_mask = |path: &str| Some(prost_types::FieldMask { paths: vec![path.to_owned()] });
    let (event_type, named) = (described(), update_mask("description"));
    let update_type = UpdateEventTypeRequest { event_type, update_mask: named, ..Default::default() };
    let (renamed, named) = (Some(tenant.clone()), update_mask("display_name"));
    let update_tenant = UpdateTenantRequest { tenant: renamed, update_mask: named, ..Default::default() };
    let event = |id| PublishEventRequest { event: Some(event(id)), ..Default::default() }.encode_to_vec();
    vec![
        ("CreateEndpoint", endpoint.encode_to_vec()),
        ("UpdateEndpoint", update.encode_to_vec()),
        ("RotateEndpointSecret", rotate.encode_to_vec()),
        ("PublishEvent", event("evt-1")),
        ("PublishEvent", event("evt-2")),
        ("ListDeliveries", ListDeliveriesRequest { page_size: 1, ..Default::default() }.encode_to_vec()),
        ("ListEndpoints", ListEndpointsRequest { page_size: 1, ..Default::default() }.encode_to_vec()),
        ("CreateTenant", CreateTenantRequest { tenant: Some(tenant), ..Default::default() }.encode_to_vec()),
        ("GetTenant", GetTenantRequest { tenant_id: "a-tenant".to_owned() }.encode_to_vec()),
        ("ListTenants", ListTenantsRequest { page_size: 1, ..Default::default() }.encode_to_vec()),
        ("CreateKey", key.encode_to_vec()),
        ("ListKeys", ListKeysRequest { page_size: 1, ..Default::default() }.encode_to_vec()),
        ("ListAuditEntries", ListAuditEntriesRequest { page_size: 1, ..Default::default() }.encode_to_vec()),
        ("CreateDashboardToken", token.encode_to_vec()),
        ("BatchPublishEvents", batch.encode_to_vec()),
        ("CreateEventType", CreateEventTypeRequest { event_type: described(), ..Default::default() }.encode_to_vec()),
        ("UpdateEventType", update_type.encode_to_vec()),
        ("UpdateTenant", update_tenant.encode_to_vec()),
        ("PauseEndpoint", PauseEndpointRequest { endpoint_id: id.to_owned(), ..Default::default() }.encode_to_vec()),
        (
            "DisableEndpoint",
            DisableEndpointRequest { endpoint_id: id.to_owned(), ..Default::default() }.encode_to_vec(),
        ),
        (
            "ActivateEndpoint",
            ActivateEndpointRequest { endpoint_id: id.to_owned(), ..Default::default() }.encode_to_vec(),
        ),
        ("GetEvent", GetEventRequest { event_id: "evt-1".to_owned(), ..Default::default() }.encode_to_vec()),
    ]
}

/// Asserts what must hold for every status, given a well-formed message, a method that there is, and a healthy server.
fn assert_refused_well(status: &Status, case: &dyn Fn() -> String) {
    let unhealthy = [
        Code::Internal,
        Code::Unknown,
        Code::Unavailable,
        Code::Unimplemented,
        Code::Unauthenticated,
        Code::Cancelled,
        Code::DeadlineExceeded,
    ];
    assert!(!unhealthy.contains(&status.code()), "{}", case());
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo; {}", case()));
    let reason = ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason));
    assert!(info.domain == PACKAGE && reason.is_some(), "{}", case());
    if status.code() == Code::InvalidArgument {
        let violations = details.bad_request().map_or(&[][..], |bad| bad.field_violations.as_slice());
        assert!(!violations.is_empty(), "no violation; {}", case());
        let told = violations.iter().all(|violation| !violation.field.is_empty() && !violation.description.is_empty());
        assert!(told, "{}", case());
    }
    let mut trailers = http::HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    let bytes: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    assert!(bytes <= STATUS_BYTES_MAX, "{bytes} bytes of status; {}", case());
    assert!(!status.message().chars().any(char::is_control), "{}", case());
    for inner in ["SELECT ", "INSERT ", "sqlx", "server/", "tidings::", "alloc::", "panicked"] {
        assert!(!status.message().contains(inner), "{inner:?}; {}", case());
    }
}

/// Asserts that the server answers what it should.
async fn assert_answers(api: &Api, known: &str) {
    let request = GetEndpointRequest { tenant_id: OTHER_TENANT.to_owned(), endpoint_id: known.to_owned() };
    let endpoint = api.client.clone().get_endpoint(request).await.unwrap().into_inner().endpoint.unwrap();
    assert_eq!(endpoint.id, known);
}

/// Asserts that messages are neither all refused at the door nor all accepted.
fn assert_reaches_far(codes: &Codes, methods: usize) {
    assert_eq!(codes.len(), methods);
    let seldom = codes.iter().find(|(_, codes)| codes.values().sum::<usize>() < ROUNDS_MIN);
    assert_eq!(seldom, None, "every method is called in every round");
    let with = |code: &str| codes.values().filter(|codes| codes.contains_key(code)).count();
    let (answered, refused) = (with("Ok"), with("InvalidArgument"));
    assert!(answered * 2 >= methods, "{answered} of {methods} methods ever answered");
    assert!(refused * 2 >= methods, "{refused} of {methods} methods ever found a message invalid");
}

/// A request, as much of it as one wants to see.
fn shown(request: &DynamicMessage) -> String {
    request.to_string().chars().take(2_000).collect()
}
