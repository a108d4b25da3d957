//! Quotas of tenants, as the protocol has them.

use super::violation::Violations;
use crate::{model::Quotas, proto::TenantQuotas};

/// A field of the quotas, with its bounds.
fn read<T: Into<i64>>(value: Option<T>, field: &str, min: i64, violations: &mut Violations) -> Option<i64> {
    let value = value?.into();
    if value < min {
        violations.add(format!("tenant.quotas.{field}"), format!("must be at least {min}; leave it out for no quota"));
    }
    Some(value)
}

/// Reads the field `tenant.quotas`.
pub(super) fn read_quotas(given: Option<TenantQuotas>, violations: &mut Violations) -> Quotas {
    let given = given.unwrap_or_default();
    if given.events_burst.is_some() && given.events_per_second.is_none() {
        violations.add("tenant.quotas.events_burst", "needs `events_per_second` beside it");
    }
    Quotas {
        endpoints: read(given.max_endpoints, "max_endpoints", 0, violations),
        pending_deliveries: read(given.max_pending_deliveries, "max_pending_deliveries", 0, violations),
        events_per_second: read(given.events_per_second, "events_per_second", 1, violations),
        events_burst: read(given.events_burst, "events_burst", 1, violations),
        bytes_per_second: read(given.bytes_per_second, "bytes_per_second", 1, violations),
    }
}

/// Quotas as they are shown; none at all are absent.
pub(super) fn show_quotas(quotas: &Quotas) -> Option<TenantQuotas> {
    let small = |value: i64| i32::try_from(value).unwrap_or(i32::MAX);
    (!quotas.is_none()).then(|| TenantQuotas {
        max_endpoints: quotas.endpoints.map(small),
        max_pending_deliveries: quotas.pending_deliveries,
        events_per_second: quotas.events_per_second.map(small),
        events_burst: quotas.events_burst.map(small),
        bytes_per_second: quotas.bytes_per_second,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_lead_back_and_each_has_a_least_value() {
        let given = TenantQuotas {
            max_endpoints: Some(0),
            max_pending_deliveries: Some(i64::MAX),
            events_per_second: Some(1),
            events_burst: Some(i32::MAX),
            bytes_per_second: Some(1),
        };
        let mut violations = Violations::default();
        let read = read_quotas(Some(given), &mut violations);
        assert_eq!((show_quotas(&read), violations.len()), (Some(given), 0));
        assert_eq!(show_quotas(&read_quotas(None, &mut violations)), None);
        let wrong = TenantQuotas {
            max_endpoints: Some(-1),
            max_pending_deliveries: Some(-1),
            events_per_second: Some(0),
            events_burst: Some(0),
            bytes_per_second: Some(0),
        };
        read_quotas(Some(wrong), &mut violations);
        assert_eq!(violations.len(), 5);
        read_quotas(Some(TenantQuotas { events_burst: Some(1), ..Default::default() }), &mut violations);
        assert_eq!(violations.len(), 6);
    }
}
