//! The generated trait of `AdminService`, implemented as that of `WebhookService` is.

use tonic::{Request, Response, Status};

use super::{WebhookApi, service::answer};
use crate::proto::{
    GetTenantRequest, GetTenantResponse, UpdateTenantRequest, UpdateTenantResponse, admin_service_server::AdminService,
};

#[tonic::async_trait]
impl AdminService for WebhookApi {
    async fn get_tenant(&self, request: Request<GetTenantRequest>) -> Result<Response<GetTenantResponse>, Status> {
        answer(self.get_tenant(request.into_inner())).await
    }

    async fn update_tenant(
        &self,
        request: Request<UpdateTenantRequest>,
    ) -> Result<Response<UpdateTenantResponse>, Status> {
        answer(self.once(request.into_inner(), |request, once| self.update_tenant(request, once))).await
    }
}
