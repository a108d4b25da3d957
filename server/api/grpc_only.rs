//! What is not a gRPC call is told so by HTTP, as the gRPC specification (gRPC over HTTP/2, "Requests") asks: a method
//! other than POST gets 405, a content type other than gRPC's 415, a version of HTTP before 2 gets 505. Nothing is read of
//! their bodies.

use std::task::{Context, Poll};

use futures_util::future::{Either, Ready, ready};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use tonic::body::Body;
use tower::Service;

/// The type of calls; what may follow it (`+proto`, `;…`, `-web`) is for the service behind to know.
const CONTENT_TYPE: &[u8] = b"application/grpc";

/// Passes on POST requests with a content type of gRPC's.
#[derive(Clone, Debug)]
pub(super) struct GrpcOnly<S> {
    inner: S,
}

impl<S> GrpcOnly<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for GrpcOnly<S>
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
        match refusal(&request) {
            None => Either::Left(self.inner.call(request)),
            Some(refusal) => Either::Right(ready(Ok(refusal))),
        }
    }
}

fn refusal<B>(request: &Request<B>) -> Option<Response<Body>> {
    let mut response = Response::new(Body::empty());
    if request.method() != Method::POST {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return Some(response);
    }
    if !request.headers().get(header::CONTENT_TYPE).is_some_and(is_grpc) {
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Some(response);
    }
    if request.version() < Version::HTTP_2 {
        *response.status_mut() = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        return Some(response);
    }
    None
}

/// Media types are compared without regard to case (RFC 9110, section 8.3.1).
fn is_grpc(content_type: &HeaderValue) -> bool {
    let start = content_type.as_bytes().get(..CONTENT_TYPE.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(CONTENT_TYPE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: Method, content_type: Option<&str>) -> Option<StatusCode> {
        refused_over(Version::HTTP_2, method, content_type)
    }

    fn refused_over(version: Version, method: Method, content_type: Option<&str>) -> Option<StatusCode> {
        let mut request = Request::builder().version(version).method(method);
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        refusal(&request.body(()).expect("a request")).map(|response| response.status())
    }

    #[test]
    fn only_posts_of_grpc_are_calls() {
        for content_type in ["application/grpc", "application/grpc+proto", "application/grpc;x=y", "Application/gRPC"] {
            assert_eq!(refused(Method::POST, Some(content_type)), None, "{content_type}");
            assert_eq!(refused(Method::GET, Some(content_type)), Some(StatusCode::METHOD_NOT_ALLOWED));
        }
        for content_type in [None, Some(""), Some("application/json"), Some("application/grp"), Some(" ")] {
            assert_eq!(refused(Method::POST, content_type), Some(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let over_http1 = refused_over(Version::HTTP_11, Method::POST, Some("application/grpc"));
        assert_eq!(over_http1, Some(StatusCode::HTTP_VERSION_NOT_SUPPORTED));
    }
}
