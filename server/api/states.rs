//! Endpoints' states: pause, disable, activate.

use super::{WebhookApi, error::Error, idempotent::Once, violation::Violations};
use crate::{
    model::{DrainRate, OnBacklog},
    proto::{
        ActivateEndpointRequest, ActivateEndpointResponse, DisableEndpointRequest, DisableEndpointResponse,
        PauseEndpointRequest, PauseEndpointResponse, activate_endpoint_request,
    },
};

impl WebhookApi {
    pub(super) async fn pause_endpoint(
        &self,
        request: PauseEndpointRequest,
        once: Once<PauseEndpointRequest>,
    ) -> Result<PauseEndpointResponse, Error> {
        let key = self.endpoint_key(&request.endpoint_id, once.violations())?;
        let call = once.call(|api, tenant, endpoint| PauseEndpointResponse {
            endpoint: Some(api.show_endpoint(tenant, &endpoint)),
        })?;
        Ok(self.configurator.pause_endpoint(call, key, given(request.etag)).await?)
    }

    pub(super) async fn disable_endpoint(
        &self,
        request: DisableEndpointRequest,
        once: Once<DisableEndpointRequest>,
    ) -> Result<DisableEndpointResponse, Error> {
        let key = self.endpoint_key(&request.endpoint_id, once.violations())?;
        let call = once.call(|api, tenant, endpoint| DisableEndpointResponse {
            endpoint: Some(api.show_endpoint(tenant, &endpoint)),
        })?;
        Ok(self.configurator.disable_endpoint(call, key, given(request.etag)).await?)
    }

    pub(super) async fn activate_endpoint(
        &self,
        request: ActivateEndpointRequest,
        once: Once<ActivateEndpointRequest>,
    ) -> Result<ActivateEndpointResponse, Error> {
        let mut violations = once.violations();
        let on = request.backlog.map(|backlog| read_backlog(&backlog, &mut violations));
        let key = self.endpoint_key(&request.endpoint_id, violations)?;
        let call = once.call(|api, tenant, endpoint| ActivateEndpointResponse {
            endpoint: Some(api.show_endpoint(tenant, &endpoint)),
        })?;
        Ok(self.configurator.activate_endpoint(call, key, given(request.etag), on).await?)
    }
}

/// An etag that is to be compared.
fn given(etag: String) -> Option<String> {
    (!etag.is_empty()).then_some(etag)
}

/// Reads what is to become of what was held.
fn read_backlog(backlog: &activate_endpoint_request::Backlog, violations: &mut Violations) -> OnBacklog {
    let drain = match backlog {
        activate_endpoint_request::Backlog::Skip(_) => return OnBacklog::Skip,
        activate_endpoint_request::Backlog::Drain(drain) => drain,
    };
    if drain.rate_per_second == 0.0 {
        return OnBacklog::Drain(None);
    }
    let rate = DrainRate::per_second(drain.rate_per_second);
    if rate.is_none() {
        let (min, max, given) = (DrainRate::MIN, DrainRate::MAX, drain.rate_per_second);
        let rule = format!("must be 0, for no limit, or from {min} to {max}; it is {given}");
        violations.add("drain.rate_per_second", rule);
    }
    OnBacklog::Drain(rate)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::proto::{DrainBacklog, SkipBacklog};

    #[test]
    fn rates_are_read_as_documented() {
        let read = |rate_per_second| {
            let mut violations = Violations::default();
            let given = activate_endpoint_request::Backlog::Drain(DrainBacklog { rate_per_second });
            let on = read_backlog(&given, &mut violations);
            (on, violations.into_shown().into_iter().map(|(field, _)| field).collect::<Vec<_>>())
        };
        for unlimited in [0.0, -0.0] {
            assert_eq!(read(unlimited), (OnBacklog::Drain(None), vec![]));
        }
        for right in [0.001, 7.5, 10_000.0] {
            assert_eq!(read(right), (OnBacklog::Drain(DrainRate::per_second(right)), vec![]));
        }
        for wrong in [-1.0, 0.000_9, 10_000.1, f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE] {
            assert_eq!(read(wrong).1, ["drain.rate_per_second"], "{wrong}");
        }
        // Protobuf keeps the last of a message that has both.
        let both = |first: activate_endpoint_request::Backlog, last| {
            let one = |backlog| ActivateEndpointRequest { backlog: Some(backlog), ..Default::default() };
            let bytes = [one(first).encode_to_vec(), one(last).encode_to_vec()].concat();
            ActivateEndpointRequest::decode(&bytes[..]).unwrap().backlog
        };
        let (skip, drain) = (
            activate_endpoint_request::Backlog::Skip(SkipBacklog {}),
            activate_endpoint_request::Backlog::Drain(DrainBacklog { rate_per_second: f64::INFINITY }),
        );
        assert_eq!(both(skip, drain), Some(drain));
        assert_eq!(both(drain, skip), Some(skip));
        let skip = activate_endpoint_request::Backlog::Skip(SkipBacklog {});
        assert_eq!(read_backlog(&skip, &mut Violations::default()), OnBacklog::Skip);
    }
}
