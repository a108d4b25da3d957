//! Endpoints: create, get, list, update, delete, ping.

use super::{
    WebhookApi, attempts,
    error::{Error, Resource},
    header::take_headers,
    imports::Imports,
    mask::EndpointMask,
    page::{List, Place, Scope, read_size},
    secrets::shown_text,
    style::read_style,
    violation::Violations,
};
use crate::{
    configure::NewEndpoint,
    model::{Endpoint, EndpointKey, EndpointStatus, TenantKey},
    proto::{
        CreateEndpointRequest, CreateEndpointResponse, DeleteEndpointRequest, DeleteEndpointResponse,
        GetEndpointRequest, GetEndpointResponse, ListEndpointsRequest, ListEndpointsResponse, PingEndpointRequest,
        PingEndpointResponse, UpdateEndpointRequest, UpdateEndpointResponse,
    },
    store,
};

impl WebhookApi {
    pub(super) async fn create_endpoint(
        &self,
        mut request: CreateEndpointRequest,
    ) -> Result<CreateEndpointResponse, Error> {
        let given = Imports::take(request.secret.take(), &mut request.secrets);
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let Some(endpoint) = &mut request.endpoint else {
            violations.add("endpoint", "is required");
            return Err(Error::Invalid(violations));
        };
        let headers = take_headers(&mut endpoint.headers);
        let style = read_style(endpoint.style.as_ref(), "endpoint.style", &mut violations);
        let settings = self.read_settings(endpoint, headers, style.clone(), &mut violations);
        let secrets = given.read(style.as_ref(), &mut violations);
        violations.check()?;
        let Some((settings, headers)) = settings else { return Err(unreported()) };

        let new = NewEndpoint { settings, disabled: request.disabled, secrets, headers };
        let (endpoint, issued) = self.configurator.create_endpoint(tenant.key, new).await?;
        Ok(CreateEndpointResponse {
            endpoint: Some(self.show_endpoint(&tenant, &endpoint)),
            secret: issued.first().map(shown_text).unwrap_or_default(),
            issued_secrets: issued.iter().map(|secret| self.issue(secret)).collect(),
        })
    }

    pub(super) async fn get_endpoint(&self, request: GetEndpointRequest) -> Result<GetEndpointResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let key = self.endpoint_key(&request.endpoint_id)?;
        let endpoint = self.stored_endpoint(tenant.key, key).await?;
        Ok(GetEndpointResponse { endpoint: Some(self.show_endpoint(&tenant, &endpoint)) })
    }

    pub(super) async fn list_endpoints(&self, request: ListEndpointsRequest) -> Result<ListEndpointsResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let size = read_size(request.page_size, &mut violations);
        let scope = Scope { key: &self.shared.keys.tokens, list: List::Endpoints, tenant: tenant.key, filter: &[] };
        let Place(after, _) = scope.read(&request.page_token, &mut violations).unwrap_or_default();
        violations.check()?;

        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let list = self.shared.db.read(move |conn| Box::pin(store::endpoint::list(conn, tenant.key, after, limit)));
        let mut endpoints = list.await?;
        let more = endpoints.len() > size;
        endpoints.truncate(size);
        let last = endpoints.last().filter(|_| more).map(|endpoint| Place(endpoint.key.0, 0));
        Ok(ListEndpointsResponse {
            endpoints: endpoints.iter().map(|endpoint| self.show_endpoint(&tenant, endpoint)).collect(),
            next_page_token: last.map(|last| scope.write(last)).unwrap_or_default(),
        })
    }

    pub(super) async fn update_endpoint(
        &self,
        mut request: UpdateEndpointRequest,
    ) -> Result<UpdateEndpointResponse, Error> {
        let imports = Imports::take(None, &mut request.secrets);
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let mask = EndpointMask::read(request.update_mask.as_ref(), &mut violations);
        let Some(mut given) = request.endpoint else {
            violations.add("endpoint", "is required");
            return Err(Error::Invalid(violations));
        };
        let key = self.read_endpoint_id(&given.id, "endpoint.id", &mut violations);
        let headers = take_headers(&mut given.headers);
        let mut patch = self.read_patch(&given, headers, mask, &mut violations);
        if !mask.style && !imports.is_empty() {
            violations.add("secrets", "are for schemes that are new, so `update_mask` must name `style`");
        } else {
            patch.secrets = imports.read(patch.style.as_ref(), &mut violations);
        }
        violations.check()?;
        let key = key.ok_or_else(unreported)?;

        let expected = (!given.etag.is_empty()).then_some(given.etag);
        let (endpoint, issued) = self.configurator.update_endpoint(tenant.key, key, expected, patch).await?;
        Ok(UpdateEndpointResponse {
            endpoint: Some(self.show_endpoint(&tenant, &endpoint)),
            issued_secrets: issued.iter().map(|secret| self.issue(secret)).collect(),
        })
    }

    pub(super) async fn delete_endpoint(
        &self,
        request: DeleteEndpointRequest,
    ) -> Result<DeleteEndpointResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let key = self.endpoint_key(&request.endpoint_id)?;
        let expected = (!request.etag.is_empty()).then_some(request.etag);
        self.configurator.delete_endpoint(tenant.key, key, expected).await?;
        Ok(DeleteEndpointResponse {})
    }

    pub(super) async fn ping_endpoint(&self, request: PingEndpointRequest) -> Result<PingEndpointResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let key = self.endpoint_key(&request.endpoint_id)?;
        self.stored_endpoint(tenant.key, key).await?;
        let delivery = self.publisher.ping(tenant.key, key).await?;

        let read = self.shared.db.read(move |conn| {
            Box::pin(async move {
                let Some(row) = store::delivery::get(conn, tenant.key, delivery).await? else { return Ok(None) };
                // A ping has one attempt, unless it was lost before its request and begun again.
                let before = row.attempt.saturating_sub(1);
                let attempt = attempts::from(conn, &row, before, 1).await?.pop();
                Ok(Some((row, attempt)))
            })
        });
        let (row, attempt) = read.await?.ok_or(Error::NotFound(Resource::Delivery))?;
        let shown = row.shown(self.shared.routes.standing(key));
        Ok(PingEndpointResponse {
            delivery: Some(self.show_delivery(&tenant, &shown)),
            attempt: attempt.map(|attempt| self.show_attempt(attempt)),
        })
    }

    /// Reads the endpoint's id at `field`.
    pub(super) fn read_endpoint_id(&self, id: &str, field: &str, violations: &mut Violations) -> Option<EndpointKey> {
        if id.is_empty() {
            violations.add(field, "is required");
            return None;
        }
        let read = self.shared.ids.parse_endpoint(id).map_err(|error| error.to_string());
        violations.take(field, read)
    }

    /// Reads the field `endpoint_id` of a request that can have nothing else wrong.
    pub(super) fn endpoint_key(&self, id: &str) -> Result<EndpointKey, Error> {
        let mut violations = Violations::default();
        self.read_endpoint_id(id, "endpoint_id", &mut violations).ok_or(Error::Invalid(violations))
    }

    async fn stored_endpoint(&self, tenant: TenantKey, key: EndpointKey) -> Result<Endpoint, Error> {
        let read = self.shared.db.read(move |conn| Box::pin(store::endpoint::get(conn, tenant, key)));
        let endpoint = read.await?.filter(|endpoint| endpoint.status != EndpointStatus::Deleted);
        endpoint.ok_or(Error::NotFound(Resource::Endpoint))
    }
}

/// A conversion gave no value and no reason. Refused without one rather than taken.
pub(super) fn unreported() -> Error {
    Error::Invalid(Violations::default())
}
