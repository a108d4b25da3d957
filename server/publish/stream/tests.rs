use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::time::timeout;

use super::*;
use crate::{
    model::TenantKey,
    publish::{Outcome, PublishError, Published, Submission, queue},
};

const SOON: Duration = Duration::from_secs(30);

/// What the tests' streams are made of: an event of so many bytes, or what is not one.
#[derive(Debug)]
enum Sent {
    Event(usize),
    /// An event of one byte that its reader has to wait for.
    LookedUp,
    Refused,
    End,
    Panic,
}

type Acknowledged = Result<Acknowledgement<&'static str>, StreamEnd<&'static str>>;

struct Scene {
    streams: PublishStreams,
    submissions: mpsc::Receiver<Submission>,
    shutdown: CancellationToken,
}

struct Publishing {
    /// `None` when the publisher has closed its side.
    requests: Option<mpsc::UnboundedSender<Result<Sent, &'static str>>>,
    acknowledgements: std::pin::Pin<Box<dyn Stream<Item = Acknowledged> + Send>>,
    /// How many requests the stream has taken in.
    read: Arc<AtomicUsize>,
    /// Lets it go on reading what it looks up.
    gate: Arc<Semaphore>,
}

fn limits() -> StreamLimits {
    StreamLimits { streams_max: 2, events_max: 4, bytes_max: 1_000, stall: SOON }
}

fn scene(limits: StreamLimits) -> Scene {
    let (publisher, submissions) = queue();
    let shutdown = CancellationToken::new();
    Scene { streams: PublishStreams::new(publisher, limits, shutdown.clone()), submissions, shutdown }
}

fn event(bytes: usize) -> NewEvent {
    NewEvent {
        tenant: TenantKey::DEFAULT,
        id: None,
        event_type: "a".into(),
        content_type: None,
        payload: Bytes::from(vec![b'1'; bytes]),
        time: None,
        deliver_at: None,
        expires: None,
        labels: Default::default(),
    }
}

/// Counts what it reads.
struct Counting {
    read: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Reader<Sent> for Counting {
    type Refusal = &'static str;
    type End = &'static str;

    async fn read(&mut self, request: Sent) -> Request<&'static str, &'static str> {
        self.read.fetch_add(1, Ordering::SeqCst);
        match request {
            Sent::Event(bytes) => Request::Event(event(bytes), Vec::new()),
            Sent::LookedUp => {
                self.gate.acquire().await.unwrap().forget();
                Request::Event(event(1), Vec::new())
            }
            Sent::Refused => Request::Refused("refused"),
            Sent::End => Request::End("end"),
            Sent::Panic => panic!("a fault of the reader's"),
        }
    }
}

impl Scene {
    fn open(&self) -> Result<Publishing, StreamEnd<&'static str>> {
        let (requests, sent) = mpsc::unbounded_channel();
        let read = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(Semaphore::new(0));
        let reader = Counting { read: read.clone(), gate: gate.clone() };
        let sent = tokio_stream::wrappers::UnboundedReceiverStream::new(sent);
        let acknowledgements = Box::pin(self.streams.open(sent, reader)?);
        Ok(Publishing { requests: Some(requests), acknowledgements, read, gate })
    }

    /// Answers the next submission as the committer does.
    async fn commit(&mut self) {
        let submission = soon(self.submissions.recv()).await.expect("a submission");
        let fanout = submission.event.payload.len() as i64;
        let _ = submission.reply.send(Ok(Published { id: "id".into(), fanout, duplicate: false }));
    }
}

impl Publishing {
    fn send(&self, request: Sent) {
        self.requests.as_ref().unwrap().send(Ok(request)).unwrap();
    }

    async fn next(&mut self) -> Option<Acknowledged> {
        soon(self.acknowledgements.next()).await
    }

    /// The number of the next request acknowledged, and the length of its event if it was published.
    async fn acknowledged(&mut self) -> (i64, Option<i64>) {
        let Acknowledgement { sequence, outcome } = self.next().await.expect("no end").expect("no error");
        let published = match outcome {
            Outcome::Answered(published, _) => Some(published.unwrap().fanout),
            Outcome::Refused(refusal) => {
                assert_eq!(refusal, "refused");
                None
            }
        };
        (sequence, published)
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("it comes")
}

#[tokio::test]
async fn requests_are_acknowledged_in_order_and_the_end_is_that_of_the_publisher() {
    let mut scene = scene(limits());
    let mut stream = scene.open().unwrap();
    for request in [Sent::Event(1), Sent::Refused, Sent::Event(3)] {
        stream.send(request);
    }
    stream.requests = None;
    scene.commit().await;
    assert_eq!(stream.acknowledged().await, (1, Some(1)));
    assert_eq!(stream.acknowledged().await, (2, None));
    scene.commit().await;
    assert_eq!(stream.acknowledged().await, (3, Some(3)));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn no_more_is_taken_in_than_the_window_holds() {
    let mut scene = scene(limits());
    let mut stream = scene.open().unwrap();
    (0..10).for_each(|_| stream.send(Sent::Event(1)));
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(soon(scene.submissions.recv()).await.unwrap());
    }
    // The last of them is answered, and waits for those before it, as does the fifth request.
    let reused = |submission: Submission| submission.reply.send(Err(PublishError::IdReused)).unwrap();
    reused(held.pop().unwrap());
    assert!(timeout(Duration::from_millis(20), stream.acknowledgements.next()).await.is_err());
    assert_eq!(stream.read.load(Ordering::SeqCst), 4);
    assert!(scene.submissions.try_recv().is_err());
    held.into_iter().for_each(reused);
    for expected in 1..=4 {
        assert_eq!(stream.next().await.unwrap().unwrap().sequence, expected);
    }
    for _ in 0..4 {
        soon(scene.submissions.recv()).await.unwrap();
    }
}

#[tokio::test]
async fn event_as_large_as_the_window_lets_no_other_in() {
    let mut scene = scene(limits());
    let mut stream = scene.open().unwrap();
    stream.send(Sent::Event(999));
    stream.send(Sent::Event(1));
    stream.send(Sent::Event(7));
    let first = soon(scene.submissions.recv()).await.unwrap();
    let second = soon(scene.submissions.recv()).await.unwrap();
    assert!(timeout(Duration::from_millis(20), stream.acknowledgements.next()).await.is_err());
    assert_eq!(stream.read.load(Ordering::SeqCst), 2);
    first.reply.send(Err(PublishError::IdReused)).unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().sequence, 1);
    assert_eq!(soon(scene.submissions.recv()).await.unwrap().event.payload.len(), 7);
    drop(second);
}

#[tokio::test]
async fn bad_end_comes_after_what_was_taken_in_is_acknowledged() {
    for broken in [false, true] {
        let mut scene = scene(limits());
        let mut stream = scene.open().unwrap();
        stream.send(Sent::Event(7));
        if broken {
            stream.requests.as_ref().unwrap().send(Err("end")).unwrap();
        } else {
            stream.send(Sent::End);
        }
        stream.send(Sent::Event(8));
        scene.commit().await;
        assert_eq!(stream.acknowledged().await, (1, Some(7)));
        assert!(matches!(stream.next().await, Some(Err(StreamEnd::Requests("end")))));
        assert!(stream.next().await.is_none());
        assert!(scene.submissions.try_recv().is_err(), "nothing after the end is published");
    }
}

#[tokio::test]
async fn shutdown_acknowledges_what_was_taken_in_and_takes_in_no_more() {
    let mut scene = scene(limits());
    let mut stream = scene.open().unwrap();
    stream.send(Sent::Event(1));
    let submission = soon(scene.submissions.recv()).await.unwrap();
    scene.shutdown.cancel();
    stream.send(Sent::Event(2));
    let _ = submission.reply.send(Ok(Published { id: "id".into(), fanout: 1, duplicate: false }));
    assert_eq!(stream.acknowledged().await, (1, Some(1)));
    assert!(matches!(stream.next().await, Some(Err(StreamEnd::ShuttingDown))));
    assert!(scene.submissions.try_recv().is_err());
    assert!(matches!(scene.open(), Err(StreamEnd::ShuttingDown)));
}

#[tokio::test]
async fn streams_are_bounded_and_one_that_is_left_makes_room() {
    let mut scene = scene(limits());
    let (first, _second) = (scene.open().unwrap(), scene.open().unwrap());
    assert!(matches!(scene.open(), Err(StreamEnd::TooMany)));
    // It goes while an event of it waits for its turn; that event is published all the same.
    first.send(Sent::Event(9));
    let submission = soon(scene.submissions.recv()).await.unwrap();
    drop(first);
    let opened = async { soon(scene.streams.open.acquire()).await.unwrap().forget() };
    opened.await;
    scene.streams.open.add_permits(1);
    assert!(submission.reply.is_closed());
    scene.open().map(|_| ()).unwrap();
}

#[tokio::test]
async fn reader_that_stalls_is_left_though_the_publisher_goes_on_writing() {
    let stall = Duration::from_millis(50);
    let mut scene = scene(StreamLimits { stall, events_max: 1, ..limits() });
    let mut stream = scene.open().unwrap();
    (0..100).for_each(|_| stream.send(Sent::Refused));
    // Nothing is read until the stream has been given up, and with it its place.
    soon(scene.streams.open.acquire_many(2)).await.unwrap().forget();
    let read = stream.read.load(Ordering::SeqCst);
    assert!(read < 10, "{read} were taken in of 100 though none was read");
    let mut sequence = 0;
    let end = loop {
        match stream.next().await.unwrap() {
            Ok(acknowledgement) => {
                sequence += 1;
                assert_eq!(acknowledgement.sequence, sequence);
            }
            Err(end) => break end,
        }
    };
    assert!(matches!(end, StreamEnd::SlowConsumer));
    scene.submissions.close();
}

#[tokio::test]
async fn reader_that_stalls_does_not_keep_others_from_the_queue() {
    let mut scene = scene(StreamLimits { events_max: 3_000, bytes_max: usize::MAX, ..limits() });
    let (unread, mut other) = (scene.open().unwrap(), scene.open().unwrap());
    // The one fills the part of the queue that streams share and waits for more of it; it has acknowledgements to send
    // that nobody reads.
    (0..10).for_each(|_| unread.send(Sent::Refused));
    (0..2_500).for_each(|_| unread.send(Sent::Event(1)));
    let first = soon(scene.submissions.recv()).await.unwrap();
    other.send(Sent::Event(5));
    drop(first);
    let answered = tokio::spawn(async move {
        while !scene.submissions.is_closed() {
            scene.commit().await;
        }
    });
    assert_eq!(other.acknowledged().await, (1, Some(5)));
    answered.abort();
}

#[tokio::test]
async fn panic_ends_its_own_stream_alone() {
    let mut scene = scene(limits());
    let mut faulty = scene.open().unwrap();
    faulty.send(Sent::Panic);
    assert!(matches!(faulty.next().await, Some(Err(StreamEnd::Panicked))));
    assert!(faulty.next().await.is_none());
    let mut stream = scene.open().unwrap();
    stream.send(Sent::Event(1));
    scene.commit().await;
    assert_eq!(stream.acknowledged().await, (1, Some(1)));
}

#[tokio::test]
async fn acknowledgements_go_on_while_a_request_is_read() {
    let mut scene = scene(limits());
    let mut stream = scene.open().unwrap();
    stream.send(Sent::Event(5));
    stream.send(Sent::LookedUp);
    stream.send(Sent::Event(7));
    scene.commit().await;
    assert_eq!(stream.acknowledged().await, (1, Some(5)));
    assert!(scene.submissions.try_recv().is_err());
    stream.gate.add_permits(1);
    for expected in [(2, Some(1)), (3, Some(7))] {
        scene.commit().await;
        assert_eq!(stream.acknowledged().await, expected);
    }
}
