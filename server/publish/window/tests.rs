use futures_util::FutureExt as _;

use super::*;
use crate::{
    model::{NewEvent, TenantKey},
    publish::{Publisher, Submission, queue},
};

const STALL: Duration = Duration::from_millis(50);

type Bundle = Vec<Acknowledgement<&'static str>>;

struct Scene {
    window: Window<&'static str>,
    sent: mpsc::Receiver<Bundle>,
    publisher: Publisher,
    submissions: mpsc::Receiver<Submission>,
}

impl Scene {
    fn new(events_max: usize, bytes_max: usize) -> Self {
        let (publisher, submissions) = queue();
        let (acknowledgements, sent) = mpsc::channel(1);
        Self { window: Window::new(events_max, bytes_max, STALL, acknowledgements), sent, publisher, submissions }
    }

    /// Adds an event, and returns it as the committer has it.
    fn submit(&mut self, bytes: usize) -> Submission {
        let event = NewEvent {
            tenant: TenantKey::DEFAULT,
            id: None,
            event_type: "a".into(),
            content_type: None,
            payload: "1".into(),
            time: None,
            deliver_at: None,
            expires: None,
            labels: Default::default(),
        };
        self.window.submitted(bytes, self.publisher.submit(event).unwrap(), Vec::new());
        self.submissions.try_recv().unwrap()
    }

    /// What is sent now, by number; `None` if it would have to wait.
    fn acknowledged(&mut self) -> Option<Vec<i64>> {
        self.window.acknowledge().now_or_never()?.unwrap();
        Some(self.sent.try_recv().unwrap().iter().map(|one| one.sequence).collect())
    }
}

fn answer(submission: Submission) {
    submission.reply.send(Err(PublishError::IdReused)).unwrap();
}

#[tokio::test]
async fn acknowledgements_come_in_the_order_of_requests_whatever_the_order_of_answers() {
    let mut scene = Scene::new(10, 100);
    let (first, third) = (scene.submit(1), {
        scene.window.refused("no");
        scene.submit(1)
    });
    answer(third);
    assert_eq!(scene.acknowledged(), None, "the first is not answered yet");
    let fourth = scene.submit(1);
    answer(first);
    scene.window.acknowledge().await.unwrap();
    let reused = || Outcome::Answered(Err(PublishError::IdReused), Vec::new());
    let expected = [(1, reused()), (2, Outcome::Refused("no")), (3, reused())];
    let expected = expected.map(|(sequence, outcome)| Acknowledgement { sequence, outcome });
    assert_eq!(scene.sent.try_recv().unwrap(), expected);
    assert!(!scene.window.is_empty());
    answer(fourth);
    assert_eq!(scene.acknowledged(), Some(vec![4]));
    assert!(scene.window.is_empty());
    assert_eq!(scene.acknowledged(), None);
}

#[tokio::test]
async fn room_is_bounded_by_number_and_by_bytes() {
    let mut scene = Scene::new(3, 100);
    let first = scene.submit(0);
    scene.window.refused("no");
    assert!(scene.window.has_room());
    let third = scene.submit(0);
    assert!(!scene.window.has_room(), "three events");
    answer(first);
    answer(third);
    scene.acknowledged();
    let held = scene.submit(99);
    assert!(scene.window.has_room());
    let beyond = scene.submit(1);
    assert!(!scene.window.has_room(), "a hundred bytes");
    answer(held);
    scene.acknowledged();
    assert!(scene.window.has_room());
    drop(beyond);
}

#[tokio::test]
async fn bundles_are_bounded() {
    let mut scene = Scene::new(usize::MAX, usize::MAX);
    for _ in 0..=SENT_AT_ONCE_MAX {
        scene.window.refused("no");
    }
    assert_eq!(scene.acknowledged().unwrap().len(), SENT_AT_ONCE_MAX);
    assert_eq!(scene.acknowledged(), Some(vec![SENT_AT_ONCE_MAX as i64 + 1]));
}

#[tokio::test]
async fn event_that_the_committer_drops_is_told_as_not_published() {
    let mut scene = Scene::new(1, 1);
    drop(scene.submit(0));
    scene.window.acknowledge().await.unwrap();
    let [only] = scene.sent.try_recv().unwrap().try_into().unwrap();
    assert_eq!(only.outcome, Outcome::Answered(Err(PublishError::ShuttingDown), Vec::new()));
}

#[tokio::test]
async fn reader_without_progress_is_left_after_a_while_even_if_the_wait_is_given_up_meanwhile() {
    let mut scene = Scene::new(10, 10);
    scene.window.refused("sent");
    scene.window.acknowledge().await.unwrap();
    scene.window.refused("not sent");
    let began = Instant::now();
    assert!(scene.window.acknowledge().now_or_never().is_none());
    let first = scene.window.left_at.unwrap();
    assert!(scene.window.acknowledge().now_or_never().is_none());
    assert_eq!(scene.window.left_at, Some(first), "the time goes on");
    assert!(matches!(scene.window.acknowledge().await, Err(Stalled)));
    assert!(began.elapsed() >= STALL);
    // Progress at the last moment is progress.
    scene.sent.try_recv().unwrap();
    scene.window.acknowledge().await.unwrap();
    assert_eq!(scene.window.left_at, None);
    assert_eq!(scene.sent.try_recv().unwrap()[0].sequence, 2);
}
