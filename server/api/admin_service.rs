//! The generated trait of `AdminService`, implemented as that of `WebhookService` is.

use tonic::{Request, Response, Status};

use super::{WebhookApi, service::answer};
use crate::proto::{admin_service_server::AdminService, *};

#[tonic::async_trait]
impl AdminService for WebhookApi {
    async fn create_tenant(
        &self,
        request: Request<CreateTenantRequest>,
    ) -> Result<Response<CreateTenantResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.create_tenant(request, once))).await
    }

    async fn get_tenant(&self, request: Request<GetTenantRequest>) -> Result<Response<GetTenantResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.get_tenant(request)).await
    }

    async fn list_tenants(
        &self,
        request: Request<ListTenantsRequest>,
    ) -> Result<Response<ListTenantsResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.list_tenants(request)).await
    }

    async fn update_tenant(
        &self,
        request: Request<UpdateTenantRequest>,
    ) -> Result<Response<UpdateTenantResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.update_tenant(request, once))).await
    }

    async fn delete_tenant(
        &self,
        request: Request<DeleteTenantRequest>,
    ) -> Result<Response<DeleteTenantResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.delete_tenant(request, once))).await
    }

    async fn create_key(&self, request: Request<CreateKeyRequest>) -> Result<Response<CreateKeyResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.create_key(request, once))).await
    }

    async fn list_keys(&self, request: Request<ListKeysRequest>) -> Result<Response<ListKeysResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.list_keys(request)).await
    }

    async fn revoke_key(&self, request: Request<RevokeKeyRequest>) -> Result<Response<RevokeKeyResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.once(request, |request, once| api.revoke_key(request, once))).await
    }

    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Result<Response<ListAuditEntriesResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.list_audit_entries(request)).await
    }

    async fn create_dashboard_token(
        &self,
        request: Request<CreateDashboardTokenRequest>,
    ) -> Result<Response<CreateDashboardTokenResponse>, Status> {
        let (api, request) = self.called(request)?;
        answer(api.create_dashboard_token(request)).await
    }
}
