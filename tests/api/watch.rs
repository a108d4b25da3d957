//! WatchDeliveries: what it refuses, what ends a stream, and what a stream tells.

use std::{collections::HashSet, time::Duration};

use prost_types::Timestamp;
use tidings::{
    proto::{retry_schedule::Schedule, watch_deliveries_request::Start, watch_deliveries_response::Message, *},
    watch,
};
use tonic::{Code, Streaming};

use crate::{
    created,
    support::{Api, OTHER_TENANT, shown, soon},
};

type Stream = Streaming<WatchDeliveriesResponse>;

fn watching(filter: Option<DeliveryFilter>, start: Option<Start>) -> WatchDeliveriesRequest {
    WatchDeliveriesRequest { filter, start, ..Default::default() }
}

fn resuming(token: &str) -> Option<Start> {
    Some(Start::ResumeToken(token.to_owned()))
}

/// Opens a stream, whose first message must be a heartbeat, and returns that too.
async fn open(api: &Api, request: WatchDeliveriesRequest) -> (Stream, WatchDeliveriesResponse) {
    let mut stream = api.client.clone().watch_deliveries(request).await.unwrap().into_inner();
    let first = soon(stream.message()).await.unwrap().unwrap();
    assert!(matches!(first.message, Some(Message::Heartbeat(_))), "{first:?}");
    (stream, first)
}

/// The next message that is not a heartbeat.
async fn next(stream: &mut Stream) -> WatchDeliveriesResponse {
    loop {
        let response = soon(stream.message()).await.unwrap().unwrap();
        if !matches!(response.message, Some(Message::Heartbeat(_))) {
            return response;
        }
    }
}

/// The messages up to the end of event `id`, that included.
async fn through(stream: &mut Stream, id: &str) -> Vec<WatchDeliveriesResponse> {
    let mut read = Vec::new();
    loop {
        read.push(next(stream).await);
        match &read[read.len() - 1].message {
            Some(Message::Delivery(delivery)) if delivery.event_id == id && delivery.state() == DeliveryState::Dead => {
                return read;
            }
            _ => {}
        }
    }
}

/// Creates an endpoint at a URL that refuses, where deliveries are dead after one request.
async fn hopeless(api: &Api, url: &str, event_type: &str) -> String {
    let retry = RetrySchedule { schedule: Some(Schedule::Delays(RetryDelays::default())) };
    let endpoint = Endpoint {
        url: url.to_owned(),
        event_types: vec![event_type.to_owned()],
        policy: Some(DeliveryPolicy { retry: Some(retry), ..Default::default() }),
        ..Default::default()
    };
    let request = CreateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
    api.client.clone().create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap().id
}

async fn publish(api: &Api, id: &str, event_type: &str) {
    let event = Event {
        id: id.to_owned(),
        r#type: event_type.to_owned(),
        payload: b"{}".as_slice().into(),
        ..Default::default()
    };
    let request = PublishEventRequest { event: Some(event), ..Default::default() };
    api.client.clone().publish_event(request).await.unwrap();
}

#[tokio::test]
async fn bad_filters_and_starts_are_refused_all_at_once() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let id = created(&api, "").await.id;
    let filter = DeliveryFilter::default;
    let types = |count: usize| (0..count).map(|number| format!("type{number}")).collect::<Vec<_>>();
    let time = |seconds, nanos| Some(Start::StartTime(Timestamp { seconds, nanos }));
    let cases: Vec<(DeliveryFilter, Option<Start>, &[&str])> = vec![
        (DeliveryFilter { states: vec![1, 999], ..filter() }, None, &["filter.states[1]"]),
        (DeliveryFilter { states: vec![0, -1], ..filter() }, None, &["filter.states[0]", "filter.states[1]"]),
        (DeliveryFilter { event_types: vec!["a b".to_owned()], ..filter() }, None, &["filter.event_types[0]"]),
        (DeliveryFilter { event_types: vec!["' OR 1=1".to_owned()], ..filter() }, None, &["filter.event_types[0]"]),
        (DeliveryFilter { event_types: vec!["a".to_owned(); 2], ..filter() }, None, &["filter.event_types[1]"]),
        (DeliveryFilter { event_types: types(101), ..filter() }, None, &["filter.event_types[100]"]),
        (
            DeliveryFilter { endpoint_ids: vec![id.clone(), String::new()], ..filter() },
            None,
            &["filter.endpoint_ids[1]"],
        ),
        (DeliveryFilter { endpoint_ids: vec![id.clone(); 101], ..filter() }, None, &["filter.endpoint_ids"]),
        (
            DeliveryFilter { event_ids: vec!["e".to_owned(), "ä".to_owned()], ..filter() },
            None,
            &["filter.event_ids[1]"],
        ),
        (DeliveryFilter { event_ids: vec!["e".to_owned(); 101], ..filter() }, None, &["filter.event_ids"]),
        (
            DeliveryFilter { failure_kinds: vec![0, 1, 999], ..filter() },
            None,
            &["filter.failure_kinds[0]", "filter.failure_kinds[2]"],
        ),
        (
            DeliveryFilter { start_create_time: Some(Timestamp::default()), ..filter() },
            None,
            &["filter.start_create_time"],
        ),
        (DeliveryFilter { end_create_time: Some(Timestamp::default()), ..filter() }, None, &["filter.end_create_time"]),
        (filter(), Some(Start::FromOldest(false)), &["from_oldest"]),
        (filter(), time(0, 1_000_000_000), &["start_time"]),
        (filter(), time(0, -1), &["start_time"]),
        (filter(), time(253_402_300_800, 0), &["start_time"]),
        (filter(), time(i64::MIN, i32::MIN), &["start_time"]),
        (
            DeliveryFilter {
                endpoint_ids: vec!["x".to_owned()],
                event_types: vec![String::new()],
                states: vec![0],
                ..filter()
            },
            Some(Start::FromOldest(false)),
            &["filter.states[0]", "filter.endpoint_ids[0]", "filter.event_types[0]", "from_oldest"],
        ),
    ];
    for (filter, start, fields) in cases {
        let case = format!("{filter:?} {start:?}").chars().take(200).collect::<String>();
        let call = client.watch_deliveries(watching(Some(filter), start));
        api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", fields).await;
    }
    // As many as there may be are taken, in whatever number of copies.
    let filter =
        DeliveryFilter { endpoint_ids: vec![id; 100], event_types: types(100), states: vec![1, 1, 6], ..filter() };
    open(&api, watching(Some(filter), time(253_402_300_799, 999_999_999))).await;
}

#[tokio::test]
async fn another_tenants_endpoint_is_as_good_as_none() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let (own, foreign) = (created(&api, "").await.id, created(&api, OTHER_TENANT).await.id);
    let named = |ids: &[&String], tenant_id: &str| {
        let endpoint_ids = ids.iter().map(|id| (*id).clone()).collect();
        let filter = Some(DeliveryFilter { endpoint_ids, ..Default::default() });
        WatchDeliveriesRequest { tenant_id: tenant_id.to_owned(), ..watching(filter, None) }
    };
    let call = client.watch_deliveries(named(&[&own, &foreign], ""));
    let refused = api.refuses("foreign", call, Code::NotFound, "NOT_FOUND", &[]).await;
    let nobodys = GetEndpointRequest { endpoint_id: foreign.clone(), ..Default::default() };
    let nobody = client.get_endpoint(nobodys).await.unwrap_err();
    assert_eq!((shown(&refused), refused.details()), (shown(&nobody), nobody.details()));
    let call = client.watch_deliveries(named(&[], "nobody"));
    api.refuses("unknown tenant", call, Code::NotFound, "NOT_FOUND", &[]).await;
    open(&api, named(&[&foreign], OTHER_TENANT)).await;
}

#[tokio::test]
async fn whatever_is_wrong_with_a_resume_token_gets_one_text() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let id = created(&api, "").await.id;
    let (_, heartbeat) = open(&api, watching(None, None)).await;
    let token = heartbeat.resume_token;
    let flipped = if token.ends_with('A') { 'B' } else { 'A' };
    let tampered = format!("{}{flipped}", &token[..token.len() - 1]);
    let mut requests: Vec<WatchDeliveriesRequest> = [
        "",
        "garbage",
        "' OR 1=1",
        "\0",
        &tampered,
        &format!("{token}="),
        &token[4..],
        &token.repeat(2),
        &"A".repeat(60),
    ]
    .iter()
    .map(|wrong| watching(None, resuming(wrong)))
    .collect();
    let filters = [
        DeliveryFilter { endpoint_ids: vec![id], ..Default::default() },
        DeliveryFilter { event_types: vec!["*".to_owned()], ..Default::default() },
        DeliveryFilter { states: vec![1], ..Default::default() },
        DeliveryFilter { event_ids: vec!["e".to_owned()], ..Default::default() },
        DeliveryFilter { failure_kinds: vec![1], ..Default::default() },
    ];
    requests.extend(filters.into_iter().map(|filter| watching(Some(filter), resuming(&token))));
    requests.push(WatchDeliveriesRequest { tenant_id: OTHER_TENANT.to_owned(), ..watching(None, resuming(&token)) });

    let mut texts = HashSet::new();
    for request in requests {
        let case = format!("{request:?}");
        let call = client.watch_deliveries(request);
        let fields = ["resume_token"];
        let status = api.refuses(&case, call, Code::InvalidArgument, "INVALID_RESUME_TOKEN", &fields).await;
        texts.insert(shown(&status));
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
    // No filter and an empty one are the same.
    open(&api, watching(Some(DeliveryFilter::default()), resuming(&token))).await;
}

#[tokio::test]
async fn token_of_what_is_not_kept_any_more_is_out_of_range() {
    // As the end of a retention period leaves it. The first row is that of an empty log.
    const FORGET: &str = "DELETE FROM log WHERE seq < (SELECT max(seq) FROM log) AND CAST($1 AS TEXT) IS NOT NULL";
    let api = Api::start().await;
    created(&api, "").await;
    let (_, old) = open(&api, watching(None, None)).await;
    for _ in 0..3 {
        created(&api, "").await;
    }
    let (_, new) = open(&api, watching(None, None)).await;
    api.execute(FORGET, b"").await;
    // Another server has nothing of it in memory.
    let api = api.restart().await;
    let mut client = api.client.clone();
    let call = client.watch_deliveries(watching(None, resuming(&old.resume_token)));
    api.refuses("old", call, Code::OutOfRange, "RESUME_TOKEN_EXPIRED", &[]).await;
    open(&api, watching(None, resuming(&new.resume_token))).await;
}

#[tokio::test]
async fn one_stream_too_many_is_refused_with_a_time_to_wait() {
    let api = Api::start_watching(watch::Config { streams_max: 2, ..Default::default() }).await;
    let mut client = api.client.clone();
    let _open = (open(&api, watching(None, None)).await, open(&api, watching(None, None)).await);
    let call = client.watch_deliveries(watching(None, None));
    let refused = api.refuses("third", call, Code::ResourceExhausted, "TOO_MANY_STREAMS", &[]).await;
    let details = tonic_types::StatusExt::get_error_details(&refused);
    assert!(details.retry_info().is_some_and(|info| info.retry_delay.is_some()), "{details:?}");
}

#[tokio::test]
async fn shutdown_ends_a_stream_and_says_so() {
    let api = Api::start().await;
    let (mut stream, _) = open(&api, watching(None, None)).await;
    let (end, ()) = tokio::join!(soon(stream.message()), soon(api.stop()));
    let end = end.unwrap_err();
    assert_eq!(end.code(), Code::Unavailable, "{end:?}");
    assert!(shown(&end).contains("SHUTTING_DOWN"), "{end:?}");
}

#[tokio::test]
async fn a_silent_stream_sends_heartbeats_that_move_on_past_what_it_passes_over() {
    let api = Api::start_watching(watch::Config { heartbeat: Duration::from_millis(20), ..Default::default() }).await;
    let other = WatchDeliveriesRequest { tenant_id: OTHER_TENANT.to_owned(), ..Default::default() };
    let (mut stream, mut last) = open(&api, other.clone()).await;
    // Nothing of this is told to the other tenant.
    created(&api, "").await;
    let before = last.clone();
    while last.resume_token == before.resume_token {
        last = soon(stream.message()).await.unwrap().unwrap();
        assert!(matches!(last.message, Some(Message::Heartbeat(_))), "{last:?}");
    }
    assert!(last.commit_time.is_some() && last.commit_time != before.commit_time, "{before:?} {last:?}");
    let resumed = WatchDeliveriesRequest { start: resuming(&last.resume_token), ..other };
    assert_eq!(open(&api, resumed).await.1, last);
}

#[tokio::test]
async fn every_message_of_a_stream_resumes_exactly_after_a_restart() {
    let (api, url) = Api::start_local().await;
    let (mut live, first) = open(&api, watching(None, None)).await;
    hopeless(&api, &url, "*").await;
    for id in ["e1", "e2", "e3"] {
        publish(&api, id, "user.created").await;
    }
    let mut before = vec![next(&mut live).await];
    for _ in 0..3 * 2 {
        before.push(next(&mut live).await);
    }
    drop(live);

    let api = api.restart().await;
    publish(&api, "e4", "user.created").await;
    let (mut stream, heartbeat) = open(&api, watching(None, resuming(&first.resume_token))).await;
    assert_eq!(heartbeat.resume_token, first.resume_token);
    let all = through(&mut stream, "e4").await;
    assert_eq!((&all[..before.len()], all.len()), (&before[..], before.len() + 2));
    assert!(all.windows(2).all(|pair| commit_time(&pair[0]) <= commit_time(&pair[1])), "{all:?}");
    let tokens: HashSet<&str> = all.iter().map(|response| response.resume_token.as_str()).collect();
    assert_eq!(tokens.len(), all.len());

    for (index, response) in all.iter().enumerate().take(all.len() - 1) {
        let (mut stream, _) = open(&api, watching(None, resuming(&response.resume_token))).await;
        assert_eq!(through(&mut stream, "e4").await, all[index + 1..], "after message {index}");
    }
    let (mut stream, _) = open(&api, watching(None, Some(Start::FromOldest(true)))).await;
    let messages = |read: &[WatchDeliveriesResponse]| read.iter().map(|one| one.message.clone()).collect::<Vec<_>>();
    assert_eq!(messages(&through(&mut stream, "e4").await), messages(&all));
}

#[tokio::test]
async fn heartbeat_tells_no_commit_before_the_stream_has_passed_one() {
    let (api, url) = Api::start_local().await;
    let from_oldest = || watching(None, Some(Start::FromOldest(true)));
    let (mut stream, first) = open(&api, from_oldest()).await;
    assert_eq!(first.commit_time, None);
    hopeless(&api, &url, "*").await;
    let told = next(&mut stream).await;
    assert!(commit_time(&told).0 > 1_700_000_000, "{told:?}");
    let (_, later) = open(&api, watching(None, None)).await;
    assert_eq!(later.commit_time, told.commit_time);
    assert_eq!(open(&api, from_oldest()).await.1.commit_time, None);
}

fn commit_time(response: &WatchDeliveriesResponse) -> (i64, i32) {
    response.commit_time.map(|time| (time.seconds, time.nanos)).unwrap()
}

#[tokio::test]
async fn a_filter_selects_by_endpoint_type_and_state() {
    let (api, url) = Api::start_local().await;
    let oldest = || Some(Start::FromOldest(true));
    let (mut stream, _) = open(&api, watching(None, oldest())).await;
    let orders = hopeless(&api, &url, "order.*").await;
    let users = hopeless(&api, &url, "user.*").await;
    publish(&api, "o1", "order.paid").await;
    let mut all = through(&mut stream, "o1").await;
    publish(&api, "u1", "user.created").await;
    all.extend(through(&mut stream, "u1").await);
    publish(&api, "o2", "order.sent").await;
    all.extend(through(&mut stream, "o2").await);
    // What every filter below selects the end of.
    publish(&api, "last", "order.paid").await;
    all.extend(through(&mut stream, "last").await);
    let all: Vec<Told> = all.iter().map(told).collect();
    let (created, queued, dead) = ("created", "QUEUED", "DEAD");
    let everything = [
        (created, "", &orders),
        (created, "", &users),
        (queued, "o1", &orders),
        (dead, "o1", &orders),
        (queued, "u1", &users),
        (dead, "u1", &users),
        (queued, "o2", &orders),
        (dead, "o2", &orders),
        (queued, "last", &orders),
        (dead, "last", &orders),
    ]
    .map(|(what, event, endpoint)| (what.to_owned(), event.to_owned(), endpoint.clone()));
    assert_eq!(all, everything);

    let (none, failure) = (DeliveryFilter::default, FailureKind::Connect as i32);
    let cases: [(DeliveryFilter, &[usize]); 10] = [
        (none(), &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (DeliveryFilter { endpoint_ids: vec![orders.clone()], ..none() }, &[0, 2, 3, 6, 7, 8, 9]),
        (DeliveryFilter { endpoint_ids: vec![users, orders.clone()], ..none() }, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (DeliveryFilter { event_types: vec!["order.*".to_owned()], ..none() }, &[2, 3, 6, 7, 8, 9]),
        (DeliveryFilter { event_types: vec!["order.paid".to_owned()], ..none() }, &[2, 3, 8, 9]),
        (DeliveryFilter { states: vec![DeliveryState::Dead as i32], ..none() }, &[3, 5, 7, 9]),
        (DeliveryFilter { event_ids: vec!["u1".to_owned(), "last".to_owned()], ..none() }, &[4, 5, 8, 9]),
        (DeliveryFilter { failure_kinds: vec![failure], ..none() }, &[3, 5, 7, 9]),
        (DeliveryFilter { failure_kinds: vec![failure], event_ids: vec!["last".to_owned()], ..none() }, &[9]),
        (
            DeliveryFilter {
                endpoint_ids: vec![orders],
                event_types: vec!["order.paid".to_owned(), "user.*".to_owned()],
                states: vec![DeliveryState::Dead as i32],
                ..none()
            },
            &[3, 9],
        ),
    ];
    for (filter, expected) in cases {
        let case = format!("{filter:?}");
        let (mut stream, _) = open(&api, watching(Some(filter), oldest())).await;
        let selected: Vec<Told> = through(&mut stream, "last").await.iter().map(told).collect();
        let expected: Vec<Told> = expected.iter().map(|index| everything[*index].clone()).collect();
        assert_eq!(selected, expected, "{case}");
    }
}

/// What happened, to which event, and at which endpoint.
type Told = (String, String, String);

fn told(response: &WatchDeliveriesResponse) -> Told {
    match response.message.clone().unwrap() {
        Message::Delivery(delivery) => {
            let kind = delivery.kind().as_str_name().trim_start_matches("DELIVERY_TRANSITION_KIND_");
            (kind.to_owned(), delivery.event_id, delivery.endpoint_id)
        }
        Message::Endpoint(endpoint) => {
            assert_eq!(endpoint.kind(), EndpointTransitionKind::Created);
            ("created".to_owned(), String::new(), endpoint.endpoint_id)
        }
        Message::Heartbeat(_) => unreachable!("passed over by next()"),
    }
}
