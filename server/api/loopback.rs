//! Until there are API keys, only this machine may call: the server listens on loopback, and refuses what a web page could
//! have sent through a browser here, by its `Origin` or by a host name that was made to point to loopback.

use std::{
    net::IpAddr,
    task::{Context, Poll},
};

use futures_util::future::{Either, Ready, ready};
use http::{Request, Response, StatusCode, header};
use tonic::{Status, body::Body};
use tower::Service;

use super::grpc_only::is_call;

/// Passes on what was sent to a loopback address by name or number, without an `Origin`.
#[derive(Clone, Debug)]
pub(super) struct LoopbackOnly<S> {
    inner: S,
}

impl<S> LoopbackOnly<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for LoopbackOnly<S>
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
        let refusal = if request.headers().contains_key(header::ORIGIN) {
            Some("calls from web pages are refused")
        } else if !is_to_loopback(&request) {
            Some("calls must be addressed to localhost or a loopback address")
        } else {
            None
        };
        match refusal {
            None => Either::Left(self.inner.call(request)),
            Some(refusal) if is_call(&request) => {
                Either::Right(ready(Ok(Status::permission_denied(refusal).into_http())))
            }
            Some(_) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::FORBIDDEN;
                Either::Right(ready(Ok(response)))
            }
        }
    }
}

fn is_to_loopback<B>(request: &Request<B>) -> bool {
    let host = match request.uri().host() {
        Some(host) => Some(host),
        None => request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).map(without_port),
    };
    host.is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_hosts_are_this_machine() {
        let to = |uri: &str| is_to_loopback(&Request::builder().uri(uri).body(()).expect("a request"));
        assert!(to("http://127.0.0.1:7070/x") && to("http://localhost/x") && to("http://[::1]:7070/x"));
        assert!(to("http://LOCALHOST:1/x") && to("http://127.9.9.9/x"));
        assert!(!to("http://rebound.example:7070/x") && !to("http://10.0.0.1/x") && !to("/x"));
        let host = |value: &str| {
            is_to_loopback(&Request::builder().uri("/x").header("host", value).body(()).expect("a request"))
        };
        assert!(host("127.0.0.1:7070") && host("[::1]:7070") && host("localhost"));
        assert!(!host("rebound.example") && !host("localhost.example:80"));
    }
}
