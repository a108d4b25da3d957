//! What the audit log tells of each mutation: which tenant it concerns, what it changes, which fields.
//!
//! A mutation that is not here cannot be run: [`WebhookApi::once`] takes no other. CancelEvent and ExpungeEvent, which bear
//! no request id, make their [`Change`] by hand.

use prost_types::FieldMask;

use super::{
    WebhookApi,
    error::Error,
    idempotent::{MUTATIONS, Mutation},
    tenant::Tenant,
};
use crate::{audit::Change, proto::*};

/// Methods with entries that are not run by [`WebhookApi::once`].
const OTHERS: [&str; 2] = ["CancelEvent", "ExpungeEvent"];

/// A mutation that tells what it is about.
pub(super) trait Audited: Mutation {
    /// The public id of the tenant that it concerns; empty if it concerns none, or one that is not there. `tenant` is whose
    /// the call is.
    fn concerns(&self, _api: &WebhookApi, tenant: &Tenant) -> String {
        tenant.id.to_string()
    }

    /// Ids and names of what it is to change.
    fn resources(&self) -> Vec<String>;

    /// Ids of what it made.
    fn made(_answer: &Self::Answer) -> Vec<String> {
        Vec::new()
    }

    /// Which fields it is to change.
    fn mask(&self) -> Option<&FieldMask> {
        None
    }
}

/// Requests whose fields name what they change.
macro_rules! audited {
    ($($request:ident { $($field:ident),+ })*) => {
        $(impl Audited for $request {
            fn resources(&self) -> Vec<String> {
                vec![$(self.$field.clone()),+]
            }
        })*
    };
}

audited! {
    DeleteEndpointRequest { endpoint_id }
    PauseEndpointRequest { endpoint_id }
    DisableEndpointRequest { endpoint_id }
    ActivateEndpointRequest { endpoint_id }
    ActivateEndpointSecretRequest { endpoint_id, secret_id }
    RevokeEndpointSecretRequest { endpoint_id, secret_id }
    DeleteEventTypeRequest { name }
    RetryDeliveryRequest { delivery_id }
    CancelDeliveryRequest { delivery_id }
}

impl Audited for CreateEndpointRequest {
    fn resources(&self) -> Vec<String> {
        Vec::new()
    }

    fn made(answer: &CreateEndpointResponse) -> Vec<String> {
        answer.endpoint.iter().map(|endpoint| endpoint.id.clone()).collect()
    }
}

impl Audited for UpdateEndpointRequest {
    fn resources(&self) -> Vec<String> {
        self.endpoint.iter().map(|endpoint| endpoint.id.clone()).collect()
    }

    fn mask(&self) -> Option<&FieldMask> {
        self.update_mask.as_ref()
    }
}

impl Audited for RotateEndpointSecretRequest {
    fn resources(&self) -> Vec<String> {
        vec![self.endpoint_id.clone()]
    }

    fn made(answer: &RotateEndpointSecretResponse) -> Vec<String> {
        answer.issued_secret.iter().map(|issued| issued.secret_id.clone()).collect()
    }
}

impl Audited for CreateEventTypeRequest {
    fn resources(&self) -> Vec<String> {
        self.event_type.iter().map(|event_type| event_type.name.clone()).collect()
    }
}

impl Audited for ImportEventTypesRequest {
    fn resources(&self) -> Vec<String> {
        self.event_types.iter().map(|event_type| event_type.name.clone()).collect()
    }
}

impl Audited for UpdateEventTypeRequest {
    fn resources(&self) -> Vec<String> {
        self.event_type.iter().map(|event_type| event_type.name.clone()).collect()
    }

    fn mask(&self) -> Option<&FieldMask> {
        self.update_mask.as_ref()
    }
}

impl Audited for CreateTenantRequest {
    fn concerns(&self, _api: &WebhookApi, _tenant: &Tenant) -> String {
        self.tenant.as_ref().map(|tenant| tenant.id.clone()).unwrap_or_default()
    }

    fn resources(&self) -> Vec<String> {
        self.tenant.iter().map(|tenant| tenant.id.clone()).collect()
    }
}

impl Audited for UpdateTenantRequest {
    // From the answer, for the request may leave the id out.
    fn resources(&self) -> Vec<String> {
        Vec::new()
    }

    fn made(answer: &UpdateTenantResponse) -> Vec<String> {
        answer.tenant.iter().map(|tenant| tenant.id.clone()).collect()
    }

    fn mask(&self) -> Option<&FieldMask> {
        self.update_mask.as_ref()
    }
}

impl Audited for DeleteTenantRequest {
    fn concerns(&self, _api: &WebhookApi, _tenant: &Tenant) -> String {
        self.tenant_id.clone()
    }

    fn resources(&self) -> Vec<String> {
        vec![self.tenant_id.clone()]
    }
}

impl Audited for CreateKeyRequest {
    fn concerns(&self, api: &WebhookApi, _tenant: &Tenant) -> String {
        let tenant = (!self.operator).then(|| api.tenant(&self.tenant_id).ok()).flatten();
        tenant.map(|tenant| tenant.id.to_string()).unwrap_or_default()
    }

    fn resources(&self) -> Vec<String> {
        Vec::new()
    }

    fn made(answer: &CreateKeyResponse) -> Vec<String> {
        answer.key.iter().map(|key| key.id.clone()).collect()
    }
}

impl Audited for RevokeKeyRequest {
    // Whose the key is, the change finds in its row.
    fn concerns(&self, _api: &WebhookApi, _tenant: &Tenant) -> String {
        String::new()
    }

    fn resources(&self) -> Vec<String> {
        vec![self.key_id.clone()]
    }
}

impl WebhookApi {
    /// The entry of a mutation, as far as it is known from the request.
    pub(super) fn change_of<Q: Audited>(
        &self,
        request: &Q,
        tenant: &Tenant,
        request_id: &str,
    ) -> Result<Change, Error> {
        let mask = request.mask().map_or(&[][..], |mask| mask.paths.as_slice());
        let tenant = request.concerns(self, tenant);
        let change = self.change(method(Q::METHOD), tenant, request.resources())?;
        Ok(Change { fields: mask.iter().cloned().collect(), request_id: request_id.to_owned(), ..change })
    }

    /// The entry of a call of `method` that changes `resources` of the tenant with this public id.
    pub(super) fn change(&self, method: &'static str, tenant: String, resources: Vec<String>) -> Result<Change, Error> {
        let change = Change { tenant, ..Change::new(self.caller()?.actor(), self.remote, method) };
        Ok(change.concerning(resources))
    }
}

/// All methods that have entries.
pub(super) fn methods() -> impl Iterator<Item = &'static str> {
    MUTATIONS.iter().map(|request| method(request)).chain(OTHERS)
}

/// The method with this request.
fn method(request: &'static str) -> &'static str {
    request.strip_suffix("Request").unwrap_or(request)
}
