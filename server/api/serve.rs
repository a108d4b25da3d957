//! The listener: which services there are, and what a connection may do before a call is looked at.

use std::{future::Future, time::Duration};

use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tonic::{server::NamedService as _, transport::Error};
use tonic_health::ServingStatus;
use tower::ServiceBuilder;

use super::{
    WebhookApi, authenticate::Authenticated, deadline::Deadlines, explain::Explained, grpc_only::GrpcOnly,
    jwks::KeySets, origin::NoPages, panics::Panics, refusals::Refusals, sizes::BySize,
};
use crate::{
    listen,
    proto::{DESCRIPTORS, admin_service_server::AdminServiceServer, webhook_service_server::WebhookServiceServer},
};

/// An idle connection is pinged this often, and given up when it does not answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Metadata beyond this is refused with HTTP status 431.
const METADATA_BYTES_MAX: u32 = 16 * 1024;

/// What one call may send ahead of its being read, and what all calls of a connection may together. A stream of events
/// that is held up keeps its part for as long as that lasts; the rest is for the calls beside it.
const CALL_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 16 * CALL_WINDOW_BYTES;

/// Calls at once on one connection; a client waits with more.
const CALLS_PER_CONNECTION_MAX: u32 = 1_024;

/// Calls that their client gave up before the server looked at them, on one connection; more end it. The library's own
/// bound, 20, is met by a client that shares a connection among callers with short deadlines, and then every call on it is
/// cut off.
const RESETS_PENDING_MAX: usize = 1_024;

/// How long the one message of a call may stop arriving. A client on a bad line sends something more often; who sends
/// nothing would hold the message's memory for as long as it answers pings.
const UPLOAD_STALL_MAX: Duration = Duration::from_secs(30);

/// Serves calls on `listener` until `shutdown`, and then until those under way have ended. Streams end by themselves, for
/// they follow `shutdown` too. Whoever checks its health is told whether it is `fit`.
///
/// # Errors
/// The reflection service refuses the protocol's descriptors.
pub(crate) fn serve(
    api: WebhookApi,
    listener: TcpListener,
    connections: listen::Config,
    mut fit: watch::Receiver<bool>,
    shutdown: CancellationToken,
) -> Result<impl Future<Output = Result<(), Error>> + Send, tonic_reflection::server::Error> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // The details of errors, so that grpcurl shows them in words.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let (reflection_v1, reflection_v1alpha) = (reflection().build_v1()?, reflection().build_v1alpha()?);
    let (shared, keys) = (api.shared.clone(), api.shared.clone());
    let layers = ServiceBuilder::new()
        .layer_fn(Panics::new)
        .layer_fn(Refusals::new)
        .layer_fn(Explained::new)
        .layer_fn(NoPages::new)
        // Public: receivers have no key.
        .layer_fn(move |inner| KeySets::new(shared.clone(), inner))
        .layer_fn(GrpcOnly::new)
        .layer_fn(move |inner| Authenticated::new(keys.clone(), inner))
        .layer_fn(|inner| Deadlines::new(inner, UPLOAD_STALL_MAX))
        .into_inner();
    let incoming = listen::incoming(listener, connections, shutdown.clone());
    Ok(async move {
        let (health, health_service) = tonic_health::server::health_reporter();
        let stopping = shutdown.clone();
        tokio::spawn(async move {
            loop {
                let fit_now = *fit.borrow_and_update() && !stopping.is_cancelled();
                let status = if fit_now { ServingStatus::Serving } else { ServingStatus::NotServing };
                health.set_service_status(WebhookServiceServer::<WebhookApi>::NAME, status).await;
                health.set_service_status(AdminServiceServer::<WebhookApi>::NAME, status).await;
                health.set_service_status("", status).await;
                tokio::select! {
                    () = stopping.cancelled(), if fit_now => {}
                    changed = fit.changed() => if changed.is_err() { return },
                }
            }
        });
        tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .initial_stream_window_size(CALL_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_concurrent_streams(Some(CALLS_PER_CONNECTION_MAX))
            .http2_max_header_list_size(METADATA_BYTES_MAX)
            .http2_max_pending_accept_reset_streams(Some(RESETS_PENDING_MAX))
            // For key sets; calls are refused over it.
            .accept_http1(true)
            .layer(layers)
            .add_service(health_service)
            .add_service(reflection_v1)
            .add_service(reflection_v1alpha)
            .add_service(api.clone().into_admin_service())
            .add_service(BySize::new(api))
            .serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned())
            .await
    })
}
