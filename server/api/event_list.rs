//! ListEvents: newest first, without payloads.

use prost::Message as _;

use super::{
    WebhookApi,
    error::Error,
    event_listing::{Page, Query},
    events::read_time,
    filter::read_types,
    labels::check_labels,
    page::{List, Place, Scope, read_size},
    violation::Violations,
};
use crate::{
    model::{EventFilter, EventKey},
    proto::{self, ListEventsRequest, ListEventsResponse},
};

impl WebhookApi {
    pub(super) async fn list_events(&self, request: ListEventsRequest) -> Result<ListEventsResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let given = request.filter.unwrap_or_default();
        let filter_bytes = canonical(&given);
        let filter = read_event_filter(given, &mut violations);
        let size = read_size(request.page_size, &mut violations);
        let scope =
            Scope { key: &self.shared.keys.tokens, list: List::Events, tenant: tenant.key, filter: &filter_bytes };
        let below = scope.read(&request.page_token, &mut violations);
        violations.check()?;

        let below = below.map_or(EventKey(i64::MAX), |Place(event, _)| EventKey(event));
        let query = Query { tenant: tenant.key, filter, below, size };
        let read = self.shared.db.read(move |conn| Box::pin(async move { query.run(conn).await }));
        let Page { events, next } = read.await?;
        Ok(ListEventsResponse {
            events: events.into_iter().map(|event| self.show_event(&tenant, event)).collect(),
            next_page_token: next.map(|key| scope.write(Place(key.0, 0))).unwrap_or_default(),
        })
    }
}

/// Reads the field `filter`.
fn read_event_filter(filter: proto::EventFilter, violations: &mut Violations) -> EventFilter {
    let event_types = read_types(&filter.event_types, "filter.event_types", violations);
    check_labels(&filter.labels, "filter.labels", violations);
    let labels = filter.labels;
    let start = read_time(filter.start_time.as_ref(), "filter.start_time", violations);
    let end = read_time(filter.end_time.as_ref(), "filter.end_time", violations);
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        violations.add("filter.end_time", "must not be before `start_time`");
    }
    EventFilter { event_types, labels, start, end }
}

/// A filter in bytes that are the same for the same filter: what a page token is bound to. A map alone has no order.
fn canonical(filter: &proto::EventFilter) -> Vec<u8> {
    let mut labels: Vec<_> = filter.labels.iter().collect();
    labels.sort_unstable();
    let rest = proto::EventFilter { labels: Default::default(), ..filter.clone() };
    let mut bytes = rest.encode_length_delimited_to_vec();
    for text in labels.into_iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(labels: &[(&str, &str)]) -> proto::EventFilter {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        proto::EventFilter { labels, ..Default::default() }
    }

    #[test]
    fn same_filter_gives_the_same_bytes_and_another_gives_others() {
        let names: Vec<String> = (0..20).map(|number| format!("n{number}")).collect();
        let labels: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
        // Every map has an order of its own.
        for _ in 0..10 {
            assert_eq!(canonical(&filter(&labels)), canonical(&filter(&labels)));
        }
        let one = canonical(&filter(&[("a", "bc")]));
        for other in [filter(&[("ab", "c")]), filter(&[("a", "b"), ("c", "")]), filter(&[]), filter(&[("a", "b")])] {
            assert_ne!(canonical(&other), one, "{other:?}");
        }
        let typed = proto::EventFilter { event_types: vec!["a".to_owned()], ..filter(&[("a", "bc")]) };
        assert_ne!(canonical(&typed), one);
    }
}
