//! CreateEndpoint, UpdateEndpoint and what follows from them.

use std::collections::BTreeMap;

use prost_types::FieldMask;
use tidings::proto::{retry_schedule::Schedule, *};
use tonic::Code;

use crate::{
    create, created, endpoint, span,
    support::{Api, shown},
};

#[tokio::test]
async fn an_endpoint_lives_and_is_deleted() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let mut request = create("");
    let given = request.endpoint.as_mut().unwrap();
    given.display_name = "x' OR 1=1; --".to_owned();
    given.event_types = vec!["user.*".to_owned(), "order.**".to_owned()];
    let answer = client.create_endpoint(request).await.unwrap().into_inner();
    let made = answer.endpoint.unwrap();
    assert!(made.id.starts_with("ep_") && answer.secret.starts_with("whsec_"));
    assert_eq!((made.tenant_id.as_str(), made.display_name.as_str()), ("default", "x' OR 1=1; --"));
    assert_eq!(made.state(), EndpointState::Enabled);

    let get = || GetEndpointRequest { endpoint_id: made.id.clone(), ..Default::default() };
    assert_eq!(client.get_endpoint(get()).await.unwrap().into_inner().endpoint.as_ref(), Some(&made));

    let disable = DisableEndpointRequest { endpoint_id: made.id.clone(), ..Default::default() };
    let disabled = client.disable_endpoint(disable).await.unwrap().into_inner().endpoint.unwrap();
    assert_eq!((disabled.state(), disabled.disable_reason()), (EndpointState::Disabled, DisableReason::Requested));
    assert!(disabled.disable_time.is_some() && disabled.etag != made.etag);
    let activate = ActivateEndpointRequest { endpoint_id: made.id.clone(), ..Default::default() };
    let active = client.activate_endpoint(activate).await.unwrap().into_inner().endpoint.unwrap();
    assert_eq!((active.state(), active.disable_reason()), (EndpointState::Enabled, DisableReason::Unspecified));

    let delete = DeleteEndpointRequest { endpoint_id: made.id.clone(), etag: active.etag, ..Default::default() };
    client.delete_endpoint(delete).await.unwrap();
    api.refuses("deleted", client.get_endpoint(get()), Code::NotFound, "NOT_FOUND", &[]).await;
}

#[tokio::test]
async fn bad_urls_are_refused_for_their_reason() {
    let api = Api::start().await;
    let long = format!("https://example.com/{}", "x".repeat(2_048));
    let label = format!("https://{}.com/", "a".repeat(64));
    let form = [
        "",
        "example.com/x",
        "//h/p",
        "https:host",
        "https:///p",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:,x",
        "http://example.com/",
        " https://example.com/",
        "https://example.com/ ",
        "https://exa\tmple.com/",
        "https://exa\nmple.com/",
        "https://example.com/\0",
        "https:\\\\example.com\\",
        "https://u:hunter2@example.com/",
        "https://example.com/#f",
        "https://a..b/",
        "https://.a/",
        "https://[fe80::1%25eth0]/",
        "https://exam\u{202e}ple.com/",
        &long,
        &label,
    ];
    let blocked = [
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://0/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::127.0.0.1]/",
        "https://[::ffff:0:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[2001:0:808:808::80ff:fffe]/",
        "https://１２７.０.０.１/",
        "https://127。0。0。1/",
        "https://169.254.169.254/",
        "https://[fd00:ec2::254]/",
        "https://10.1.2.3/",
        "https://172.16.0.1/",
        "https://192.168.0.1/",
        "https://100.64.0.1/",
        "https://224.0.0.1/",
        "https://0xffffffff/",
        "https://localhost/",
        "https://localhost./",
        "https://x.localhost/",
        "https://127.0.0.1./",
    ];
    let port = [
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:22/",
        "https://example.com:9443/",
    ];
    let cases = form.iter().map(|url| (*url, "INVALID_REQUEST"));
    let cases = cases.chain(blocked.iter().map(|url| (*url, "URL_BLOCKED_ADDRESS")));
    for (url, reason) in cases.chain(port.iter().map(|url| (*url, "URL_PORT"))) {
        let mut request = create("");
        request.endpoint.as_mut().unwrap().url = url.to_owned();
        let mut client = api.client.clone();
        let call = client.create_endpoint(request);
        let status = api.refuses(url, call, Code::InvalidArgument, reason, &["endpoint.url"]).await;
        assert!(!shown(&status).contains("hunter2"));
    }
}

#[tokio::test]
async fn bad_settings_are_refused_field_by_field() {
    let api = Api::start().await;
    type Change = fn(&mut CreateEndpointRequest);
    let cases: &[(&str, Change, &[&str])] = &[
        ("no endpoint", |r| r.endpoint = None, &["endpoint"]),
        ("NUL in the name", |r| settings(r).display_name = "a\0b".to_owned(), &["endpoint.display_name"]),
        ("long name", |r| settings(r).display_name = "é".repeat(513), &["endpoint.display_name"]),
        ("long description", |r| settings(r).description = "x".repeat(1_025), &["endpoint.description"]),
        ("empty pattern", |r| types(r, &["a.b", ""]), &["endpoint.event_types[1]"]),
        ("bad pattern", |r| types(r, &["a b"]), &["endpoint.event_types[0]"]),
        ("wildcard in the middle", |r| types(r, &["**.a"]), &["endpoint.event_types[0]"]),
        ("repeated pattern", |r| types(r, &["a", "b", "a"]), &["endpoint.event_types[2]"]),
        ("too many patterns", |r| many_types(r), &["endpoint.event_types[100]"]),
        ("timeout too short", |r| timing(r).timeout = Some(span(0, 999_999_999)), &["endpoint.policy.timeout"]),
        ("timeout too long", |r| timing(r).timeout = Some(span(31, 0)), &["endpoint.policy.timeout"]),
        ("mixed signs", |r| timing(r).timeout = Some(span(5, -1)), &["endpoint.policy.timeout"]),
        ("too many in flight", |r| timing(r).max_in_flight = 1_001, &["endpoint.policy.max_in_flight"]),
        ("negative in flight", |r| timing(r).max_in_flight = -1, &["endpoint.policy.max_in_flight"]),
        ("held too long", |r| timing(r).hold_duration = Some(span(7_776_001, 0)), &["endpoint.policy.hold_duration"]),
        ("unknown preset", |r| retry(r, Schedule::Preset(999)), &["endpoint.policy.retry.preset"]),
        ("negative preset", |r| retry(r, Schedule::Preset(-1)), &["endpoint.policy.retry.preset"]),
        ("no preset", |r| retry(r, Schedule::Preset(0)), &["endpoint.policy.retry.preset"]),
        ("negative delay", |r| retry(r, delays(span(-1, 0))), &["endpoint.policy.retry.delays.delays[0]"]),
        ("no attempts", |r| retry(r, backoff(0)), &["endpoint.policy.retry.exponential.max_attempts"]),
        ("many attempts", |r| retry(r, backoff(1_001)), &["endpoint.policy.retry.exponential.max_attempts"]),
        (
            "several",
            |r| {
                types(r, &[""]);
                timing(r).max_in_flight = -1;
                settings(r).url.clear();
                r.secret = Some(String::new());
            },
            &["endpoint.event_types[0]", "endpoint.policy.max_in_flight", "endpoint.url", "secret"],
        ),
    ];
    for (case, change, fields) in cases {
        let mut request = create("");
        change(&mut request);
        let mut client = api.client.clone();
        api.refuses(case, client.create_endpoint(request), Code::InvalidArgument, "INVALID_REQUEST", fields).await;
    }
}

fn settings(request: &mut CreateEndpointRequest) -> &mut Endpoint {
    request.endpoint.get_or_insert_default()
}

fn timing(request: &mut CreateEndpointRequest) -> &mut DeliveryPolicy {
    settings(request).policy.get_or_insert_default()
}

fn types(request: &mut CreateEndpointRequest, types: &[&str]) {
    settings(request).event_types = types.iter().map(|&text| text.to_owned()).collect();
}

fn many_types(request: &mut CreateEndpointRequest) {
    settings(request).event_types = (0..101).map(|index| format!("type.{index}")).collect();
}

fn retry(request: &mut CreateEndpointRequest, schedule: Schedule) {
    timing(request).retry = Some(RetrySchedule { schedule: Some(schedule) });
}

fn delays(delay: prost_types::Duration) -> Schedule {
    Schedule::Delays(RetryDelays { delays: vec![delay] })
}

fn backoff(max_attempts: i32) -> Schedule {
    Schedule::Exponential(ExponentialBackoff { initial_delay: Some(span(1, 0)), max_attempts, ..Default::default() })
}

fn update(endpoint: Endpoint, paths: &[&str]) -> UpdateEndpointRequest {
    let paths = paths.iter().map(|&path| path.to_owned()).collect();
    UpdateEndpointRequest { endpoint: Some(endpoint), update_mask: Some(FieldMask { paths }), ..Default::default() }
}

#[tokio::test]
async fn update_changes_the_named_fields_and_defaults_absent_ones() {
    let api = Api::start().await;
    let mut request = create("");
    timing(&mut request).max_in_flight = 3;
    timing(&mut request).timeout = Some(span(7, 0));
    let before = api.client.clone().create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap();
    let given = Endpoint {
        id: before.id.clone(),
        etag: before.etag.clone(),
        description: "new".to_owned(),
        // Neither is named, so neither is looked at.
        url: "nonsense".to_owned(),
        display_name: "a\0b".to_owned(),
        ..Default::default()
    };
    let request = update(given, &["description", "policy.timeout"]);
    let after = api.client.clone().update_endpoint(request).await.unwrap().into_inner().endpoint.unwrap();
    assert_eq!((after.description.as_str(), &after.url), ("new", &before.url));
    let policy = after.policy.as_ref().unwrap();
    assert_eq!((policy.timeout, policy.max_in_flight), (None, 3));
    assert_eq!(after.effective_policy.as_ref().unwrap().timeout, Some(span(15, 0)));
    assert_ne!(after.etag, before.etag);
}

#[tokio::test]
async fn bad_updates_are_refused() {
    let api = Api::start().await;
    let made = created(&api, "").await;
    let id = |endpoint: Endpoint| Endpoint { id: made.id.clone(), ..endpoint };
    let cases: [(&str, UpdateEndpointRequest, &[&str]); 7] = [
        ("no mask", UpdateEndpointRequest { update_mask: None, ..update(id(endpoint()), &[]) }, &["update_mask"]),
        ("empty mask", update(id(endpoint()), &[]), &["update_mask"]),
        ("unknown path", update(id(endpoint()), &["url", "colour"]), &["update_mask.paths[1]"]),
        ("immutable path", update(id(endpoint()), &["id"]), &["update_mask.paths[0]"]),
        ("no endpoint", UpdateEndpointRequest { endpoint: None, ..update(endpoint(), &["url"]) }, &["endpoint"]),
        ("no url", update(id(Endpoint::default()), &["url"]), &["endpoint.url"]),
        (
            "several",
            update(Endpoint::default(), &["url", "x"]),
            &["update_mask.paths[1]", "endpoint.id", "endpoint.url"],
        ),
    ];
    let mut client = api.client.clone();
    for (case, request, fields) in cases {
        let call = client.update_endpoint(request);
        api.refuses(case, call, Code::InvalidArgument, "INVALID_REQUEST", fields).await;
    }
    let stale = Endpoint { etag: "AAAAAAAAAAAA".to_owned(), ..id(endpoint()) };
    let call = client.update_endpoint(update(stale, &["url"]));
    api.refuses("stale etag", call, Code::Aborted, "ETAG_MISMATCH", &[]).await;
    let request = DeleteEndpointRequest { endpoint_id: made.id, etag: "stale".to_owned(), ..Default::default() };
    api.refuses("delete", client.delete_endpoint(request), Code::Aborted, "ETAG_MISMATCH", &[]).await;
}

#[tokio::test]
async fn lists_page_oldest_first_by_tokens_of_their_own() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(created(&api, "").await.id);
    }
    let (mut listed, mut tokens, mut page_token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let request = ListEndpointsRequest { page_size: 2, page_token, ..Default::default() };
        let page = client.list_endpoints(request).await.unwrap().into_inner();
        listed.extend(page.endpoints.into_iter().map(|endpoint| endpoint.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        tokens.push(page_token.clone());
    }
    assert_eq!((listed, tokens.len()), (ids, 2));

    let all = ListEndpointsRequest { page_size: 100_000, ..Default::default() };
    assert_eq!(client.list_endpoints(all).await.unwrap().into_inner().endpoints.len(), 5);
    let negative = ListEndpointsRequest { page_size: -1, ..Default::default() };
    let call = client.list_endpoints(negative);
    api.refuses("page size", call, Code::InvalidArgument, "INVALID_REQUEST", &["page_size"]).await;

    let token = |tenant: &str, token: &str| ListEndpointsRequest {
        tenant_id: tenant.to_owned(),
        page_token: token.to_owned(),
        ..Default::default()
    };
    let other = if tokens[0].starts_with('A') { "B" } else { "A" };
    let tampered = format!("{other}{}", &tokens[0][1..]);
    let mut texts = Vec::new();
    for request in [token("", "garbage"), token("other", &tokens[0]), token("", &tampered)] {
        let call = client.list_endpoints(request);
        let status = api.refuses("token", call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &["page_token"]).await;
        texts.push(shown(&status));
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

/// `count` labels, the first with this key.
fn labels(count: usize, key: &str, value: &str) -> BTreeMap<String, String> {
    let name = |index| if index == 0 { key.to_owned() } else { format!("{key}{index}") };
    (0..count).map(|index| (name(index), value.to_owned())).collect()
}

#[tokio::test]
async fn labels_are_kept_changed_and_bounded() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    for (bad, field) in [
        (labels(65, "key", ""), "endpoint.labels"),
        (labels(1, "", ""), "endpoint.labels[\"\"]"),
        (labels(1, &"k".repeat(129), ""), &format!("endpoint.labels[\"{}…\"]", "k".repeat(64))),
        (labels(1, "k", &"v".repeat(1_025)), "endpoint.labels[\"k\"]"),
        (labels(1, "k", "\0"), "endpoint.labels[\"k\"]"),
        (labels(1, "k\0", ""), "endpoint.labels[\"k\\0\"]"),
    ] {
        let mut request = create("");
        settings(&mut request).labels = bad.clone();
        let call = client.create_endpoint(request);
        api.refuses(field, call, Code::InvalidArgument, "INVALID_REQUEST", &[field]).await;
    }
    let most = labels(64, &"ä".repeat(63), &"v".repeat(1_024));
    let mut request = create("");
    settings(&mut request).labels = most.clone();
    let made = client.create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap();
    assert_eq!(made.labels, most);

    let bad = Endpoint { id: made.id.clone(), labels: labels(1, "", ""), ..Default::default() };
    let call = client.update_endpoint(update(bad.clone(), &["labels"]));
    api.refuses("update", call, Code::InvalidArgument, "INVALID_REQUEST", &["endpoint.labels[\"\"]"]).await;
    let unnamed = client.update_endpoint(update(bad, &["description"])).await.unwrap().into_inner().endpoint.unwrap();
    assert_eq!(unnamed.labels, most, "what is not named is not looked at");
    let fewer = Endpoint { id: made.id.clone(), labels: labels(1, "region", "eu"), ..Default::default() };
    let after = client.update_endpoint(update(fewer, &["labels"])).await.unwrap().into_inner().endpoint.unwrap();
    assert_eq!(after.labels, labels(1, "region", "eu"));
    assert_ne!(after.etag, unnamed.etag);

    let api = api.restart().await;
    let get = GetEndpointRequest { endpoint_id: made.id.clone(), ..Default::default() };
    assert_eq!(api.client.clone().get_endpoint(get).await.unwrap().into_inner().endpoint.unwrap(), after);
    let none = Endpoint { id: made.id, ..Default::default() };
    let after = api.client.clone().update_endpoint(update(none, &["labels"])).await.unwrap().into_inner();
    assert!(after.endpoint.unwrap().labels.is_empty());
}

#[tokio::test]
async fn lists_select_and_their_tokens_belong_to_the_filter() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let mut ids = Vec::new();
    for number in 0..6 {
        let mut request = create("");
        settings(&mut request).labels = labels(1, "region", if number % 2 == 0 { "eu" } else { "us" });
        request.disabled = number == 0;
        ids.push(client.create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap().id);
    }
    let selecting = |filter| ListEndpointsRequest { filter: Some(filter), page_size: 2, ..Default::default() };
    let in_eu = || EndpointFilter { labels: labels(1, "region", "eu"), ..Default::default() };
    let page = client.list_endpoints(selecting(in_eu())).await.unwrap().into_inner();
    let next = ListEndpointsRequest { page_token: page.next_page_token.clone(), ..selecting(in_eu()) };
    let rest = client.list_endpoints(next).await.unwrap().into_inner();
    let listed: Vec<_> = page.endpoints.iter().chain(&rest.endpoints).map(|endpoint| endpoint.id.as_str()).collect();
    assert_eq!(listed, [&ids[0], &ids[2], &ids[4]]);
    let enabled = EndpointFilter { states: vec![EndpointState::Enabled as i32], ..in_eu() };
    let page_of_enabled = client.list_endpoints(selecting(enabled.clone())).await.unwrap().into_inner();
    assert_eq!(page_of_enabled.endpoints.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [&ids[2], &ids[4]]);
    assert!(!page_of_enabled.next_page_token.is_empty(), "one that is not selected follows");

    for filter in [enabled, EndpointFilter::default()] {
        let stolen = ListEndpointsRequest { page_token: page.next_page_token.clone(), ..selecting(filter) };
        let call = client.list_endpoints(stolen);
        api.refuses("stolen", call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &["page_token"]).await;
    }
    let bad = EndpointFilter {
        labels: labels(65, "key", ""),
        states: vec![0, 999],
        event_type: "a b".to_owned(),
        url_host: "example.com:443".to_owned(),
    };
    let fields = ["filter.labels", "filter.states[0]", "filter.states[1]", "filter.event_type", "filter.url_host"];
    let call = client.list_endpoints(selecting(bad));
    api.refuses("bad", call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
}
