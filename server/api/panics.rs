//! A panic while a call is looked at, in a layer or in a handler, costs its caller an INTERNAL with an incident id, and nobody
//! else anything. The log has the panic by then, and the incident with it.
//!
//! Streams that are open work in tasks of their own, whose panics end them in the same way.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};

use futures_util::{
    FutureExt as _,
    future::{CatchUnwind, Either, Map, Ready, ready},
};
use http::{Request, Response, StatusCode};
use tonic::body::Body;
use tower::Service;

use super::{error::panicked, grpc_only::is_call};

/// What is left of a panic, or what there was instead.
type Caught<T> = Result<T, Box<dyn Any + Send>>;

/// What a caller is answered after a panic, or with what there was instead.
type Answering<E> = fn(Caught<Result<Response<Body>, E>>) -> Result<Response<Body>, E>;

/// Catches the panics of the service behind.
#[derive(Clone, Debug)]
pub(super) struct Panics<S> {
    inner: S,
}

impl<S> Panics<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for Panics<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<
        Map<CatchUnwind<AssertUnwindSafe<S::Future>>, Answering<S::Error>>,
        Ready<Result<Response<Body>, S::Error>>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer: Answering<S::Error> = if is_call(&request) { or_internal } else { or_server_error };
        // What the layers share is locked by nobody who minds a panic.
        match catch_unwind(AssertUnwindSafe(|| self.inner.call(request))) {
            Ok(call) => Either::Left(AssertUnwindSafe(call).catch_unwind().map(answer)),
            Err(panic) => Either::Right(ready(answer(Err(panic)))),
        }
    }
}

/// What a call answered, or INTERNAL.
fn or_internal<E>(caught: Caught<Result<Response<Body>, E>>) -> Result<Response<Body>, E> {
    caught.unwrap_or_else(|_panic| Ok(panicked().into_http()))
}

/// What somebody got who does not call, or a status of HTTP's own.
fn or_server_error<E>(caught: Caught<Result<Response<Body>, E>>) -> Result<Response<Body>, E> {
    caught.unwrap_or_else(|_panic| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        Ok(response)
    })
}
