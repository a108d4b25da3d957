//! The gRPC service: one thin file per resource, each of which converts, calls, and converts back.
//!
//! What callers send is checked here, all of it at once, and nothing of it is trusted further in. Domain errors become
//! statuses in one place ([`error`]). Nothing else in the crate imports this module.

mod attempts;
mod convert;
mod deliveries;
mod endpoint_listing;
mod endpoints;
mod error;
mod event_types;
mod events;
mod filter;
mod grpc_only;
mod header;
mod idempotent;
mod imports;
mod json;
mod jwks;
mod labels;
mod listing;
mod loopback;
mod mask;
mod page;
mod policy;
mod scheme;
mod secrets;
mod serve;
mod service;
mod settings;
mod show;
mod states;
mod style;
mod tenant;
mod violation;
mod watch;

use std::sync::Arc;

pub(crate) use self::serve::serve;
use crate::{
    configure::Configurator, model::UrlPolicy, proto::webhook_service_server::WebhookServiceServer, publish::Publisher,
    shared::Shared, watch::Watch,
};

/// Room in a message for everything beside the payload: 64 labels of at most 1,152 bytes, ids and names, or the 999 delays
/// of a retry schedule.
const MESSAGE_OVERHEAD_BYTES: usize = 256 * 1024;

/// What the service refuses to take more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest payload of an event, in bytes.
    pub payload_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { payload_bytes_max: 256 * 1024 }
    }
}

/// The implementation of `WebhookService`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WebhookApi {
    shared: Arc<Shared>,
    configurator: Configurator,
    publisher: Publisher,
    watch: Watch,
    urls: Arc<UrlPolicy>,
    limits: Limits,
}

impl WebhookApi {
    /// A service over what `shared` holds that publishes through `publisher`, streams from `watch` and takes URLs that
    /// `urls` allows.
    pub fn new(shared: Arc<Shared>, publisher: Publisher, watch: Watch, urls: UrlPolicy, limits: Limits) -> Self {
        Self { configurator: Configurator::new(shared.clone()), shared, publisher, watch, urls: Arc::new(urls), limits }
    }

    /// The service as tonic serves it, with the limit on the size of messages that follows from [`Limits`].
    pub fn into_service(self) -> WebhookServiceServer<Self> {
        let bytes_max = self.limits.payload_bytes_max.saturating_add(MESSAGE_OVERHEAD_BYTES);
        WebhookServiceServer::new(self).max_decoding_message_size(bytes_max)
    }
}
