//! Delivery filters, as List and Watch take them.

use super::{
    WebhookApi,
    convert::{read_failure, read_state, read_timestamp},
    error::{Error, Resource},
    events::check_id,
    violation::Violations,
};
use crate::{
    model::{DeliveryFilter, EndpointKey, PatternError, TenantKey, Timestamp, TypeFilter},
    proto, store,
};

const ENDPOINTS_MAX: usize = 100;
const EVENTS_MAX: usize = 100;

impl WebhookApi {
    /// Reads a filter at `field`, but for its times, which List alone takes. Whether its endpoints are the tenant's is left to
    /// [`WebhookApi::own_endpoints`].
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
        let mut failures = Vec::new();
        for (index, number) in filter.failure_kinds.iter().enumerate() {
            let failure = violations.take(&format!("{field}.failure_kinds[{index}]"), read_failure(*number));
            failures.extend(failure.filter(|failure| !failures.contains(failure)));
        }
        DeliveryFilter {
            endpoints: self.read_endpoints(&filter.endpoint_ids, &format!("{field}.endpoint_ids"), violations),
            event_types: read_types(&filter.event_types, &format!("{field}.event_types"), violations),
            states,
            event_ids: read_event_ids(&filter.event_ids, &format!("{field}.event_ids"), violations),
            failures,
            start: None,
            end: None,
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

/// Reads a list of events' ids. Whether there are such events is not asked: they may be published later.
fn read_event_ids(ids: &[String], field: &str, violations: &mut Violations) -> Vec<String> {
    if ids.len() > EVENTS_MAX {
        violations.add(field, format!("must have at most {EVENTS_MAX} entries; it has {}", ids.len()));
    }
    for (index, id) in ids.iter().take(EVENTS_MAX).enumerate() {
        violations.take(&format!("{field}[{index}]"), check_id(id));
    }
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Reads between which times of publication the events of a list's deliveries lie.
pub(super) fn read_create_times(
    filter: &proto::DeliveryFilter,
    violations: &mut Violations,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let mut read = |time: &Option<prost_types::Timestamp>, field| {
        violations.take(field, time.as_ref().map(read_timestamp).transpose()).flatten()
    };
    let start = read(&filter.start_create_time, "filter.start_create_time");
    let end = read(&filter.end_create_time, "filter.end_create_time");
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        violations.add("filter.end_create_time", "must not be before `start_create_time`");
    }
    (start, end)
}

/// Refuses the times in the filter of a stream.
pub(super) fn refuse_create_times(filter: &proto::DeliveryFilter, violations: &mut Violations) {
    let times =
        [("filter.start_create_time", &filter.start_create_time), ("filter.end_create_time", &filter.end_create_time)];
    for (field, _) in times.into_iter().filter(|(_, time)| time.is_some()) {
        violations
            .add(field, "is for ListDeliveries alone; leave it out, and say with `start` where the stream begins");
    }
}
