//! Endpoints: create, get, list, update, delete, ping.

use prost::Message as _;

use super::{
    WebhookApi, attempts,
    endpoint_listing::{EndpointFilter, Query},
    error::{Error, Resource},
    header::take_headers,
    idempotent::Once,
    imports::Imports,
    mask::EndpointMask,
    page::{List, Place, Scope, fitting, read_size},
    secrets::shown_text,
    style::read_style,
    violation::Violations,
};
use crate::{
    configure::NewEndpoint,
    model::{Endpoint, EndpointKey, EndpointStatus, Secret, TenantKey},
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
        once: Once<CreateEndpointRequest>,
    ) -> Result<CreateEndpointResponse, Error> {
        let given = Imports::take(request.secret.take(), &mut request.secrets);
        let mut violations = once.violations();
        let Some(endpoint) = &mut request.endpoint else {
            violations.add("endpoint", "is required");
            return Err(Error::Invalid(violations));
        };
        let headers = take_headers(&mut endpoint.headers);
        let credentials = self.read_credentials(endpoint.credentials.take(), &mut violations);
        let style = read_style(endpoint.style.as_ref(), "endpoint.style", &mut violations);
        let settings = self.read_settings(endpoint, headers, credentials.summary(), style.clone(), &mut violations);
        let secrets = given.read(style.as_ref(), &mut violations);
        violations.check()?;
        let Some((settings, headers)) = settings else { return Err(unreported()) };

        let new = NewEndpoint { settings, disabled: request.disabled, secrets, headers, credentials };
        let call = once.call(|api, tenant, (endpoint, issued): (Endpoint, Vec<Secret>)| CreateEndpointResponse {
            endpoint: Some(api.show_endpoint(tenant, &endpoint)),
            secret: issued.first().map(shown_text).unwrap_or_default(),
            issued_secrets: issued.iter().map(|secret| api.issue(secret)).collect(),
        })?;
        Ok(self.configurator.create_endpoint(call, new).await?)
    }

    pub(super) async fn get_endpoint(&self, request: GetEndpointRequest) -> Result<GetEndpointResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let key = self.endpoint_key(&request.endpoint_id, Violations::default())?;
        let endpoint = self.stored_endpoint(tenant.key, key).await?;
        Ok(GetEndpointResponse { endpoint: Some(self.show_endpoint(&tenant, &endpoint)) })
    }

    pub(super) async fn list_endpoints(&self, request: ListEndpointsRequest) -> Result<ListEndpointsResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let size = read_size(request.page_size, &mut violations);
        let filter = EndpointFilter::read(request.filter.as_ref(), &mut violations);
        let filter_bytes = request.filter.unwrap_or_default().encode_to_vec();
        let scope =
            Scope { key: &self.shared.keys.tokens, list: List::Endpoints, tenant: tenant.key, filter: &filter_bytes };
        let Place(after, _) = scope.read(&request.page_token, &mut violations).unwrap_or_default();
        violations.check()?;

        let query = Query { tenant: tenant.key, filter, after, size };
        let read = self.shared.db.read(move |conn| Box::pin(async move { query.run(conn).await }));
        let page = read.await?;
        let mut endpoints: Vec<_> =
            page.endpoints.iter().map(|endpoint| self.show_endpoint(&tenant, endpoint)).collect();
        // What is stored was bounded as it was read, but a policy or a style may be longer as it is shown.
        let fitting = fitting(&endpoints);
        let next =
            page.endpoints.get(fitting).map_or(page.next, |_| page.endpoints.get(fitting - 1).map(|last| last.key));
        endpoints.truncate(fitting);
        Ok(ListEndpointsResponse {
            endpoints,
            next_page_token: next.map(|last| scope.write(Place(last.0, 0))).unwrap_or_default(),
        })
    }

    pub(super) async fn update_endpoint(
        &self,
        mut request: UpdateEndpointRequest,
        once: Once<UpdateEndpointRequest>,
    ) -> Result<UpdateEndpointResponse, Error> {
        let imports = Imports::take(None, &mut request.secrets);
        let mut violations = once.violations();
        let mask = EndpointMask::read(request.update_mask.as_ref(), &mut violations);
        let Some(mut given) = request.endpoint else {
            violations.add("endpoint", "is required");
            return Err(Error::Invalid(violations));
        };
        let key = self.read_endpoint_id(&given.id, "endpoint.id", &mut violations);
        let headers = take_headers(&mut given.headers);
        let credentials = given.credentials.take();
        let mut patch = self.read_patch(&given, headers, mask, &mut violations);
        let named = (mask.http_credentials, mask.client_certificate);
        patch.credentials = self.patch_credentials(credentials, named, &mut violations);
        if !mask.style && !imports.is_empty() {
            violations.add("secrets", "are for schemes that are new, so `update_mask` must name `style`");
        } else {
            patch.secrets = imports.read(patch.style.as_ref(), &mut violations);
        }
        violations.check()?;
        let key = key.ok_or_else(unreported)?;

        let expected = (!given.etag.is_empty()).then_some(given.etag);
        let call = once.call(|api, tenant, (endpoint, issued): (Endpoint, Vec<Secret>)| UpdateEndpointResponse {
            endpoint: Some(api.show_endpoint(tenant, &endpoint)),
            issued_secrets: issued.iter().map(|secret| api.issue(secret)).collect(),
        })?;
        Ok(self.configurator.update_endpoint(call, key, expected, patch).await?)
    }

    pub(super) async fn delete_endpoint(
        &self,
        request: DeleteEndpointRequest,
        once: Once<DeleteEndpointRequest>,
    ) -> Result<DeleteEndpointResponse, Error> {
        let key = self.endpoint_key(&request.endpoint_id, once.violations())?;
        let expected = (!request.etag.is_empty()).then_some(request.etag);
        let call = once.call(|_, _, ()| DeleteEndpointResponse {})?;
        Ok(self.configurator.delete_endpoint(call, key, expected).await?)
    }

    pub(super) async fn ping_endpoint(&self, request: PingEndpointRequest) -> Result<PingEndpointResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let key = self.endpoint_key(&request.endpoint_id, Violations::default())?;
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

    /// Reads the field `endpoint_id` of a request that can have nothing else wrong than `violations`.
    pub(super) fn endpoint_key(&self, id: &str, mut violations: Violations) -> Result<EndpointKey, Error> {
        let key = self.read_endpoint_id(id, "endpoint_id", &mut violations);
        violations.check()?;
        key.ok_or_else(unreported)
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
