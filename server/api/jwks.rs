//! The public keys of endpoints that sign with Ed25519, as a JSON Web Key Set (RFC 7517, RFC 8037), for receivers that fetch
//! keys rather than being told: `GET /endpoints/{endpoint id}/jwks.json`.
//!
//! Public keys are public: whoever knows an endpoint's id may read them. Every key that signs or will sign is there, newest
//! first, so that a receiver that looks before an announced rotation knows the new key in time. So no API key is asked for.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::{Either, Ready, ready};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde::Serialize;
use tonic::body::Body;
use tower::Service;

use crate::{model::EndpointStatus, shared::Shared};

/// How long a receiver may go by what it read, in seconds: an overlap or an announcement should be longer.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The media type of a key set (RFC 7517, section 8.5.2).
const KEY_SET: HeaderValue = HeaderValue::from_static("application/jwk-set+json");

#[derive(Debug, Serialize)]
struct KeySet {
    keys: Vec<Key>,
}

/// An Ed25519 public key (RFC 8037, section 2).
#[derive(Debug, Serialize)]
struct Key {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    #[serde(rename = "use")]
    purpose: &'static str,
    /// The secret's id.
    kid: String,
    x: String,
}

/// Answers requests for key sets, and passes on all others.
#[derive(Clone, Debug)]
pub(super) struct KeySets<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S> KeySets<S> {
    pub(super) fn new(shared: Arc<Shared>, inner: S) -> Self {
        Self { shared, inner }
    }
}

impl<S, B> Service<Request<B>> for KeySets<S>
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
        let endpoint = wanted(request.uri().path()).map(str::to_owned);
        match endpoint {
            None => Either::Left(self.inner.call(request)),
            Some(endpoint) => Either::Right(ready(Ok(answer(&self.shared, request.method(), &endpoint)))),
        }
    }
}

/// The endpoint whose keys a path names.
fn wanted(path: &str) -> Option<&str> {
    path.strip_prefix("/endpoints/")?.strip_suffix("/jwks.json").filter(|id| !id.contains('/'))
}

fn answer(shared: &Shared, method: &Method, endpoint: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    if method != Method::GET && method != Method::HEAD {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let Some(text) = key_set(shared, endpoint).and_then(|keys| serde_json::to_vec(&keys).ok()) else {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    response.headers_mut().insert(header::CONTENT_TYPE, KEY_SET);
    response.headers_mut().insert(header::CACHE_CONTROL, CACHE_CONTROL);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    if method == Method::GET {
        *response.body_mut() = Body::new(http_body_util::Full::from(text));
    }
    response
}

fn key_set(shared: &Shared, endpoint: &str) -> Option<KeySet> {
    let entry = shared.routes.endpoint(shared.ids.parse_endpoint(endpoint).ok()?)?;
    if entry.endpoint.status == EndpointStatus::Deleted {
        return None;
    }
    let now = shared.clock.now();
    let live = entry.secrets.iter().filter(|secret| secret.lives(now));
    let keys = live.filter_map(|secret| {
        let public = secret.value.public_key()?;
        Some(Key {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            purpose: "sig",
            kid: shared.ids.secret(secret.key),
            x: URL_SAFE_NO_PAD.encode(public.as_bytes()),
        })
    });
    Some(KeySet { keys: keys.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_key_sets_are_answered() {
        assert_eq!(wanted("/endpoints/ep_1/jwks.json"), Some("ep_1"));
        assert_eq!(wanted("/endpoints//jwks.json"), Some(""));
        for other in ["/", "/endpoints/ep_1", "/endpoints/a/b/jwks.json", "/x/endpoints/ep_1/jwks.json", "/jwks.json"] {
            assert_eq!(wanted(other), None, "{other}");
        }
    }
}
