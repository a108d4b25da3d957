//! Which transitions a stream wants. Pure.
//!
//! A delivery's transition is judged by its endpoint, its event and that one's type, and by the state and the failure after
//! it. An endpoint's transition has none but the first of these: it is wanted by those who ask for none of the others.

use crate::{
    model::{DeliveryFilter, EndpointKey, LogBody, TenantKey, TransitionKind, TypeFilter},
    watch::WatchMessage,
};

/// One tenant's transitions, as far as a filter selects them.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    tenant: TenantKey,
    /// Sorted, each once; so are the others.
    endpoints: Vec<EndpointKey>,
    event_types: TypeFilter,
    states: Vec<i32>,
    event_ids: Vec<String>,
    failures: Vec<i32>,
}

impl Selector {
    /// Selects what `filter` selects of the tenant's.
    pub(crate) fn new(tenant: TenantKey, filter: &DeliveryFilter) -> Self {
        let mut endpoints = filter.endpoints.clone();
        endpoints.sort_unstable();
        endpoints.dedup();
        let mut states: Vec<i32> = filter.states.iter().map(|state| *state as i32).collect();
        states.sort_unstable();
        states.dedup();
        let mut event_ids = filter.event_ids.clone();
        event_ids.sort_unstable();
        event_ids.dedup();
        let mut failures: Vec<i32> = filter.failures.iter().map(|failure| *failure as i32).collect();
        failures.sort_unstable();
        failures.dedup();
        Self { tenant, endpoints, event_types: filter.event_types.clone(), states, event_ids, failures }
    }

    /// Whose transitions are selected.
    pub(crate) fn tenant(&self) -> TenantKey {
        self.tenant
    }

    /// The endpoints whose transitions alone are selected; none: those of any.
    pub(crate) fn endpoints(&self) -> &[EndpointKey] {
        &self.endpoints
    }

    /// Whether transition `index` of a row is wanted. One of a kind that this version does not know is not.
    pub(crate) fn selects(&self, body: &LogBody, index: usize) -> bool {
        let Some(entry) = body.entries.get(index) else { return false };
        if entry.tenant != self.tenant.0 || !self.wants_endpoint(EndpointKey(entry.endpoint)) {
            return false;
        }
        let Some(kind) = TransitionKind::from_i32(entry.kind) else { return false };
        if kind.concerns_endpoint() {
            return self.event_types.patterns().is_empty()
                && self.states.is_empty()
                && self.event_ids.is_empty()
                && self.failures.is_empty();
        }
        let event = usize::try_from(entry.event).ok().and_then(|event| body.events.get(event));
        (self.states.is_empty() || self.states.contains(&entry.state))
            && (self.failures.is_empty() || self.failures.contains(&entry.failure))
            && event.is_some_and(|event| self.wants_event(&event.id) && self.event_types.matches(&event.event_type))
    }

    fn wants_event(&self, id: &str) -> bool {
        self.event_ids.is_empty() || self.event_ids.binary_search_by(|wanted| wanted.as_str().cmp(id)).is_ok()
    }

    fn wants_endpoint(&self, endpoint: EndpointKey) -> bool {
        self.endpoints.is_empty() || self.endpoints.binary_search(&endpoint).is_ok()
    }

    /// The tenant and the filter as bytes: the same for filters that differ only in order, different for all others.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        let mut bytes = self.tenant.0.to_be_bytes().to_vec();
        push_count(&mut bytes, self.endpoints.len());
        self.endpoints.iter().for_each(|endpoint| bytes.extend(endpoint.0.to_be_bytes()));
        let mut patterns: Vec<&str> = self.event_types.patterns().iter().map(String::as_str).collect();
        patterns.sort_unstable();
        push_count(&mut bytes, patterns.len());
        for pattern in patterns {
            push_count(&mut bytes, pattern.len());
            bytes.extend(pattern.as_bytes());
        }
        push_count(&mut bytes, self.states.len());
        self.states.iter().for_each(|state| bytes.extend(state.to_be_bytes()));
        // These came later: tokens of filters without them are what they were.
        if !self.event_ids.is_empty() || !self.failures.is_empty() {
            push_count(&mut bytes, self.event_ids.len());
            for id in &self.event_ids {
                push_count(&mut bytes, id.len());
                bytes.extend(id.as_bytes());
            }
            push_count(&mut bytes, self.failures.len());
            self.failures.iter().for_each(|failure| bytes.extend(failure.to_be_bytes()));
        }
        bytes
    }
}

fn push_count(bytes: &mut Vec<u8>, count: usize) {
    bytes.extend(u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes());
}

/// Transition `index` of a row by itself, free of the row; `None` if there is no such transition, or its event is missing.
pub(crate) fn message(body: &LogBody, index: usize) -> Option<WatchMessage> {
    let entry = body.entries.get(index)?.clone();
    if TransitionKind::from_i32(entry.kind)?.concerns_endpoint() {
        return Some(WatchMessage::Endpoint(entry));
    }
    let event = body.events.get(usize::try_from(entry.event).ok()?)?.clone();
    Some(WatchMessage::Delivery { event, entry })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FailureKind, LogEntry, LogEvent, ShownState};

    const TENANT: TenantKey = TenantKey(1);

    fn body() -> LogBody {
        let event = |key, event_type: &str| LogEvent { key, id: format!("e{key}"), event_type: event_type.to_owned() };
        let entry = |tenant, endpoint, kind: TransitionKind, event, state| LogEntry {
            tenant,
            endpoint,
            kind: kind as i32,
            event,
            state,
            ..LogEntry::default()
        };
        LogBody {
            events: vec![event(1, "user.created"), event(2, "order.paid")],
            entries: vec![
                entry(1, 10, TransitionKind::Queued, 0, ShownState::Pending as i32),
                LogEntry {
                    failure: FailureKind::Timeout as i32,
                    ..entry(1, 11, TransitionKind::Dead, 1, ShownState::Dead as i32)
                },
                entry(1, 10, TransitionKind::EndpointDisabled, 0, 0),
                entry(2, 10, TransitionKind::Queued, 0, ShownState::Pending as i32),
                LogEntry { kind: 99, ..entry(1, 10, TransitionKind::Queued, 0, 1) },
                entry(1, 10, TransitionKind::Queued, 7, ShownState::Pending as i32),
            ],
        }
    }

    fn filter(endpoints: &[i64], types: &[&str], states: &[ShownState]) -> DeliveryFilter {
        let types: Vec<String> = types.iter().map(|&pattern| pattern.to_owned()).collect();
        DeliveryFilter {
            endpoints: endpoints.iter().map(|key| EndpointKey(*key)).collect(),
            event_types: TypeFilter::parse(&types).unwrap(),
            states: states.to_vec(),
            ..DeliveryFilter::default()
        }
    }

    fn selected(filter: &DeliveryFilter) -> Vec<usize> {
        let (selector, body) = (Selector::new(TENANT, filter), body());
        (0..body.entries.len()).filter(|index| selector.selects(&body, *index)).collect()
    }

    #[test]
    fn empty_filter_selects_everything_that_is_the_tenants_and_readable() {
        assert_eq!(selected(&DeliveryFilter::default()), [0, 1, 2]);
    }

    #[test]
    fn conditions_select_as_documented() {
        assert_eq!(selected(&filter(&[10], &[], &[])), [0, 2]);
        assert_eq!(selected(&filter(&[11, 9], &[], &[])), [1]);
        assert_eq!(selected(&filter(&[], &["user.*"], &[])), [0]);
        assert_eq!(selected(&filter(&[], &["*"], &[])), [0, 1]);
        assert_eq!(selected(&filter(&[], &[], &[ShownState::Dead])), [1]);
        assert_eq!(selected(&filter(&[10], &["order.paid"], &[])), Vec::<usize>::new());
        assert_eq!(selected(&filter(&[11], &["order.paid"], &[ShownState::Dead, ShownState::Held])), [1]);
    }

    /// Narrowed down to events and failures.
    fn narrowed(filter: DeliveryFilter, ids: &[&str], failures: &[FailureKind]) -> DeliveryFilter {
        DeliveryFilter {
            event_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            failures: failures.to_vec(),
            ..filter
        }
    }

    #[test]
    fn events_and_failures_select_as_documented() {
        let only = |ids: &[&str], failures: &[FailureKind]| selected(&narrowed(filter(&[], &[], &[]), ids, failures));
        assert_eq!(only(&["e1"], &[]), [0]);
        assert_eq!(only(&["e3", "e2", "e1", "e2"], &[]), [0, 1]);
        assert_eq!(only(&["e3", "E1", ""], &[]), [0; 0]);
        assert_eq!(only(&[], &[FailureKind::Dns, FailureKind::Timeout]), [1]);
        assert_eq!(only(&[], &[FailureKind::Dns]), [0; 0]);
        assert_eq!(only(&["e2"], &[FailureKind::Timeout]), [1]);
        assert_eq!(only(&["e1"], &[FailureKind::Timeout]), [0; 0]);
        assert_eq!(selected(&narrowed(filter(&[10], &[], &[]), &["e2"], &[])), [0; 0]);
    }

    #[test]
    fn what_is_selected_can_be_sent() {
        let body = body();
        assert!(matches!(message(&body, 0), Some(WatchMessage::Delivery { event, .. }) if event.key == 1));
        assert!(matches!(message(&body, 2), Some(WatchMessage::Endpoint(_))));
        assert!((4..8).all(|index| message(&body, index).is_none()));
    }

    #[test]
    fn canonical_bytes_ignore_order_and_nothing_else() {
        let canonical = |filter: &DeliveryFilter| Selector::new(TENANT, filter).canonical();
        let one = filter(&[1, 2], &["a", "b.*"], &[ShownState::Dead, ShownState::Held]);
        assert_eq!(canonical(&one), canonical(&filter(&[2, 1], &["b.*", "a"], &[ShownState::Held, ShownState::Dead])));
        for other in [
            filter(&[1], &["a", "b.*"], &[ShownState::Dead, ShownState::Held]),
            filter(&[1, 2], &["a"], &[ShownState::Dead, ShownState::Held]),
            filter(&[1, 2], &["a", "b.*"], &[ShownState::Dead]),
            DeliveryFilter::default(),
        ] {
            assert_ne!(canonical(&one), canonical(&other));
        }
        let events = narrowed(filter(&[], &[], &[]), &["e1", "e2"], &[FailureKind::Dns, FailureKind::Tls]);
        let again = narrowed(filter(&[], &[], &[]), &["e2", "e1", "e2"], &[FailureKind::Tls, FailureKind::Dns]);
        assert_eq!(canonical(&events), canonical(&again));
        for (ids, failures) in [
            (&["e1"][..], &[FailureKind::Dns, FailureKind::Tls][..]),
            (&["e1", "e2"], &[FailureKind::Dns]),
            (&["e1", "e2"], &[]),
            (&["e1e2"], &[FailureKind::Dns, FailureKind::Tls]),
            (&[], &[FailureKind::Dns, FailureKind::Tls]),
            (&[], &[]),
        ] {
            assert_ne!(canonical(&events), canonical(&narrowed(filter(&[], &[], &[]), ids, failures)));
        }
        let two = filter(&[], &["ab", "c"], &[]);
        assert_ne!(canonical(&two), canonical(&filter(&[], &["a", "bc"], &[])));
        assert_ne!(Selector::new(TenantKey(2), &one).canonical(), canonical(&one));
    }
}
