//! The generated trait, implemented by handing every call to the file of its resource.

use std::future::Future;

use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::{WebhookApi, error::Error, publish_stream::AcknowledgementStream, watch::WatchStream};
use crate::{
    faults::panic_point,
    proto::{webhook_service_server::WebhookService, *},
};

/// Answers shorter than this are not compressed: most clients accept gzip without asking for it, and what it saves of a
/// short answer is less than a packet.
const COMPRESSED_BYTES_MIN: usize = 1_024;

/// Answers a call with a message.
pub(super) async fn answer<T: Message>(call: impl Future<Output = Result<T, Error>>) -> Result<Response<T>, Status> {
    let mut response = Response::new(handle(call).await?);
    if response.get_ref().encoded_len() < COMPRESSED_BYTES_MIN {
        response.disable_compression();
    }
    Ok(response)
}

/// Answers a call with a stream.
async fn open<T>(call: impl Future<Output = Result<T, Error>>) -> Result<Response<T>, Status> {
    handle(call).await.map(Response::new)
}

/// Runs a handler. `super::panics` sees to it if that panics.
async fn handle<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Status> {
    panic_point!("handler");
    Ok(call.await?)
}

#[tonic::async_trait]
impl WebhookService for WebhookApi {
    async fn create_endpoint(
        &self,
        request: Request<CreateEndpointRequest>,
    ) -> Result<Response<CreateEndpointResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.create_endpoint(request, once))).await
    }

    async fn get_endpoint(
        &self,
        request: Request<GetEndpointRequest>,
    ) -> Result<Response<GetEndpointResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.get_endpoint(request)).await
    }

    async fn list_endpoints(
        &self,
        request: Request<ListEndpointsRequest>,
    ) -> Result<Response<ListEndpointsResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.list_endpoints(request)).await
    }

    async fn update_endpoint(
        &self,
        request: Request<UpdateEndpointRequest>,
    ) -> Result<Response<UpdateEndpointResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.update_endpoint(request, once))).await
    }

    async fn delete_endpoint(
        &self,
        request: Request<DeleteEndpointRequest>,
    ) -> Result<Response<DeleteEndpointResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.delete_endpoint(request, once))).await
    }

    async fn pause_endpoint(
        &self,
        request: Request<PauseEndpointRequest>,
    ) -> Result<Response<PauseEndpointResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.pause_endpoint(request, once))).await
    }

    async fn disable_endpoint(
        &self,
        request: Request<DisableEndpointRequest>,
    ) -> Result<Response<DisableEndpointResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.disable_endpoint(request, once))).await
    }

    async fn activate_endpoint(
        &self,
        request: Request<ActivateEndpointRequest>,
    ) -> Result<Response<ActivateEndpointResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.activate_endpoint(request, once))).await
    }

    async fn ping_endpoint(
        &self,
        request: Request<PingEndpointRequest>,
    ) -> Result<Response<PingEndpointResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.ping_endpoint(request)).await
    }

    async fn rotate_endpoint_secret(
        &self,
        request: Request<RotateEndpointSecretRequest>,
    ) -> Result<Response<RotateEndpointSecretResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.rotate_endpoint_secret(request, once))).await
    }

    async fn activate_endpoint_secret(
        &self,
        request: Request<ActivateEndpointSecretRequest>,
    ) -> Result<Response<ActivateEndpointSecretResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.activate_endpoint_secret(request, once))).await
    }

    async fn list_endpoint_secrets(
        &self,
        request: Request<ListEndpointSecretsRequest>,
    ) -> Result<Response<ListEndpointSecretsResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.list_endpoint_secrets(request)).await
    }

    async fn revoke_endpoint_secret(
        &self,
        request: Request<RevokeEndpointSecretRequest>,
    ) -> Result<Response<RevokeEndpointSecretResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.revoke_endpoint_secret(request, once))).await
    }

    async fn create_event_type(
        &self,
        request: Request<CreateEventTypeRequest>,
    ) -> Result<Response<CreateEventTypeResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.create_event_type(request, once))).await
    }

    async fn import_event_types(
        &self,
        request: Request<ImportEventTypesRequest>,
    ) -> Result<Response<ImportEventTypesResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.import_event_types(request, once))).await
    }

    async fn get_event_type(
        &self,
        request: Request<GetEventTypeRequest>,
    ) -> Result<Response<GetEventTypeResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.get_event_type(request)).await
    }

    async fn list_event_types(
        &self,
        request: Request<ListEventTypesRequest>,
    ) -> Result<Response<ListEventTypesResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.list_event_types(request)).await
    }

    async fn update_event_type(
        &self,
        request: Request<UpdateEventTypeRequest>,
    ) -> Result<Response<UpdateEventTypeResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.update_event_type(request, once))).await
    }

    async fn delete_event_type(
        &self,
        request: Request<DeleteEventTypeRequest>,
    ) -> Result<Response<DeleteEventTypeResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.delete_event_type(request, once))).await
    }

    async fn publish_event(
        &self,
        request: Request<PublishEventRequest>,
    ) -> Result<Response<PublishEventResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.publish_event(request)).await
    }

    async fn batch_publish_events(
        &self,
        request: Request<BatchPublishEventsRequest>,
    ) -> Result<Response<BatchPublishEventsResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.batch_publish_events(request)).await
    }

    type PublishEventStreamStream = AcknowledgementStream;

    async fn publish_event_stream(
        &self,
        request: Request<Streaming<PublishEventStreamRequest>>,
    ) -> Result<Response<Self::PublishEventStreamStream>, Status> {
        let (api, request) = self.called(request)?;
        open(std::future::ready(api.publish_event_stream(request))).await
    }

    async fn get_event(&self, request: Request<GetEventRequest>) -> Result<Response<GetEventResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.get_event(request)).await
    }

    async fn list_events(&self, request: Request<ListEventsRequest>) -> Result<Response<ListEventsResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.list_events(request)).await
    }

    async fn cancel_event(
        &self,
        request: Request<CancelEventRequest>,
    ) -> Result<Response<CancelEventResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.cancel_event(request)).await
    }

    async fn expunge_event(
        &self,
        request: Request<ExpungeEventRequest>,
    ) -> Result<Response<ExpungeEventResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.expunge_event(request)).await
    }

    async fn get_delivery(
        &self,
        request: Request<GetDeliveryRequest>,
    ) -> Result<Response<GetDeliveryResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.get_delivery(request)).await
    }

    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.list_deliveries(request)).await
    }

    async fn list_attempts(
        &self,
        request: Request<ListAttemptsRequest>,
    ) -> Result<Response<ListAttemptsResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.list_attempts(request)).await
    }

    async fn retry_delivery(
        &self,
        request: Request<RetryDeliveryRequest>,
    ) -> Result<Response<RetryDeliveryResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.retry_delivery(request, once))).await
    }

    async fn cancel_delivery(
        &self,
        request: Request<CancelDeliveryRequest>,
    ) -> Result<Response<CancelDeliveryResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.cancel_delivery(request, once))).await
    }

    type WatchDeliveriesStream = WatchStream;

    async fn watch_deliveries(
        &self,
        request: Request<WatchDeliveriesRequest>,
    ) -> Result<Response<Self::WatchDeliveriesStream>, Status> {
        let (api, request) = self.called(request)?;
        open(api.watch_deliveries(request)).await
    }
}
