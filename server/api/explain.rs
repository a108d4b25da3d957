//! Statuses that the gRPC library or a layer makes by itself, before or after a handler, get the details that every other
//! status has: google.rpc.ErrorInfo with a reason. They are known by having no details, in the head of an answer or in its
//! trailers.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{TryFutureExt as _, future::MapOk};
use http::{HeaderMap, Request, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};
use tower::Service;

use super::error::explained;

/// Adds details to the statuses of the service behind that have none.
#[derive(Clone, Debug)]
pub(super) struct Explained<S> {
    inner: S,
}

impl<S> Explained<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for Explained<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = MapOk<S::Future, fn(Response<Body>) -> Response<Body>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.inner.call(request).map_ok(explain_answer)
    }
}

fn explain_answer(mut answer: Response<Body>) -> Response<Body> {
    explain(answer.headers_mut());
    answer.map(|body| Body::new(Trailed { body }))
}

/// Adds details to the status among these headers, if there is one, it is an error, and it has none.
fn explain(headers: &mut HeaderMap) {
    // Reading a status copies all headers, and nearly every call succeeds.
    if headers.get(Status::GRPC_STATUS).is_none_or(|code| code == "0") {
        return;
    }
    let Some(made) = Status::from_header_map(headers) else { return };
    if !made.details().is_empty() {
        return;
    }
    // Writing a status among headers fails only for bytes that cannot stand there, and a message is escaped.
    if let Some(explained) = explained(&made) {
        drop(explained.add_header(headers));
    }
}

/// A body whose trailers are explained.
struct Trailed {
    body: Body,
}

impl HttpBody for Trailed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            explain(trailers);
        }
        Poll::Ready(frame)
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
    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;

    fn reason(status: &Status) -> (Code, String, Option<String>) {
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        explain(&mut headers);
        let shown = Status::from_header_map(&headers).unwrap();
        let reason = shown.get_details_error_info().map(|info| info.reason);
        (shown.code(), shown.message().to_owned(), reason)
    }

    #[test]
    fn statuses_of_the_library_get_a_reason_and_keep_code_and_message() {
        let cases = [
            (Code::Internal, "MALFORMED_MESSAGE"),
            (Code::OutOfRange, "MESSAGE_TOO_LARGE"),
            (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
            (Code::Unimplemented, "UNIMPLEMENTED"),
            (Code::PermissionDenied, "CALLER_REFUSED"),
            (Code::NotFound, "NOT_FOUND"),
        ];
        for (code, expected) in cases {
            let text = "é is 7 bytes too long".to_owned();
            assert_eq!(reason(&Status::new(code, &text)), (code, text, Some(expected.to_owned())));
            assert!(!reason(&Status::new(code, "")).1.is_empty(), "{code} says nothing");
        }
    }

    #[test]
    fn statuses_of_ours_and_success_stay_as_they_are() {
        let ours = super::super::error::panicked();
        assert_eq!(reason(&ours), (Code::Internal, ours.message().to_owned(), Some("INTERNAL".to_owned())));
        assert_eq!(reason(&Status::ok("")), (Code::Ok, String::new(), None));
        let mut none = HeaderMap::new();
        explain(&mut none);
        assert!(none.is_empty());
    }
}
