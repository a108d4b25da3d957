//! Settings at and beyond their limits, given to CreateEndpoint and, one by one, to UpdateEndpoint: both judge them alike.

use std::collections::BTreeSet;

use prost_types::FieldMask;
use tidings::proto::{retry_schedule::Schedule, *};
use tonic::Code;

use crate::{
    create, created, endpoint, mask, span,
    support::{Api, shown},
};

/// An endpoint of which both calls are tried.
pub(crate) struct Tried<'a> {
    api: &'a Api,
    pub(crate) id: String,
}

impl Tried<'_> {
    /// Asserts that both calls refuse these settings for these fields, when the update names `path`, and say none of `secrets`.
    pub(crate) async fn refuses(&self, case: &str, path: &str, given: Endpoint, fields: &[&str], secrets: &[&str]) {
        self.refuses_for(case, path, given, "INVALID_REQUEST", fields, secrets).await;
    }

    async fn refuses_for(
        &self,
        case: &str,
        path: &str,
        given: Endpoint,
        reason: &str,
        fields: &[&str],
        secrets: &[&str],
    ) {
        let mut client = self.api.client.clone();
        let endpoint = Some(given.clone());
        let call = client.create_endpoint(CreateEndpointRequest { endpoint, ..Default::default() });
        let create = self.api.refuses(&format!("create: {case}"), call, Code::InvalidArgument, reason, fields).await;
        let endpoint = Some(Endpoint { id: self.id.clone(), ..given });
        let call = client.update_endpoint(UpdateEndpointRequest {
            endpoint,
            update_mask: mask(&[path]),
            ..Default::default()
        });
        let update = self.api.refuses(&format!("update: {case}"), call, Code::InvalidArgument, reason, fields).await;
        for secret in secrets {
            assert!(!shown(&create).contains(secret) && !shown(&update).contains(secret), "{case} is told {secret}");
        }
    }

    /// Asserts that both calls take these settings, when the update names `path`.
    pub(crate) async fn takes(&self, case: &str, path: &str, given: Endpoint) {
        let mut client = self.api.client.clone();
        let request = CreateEndpointRequest { endpoint: Some(given.clone()), ..Default::default() };
        client.create_endpoint(request).await.unwrap_or_else(|status| panic!("create: {case}: {status:?}"));
        let endpoint = Some(Endpoint { id: self.id.clone(), ..given });
        let request = UpdateEndpointRequest { endpoint, update_mask: mask(&[path]), ..Default::default() };
        client.update_endpoint(request).await.unwrap_or_else(|status| panic!("update: {case}: {status:?}"));
    }
}

/// Of both calls, on an endpoint of its own.
pub(crate) async fn tried(api: &Api) -> Tried<'_> {
    Tried { api, id: created(api, "").await.id }
}

#[tokio::test]
async fn texts_and_event_types_have_limits_in_both_calls() {
    let api = Api::start().await;
    let both = tried(&api).await;
    let named = |display_name: &str| Endpoint { display_name: display_name.to_owned(), ..endpoint() };
    let described = |description: &str| Endpoint { description: description.to_owned(), ..endpoint() };
    for (case, text) in [("NUL", "a\0b"), ("1,025 bytes", &"x".repeat(1_025)), ("1,026 bytes", &"é".repeat(513))] {
        both.refuses(case, "display_name", named(text), &["endpoint.display_name"], &[]).await;
        both.refuses(case, "description", described(text), &["endpoint.description"], &[]).await;
    }
    for text in ["é".repeat(512).as_str(), "' OR 1=1; --", "\u{202e}\r\n"] {
        both.takes(text, "display_name", named(text)).await;
        both.takes(text, "description", described(text)).await;
    }

    let types = |patterns: &[&str]| Endpoint {
        event_types: patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
        ..endpoint()
    };
    let long = "x".repeat(129);
    let bad: [(&[&str], &[&str]); 9] = [
        (&[""], &["endpoint.event_types[0]"]),
        (&["a", "a b"], &["endpoint.event_types[1]"]),
        (&["a..b"], &["endpoint.event_types[0]"]),
        (&[".a"], &["endpoint.event_types[0]"]),
        (&["a."], &["endpoint.event_types[0]"]),
        (&["é", "a*", "**.a"], &["endpoint.event_types[0]", "endpoint.event_types[1]", "endpoint.event_types[2]"]),
        (&["a\0"], &["endpoint.event_types[0]"]),
        (&[&long], &["endpoint.event_types[0]"]),
        (&["a", "a"], &["endpoint.event_types[1]"]),
    ];
    for (patterns, fields) in bad {
        both.refuses(&format!("{patterns:?}"), "event_types", types(patterns), fields, &[]).await;
    }
    let many: Vec<String> = (0..101).map(|number| format!("type.{number}")).collect();
    let given = |count: usize| Endpoint { event_types: many[..count].to_vec(), ..endpoint() };
    both.refuses("101 patterns", "event_types", given(101), &["endpoint.event_types[100]"], &[]).await;
    both.takes("100 patterns", "event_types", given(100)).await;
    for patterns in [&[][..], &["*"], &["user.*", "*.created", "a.**"], &[&long[..128]]] {
        both.takes(&format!("{patterns:?}"), "event_types", types(patterns)).await;
    }
}

fn policy(change: impl FnOnce(&mut DeliveryPolicy)) -> Endpoint {
    let mut policy = DeliveryPolicy::default();
    change(&mut policy);
    Endpoint { policy: Some(policy), ..endpoint() }
}

fn retry(schedule: Option<Schedule>) -> Endpoint {
    policy(|policy| policy.retry = Some(RetrySchedule { schedule }))
}

fn backoff(change: impl FnOnce(&mut ExponentialBackoff)) -> Endpoint {
    let mut backoff = ExponentialBackoff {
        initial_delay: Some(span(1, 0)),
        multiplier: 2.0,
        max_delay: Some(span(60, 0)),
        max_attempts: 3,
    };
    change(&mut backoff);
    retry(Some(Schedule::Exponential(backoff)))
}

fn delays(delays: Vec<prost_types::Duration>) -> Endpoint {
    retry(Some(Schedule::Delays(RetryDelays { delays })))
}

#[tokio::test]
async fn policies_have_limits_in_both_calls() {
    const DAYS_30: i64 = 30 * 86_400;
    let api = Api::start().await;
    let both = tried(&api).await;
    // (the field after `endpoint.policy.`, what it is given)
    let odd = [span(0, -1), span(-1, 0), span(5, -1), span(-5, 1), span(i64::MIN, i32::MIN), span(0, 1_000_000_000)];
    let mut bad: Vec<(&str, Endpoint)> = Vec::new();
    for duration in odd {
        bad.push(("timeout", policy(|policy| policy.timeout = Some(duration))));
        bad.push(("hold_duration", policy(|policy| policy.hold_duration = Some(duration))));
        bad.push(("retry.delays.delays[1]", delays(vec![span(1, 0), duration])));
        bad.push((
            "retry.exponential.initial_delay",
            backoff(|backoff| {
                (backoff.initial_delay, backoff.max_delay) = (Some(duration), None);
            }),
        ));
        bad.push(("retry.exponential.max_delay", backoff(|backoff| backoff.max_delay = Some(duration))));
    }
    for duration in [span(0, 0), span(0, 999_999_999), span(30, 1), span(31, 0), span(315_576_000_001, 0)] {
        bad.push(("timeout", policy(|policy| policy.timeout = Some(duration))));
    }
    for duration in [span(0, 0), span(0, 999_999_999), span(90 * 86_400, 1), span(i64::MAX, 0)] {
        bad.push(("hold_duration", policy(|policy| policy.hold_duration = Some(duration))));
    }
    for number in [-1, i32::MIN, 1_001, i32::MAX] {
        bad.push(("max_in_flight", policy(|policy| policy.max_in_flight = number)));
        bad.push(("disable_after_dead", policy(|policy| policy.disable_after_dead = Some(number))));
        bad.push(("retry.exponential.max_attempts", backoff(|backoff| backoff.max_attempts = number)));
    }
    for number in [0.999, -1.0, 100.001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE] {
        bad.push(("retry.exponential.multiplier", backoff(|backoff| backoff.multiplier = number)));
    }
    for number in [0, -1, 3, 999] {
        bad.push(("retry.preset", retry(Some(Schedule::Preset(number)))));
    }
    bad.extend([
        ("retry", retry(None)),
        ("retry.delays.delays", delays(vec![span(1, 0); 1_000])),
        ("retry.delays.delays[0]", delays(vec![span(DAYS_30, 1)])),
        ("retry.exponential.max_attempts", backoff(|backoff| backoff.max_attempts = 0)),
        ("retry.exponential.initial_delay", backoff(|backoff| backoff.initial_delay = None)),
        ("retry.exponential.initial_delay", backoff(|b| b.initial_delay = Some(span(0, 999_999)))),
        ("retry.exponential.max_delay", backoff(|backoff| backoff.max_delay = Some(span(0, 999_000_000)))),
        ("retry.exponential.max_delay", backoff(|backoff| backoff.max_delay = Some(span(DAYS_30, 1)))),
    ]);
    for (field, given) in bad {
        let path = format!("policy.{}", field.split('.').next().unwrap());
        let case = format!("{field}: {:?}", given.policy);
        both.refuses(&case, &path, given.clone(), &[&format!("endpoint.policy.{field}")], &[]).await;
        both.refuses(&case, "policy", given, &[&format!("endpoint.policy.{field}")], &[]).await;
    }
    let good = [
        ("timeout", policy(|policy| policy.timeout = Some(span(1, 0)))),
        ("timeout", policy(|policy| policy.timeout = Some(span(30, 0)))),
        ("hold_duration", policy(|policy| policy.hold_duration = Some(span(1, 0)))),
        ("hold_duration", policy(|policy| policy.hold_duration = Some(span(90 * 86_400, 0)))),
        ("max_in_flight", policy(|policy| policy.max_in_flight = 1_000)),
        ("disable_after_dead", policy(|policy| policy.disable_after_dead = Some(1_000))),
        ("disable_after_dead", policy(|policy| policy.disable_after_dead = Some(0))),
        ("retry", delays(vec![])),
        ("retry", delays(vec![span(DAYS_30, 0); 999])),
        ("retry", backoff(|backoff| backoff.max_attempts = 1_000)),
        ("retry", backoff(|backoff| (backoff.max_attempts, backoff.multiplier) = (1, 100.0))),
        ("retry", backoff(|backoff| (backoff.multiplier, backoff.max_delay) = (1.0, Some(span(1, 0))))),
        ("retry", backoff(|backoff| (backoff.multiplier, backoff.max_delay) = (0.0, Some(span(DAYS_30, 0))))),
    ];
    for (path, given) in good {
        both.takes(&format!("{:?}", given.policy), &format!("policy.{path}"), given).await;
    }
    // All that is wrong with a policy at once.
    let mut wrong = backoff(|backoff| *backoff = ExponentialBackoff { multiplier: -1.0, ..Default::default() });
    let policy = wrong.policy.as_mut().unwrap();
    (policy.timeout, policy.max_in_flight, policy.disable_after_dead) = (Some(span(0, 0)), -1, Some(-1));
    policy.hold_duration = Some(span(0, 0));
    let fields = [
        "retry.exponential.initial_delay",
        "retry.exponential.multiplier",
        "retry.exponential.max_attempts",
        "timeout",
        "max_in_flight",
        "hold_duration",
        "disable_after_dead",
    ]
    .map(|field| format!("endpoint.policy.{field}"));
    both.refuses("all", "policy", wrong, &fields.each_ref().map(String::as_str), &[]).await;
}

#[tokio::test]
async fn urls_are_judged_alike_in_both_calls_and_tell_no_credentials() {
    let api = Api::start().await;
    let both = tried(&api).await;
    let long = format!("https://example.com/{}", "x".repeat(2_048 - 20));
    assert_eq!(long.len(), 2_048);
    let cases = [
        ("", "INVALID_REQUEST"),
        ("https:///p", "INVALID_REQUEST"),
        ("https:host", "INVALID_REQUEST"),
        ("gopher://example.com/", "INVALID_REQUEST"),
        ("http://example.com/?token=canary-query", "INVALID_REQUEST"),
        ("https://canary-user@example.com/", "INVALID_REQUEST"),
        ("https://:canary-word@example.com/?token=canary-query", "INVALID_REQUEST"),
        ("https://exa mple.com/?token=canary-query", "INVALID_REQUEST"),
        ("https://example.com/?token=canary-query#fragment", "INVALID_REQUEST"),
        ("https://exam\u{7f}ple.com/", "INVALID_REQUEST"),
        ("https://example.com\\@canary-user.example/", "INVALID_REQUEST"),
        ("https://[fe80::1%25eth0]/", "INVALID_REQUEST"),
        ("https://exam\u{202e}ple.com/", "INVALID_REQUEST"),
        ("\u{feff}https://example.com/", "INVALID_REQUEST"),
        (&format!("{long}x"), "INVALID_REQUEST"),
        (&format!("https://{}.com/", "a".repeat(64)), "INVALID_REQUEST"),
        (&format!("https://{}com/", "a.".repeat(126)), "INVALID_REQUEST"),
        ("https://127.0.0.1/?token=canary-query", "URL_BLOCKED_ADDRESS"),
        ("https://%31%32%37.0.0.1/", "URL_BLOCKED_ADDRESS"),
        ("https://①②⑦.⓪.⓪.①/", "URL_BLOCKED_ADDRESS"),
        ("https://LOCALHOST/", "URL_BLOCKED_ADDRESS"),
        ("https://a.b.localhost./", "URL_BLOCKED_ADDRESS"),
        ("https://[::ffff:a9fe:a9fe]/", "URL_BLOCKED_ADDRESS"),
        ("https://[fe80::1]/", "URL_BLOCKED_ADDRESS"),
        ("https://[ff02::1]/", "URL_BLOCKED_ADDRESS"),
        ("https://255.255.255.255/", "URL_BLOCKED_ADDRESS"),
        ("https://192.0.0.1/", "URL_BLOCKED_ADDRESS"),
        ("https://198.18.0.1/", "URL_BLOCKED_ADDRESS"),
        ("https://240.0.0.1/", "URL_BLOCKED_ADDRESS"),
        ("https://example.com:0/", "URL_PORT"),
        ("https://example.com:80/?token=canary-query", "URL_PORT"),
        ("https://example.com:65535/", "URL_PORT"),
    ];
    let canaries = ["canary-user", "canary-word", "canary-query"];
    for (url, reason) in cases {
        let given = Endpoint { url: url.to_owned(), ..endpoint() };
        // A percent-encoded host is wrong for itself, too.
        let fields = if url.contains("%3") { &["endpoint.url"; 2][..] } else { &["endpoint.url"] };
        both.refuses_for(url, "url", given, reason, fields, &canaries).await;
    }
    let longest_host = format!("https://{}{}/", "a.".repeat(125), "abc");
    let label = format!("https://{}.com/", "a".repeat(63));
    for url in [long.as_str(), &longest_host, &label, "https://example.com:8443/a?b=c", "https://bücher.example/"] {
        both.takes(url, "url", Endpoint { url: url.to_owned(), ..endpoint() }).await;
    }
}

#[tokio::test]
async fn mask_takes_what_is_set_and_refuses_every_other_field_there_is() {
    const SET: [&str; 10] = [
        "display_name",
        "description",
        "labels",
        "url",
        "event_types",
        "policy",
        "style",
        "headers",
        "credentials",
        "policy.timeout",
    ];
    let api = Api::start().await;
    let both = tried(&api).await;
    let pool = prost_reflect::DescriptorPool::decode(DESCRIPTORS).unwrap();
    let message = pool.get_message_by_name("tidings.v1.Endpoint").unwrap();
    let fields: BTreeSet<String> = message.fields().map(|field| field.name().to_owned()).collect();
    assert!(SET[..9].iter().all(|set| fields.contains(*set)));
    let strange = ["*", "", "URL", "displayName", "url.host", "policy.", "policy.retry.delays", "style.preset", "a\0b"];
    let others = fields.iter().map(String::as_str).filter(|field| !SET.contains(field)).chain(strange);
    for path in others {
        let given = Endpoint { id: both.id.clone(), ..endpoint() };
        let paths = vec!["url".to_owned(), path.to_owned()];
        let update_mask = Some(FieldMask { paths });
        let mut client = api.client.clone();
        let call =
            client.update_endpoint(UpdateEndpointRequest { endpoint: Some(given), update_mask, ..Default::default() });
        api.refuses(path, call, Code::InvalidArgument, "INVALID_REQUEST", &["update_mask.paths[1]"]).await;
    }
    for path in SET {
        let given = Endpoint { id: both.id.clone(), ..endpoint() };
        let request = UpdateEndpointRequest {
            endpoint: Some(given),
            update_mask: mask(&[path]),
            ..UpdateEndpointRequest::default()
        };
        api.client.clone().update_endpoint(request).await.unwrap_or_else(|status| panic!("{path}: {status:?}"));
    }
}

#[tokio::test]
async fn create_tells_what_is_wrong_with_every_part_of_it_at_once() {
    let api = Api::start().await;
    let mut request = create("");
    request.request_id = "not an id".to_owned();
    request.secret = Some("canary-secret".to_owned());
    request.endpoint = Some(Endpoint {
        display_name: "\0".to_owned(),
        description: "\0".to_owned(),
        labels: [("\0".to_owned(), String::new())].into(),
        url: "https://canary-user:canary-word@localhost:22/#".to_owned(),
        event_types: vec![String::new()],
        policy: Some(DeliveryPolicy { max_in_flight: -1, ..Default::default() }),
        headers: vec![EndpointHeader { name: "host".to_owned(), value: Some("canary-value\n".to_owned()) }],
        ..Default::default()
    });
    let fields = [
        "request_id",
        "endpoint.display_name",
        "endpoint.description",
        "endpoint.labels[\"\\0\"]",
        "endpoint.event_types[0]",
        "endpoint.policy.max_in_flight",
        "endpoint.headers[0].name",
        "endpoint.headers[0].value",
        "endpoint.url",
        "endpoint.url",
        "endpoint.url",
        "endpoint.url",
        "secret",
    ];
    let mut client = api.client.clone();
    let call = client.create_endpoint(request);
    let status = api.refuses("all", call, Code::InvalidArgument, "URL_BLOCKED_ADDRESS", &fields).await;
    assert!(!shown(&status).contains("canary"), "{}", shown(&status));
}
