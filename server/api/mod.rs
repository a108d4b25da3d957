//! The gRPC services: one thin file per resource, each of which converts, calls, and converts back.
//!
//! What callers send is checked here, all of it at once, and nothing of it is trusted further in. Domain errors become
//! statuses in one place ([`error`]). Nothing else in the crate imports this module.

mod admin_service;
mod attempts;
mod audit;
mod audit_listing;
mod audited;
mod authenticate;
mod convert;
mod credentials;
mod deadline;
mod deliveries;
mod endpoint_listing;
mod endpoints;
mod error;
mod event_list;
mod event_listing;
mod event_routes;
mod event_type_fields;
mod event_types;
mod events;
mod explain;
mod filter;
mod grpc_only;
mod header;
mod idempotent;
mod imports;
mod json;
mod jwks;
mod keys;
mod labels;
mod listing;
mod mask;
mod origin;
mod page;
mod panics;
mod policy;
mod publish_batch;
mod publish_stream;
mod published;
mod quotas;
mod refusals;
mod scheme;
mod scopes;
mod secrets;
mod serve;
mod service;
mod settings;
mod show;
mod sizes;
mod states;
mod style;
mod tenant;
mod tenants;
mod violation;
mod warnings;
mod watch;

use std::{net::SocketAddr, sync::Arc};

use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;

pub(crate) use self::serve::serve;
use crate::{
    access::Caller,
    configure::Configurator,
    model::UrlPolicy,
    proto::admin_service_server::AdminServiceServer,
    publish::{PublishStreams, Publisher, StreamLimits},
    shared::Shared,
    watch::Watch,
};

/// What the service refuses to take more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest payload of an event, in bytes.
    pub payload_bytes_max: usize,
    /// How much streams of events may ask for.
    pub streams: StreamLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self { payload_bytes_max: 256 * 1024, streams: StreamLimits::default() }
    }
}

/// The implementation of `WebhookService` and `AdminService`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WebhookApi {
    shared: Arc<Shared>,
    configurator: Configurator,
    publisher: Publisher,
    streams: PublishStreams,
    watch: Watch,
    urls: Arc<UrlPolicy>,
    limits: Limits,
    /// Who calls, in the copy that answers one call.
    caller: Option<Caller>,
    /// From where, likewise.
    remote: Option<SocketAddr>,
}

impl WebhookApi {
    /// A service over what `shared` holds that publishes through `publisher`, streams from `watch` and takes URLs that
    /// `urls` allows. `shutdown` ends the streams of events.
    pub fn new(
        shared: Arc<Shared>,
        publisher: Publisher,
        watch: Watch,
        urls: UrlPolicy,
        limits: Limits,
        shutdown: CancellationToken,
    ) -> Self {
        let configurator = Configurator::new(shared.clone());
        let streams = PublishStreams::new(publisher.clone(), limits.streams, shutdown);
        Self {
            shared,
            configurator,
            publisher,
            streams,
            watch,
            urls: Arc::new(urls),
            limits,
            caller: None,
            remote: None,
        }
    }

    /// The service for operators as tonic serves it.
    pub fn into_admin_service(self) -> AdminServiceServer<Self> {
        AdminServiceServer::new(self)
            .max_decoding_message_size(sizes::OVERHEAD_BYTES)
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Gzip)
    }
}
