//! How long a call may take: until its caller's deadline (`grpc-timeout`), and for as long as its one message goes on
//! arriving. Beyond either it gets DEADLINE_EXCEEDED, where the gRPC library would say CANCELLED or wait on.
//!
//! A call that ends here is dropped; what it had submitted goes on, for every unit of database work has a task of its own.

use std::{
    collections::HashSet,
    fmt::Debug,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::Either;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tonic::{Status, body::Body};
use tower::Service;

use super::error::deadline_exceeded;
use crate::proto::DESCRIPTORS;

/// The header that says how long a caller waits (gRPC over HTTP/2, "Requests").
const TIMEOUT: &str = "grpc-timeout";

/// The most digits of a timeout.
const DIGITS_MAX: usize = 8;

/// Ends calls whose time is over.
#[derive(Clone, Debug)]
pub(super) struct Deadlines<S> {
    inner: S,
    stall_max: Duration,
    /// The paths of methods that take one message. Others' callers may pause between messages.
    single: Arc<HashSet<String>>,
}

impl<S> Deadlines<S> {
    /// Lets a call's one message stop arriving for `stall_max`.
    pub(super) fn new(inner: S, stall_max: Duration) -> Self {
        Self { inner, stall_max, single: Arc::new(single_message_paths()) }
    }
}

impl<S> Service<Request<Body>> for Deadlines<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let timeout = timeout(request.headers());
        // One that is beyond the clock's range is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if self.single.contains(request.uri().path()) {
            let stall_max = self.stall_max;
            request = request.map(|body| Body::new(Upload { body, stall_max, stalled: None }));
        }
        let call = self.inner.call(request);
        match deadline {
            None => Either::Left(call),
            Some(deadline) => Either::Right(Box::pin(answer_within(call, deadline))),
        }
    }
}

/// The paths of the protocol's methods that take one message.
fn single_message_paths() -> HashSet<String> {
    let files =
        FileDescriptorSet::decode(DESCRIPTORS).expect("the descriptors are written when the server is built").file;
    let services = files.iter().flat_map(|file| file.service.iter().map(|service| (file.package(), service)));
    let methods = services.flat_map(|(package, service)| {
        let single = service.method.iter().filter(|method| !method.client_streaming());
        single.map(move |method| format!("/{package}.{}/{}", service.name(), method.name()))
    });
    methods.collect()
}

/// How long the caller waits, if it says so. What does not keep to the specification is passed over, as the gRPC library
/// does.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > DIGITS_MAX || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

fn over() -> Status {
    deadline_exceeded("the call's deadline passed before its answer; what it had submitted goes on")
}

/// Whether the time is over, by the clock too: the library's own timer, which begins a moment later, must not find it over
/// first.
fn is_over(deadline: Pin<&mut Sleep>, cx: &mut Context<'_>) -> bool {
    let passed = Instant::now() >= deadline.deadline();
    deadline.poll(cx).is_ready() || passed
}

/// What `call` answers, if it does so before the deadline. The deadline holds for the whole answer.
async fn answer_within<E>(
    call: impl Future<Output = Result<Response<Body>, E>>,
    deadline: Instant,
) -> Result<Response<Body>, E> {
    let mut call = pin!(call);
    let mut time = pin!(sleep_until(deadline));
    let answer = poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if is_over(time.as_mut(), cx) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    let Some(answer) = answer.await else { return Ok(over().into_http()) };
    answer.map(|answer| answer.map(|body| Body::new(Download { body, deadline: Box::pin(sleep_until(deadline)) })))
}

/// An answer that ends at its call's deadline.
struct Download {
    body: Body,
    deadline: Pin<Box<Sleep>>,
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() || !is_over(self.deadline.as_mut(), cx) {
            return frame;
        }
        // The stream behind ends now, not when its reader has read this.
        self.body = Body::empty();
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(over().add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request that fails once nothing of it has arrived for too long.
struct Upload {
    body: Body,
    stall_max: Duration,
    /// Runs while something is waited for.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() {
            self.stalled = None;
            return frame;
        }
        let stall_max = self.stall_max;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(stall_max)));
        if stalled.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let message = format!("nothing of the request arrived for {} s; call again", stall_max.as_secs_f64());
        Poll::Ready(Some(Err(deadline_exceeded(&message))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
