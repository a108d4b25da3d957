//! A receiver that verifies every signature and records every request.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use http::StatusCode;
use tidings::{
    model::Clock,
    receiver::{Answer, Receiver, Webhook},
    signing::{DEFAULT_TOLERANCE, Received as Request, SchemePreset, Secret, VerifyingKey},
};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::process::PATIENCE;

/// One request as it arrived.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    /// `webhook-id`: the event's id.
    pub(crate) id: String,
    /// `tidings-attempt-id`.
    pub(crate) attempt: String,
    /// `webhook-timestamp`.
    pub(crate) timestamp: i64,
    pub(crate) body: Bytes,
    /// Which of the path's secrets verify it, in the order in which they were told to the sink.
    pub(crate) verified_by: Vec<bool>,
    pub(crate) at: Instant,
    /// What it was answered; `None` while it is in flight, and for ever if its sender went away.
    pub(crate) answer: Option<StatusCode>,
}

/// How a request is answered, given the number of those before it with the same path and event.
pub(crate) type Answering = Arc<dyn Fn(&Webhook, usize) -> BoxFuture<'static, Answer> + Send + Sync>;

/// A receiver on a port of its own. Any path is an endpoint.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    _serving: Arc<tokio_util::sync::DropGuard>,
}

struct Seen {
    records: Mutex<Records>,
    changed: watch::Sender<()>,
    answering: Answering,
}

#[derive(Default)]
struct Records {
    received: Vec<Received>,
    secrets: HashMap<String, Vec<Arc<Secret>>>,
    in_flight: HashMap<String, (u32, u32)>,
    /// What must not be: requests that do not verify or lack a header.
    wrong: Vec<String>,
}

/// Takes a request out of the count of those in flight, even if its sender goes away.
struct InFlight {
    seen: Arc<Seen>,
    path: String,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut records = self.seen.records.lock().unwrap();
        if let Some((now, _)) = records.in_flight.get_mut(&self.path) {
            *now -= 1;
        }
        drop(records);
        self.seen.changed.send_replace(());
    }
}

/// Answers everything with this status, at once.
pub(crate) fn always(status: StatusCode) -> Answering {
    answering(move |_, _| std::future::ready(Answer::from(status)))
}

/// Answers as `answer` does.
pub(crate) fn answering<F>(answer: impl Fn(&Webhook, usize) -> F + Send + Sync + 'static) -> Answering
where
    F: Future<Output = Answer> + Send + 'static,
{
    Arc::new(move |webhook, before| answer(webhook, before).boxed())
}

impl Sink {
    pub(crate) async fn start(answering: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let seen = Arc::new(Seen { records: Mutex::default(), changed: watch::Sender::new(()), answering });
        let recording = seen.clone();
        let handler = move |webhook| recording.clone().take(webhook);
        tokio::spawn(Receiver::new(listener).run(handler, shutdown.clone()));
        Self { address, seen, _serving: Arc::new(shutdown.drop_guard()) }
    }

    /// The URL of an endpoint.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Tells which secret may sign what arrives at `path`, besides those told before.
    pub(crate) fn expect_secret(&self, path: &str, secret: Arc<Secret>) {
        self.seen.records.lock().unwrap().secrets.entry(path.to_owned()).or_default().push(secret);
    }

    /// Everything that arrived, in order.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.seen.records.lock().unwrap().received.clone()
    }

    /// What arrived of an event.
    pub(crate) fn received_of(&self, id: &str) -> Vec<Received> {
        self.received().into_iter().filter(|received| received.id == id).collect()
    }

    /// The most requests that were in flight at once at `path`.
    pub(crate) fn most_in_flight(&self, path: &str) -> u32 {
        self.seen.records.lock().unwrap().in_flight.get(path).map_or(0, |(_, most)| *most)
    }

    /// Waits until what arrived is as `enough` wants it.
    pub(crate) async fn until(&self, what: &str, enough: impl Fn(&[Received]) -> bool) {
        self.until_within(what, PATIENCE, enough).await;
    }

    /// As [`Sink::until`], with a deadline that is itself part of what is tested.
    pub(crate) async fn until_within(&self, what: &str, limit: Duration, enough: impl Fn(&[Received]) -> bool) {
        // Subscribed before looking, so that nothing that arrives in between is missed.
        let mut changed = self.seen.changed.subscribe();
        let looking = async {
            while !enough(&self.seen.records.lock().unwrap().received) {
                changed.changed().await.unwrap();
            }
        };
        let waited = timeout(limit, looking).await;
        let arrived = self.seen.records.lock().unwrap().received.len();
        assert!(waited.is_ok(), "{what}: not within {limit:?}; {arrived} requests arrived");
    }

    /// Waits for `count` requests in all.
    pub(crate) async fn until_count(&self, count: usize) {
        self.until(&format!("{count} requests"), |received| received.len() >= count).await;
    }

    /// Asserts that every request verified and had its headers.
    pub(crate) fn check(&self) {
        let wrong = &self.seen.records.lock().unwrap().wrong;
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

impl Seen {
    async fn take(self: Arc<Self>, webhook: Webhook) -> Answer {
        let path = webhook.uri.path().to_owned();
        let (index, before, in_flight) = self.clone().record(&path, &webhook);
        self.changed.send_replace(());
        let answer = (self.answering)(&webhook, before).await;
        self.records.lock().unwrap().received[index].answer = Some(answer.status);
        drop(in_flight);
        answer
    }

    fn record(self: Arc<Self>, path: &str, webhook: &Webhook) -> (usize, usize, InFlight) {
        let mut records = self.records.lock().unwrap();
        let (now, most) = records.in_flight.entry(path.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        let header = |name| webhook.header(name).unwrap_or_default().to_owned();
        let (id, attempt) = (header("webhook-id"), header("tidings-attempt-id"));
        let timestamp = header("webhook-timestamp").parse().unwrap_or_default();
        let verifies = |secret: &Arc<Secret>| {
            let request = Request { header: &|name| webhook.header(name), body: &webhook.body, url: None };
            let keys = [VerifyingKey::from(&**secret)];
            let scheme = SchemePreset::Standard.scheme();
            scheme.verify(&keys, &request, Clock::system().wall(), DEFAULT_TOLERANCE).is_ok()
        };
        let verified_by: Vec<bool> =
            records.secrets.get(path).map(|secrets| secrets.iter().map(verifies).collect()).unwrap_or_default();
        if !verified_by.contains(&true) || !attempt.starts_with("att_") || header("tidings-event-type").is_empty() {
            records.wrong.push(format!("{path} {id} {attempt} {:?}", webhook.headers.keys()));
        }
        let before = records.received.iter().filter(|received| received.path == path && received.id == id).count();
        let body = webhook.body.clone();
        let path = path.to_owned();
        records.received.push(Received {
            path: path.clone(),
            id,
            attempt,
            timestamp,
            body,
            verified_by,
            at: Instant::now(),
            answer: None,
        });
        let index = records.received.len() - 1;
        drop(records);
        (index, before, InFlight { seen: self, path })
    }
}
