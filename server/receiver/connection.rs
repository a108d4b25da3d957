//! One connection of a receiver: TLS, HTTP, the bounded body, the call of the handler.
//!
//! Every wait has an end: the handshake, each request's head and body, and the connection as a whole.

use std::{convert::Infallible, future::Future, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    body::{Body, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Answer, BODY_BYTES_MAX, Webhook};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request's head may take, and how long an HTTP/1 connection may lie unused.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// After this a connection is closed between two requests, so that none stays for ever without a word.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(600);
/// How long requests may take to end on a connection that is being closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;

/// What answers requests.
#[derive(Clone)]
pub(super) struct Service<H> {
    pub(super) handler: H,
    pub(super) requests: Arc<Semaphore>,
}

impl<H, F> Service<H>
where
    H: Fn(Webhook) -> F,
    F: Future<Output = Answer>,
{
    async fn call(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let answer = match self.requests.acquire().await {
            Ok(_permit) => match gather(request).await {
                Ok(webhook) => (self.handler)(webhook).await,
                Err(refusal) => refusal,
            },
            Err(_closed) => StatusCode::SERVICE_UNAVAILABLE.into(),
        };
        let mut response = Response::new(Full::new(answer.body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

/// Serves one connection to its end, or until `shutdown` and the end of what is under way.
pub(super) async fn serve<H, F>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    service: Service<H>,
    shutdown: CancellationToken,
) where
    H: Fn(Webhook) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    // Without this an answer may wait 40 ms for the peer's acknowledgement. It is an optimisation: failing is no matter.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return speak_http(stream, service, shutdown).await };
    let handshake = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream));
    match shutdown.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => speak_http(stream, service, shutdown).await,
        Some(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
        Some(Err(_elapsed)) => tracing::debug!("a TLS handshake took too long"),
        None => {}
    }
}

async fn speak_http<S, H, F>(stream: S, service: Service<H>, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    H: Fn(Webhook) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD_TIMEOUT).max_concurrent_streams(STREAMS_MAX);
    let service = service_fn(move |request| service.clone().call(request));
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));

    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing(shutdown) => {
            connection.as_mut().graceful_shutdown();
            timeout(CLOSE_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection ended badly");
    }
}

/// Ends when the connection is to be closed.
async fn closing(shutdown: CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = sleep(CONNECTION_AGE_MAX) => {}
    }
}

async fn gather(request: Request<Incoming>) -> Result<Webhook, Answer> {
    let (head, body) = request.into_parts();
    // A declared length is refused before anything of it is read.
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let body = timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect())
        .await
        .map_err(|_elapsed| Answer::text(StatusCode::REQUEST_TIMEOUT, "the body took too long\n"))?;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            too_large()
        } else {
            Answer::text(StatusCode::BAD_REQUEST, "the body could not be read\n")
        }
    })?;
    Ok(Webhook { method: head.method, uri: head.uri, headers: head.headers, body: body.to_bytes() })
}

fn too_large() -> Answer {
    Answer::text(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is over {BODY_BYTES_MAX} bytes\n"))
}
