//! Events: publish, and get with what became of it at every endpoint.

use std::{collections::HashMap, sync::Arc};

use super::{
    Limits, WebhookApi,
    convert::read_timestamp,
    endpoints::unreported,
    error::{Error, Resource},
    json,
    labels::check_labels,
    violation::{Violations, echo},
};
use crate::{
    model::{
        DEFAULT_CONTENT_TYPE, DeliveryKey, EVENT_TYPE_BYTES_MAX, Event, NewEvent, TenantKey, is_event_type,
        is_json_media_type,
    },
    proto::{
        self, EventRoute, GetEventRequest, GetEventResponse, PublishEventRequest, PublishEventResponse, RouteReason,
    },
    store::{self, EndpointVersion},
};

const ID_BYTES_MAX: usize = 128;
const CONTENT_TYPE_BYTES_MAX: usize = 255;
/// Routes that GetEvent returns at most.
const ROUTES_MAX: i64 = 1_000;

impl WebhookApi {
    pub(super) async fn publish_event(&self, request: PublishEventRequest) -> Result<PublishEventResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let Some(event) = request.event else {
            violations.add("event", "is required");
            return Err(Error::Invalid(violations));
        };
        let event = read_event(tenant.key, event, self.limits, &mut violations);
        violations.check()?;
        let published = self.publisher.publish(event.ok_or_else(unreported)?).await?;
        Ok(PublishEventResponse {
            event_id: published.id.to_string(),
            delivery_count: i32::try_from(published.fanout).unwrap_or(i32::MAX),
            duplicate: published.duplicate,
        })
    }

    pub(super) async fn get_event(&self, request: GetEventRequest) -> Result<GetEventResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        violations.take("event_id", check_id(&request.event_id));
        violations.check()?;

        let id = request.event_id;
        let read = self.shared.db.read(move |conn| {
            Box::pin(async move {
                let Some(event) = store::event::get(conn, tenant.key, &id).await? else { return Ok(None) };
                let versions = store::endpoint::versions_at(conn, tenant.key, event.cfg, ROUTES_MAX).await?;
                let deliveries = store::delivery::of_event(conn, event.content.key, ROUTES_MAX).await?;
                let deliveries: Vec<DeliveryKey> = deliveries.into_iter().map(|row| row.key).collect();
                Ok(Some((event, versions, deliveries)))
            })
        });
        let (event, versions, deliveries) = read.await?.ok_or(Error::NotFound(Resource::Event))?;
        let routes = self.show_routes(&event, versions, &deliveries);
        Ok(GetEventResponse { event: Some(self.show_event(&tenant, event)), routes })
    }

    fn show_routes(
        &self,
        event: &Event,
        versions: Vec<EndpointVersion>,
        deliveries: &[DeliveryKey],
    ) -> Vec<EventRoute> {
        let deliveries: HashMap<_, _> = deliveries.iter().map(|key| (key.endpoint, *key)).collect();
        let routes = versions.into_iter().map(|version| EventRoute {
            endpoint_id: self.shared.ids.endpoint(version.endpoint),
            reason: route_reason(event, &version) as i32,
            delivery_id: deliveries
                .get(&version.endpoint)
                .map(|key| self.shared.ids.delivery(*key))
                .unwrap_or_default(),
        });
        routes.collect()
    }
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

fn read_event(tenant: TenantKey, event: proto::Event, limits: Limits, violations: &mut Violations) -> Option<NewEvent> {
    if !event.id.is_empty() {
        violations.take("event.id", check_id(&event.id));
    }
    violations.take("event.type", check_type(&event.r#type));
    violations.take("event.content_type", check_content_type(&event.content_type));
    violations.take("event.payload", check_payload(&event.payload, &event.content_type, limits));
    check_labels(&event.labels, "event.labels", violations);
    let time = event.event_time.as_ref().map(read_timestamp).transpose();
    let time = violations.take("event.event_time", time)?;
    Some(NewEvent {
        tenant,
        id: (!event.id.is_empty()).then_some(event.id),
        event_type: event.r#type.into(),
        content_type: (!event.content_type.is_empty()).then(|| Arc::from(event.content_type)),
        payload: event.payload,
        time,
        labels: event.labels,
    })
}

/// What is wrong with an id that callers choose: an event's, or a request's.
pub(super) fn check_id(id: &str) -> Result<(), String> {
    let rule = format!("must be 1 to {ID_BYTES_MAX} characters of A-Z, a-z, 0-9, `_` and `-`");
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        return Err(format!("{rule}; it has {} bytes", id.len()));
    }
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        return Err(format!("{rule}; `{}` is not", echo(id)));
    }
    Ok(())
}

/// What is wrong with an event type.
pub(super) fn check_type(event_type: &str) -> Result<(), String> {
    if event_type.is_empty() {
        return Err("is required, for example `user.created`".to_owned());
    }
    if event_type.len() > EVENT_TYPE_BYTES_MAX {
        return Err(format!("must be at most {EVENT_TYPE_BYTES_MAX} bytes; it has {}", event_type.len()));
    }
    if !is_event_type(event_type) {
        let echo = echo(event_type);
        return Err(format!("must be segments of A-Z, a-z, 0-9, `_` and `-` joined by single dots; `{echo}` is not"));
    }
    Ok(())
}

fn check_content_type(content_type: &str) -> Result<(), String> {
    if content_type.len() > CONTENT_TYPE_BYTES_MAX {
        return Err(format!("must be at most {CONTENT_TYPE_BYTES_MAX} bytes; it has {}", content_type.len()));
    }
    if !content_type.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("must be printable ASCII, for example `application/json`".to_owned());
    }
    if !content_type.is_empty() && !is_media_type(content_type) {
        return Err("must be a media type such as `application/json`, without spaces around it".to_owned());
    }
    Ok(())
}

/// Whether a text begins with `type/subtype` (RFC 9110, section 8.3.1) and may stand in a header as it is.
fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim_end_matches(' ');
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    !text.ends_with(' ') && essence.split_once('/').is_some_and(|(main, sub)| is_token(main) && is_token(sub))
}

fn check_payload(payload: &[u8], content_type: &str, limits: Limits) -> Result<(), String> {
    let max = limits.payload_bytes_max;
    if payload.is_empty() {
        return Err(format!("is required: 1 to {max} bytes; it has 0"));
    }
    if payload.len() > max {
        return Err(format!("must be at most {max} bytes; it has {}", payload.len()));
    }
    let content_type = if content_type.is_empty() { DEFAULT_CONTENT_TYPE } else { content_type };
    if is_json_media_type(content_type) { json::check(payload) } else { Ok(()) }
}
