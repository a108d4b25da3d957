//! How long a message may be. The generated service has one limit for all of its methods; here a batch of events has one
//! of its own, by way of a second copy of the service.

use std::task::{Context, Poll};

use http::Request;
use tonic::{body::Body, codec::CompressionEncoding, server::NamedService};
use tower::Service;

use super::{Limits, WebhookApi};
use crate::proto::webhook_service_server::WebhookServiceServer;

/// Room in a message for everything beside the payload: 64 labels of at most 1,152 bytes, ids and names, or the 999 delays
/// of a retry schedule.
pub(super) const OVERHEAD_BYTES: usize = 256 * 1024;

/// The method whose messages are longer.
const BATCH: &str = "BatchPublishEvents";

/// The service as tonic serves it, with the limits on the size of messages that follow from [`Limits`].
#[derive(Clone, Debug)]
pub(super) struct BySize {
    single: WebhookServiceServer<WebhookApi>,
    batch: WebhookServiceServer<WebhookApi>,
}

impl Limits {
    /// What a message may have that holds one event, or none.
    fn message_bytes_max(self) -> usize {
        self.payload_bytes_max.saturating_add(OVERHEAD_BYTES)
    }
}

impl BySize {
    pub(super) fn new(api: WebhookApi) -> Self {
        let limits = api.limits;
        // The limit of a compressed message is that of what comes out.
        let single = WebhookServiceServer::new(api)
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Gzip);
        let batch = single.clone().max_decoding_message_size(limits.batch_bytes_max());
        Self { single: single.max_decoding_message_size(limits.message_bytes_max()), batch }
    }
}

impl NamedService for BySize {
    const NAME: &'static str = WebhookServiceServer::<WebhookApi>::NAME;
}

impl Service<Request<Body>> for BySize {
    type Response = <WebhookServiceServer<WebhookApi> as Service<Request<Body>>>::Response;
    type Error = <WebhookServiceServer<WebhookApi> as Service<Request<Body>>>::Error;
    type Future = <WebhookServiceServer<WebhookApi> as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // The generated service is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_batch = request.uri().path().rsplit('/').next() == Some(BATCH);
        if is_batch { self.batch.call(request) } else { self.single.call(request) }
    }
}
