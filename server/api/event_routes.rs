//! GetEvent: an event, and page by page what routing decided about every endpoint.

use std::collections::HashSet;

use super::{
    WebhookApi,
    error::{Error, Resource},
    events::check_id,
    page::{List, Place, Scope, read_size},
    violation::Violations,
};
use crate::{
    model::{DeliveryKey, EndpointKey, Event, TenantKey},
    proto::{EventRoute, GetEventRequest, GetEventResponse, RouteReason},
    store::{self, Conn, EndpointRange, EndpointVersion},
};

/// What is shown of an event.
struct Found {
    event: Event,
    /// The endpoints that there were when it was published: one page, oldest first.
    versions: Vec<EndpointVersion>,
    /// Those of them that it went to.
    reached: HashSet<EndpointKey>,
    /// More follow.
    more: bool,
}

impl WebhookApi {
    pub(super) async fn get_event(&self, request: GetEventRequest) -> Result<GetEventResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        violations.take("event_id", check_id(&request.event_id));
        let size = read_size(request.page_size, &mut violations);
        let scope = Scope {
            key: &self.shared.keys.tokens,
            list: List::EventRoutes,
            tenant: tenant.key,
            filter: request.event_id.as_bytes(),
        };
        let after = scope.read(&request.page_token, &mut violations);
        violations.check()?;

        let (id, after) = (request.event_id.clone(), EndpointKey(after.unwrap_or_default().0));
        let read =
            self.shared.db.read(move |conn| Box::pin(async move { find(conn, tenant.key, &id, after, size).await }));
        let Found { event, versions, reached, more } = read.await?.ok_or(Error::NotFound(Resource::Event))?;
        let next = versions.last().filter(|_| more).map(|version| scope.write(Place(version.endpoint.0, 0)));
        let routes = versions.iter().map(|version| self.show_route(&event, version, &reached)).collect();
        let next_page_token = next.unwrap_or_default();
        Ok(GetEventResponse { event: Some(self.show_event(&tenant, event)), routes, next_page_token })
    }

    fn show_route(&self, event: &Event, version: &EndpointVersion, reached: &HashSet<EndpointKey>) -> EventRoute {
        let endpoint = version.endpoint;
        let delivery = DeliveryKey { event: event.content.key, endpoint };
        EventRoute {
            endpoint_id: self.shared.ids.endpoint(endpoint),
            reason: route_reason(event, version) as i32,
            delivery_id: if reached.contains(&endpoint) { self.shared.ids.delivery(delivery) } else { String::new() },
        }
    }
}

/// An event of a tenant's and a page of its routes.
async fn find(
    conn: &mut Conn,
    tenant: TenantKey,
    id: &str,
    after: EndpointKey,
    size: usize,
) -> store::Result<Option<Found>> {
    let Some(event) = store::event::get(conn, tenant, id).await? else { return Ok(None) };
    let limit = i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1);
    let mut versions = store::endpoint::versions_at(conn, tenant, event.cfg, after, limit).await?;
    let more = versions.len() > size;
    versions.truncate(size);
    let mut reached = HashSet::new();
    if let Some(last) = versions.last() {
        let range = EndpointRange { event: event.content.key, after, last: last.endpoint };
        reached.extend(store::event_delivery::endpoints(conn, range).await?);
    }
    Ok(Some(Found { event, versions, reached, more }))
}

/// What routing decided about an endpoint, by the same configuration that it read.
fn route_reason(event: &Event, endpoint: &EndpointVersion) -> RouteReason {
    match (event.content.ping_of, endpoint.status) {
        (Some(pinged), _) if pinged == endpoint.endpoint => RouteReason::Ping,
        (Some(_), _) => RouteReason::PingOfAnother,
        (None, status) if !status.is_routed() => RouteReason::EndpointDisabled,
        (None, _) if endpoint.filter.matches(&event.content.event_type) => RouteReason::Matched,
        (None, _) => RouteReason::TypeNotWanted,
    }
}
