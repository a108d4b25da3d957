//! Endpoints: create, get, list, update, delete, disable, activate, ping.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{
    WebhookApi, attempts,
    error::{Error, Resource},
    filter::read_types,
    mask::EndpointMask,
    page::{List, Place, Scope, read_size},
    policy::{read_hold, read_max_in_flight, read_policy, read_retry, read_timeout},
    violation::{Violations, check_text},
};
use crate::{
    configure::{EndpointPatch, NewEndpoint},
    model::{Endpoint, EndpointKey, EndpointSettings, EndpointStatus, TenantKey, UrlError},
    proto::{
        self, ActivateEndpointRequest, ActivateEndpointResponse, CreateEndpointRequest, CreateEndpointResponse,
        DeleteEndpointRequest, DeleteEndpointResponse, DisableEndpointRequest, DisableEndpointResponse, ErrorReason,
        GetEndpointRequest, GetEndpointResponse, ListEndpointsRequest, ListEndpointsResponse, PingEndpointRequest,
        PingEndpointResponse, UpdateEndpointRequest, UpdateEndpointResponse,
    },
    signing, store,
};

/// The longest display name and description, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 1_024;

/// Ranges of allowed ports that a refusal names at most.
const PORT_RANGES_SHOWN_MAX: usize = 16;

impl WebhookApi {
    pub(super) async fn create_endpoint(
        &self,
        mut request: CreateEndpointRequest,
    ) -> Result<CreateEndpointResponse, Error> {
        let given = request.secret.take().map(Zeroizing::new);
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let settings = self.read_settings(request.endpoint.as_ref(), &mut violations);
        let secret = read_secret(given, &mut violations);
        violations.check()?;
        let (Some(settings), Some(secret)) = (settings, secret) else { return Err(unreported()) };

        let new = NewEndpoint { settings, disabled: request.disabled, secret: secret.clone() };
        let endpoint = self.configurator.create_endpoint(tenant.key, new).await?;
        Ok(CreateEndpointResponse {
            endpoint: Some(self.show_endpoint(&tenant, &endpoint)),
            secret: secret.expose().to_owned(),
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
        request: UpdateEndpointRequest,
    ) -> Result<UpdateEndpointResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let mask = EndpointMask::read(request.update_mask.as_ref(), &mut violations);
        let Some(given) = request.endpoint else {
            violations.add("endpoint", "is required");
            return Err(Error::Invalid(violations));
        };
        let key = self.read_endpoint_id(&given.id, "endpoint.id", &mut violations);
        let patch = self.read_patch(&given, mask, &mut violations);
        violations.check()?;
        let key = key.ok_or_else(unreported)?;

        let expected = (!given.etag.is_empty()).then_some(given.etag);
        let endpoint = self.configurator.update_endpoint(tenant.key, key, expected, patch).await?;
        Ok(UpdateEndpointResponse { endpoint: Some(self.show_endpoint(&tenant, &endpoint)) })
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

    pub(super) async fn disable_endpoint(
        &self,
        request: DisableEndpointRequest,
    ) -> Result<DisableEndpointResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let key = self.endpoint_key(&request.endpoint_id)?;
        let endpoint = self.configurator.disable_endpoint(tenant.key, key).await?;
        Ok(DisableEndpointResponse { endpoint: Some(self.show_endpoint(&tenant, &endpoint)) })
    }

    pub(super) async fn activate_endpoint(
        &self,
        request: ActivateEndpointRequest,
    ) -> Result<ActivateEndpointResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let key = self.endpoint_key(&request.endpoint_id)?;
        let endpoint = self.configurator.activate_endpoint(tenant.key, key).await?;
        Ok(ActivateEndpointResponse { endpoint: Some(self.show_endpoint(&tenant, &endpoint)) })
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
        let shown = row.shown(self.shared.routes.status(key));
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
    fn endpoint_key(&self, id: &str) -> Result<EndpointKey, Error> {
        let mut violations = Violations::default();
        self.read_endpoint_id(id, "endpoint_id", &mut violations).ok_or(Error::Invalid(violations))
    }

    async fn stored_endpoint(&self, tenant: TenantKey, key: EndpointKey) -> Result<Endpoint, Error> {
        let read = self.shared.db.read(move |conn| Box::pin(store::endpoint::get(conn, tenant, key)));
        let endpoint = read.await?.filter(|endpoint| endpoint.status != EndpointStatus::Deleted);
        endpoint.ok_or(Error::NotFound(Resource::Endpoint))
    }

    fn read_settings(
        &self,
        endpoint: Option<&proto::Endpoint>,
        violations: &mut Violations,
    ) -> Option<EndpointSettings> {
        let Some(endpoint) = endpoint else {
            violations.add("endpoint", "is required");
            return None;
        };
        check_texts(endpoint, violations);
        let filter = read_types(&endpoint.event_types, "endpoint.event_types", violations);
        let policy = read_policy(endpoint.policy.as_ref(), "endpoint.policy", violations);
        let url = self.read_url(&endpoint.url, violations)?;
        Some(EndpointSettings {
            display_name: endpoint.display_name.clone(),
            description: endpoint.description.clone(),
            url,
            filter,
            policy,
        })
    }

    /// Reads the fields of an endpoint that `mask` names, and looks at no other.
    fn read_patch(&self, given: &proto::Endpoint, mask: EndpointMask, violations: &mut Violations) -> EndpointPatch {
        let named = proto::Endpoint {
            display_name: if mask.display_name { given.display_name.clone() } else { String::new() },
            description: if mask.description { given.description.clone() } else { String::new() },
            ..proto::Endpoint::default()
        };
        check_texts(&named, violations);
        let policy = given.policy.as_ref();
        let retry = policy.and_then(|policy| policy.retry.as_ref());
        let timeout = policy.and_then(|policy| policy.timeout.as_ref());
        let max_in_flight = policy.map_or(0, |policy| policy.max_in_flight);
        let hold = policy.and_then(|policy| policy.hold_duration.as_ref());
        let field = |part: &str| format!("endpoint.policy.{part}");
        EndpointPatch {
            display_name: mask.display_name.then_some(named.display_name),
            description: mask.description.then_some(named.description),
            url: if mask.url { self.read_url(&given.url, violations) } else { None },
            filter: mask.event_types.then(|| read_types(&given.event_types, "endpoint.event_types", violations)),
            retry: mask.retry.then(|| read_retry(retry, &field("retry"), violations)),
            timeout: mask.timeout.then(|| read_timeout(timeout, &field("timeout"), violations)),
            max_in_flight: mask
                .max_in_flight
                .then(|| read_max_in_flight(max_in_flight, &field("max_in_flight"), violations)),
            hold_duration: mask.hold_duration.then(|| read_hold(hold, &field("hold_duration"), violations)),
        }
    }

    fn read_url(&self, text: &str, violations: &mut Violations) -> Option<url::Url> {
        let errors = match self.urls.check(text) {
            Ok(url) => return Some(url),
            Err(errors) => errors,
        };
        for error in errors {
            match error {
                UrlError::Form(_) => violations.add("endpoint.url", error.to_string()),
                UrlError::BlockedAddress => {
                    violations.add_for(ErrorReason::UrlBlockedAddress, "endpoint.url", error.to_string());
                }
                UrlError::Port => violations.add_for(ErrorReason::UrlPort, "endpoint.url", self.ports_allowed(&error)),
            }
        }
        None
    }

    fn ports_allowed(&self, error: &UrlError) -> String {
        let mut ports = self.urls.ports.clone();
        ports.sort_unstable();
        ports.dedup();
        let ranges = ports.chunk_by(|port, next| port + 1 == *next).take(PORT_RANGES_SHOWN_MAX);
        let ranges: Vec<String> = ranges
            .map(|range| match range {
                [port] => port.to_string(),
                [first, .., last] => format!("{first}-{last}"),
                [] => String::new(),
            })
            .collect();
        format!("{error}; this server sends to {}", ranges.join(", "))
    }
}

/// Reads the field `secret`, or makes a secret if none was given.
pub(super) fn read_secret(
    given: Option<Zeroizing<String>>,
    violations: &mut Violations,
) -> Option<Arc<signing::Secret>> {
    let secret = match given {
        None => Ok(signing::Secret::generate()),
        Some(text) => signing::Secret::parse(&text).map_err(|error| error.to_string()),
    };
    violations.take("secret", secret).map(Arc::new)
}

/// A conversion gave no value and no reason. Refused without one rather than taken.
pub(super) fn unreported() -> Error {
    Error::Invalid(Violations::default())
}

fn check_texts(endpoint: &proto::Endpoint, violations: &mut Violations) {
    violations.take("endpoint.display_name", check_text(&endpoint.display_name, TEXT_BYTES_MAX));
    violations.take("endpoint.description", check_text(&endpoint.description, TEXT_BYTES_MAX));
}
