//! The generated trait, implemented by handing every call to the file of its resource.

use std::{future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use tonic::{Request, Response, Status};

use super::{
    WebhookApi,
    error::{Error, panicked},
    watch::WatchStream,
};
use crate::proto::{webhook_service_server::WebhookService, *};

/// Answers a call. A panic in a handler costs its caller an INTERNAL, and nobody else anything.
async fn answer<T>(call: impl Future<Output = Result<T, Error>>) -> Result<Response<T>, Status> {
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(result) => result.map(Response::new).map_err(Status::from),
        Err(_) => Err(panicked()),
    }
}

#[tonic::async_trait]
impl WebhookService for WebhookApi {
    async fn create_endpoint(
        &self,
        request: Request<CreateEndpointRequest>,
    ) -> Result<Response<CreateEndpointResponse>, Status> {
        answer(self.once(request.into_inner(), |request, once| self.create_endpoint(request, once))).await
    }

    async fn get_endpoint(
        &self,
        request: Request<GetEndpointRequest>,
    ) -> Result<Response<GetEndpointResponse>, Status> {
        answer(self.get_endpoint(request.into_inner())).await
    }

    async fn list_endpoints(
        &self,
        request: Request<ListEndpointsRequest>,
    ) -> Result<Response<ListEndpointsResponse>, Status> {
        answer(self.list_endpoints(request.into_inner())).await
    }

    async fn update_endpoint(
        &self,
        request: Request<UpdateEndpointRequest>,
    ) -> Result<Response<UpdateEndpointResponse>, Status> {
        answer(self.once(request.into_inner(), |request, once| self.update_endpoint(request, once))).await
    }

    async fn delete_endpoint(
        &self,
        request: Request<DeleteEndpointRequest>,
    ) -> Result<Response<DeleteEndpointResponse>, Status> {
        answer(self.once(request.into_inner(), |request, once| self.delete_endpoint(request, once))).await
    }

    async fn pause_endpoint(
        &self,
        request: Request<PauseEndpointRequest>,
    ) -> Result<Response<PauseEndpointResponse>, Status> {
        answer(self.once(request.into_inner(), |request, once| self.pause_endpoint(request, once))).await
    }

    async fn disable_endpoint(
        &self,
        request: Request<DisableEndpointRequest>,
    ) -> Result<Response<DisableEndpointResponse>, Status> {
        answer(self.once(request.into_inner(), |request, once| self.disable_endpoint(request, once))).await
    }

    async fn activate_endpoint(
        &self,
        request: Request<ActivateEndpointRequest>,
    ) -> Result<Response<ActivateEndpointResponse>, Status> {
        answer(self.once(request.into_inner(), |request, once| self.activate_endpoint(request, once))).await
    }

    async fn ping_endpoint(
        &self,
        request: Request<PingEndpointRequest>,
    ) -> Result<Response<PingEndpointResponse>, Status> {
        answer(self.ping_endpoint(request.into_inner())).await
    }

    async fn rotate_endpoint_secret(
        &self,
        request: Request<RotateEndpointSecretRequest>,
    ) -> Result<Response<RotateEndpointSecretResponse>, Status> {
        answer(self.once(request.into_inner(), |request, once| self.rotate_endpoint_secret(request, once))).await
    }

    async fn activate_endpoint_secret(
        &self,
        request: Request<ActivateEndpointSecretRequest>,
    ) -> Result<Response<ActivateEndpointSecretResponse>, Status> {
        answer(self.once(request.into_inner(), |request, once| self.activate_endpoint_secret(request, once))).await
    }

    async fn list_endpoint_secrets(
        &self,
        request: Request<ListEndpointSecretsRequest>,
    ) -> Result<Response<ListEndpointSecretsResponse>, Status> {
        answer(self.list_endpoint_secrets(request.into_inner())).await
    }

    async fn revoke_endpoint_secret(
        &self,
        request: Request<RevokeEndpointSecretRequest>,
    ) -> Result<Response<RevokeEndpointSecretResponse>, Status> {
        answer(self.once(request.into_inner(), |request, once| self.revoke_endpoint_secret(request, once))).await
    }

    async fn import_event_types(
        &self,
        request: Request<ImportEventTypesRequest>,
    ) -> Result<Response<ImportEventTypesResponse>, Status> {
        answer(self.once(request.into_inner(), |request, once| self.import_event_types(request, once))).await
    }

    async fn get_event_type(
        &self,
        request: Request<GetEventTypeRequest>,
    ) -> Result<Response<GetEventTypeResponse>, Status> {
        answer(self.get_event_type(request.into_inner())).await
    }

    async fn list_event_types(
        &self,
        request: Request<ListEventTypesRequest>,
    ) -> Result<Response<ListEventTypesResponse>, Status> {
        answer(self.list_event_types(request.into_inner())).await
    }

    async fn publish_event(
        &self,
        request: Request<PublishEventRequest>,
    ) -> Result<Response<PublishEventResponse>, Status> {
        answer(self.publish_event(request.into_inner())).await
    }

    async fn get_event(&self, request: Request<GetEventRequest>) -> Result<Response<GetEventResponse>, Status> {
        answer(self.get_event(request.into_inner())).await
    }

    async fn get_delivery(
        &self,
        request: Request<GetDeliveryRequest>,
    ) -> Result<Response<GetDeliveryResponse>, Status> {
        answer(self.get_delivery(request.into_inner())).await
    }

    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        answer(self.list_deliveries(request.into_inner())).await
    }

    async fn list_attempts(
        &self,
        request: Request<ListAttemptsRequest>,
    ) -> Result<Response<ListAttemptsResponse>, Status> {
        answer(self.list_attempts(request.into_inner())).await
    }

    async fn retry_delivery(
        &self,
        request: Request<RetryDeliveryRequest>,
    ) -> Result<Response<RetryDeliveryResponse>, Status> {
        answer(self.once(request.into_inner(), |request, once| self.retry_delivery(request, once))).await
    }

    async fn cancel_delivery(
        &self,
        request: Request<CancelDeliveryRequest>,
    ) -> Result<Response<CancelDeliveryResponse>, Status> {
        answer(self.once(request.into_inner(), |request, once| self.cancel_delivery(request, once))).await
    }

    type WatchDeliveriesStream = WatchStream;

    async fn watch_deliveries(
        &self,
        request: Request<WatchDeliveriesRequest>,
    ) -> Result<Response<Self::WatchDeliveriesStream>, Status> {
        answer(self.watch_deliveries(request.into_inner())).await
    }
}
