use tonic_types::RpcStatusExt as _;

use super::*;
use crate::publish::queue;

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn event(id: &str, payload_bytes: usize) -> proto::Event {
    proto::Event {
        id: id.to_owned(),
        r#type: "user.created".to_owned(),
        content_type: "text/plain".to_owned(),
        payload: vec![b'x'; payload_bytes].into(),
        ..Default::default()
    }
}

/// The fields that a batch violates, as they are told.
fn violated(events: &[proto::Event], limits: Limits) -> Vec<(String, String)> {
    let mut violations = Violations::default();
    check_batch(events, limits, &mut violations);
    violations.into_shown()
}

#[test]
fn payloads_are_bounded_together() {
    let limits = Limits { payload_bytes_max: 4 << 20, ..Limits::default() };
    let mut events = vec![event("", 4 << 20), event("", 4 << 20)];
    assert_eq!(violated(&events, limits), []);
    events.push(event("", 1));
    let told = violated(&events, limits);
    let [(field, problem)] = told.as_slice() else { panic!("{told:?}") };
    assert!(field == "events" && problem.contains("8388608") && problem.contains("8388609"), "{told:?}");
    // One event of the longest kind always has a place.
    let limits = Limits { payload_bytes_max: 16 << 20, ..Limits::default() };
    assert_eq!(violated(&[event("", 16 << 20)], limits), []);
    assert!(limits.batch_bytes_max() > 16 << 20);
}

#[test]
fn every_repetition_is_told_with_the_first_of_its_id() {
    let events = ["a", "", "b", "a", "", "b", "a"].map(|id| event(id, 1));
    let told = violated(&events, Limits::default());
    let told: Vec<_> = told.iter().map(|(field, problem)| (field.as_str(), problem.as_str())).collect();
    let expected = [
        ("events[3].id", "must not be that of events[0]"),
        ("events[5].id", "must not be that of events[2]"),
        ("events[6].id", "must not be that of events[0]"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn event_does_not_keep_its_batch_in_memory() {
    let batch = bytes::Bytes::from(vec![b'1'; 1 << 20]);
    let payload = batch.slice(10..20);
    let mut violations = Violations::default();
    let given = proto::Event { payload: payload.clone(), ..event("", 0) };
    let read = read_item(TenantKey::DEFAULT, 0, given, Limits::default(), NOW, &mut violations).unwrap();
    assert_eq!(read.payload, payload);
    assert_ne!(read.payload.as_ptr(), payload.as_ptr());
}

#[tokio::test]
async fn event_that_the_queue_has_no_room_for_is_told_by_itself() {
    let (publisher, mut submissions) = queue();
    let mut violations = Violations::default();
    let mut new =
        |id: &str| read_item(TenantKey::DEFAULT, 0, event(id, 1), Limits::default(), NOW, &mut violations).unwrap();
    let mut submitted = 0;
    while publisher.submit(new("filling")).is_ok() {
        submitted += 1;
    }
    // Room for two.
    drop((submissions.try_recv(), submissions.try_recv()));
    let events = ["a", "b", "c"].map(|id| (new(id), Vec::new())).to_vec();
    let commit = async {
        for _ in 0..submitted {
            let submission = submissions.recv().await.unwrap();
            let id = submission.event.id.as_deref().unwrap().into();
            let _ = submission.reply.send(Ok(Published { id, fanout: 3, duplicate: false }));
        }
    };
    let (results, ()) = futures_util::join!(publish_each(&publisher, events, |_| Ok(())), commit);
    let [a, b, BatchPublishResult { result: Some(Shown::Error(error)) }] = results.as_slice() else {
        panic!("{results:?}")
    };
    let shown = |id: &str| {
        let shown = proto::PublishedEvent {
            event_id: id.to_owned(),
            delivery_count: 3,
            duplicate: false,
            warnings: Vec::new(),
        };
        BatchPublishResult { result: Some(Shown::Published(shown)) }
    };
    assert_eq!((a, b), (&shown("a"), &shown("b")));
    assert_eq!(error.code, tonic::Code::ResourceExhausted as i32);
    let details = error.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "OVERLOADED");
    assert!(details.retry_info().is_some());
}

#[test]
fn warnings_beyond_the_room_for_them_are_left_out() {
    let warning = || proto::PublishWarning { message: "x".repeat(98), ..Default::default() };
    assert_eq!(warning().encoded_len(), 100);
    let batch = || {
        let published = |count: usize| proto::PublishedEvent { warnings: vec![warning(); count], ..Default::default() };
        let results =
            [Shown::Published(published(3)), Shown::Error(Error::Invalid(Violations::default()).into_rpc_status())];
        let results = results.into_iter().chain([Shown::Published(published(2)), Shown::Published(published(1))]);
        results.map(|result| BatchPublishResult { result: Some(result) }).collect::<Vec<_>>()
    };
    for (bytes_max, left) in [(600, [3, 2, 1]), (599, [3, 2, 0]), (400, [3, 1, 0]), (99, [0, 0, 0])] {
        let mut results = batch();
        keep_warnings(&mut results, bytes_max);
        let kept: Vec<usize> = results
            .iter()
            .filter_map(|result| match &result.result {
                Some(Shown::Published(published)) => Some(published.warnings.len()),
                _ => None,
            })
            .collect();
        assert_eq!((kept.as_slice(), results.len()), (&left[..], 4), "{bytes_max}");
    }
}
