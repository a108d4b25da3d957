//! Delivery filters, as List and Watch take them.

use super::{
    WebhookApi,
    convert::read_state,
    error::{Error, Resource},
    violation::Violations,
};
use crate::{
    model::{DeliveryFilter, EndpointKey, PatternError, TenantKey, TypeFilter},
    proto, store,
};

const ENDPOINTS_MAX: usize = 100;

impl WebhookApi {
    /// Reads a filter at `field`. Whether its endpoints are the tenant's is left to [`WebhookApi::own_endpoints`].
    pub(super) fn read_filter(
        &self,
        filter: Option<&proto::DeliveryFilter>,
        field: &str,
        violations: &mut Violations,
    ) -> DeliveryFilter {
        let Some(filter) = filter else { return DeliveryFilter::default() };
        let mut states = Vec::new();
        for (index, number) in filter.states.iter().enumerate() {
            let state = violations.take(&format!("{field}.states[{index}]"), read_state(*number));
            states.extend(state.filter(|state| !states.contains(state)));
        }
        DeliveryFilter {
            endpoints: self.read_endpoints(&filter.endpoint_ids, &format!("{field}.endpoint_ids"), violations),
            event_types: read_types(&filter.event_types, &format!("{field}.event_types"), violations),
            states,
        }
    }

    fn read_endpoints(&self, ids: &[String], field: &str, violations: &mut Violations) -> Vec<EndpointKey> {
        if ids.len() > ENDPOINTS_MAX {
            violations.add(field, format!("must have at most {ENDPOINTS_MAX} entries; it has {}", ids.len()));
        }
        let mut keys = Vec::new();
        for (index, id) in ids.iter().take(ENDPOINTS_MAX).enumerate() {
            keys.extend(self.read_endpoint_id(id, &format!("{field}[{index}]"), violations));
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Fails unless all endpoints are the tenant's; deleted ones, whose deliveries are still there, are.
    pub(super) async fn own_endpoints(&self, tenant: TenantKey, keys: &[EndpointKey]) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let keys = keys.to_vec();
        let all = self.shared.db.read(move |conn| {
            Box::pin(async move {
                for key in keys {
                    if store::endpoint::get(conn, tenant, key).await?.is_none() {
                        return Ok(false);
                    }
                }
                Ok(true)
            })
        });
        if all.await? { Ok(()) } else { Err(Error::NotFound(Resource::Endpoint)) }
    }
}

/// Reads a list of event type patterns.
pub(super) fn read_types(patterns: &[String], field: &str, violations: &mut Violations) -> TypeFilter {
    match TypeFilter::parse(patterns) {
        Ok(filter) => filter,
        Err(errors) => {
            for PatternError { index, problem } in errors {
                violations.add(format!("{field}[{index}]"), problem);
            }
            TypeFilter::default()
        }
    }
}
