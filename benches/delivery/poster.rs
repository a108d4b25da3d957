//! What the baseline posts through: the server's own HTTP client, or the connection pool beneath it alone, which tells what
//! the client above the pool costs.

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tidings::egress::{Egress, Request};
use url::Url;

/// An HTTP client. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Poster {
    /// The server's, with its guards and bounds.
    Guarded(Egress),
    /// A pool of connections, as hyper-util has it. Without HTTPS.
    Bare(Box<Client<HttpConnector, Full<Bytes>>>),
}

impl Poster {
    /// The pool alone.
    pub(crate) fn bare() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self::Bare(Box::new(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// Posts, and reads the answer. That it failed the receiver tells: it does not have the delivery.
    pub(crate) async fn post(&self, request: Request) {
        match self {
            Self::Guarded(egress) => drop(egress.post(request).await),
            Self::Bare(pool) => drop(post(pool, request.url, request.headers, request.body).await),
        }
    }
}

async fn post(
    pool: &Client<HttpConnector, Full<Bytes>>,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
) -> anyhow::Result<()> {
    let mut request = http::Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::try_from(url.as_str())?;
    *request.headers_mut() = headers;
    pool.request(request).await?.into_body().collect().await?;
    Ok(())
}
