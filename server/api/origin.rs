//! What a web page sends through a browser is refused, known by its `Origin`: no page is allowed to call yet, and a browser
//! lets a page send such requests whether or not it may read the answer.

use std::task::{Context, Poll};

use futures_util::future::{Either, Ready, ready};
use http::{Request, Response, StatusCode, header};
use tonic::{Status, body::Body};
use tower::Service;

use super::grpc_only::is_call;

/// Passes on what has no `Origin`.
#[derive(Clone, Debug)]
pub(super) struct NoPages<S> {
    inner: S,
}

impl<S> NoPages<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for NoPages<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Self::Response, Self::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !request.headers().contains_key(header::ORIGIN) {
            return Either::Left(self.inner.call(request));
        }
        if is_call(&request) {
            let refusal = Status::permission_denied("calls from web pages are refused");
            return Either::Right(ready(Ok(refusal.into_http())));
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::FORBIDDEN;
        Either::Right(ready(Ok(response)))
    }
}
