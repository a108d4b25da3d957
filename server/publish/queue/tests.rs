use bytes::Bytes;
use futures_util::FutureExt as _;

use super::*;

fn event(payload_bytes: usize) -> NewEvent {
    NewEvent {
        tenant: TenantKey::DEFAULT,
        id: None,
        event_type: "user.created".into(),
        content_type: None,
        payload: Bytes::from(vec![b'1'; payload_bytes]),
        time: None,
        deliver_at: None,
        expires: None,
        labels: Default::default(),
    }
}

/// Whether an event of a stream is submitted without waiting.
fn streams(publisher: &Publisher, payload_bytes: usize) -> bool {
    let submitting = publisher.submit_streamed(event(payload_bytes));
    // Else the runtime would have it wait now and then, for the sake of other tasks.
    tokio::task::unconstrained(submitting).now_or_never().is_some_and(|answer| answer.is_ok())
}

#[tokio::test]
async fn calls_are_refused_when_the_queue_is_full() {
    let (publisher, _submissions) = queue();
    for _ in 0..EVENTS_MAX {
        assert!(publisher.submit(event(1)).is_ok());
    }
    assert_eq!(publisher.submit(event(1)).unwrap_err(), PublishError::Overloaded);

    let (publisher, _submissions) = queue();
    for _ in 0..KIBIBYTES_MAX / 1_024 - 1 {
        assert!(publisher.submit(event(1 << 20)).is_ok());
    }
    assert_eq!(publisher.submit(event(1 << 20)).unwrap_err(), PublishError::Overloaded);
}

#[tokio::test]
async fn streams_leave_half_of_the_queue_to_calls() {
    let (publisher, _submissions) = queue();
    let submitted = (0..EVENTS_MAX).take_while(|_| streams(&publisher, 1)).count();
    assert_eq!(submitted, EVENTS_MAX / 2);
    assert!(publisher.submit(event(1)).is_ok(), "events");

    let (publisher, _submissions) = queue();
    let submitted = (0..KIBIBYTES_MAX).take_while(|_| streams(&publisher, (1 << 20) - 1)).count();
    assert_eq!(submitted, KIBIBYTES_MAX / 2 / 1_024);
    assert!(publisher.submit(event(1 << 20)).is_ok(), "bytes");
}

#[tokio::test]
async fn event_of_a_stream_waits_until_a_turn_is_over() {
    let (publisher, mut submissions) = queue();
    while streams(&publisher, 1) {}
    let mut waiting = std::pin::pin!(publisher.submit_streamed(event(1)));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let Submission { reply, _share, .. } = submissions.recv().await.unwrap();
    drop(reply);
    assert!(futures_util::poll!(&mut waiting).is_pending(), "its turn is not over yet");
    drop(_share);
    let answer = waiting.await.unwrap();
    while let Ok(submission) = submissions.try_recv() {
        let id = "one".into();
        let _ = submission.reply.send(Ok(Published { id, fanout: 1, duplicate: false }));
    }
    assert_eq!(answer.await.unwrap().fanout, 1);
}

#[tokio::test]
async fn wait_that_is_given_up_submits_nothing_and_keeps_nothing() {
    let (publisher, mut submissions) = queue();
    while streams(&publisher, 1) {}
    assert!(!streams(&publisher, 1 << 20));
    let mut submitted = 0;
    while let Ok(submission) = submissions.try_recv() {
        assert_eq!(submission.event.payload.len(), 1);
        submitted += 1;
    }
    assert_eq!(submitted, EVENTS_MAX / 2);
    assert_eq!(publisher.streamed.available_permits(), STREAMED_KIBIBYTES_MAX as usize);
    assert_eq!(publisher.bytes.available_permits(), KIBIBYTES_MAX);
}

#[tokio::test]
async fn nothing_is_submitted_once_the_committer_is_gone() {
    let (publisher, submissions) = queue();
    let answer = publisher.submit(event(1)).unwrap();
    drop(submissions);
    assert_eq!(answer.await.unwrap_err(), PublishError::ShuttingDown);
    assert_eq!(publisher.submit(event(1)).unwrap_err(), PublishError::ShuttingDown);
    assert_eq!(publisher.submit_streamed(event(1)).await.unwrap_err(), PublishError::ShuttingDown);
}
