//! Calls that were refused for who makes them, UNAUTHENTICATED and PERMISSION_DENIED, are counted and told in the log: they are
//! how an operator learns that somebody tries keys, or that a caller has the wrong one.
//!
//! Whoever is refused can call as often as they like, so the log gets one line in [`INTERVAL`] at most: the first at once, then
//! how many there were since and from where the last of them came. Nothing that the caller sent is in it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{TryFutureExt as _, future::MapOk};
use http::{Request, Response};
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Status, body::Body, transport::server::TcpConnectInfo};
use tower::Service;

/// How often refusals are told.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts the refusals of the service behind.
#[derive(Clone, Debug)]
pub(super) struct Refusals<S> {
    inner: S,
    tally: Arc<Mutex<Tally>>,
}

/// Refusals that have not been told yet.
#[derive(Debug, Default)]
struct Tally {
    unauthenticated: u64,
    denied: u64,
    last: Option<SocketAddr>,
    /// When some were told last.
    told: Option<Instant>,
    /// Somebody waits to tell those that came since.
    awaited: bool,
}

/// What the log is told.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    unauthenticated: u64,
    denied: u64,
    last: Option<SocketAddr>,
}

/// What follows from one more refusal.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    /// This is to be told now.
    Tell(Report),
    /// What has come by then is to be told at this time.
    TellAt(Instant),
    /// Somebody tells it with others.
    Nothing,
}

impl Tally {
    /// Counts one refusal.
    fn add(&mut self, code: Code, peer: Option<SocketAddr>, now: Instant) -> Then {
        match code {
            Code::Unauthenticated => self.unauthenticated += 1,
            _ => self.denied += 1,
        }
        self.last = peer;
        match self.told.map(|told| told + INTERVAL) {
            Some(next) if now < next && self.awaited => Then::Nothing,
            Some(next) if now < next => {
                self.awaited = true;
                Then::TellAt(next)
            }
            Some(_) | None => Then::Tell(self.take(now)),
        }
    }

    /// Takes what has come out, to be told now.
    fn take(&mut self, now: Instant) -> Report {
        let Self { unauthenticated, denied, last, .. } = std::mem::take(self);
        self.told = Some(now);
        Report { unauthenticated, denied, last }
    }
}

impl Report {
    fn tell(self) {
        let Self { unauthenticated, denied, last } = self;
        let last = last.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        tracing::warn!(unauthenticated, denied, last, "calls were refused for who made them");
    }
}

impl<S> Refusals<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, tally: Arc::default() }
    }
}

impl<S, B> Service<Request<B>> for Refusals<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = MapOk<S::Future, Box<dyn FnOnce(Response<Body>) -> Response<Body> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let peer = request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
        let tally = Arc::clone(&self.tally);
        self.inner.call(request).map_ok(Box::new(move |answer| {
            // A refusal has no body, so its status stands in the head.
            let code = answer.headers().get(Status::GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()));
            if let Some(code @ (Code::Unauthenticated | Code::PermissionDenied)) = code {
                refused(tally, code, peer);
            }
            answer
        }))
    }
}

/// Counts a refusal and tells of it, now or later.
fn refused(tally: Arc<Mutex<Tally>>, code: Code, peer: Option<SocketAddr>) {
    let then = lock(&tally).add(code, peer, Instant::now());
    match then {
        Then::Tell(report) => report.tell(),
        Then::TellAt(time) => drop(tokio::spawn(async move {
            sleep_until(time).await;
            let report = lock(&tally).take(Instant::now());
            report.tell();
        })),
        Then::Nothing => {}
    }
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 7);
    const OTHER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)), 8);

    fn report(unauthenticated: u64, denied: u64, last: SocketAddr) -> Report {
        Report { unauthenticated, denied, last: Some(last) }
    }

    #[test]
    fn first_refusal_is_told_at_once_and_those_that_follow_together() {
        let (mut tally, begin) = (Tally::default(), Instant::now());
        let at = |millis| begin + Duration::from_millis(millis);
        let told = tally.add(Code::Unauthenticated, Some(PEER), begin);
        assert_eq!(told, Then::Tell(report(1, 0, PEER)));
        // A thousand more within the interval make one line, for which one task waits.
        assert_eq!(tally.add(Code::PermissionDenied, Some(PEER), at(1)), Then::TellAt(begin + INTERVAL));
        for millis in 2..1_000 {
            assert_eq!(tally.add(Code::Unauthenticated, Some(OTHER), at(millis)), Then::Nothing);
        }
        assert_eq!(tally.take(begin + INTERVAL), report(998, 1, OTHER));
        // Told anew, so the interval begins anew; after a quiet one the next is told at once again.
        let again = tally.add(Code::PermissionDenied, Some(PEER), begin + INTERVAL + Duration::from_secs(1));
        assert_eq!(again, Then::TellAt(begin + INTERVAL * 2));
        assert_eq!(tally.take(begin + INTERVAL * 2), report(0, 1, PEER));
        let later = tally.add(Code::Unauthenticated, Some(OTHER), begin + INTERVAL * 3);
        assert_eq!(later, Then::Tell(report(1, 0, OTHER)));
    }
}
