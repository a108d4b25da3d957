//! Publishing over a stream: each request is read as PublishEvent's is, and each acknowledgement says what PublishEvent
//! would have answered.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use tonic::{Status, Streaming};

use super::{
    WebhookApi,
    endpoints::unreported,
    error::Error,
    events::read_required_event,
    published::{in_memory_of_its_own, show_published},
    tenant::Tenant,
    violation::Violations,
};
use crate::{
    faults::panic_point,
    proto::{PublishEventStreamRequest, PublishEventStreamResponse, publish_event_stream_response::Result as Shown},
    publish::{self, Acknowledgement, Outcome, Reader, Request},
};

/// What PublishEventStream answers with.
pub(super) type AcknowledgementStream = Pin<Box<dyn Stream<Item = Result<PublishEventStreamResponse, Status>> + Send>>;

/// Reads the requests of one stream.
struct RequestReader {
    api: WebhookApi,
    /// Whose the stream is, as its first request said.
    tenant: Option<Tenant>,
}

impl WebhookApi {
    pub(super) fn publish_event_stream(
        &self,
        requests: Streaming<PublishEventStreamRequest>,
    ) -> Result<AcknowledgementStream, Error> {
        let reader = RequestReader { api: self.clone(), tenant: None };
        let acknowledgements = self.streams.open(requests, reader)?;
        Ok(acknowledgements.map(|item| item.map(show).map_err(|end| Error::from(end).into())).boxed())
    }
}

impl Reader<PublishEventStreamRequest> for RequestReader {
    type Refusal = Error;
    type End = Status;

    async fn read(&mut self, request: PublishEventStreamRequest) -> Request<Error, Status> {
        panic_point!("stream_request");
        let PublishEventStreamRequest { tenant_id, event } = request;
        let tenant = match &self.tenant {
            Some(tenant) => tenant,
            None => match self.api.tenant(&tenant_id) {
                Ok(tenant) => self.tenant.insert(tenant),
                Err(error) => return Request::End(error.into()),
            },
        };
        let mut violations = Violations::default();
        if !tenant_id.is_empty() && *tenant_id != *tenant.id {
            violations.add("tenant_id", "must be empty, or that of the stream's first message");
        }
        let now = self.api.shared.clock.now();
        let event = read_required_event(tenant.key, event, self.api.limits, now, &mut violations);
        let event = match violations.check().and_then(|()| event.ok_or_else(unreported)) {
            Ok(event) => in_memory_of_its_own(event),
            Err(error) => return Request::Refused(error),
        };
        let checked = self.api.check_event(&event, "event").await;
        // Last, for what is refused otherwise is not to count.
        match checked.and_then(|warnings| Ok(publish::admit(&self.api.shared, &event).map(|()| warnings)?)) {
            Ok(warnings) => Request::Event(event, warnings),
            Err(error) => Request::Refused(error),
        }
    }
}

fn show(acknowledgement: Acknowledgement<Error>) -> PublishEventStreamResponse {
    let result = match acknowledgement.outcome {
        Outcome::Answered(Ok(published), warnings) => Shown::Published(show_published(&published, warnings)),
        Outcome::Answered(Err(error), _) => Shown::Error(Error::from(error).into_rpc_status()),
        Outcome::Refused(error) => Shown::Error(error.into_rpc_status()),
    };
    PublishEventStreamResponse { sequence: acknowledgement.sequence, result: Some(result) }
}
