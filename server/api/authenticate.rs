//! Who calls: the key of each call is looked at before anything of its message is read, and what it lets its holder do is
//! held against what the method asks for. The caller goes on with the request; its key does not.
//!
//! A stream ends when the key that it was opened with is revoked, or expires.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, ready};
use http::{HeaderMap, Request, Response, header};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Status, body::Body};
use tower::Service;

use super::{
    error::{key_invalid, key_missing, scope_missing},
    scopes::{Asks, Table},
};
use crate::{
    access::{self, Caller},
    faults::panic_point,
    shared::Shared,
};

/// How keys are shown (RFC 6750, section 2.1). The scheme is compared without regard to case (RFC 9110, section 11.1).
const SCHEME: &str = "bearer";

/// Lets calls through whose callers may make them.
#[derive(Clone, Debug)]
pub(super) struct Authenticated<S> {
    inner: S,
    shared: Arc<Shared>,
    table: Arc<Table>,
}

impl<S> Authenticated<S> {
    pub(super) fn new(shared: Arc<Shared>, inner: S) -> Self {
        Self { inner, shared, table: Arc::new(Table::new()) }
    }

    /// Who makes this call, if it may be made.
    fn admit<B>(&self, request: &Request<B>) -> Result<Option<Caller>, Status> {
        panic_point!("authentication");
        let asks = self.table.asks(request.uri().path());
        if asks == Asks::Nothing {
            return Ok(None);
        }
        let text = shown(request.headers()).ok_or_else(key_missing)?;
        let caller = access::caller(&self.shared, text).map_err(|_invalid| key_invalid())?;
        match asks {
            Asks::Scope(scope) if !caller.scopes.allow(scope) => Err(scope_missing(scope)),
            Asks::Scope(_) | Asks::AnyKey | Asks::Nothing => Ok(Some(caller)),
        }
    }
}

impl<S, B> Service<Request<B>> for Authenticated<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<Self::Response, Self::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let caller = match self.admit(&request) {
            Ok(caller) => caller,
            Err(refusal) => return Either::Right(Box::pin(ready(Ok(refusal.into_http())))),
        };
        // Whoever prints a request further in must not print a key.
        request.headers_mut().remove(header::AUTHORIZATION);
        let Some(caller) = caller else { return Either::Left(self.inner.call(request)) };
        request.extensions_mut().insert(caller.clone());
        let lasts = self.table.streams(request.uri().path());
        let call = self.inner.call(request);
        if !lasts {
            return Either::Left(call);
        }
        let ends = caller.expires.map(|expires| Box::pin(sleep(expires.since(self.shared.clock.now()))));
        let revoked = Box::pin(caller.revoked.cancelled_owned());
        Either::Right(Box::pin(async move { Ok(call.await?.map(|body| Body::new(Admitted { body, revoked, ends }))) }))
    }
}

/// The key that a call bears: one value, `Bearer` and the key.
fn shown(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| key.trim_start_matches(' ')).filter(|key| !key.is_empty())
}

/// A stream that ends when its caller is no longer let in.
struct Admitted {
    body: Body,
    revoked: Pin<Box<WaitForCancellationFutureOwned>>,
    ends: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Admitted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let ended = self.revoked.as_mut().poll(cx).is_ready()
            || self.ends.as_mut().is_some_and(|ends| ends.as_mut().poll(cx).is_ready());
        if !ended {
            return Pin::new(&mut self.body).poll_frame(cx);
        }
        // The stream behind ends now, not when its reader has read this.
        self.body = Body::empty();
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(key_invalid().add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::HeaderValue;

    use super::*;
    use crate::fixture::Fixture;

    #[tokio::test]
    async fn key_goes_no_further_and_its_holder_does() {
        let (fixture, held) = (Fixture::new().await, access::new_key());
        fixture.shared.access.give(&held);
        let behind = tower::service_fn(|request: Request<()>| async move {
            assert!(
                !request.headers().contains_key(header::AUTHORIZATION),
                "whoever prints the request prints the key"
            );
            let caller = request.extensions().get::<Caller>().expect("who calls goes on with the request");
            Ok::<_, Infallible>(Response::builder().header("key", caller.key.to_string()).body(Body::empty()).unwrap())
        });
        let shown = format!("Bearer {}", *held.text());
        let request = Request::get("/x").header(header::AUTHORIZATION, shown).body(()).unwrap();
        let answer = Authenticated::new(fixture.shared.clone(), behind).call(request).await.unwrap();
        assert_eq!(answer.headers()["key"], held.id.to_string());
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let values = values.iter().map(|value| (header::AUTHORIZATION, HeaderValue::from_str(value).unwrap()));
        values.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        })
    }

    #[test]
    fn one_bearer_is_read_and_nothing_else() {
        for value in ["Bearer key", "bearer key", "BEARER  key"] {
            assert_eq!(shown(&headers(&[value])), Some("key"), "{value}");
        }
        for values in [&[][..], &[""], &["key"], &["Bearer"], &["Bearer "], &["Basic a2V5"], &["Bearer a", "Bearer a"]]
        {
            assert_eq!(shown(&headers(values)), None, "{values:?}");
        }
        let mut odd = HeaderMap::new();
        odd.append(header::AUTHORIZATION, HeaderValue::from_bytes(b"Bearer \xff").unwrap());
        assert_eq!(shown(&odd), None);
    }
}
