//! Events: publishing, cancelling and expunging them. (Getting one and listing them stand by themselves.)

use std::{sync::Arc, time::Duration};

use super::{
    Limits, WebhookApi,
    convert::read_timestamp,
    endpoints::unreported,
    error::Error,
    json,
    labels::check_labels,
    published::show_published,
    violation::{Violations, echo},
};
use crate::{
    model::{
        DEFAULT_CONTENT_TYPE, EVENT_TYPE_BYTES_MAX, NewEvent, TenantKey, Timestamp, is_event_type, is_json_media_type,
    },
    proto::{
        self, CancelEventRequest, CancelEventResponse, ExpungeEventRequest, ExpungeEventResponse, PublishEventRequest,
        PublishEventResponse, PublishedEvent,
    },
    publish, redrive,
};

const ID_BYTES_MAX: usize = 128;
const CONTENT_TYPE_BYTES_MAX: usize = 255;

/// How far ahead an event may be scheduled.
const DELIVER_AHEAD_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How far ahead an event may expire. Beyond that it may as well not.
const EXPIRE_AHEAD_MAX: Duration = Duration::from_secs(90 * 24 * 3_600);

/// What is wrong with an event that has expired already.
pub(super) const EXPIRED: &str = "must be in the future: no attempt begins at or after it";

impl WebhookApi {
    pub(super) async fn publish_event(&self, request: PublishEventRequest) -> Result<PublishEventResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let event =
            read_required_event(tenant.key, request.event, self.limits, self.shared.clock.now(), &mut violations);
        violations.check()?;
        let event = event.ok_or_else(unreported)?;
        let warnings = self.check_event(&event, "event").await?;
        publish::admit(&self.shared, &event)?;
        let published = self.publisher.publish(event).await?;
        let PublishedEvent { event_id, delivery_count, duplicate, warnings } = show_published(&published, warnings);
        Ok(PublishEventResponse { event_id, delivery_count, duplicate, warnings })
    }

    pub(super) async fn cancel_event(&self, request: CancelEventRequest) -> Result<CancelEventResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        check_event_id(&request.event_id)?;
        let change = self.change("CancelEvent", tenant.id.to_string(), vec![request.event_id.clone()])?;
        let done = redrive::cancel_event(&self.shared, tenant.key, &request.event_id, Some(change)).await?;
        Ok(CancelEventResponse {
            cancelled_count: count(done.cancelled),
            cancel_requested_count: count(done.requested),
        })
    }

    pub(super) async fn expunge_event(&self, request: ExpungeEventRequest) -> Result<ExpungeEventResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        check_event_id(&request.event_id)?;
        let change = self.change("ExpungeEvent", tenant.id.to_string(), vec![request.event_id.clone()])?;
        let (done, event) = redrive::expunge_event(&self.shared, tenant.key, &request.event_id, Some(change)).await?;
        Ok(ExpungeEventResponse {
            event: Some(self.show_event(&tenant, event)),
            cancelled_count: count(done.cancelled),
            cancel_requested_count: count(done.requested),
        })
    }
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Checks the field `event_id` of a request that can have nothing else wrong.
fn check_event_id(id: &str) -> Result<(), Error> {
    let mut violations = Violations::default();
    violations.take("event_id", check_id(id));
    violations.check()
}

/// Reads the one event of a request.
pub(super) fn read_required_event(
    tenant: TenantKey,
    event: Option<proto::Event>,
    limits: Limits,
    now: Timestamp,
    violations: &mut Violations,
) -> Option<NewEvent> {
    let Some(event) = event else {
        violations.add("event", "is required");
        return None;
    };
    read_event(tenant, event, limits, now, violations)
}

/// Reads an event, whatever request it stands in; violations name its fields as those of `event`.
pub(super) fn read_event(
    tenant: TenantKey,
    event: proto::Event,
    limits: Limits,
    now: Timestamp,
    violations: &mut Violations,
) -> Option<NewEvent> {
    if !event.id.is_empty() {
        violations.take("event.id", check_id(&event.id));
    }
    violations.take("event.type", check_type(&event.r#type));
    violations.take("event.content_type", check_content_type(&event.content_type));
    violations.take("event.payload", check_payload(&event.payload, &event.content_type, limits));
    let time = read_time(event.event_time.as_ref(), "event.event_time", violations);
    let (deliver_at, expires) = read_delivery_times(&event, now, violations);
    check_labels(&event.labels, "event.labels", violations);
    Some(NewEvent {
        tenant,
        id: (!event.id.is_empty()).then_some(event.id),
        event_type: event.r#type.into(),
        content_type: (!event.content_type.is_empty()).then(|| Arc::from(event.content_type)),
        payload: event.payload,
        time,
        deliver_at,
        expires,
        labels: event.labels,
    })
}

/// Reads a time that need not be given.
pub(super) fn read_time(
    time: Option<&prost_types::Timestamp>,
    field: &str,
    violations: &mut Violations,
) -> Option<Timestamp> {
    violations.take(field, time.map(read_timestamp).transpose()).flatten()
}

/// Reads when an event is to be delivered and when it expires. One that has expired and has an id of its publisher's own is
/// not refused yet: it may be the repeat of one that was published in time.
fn read_delivery_times(
    event: &proto::Event,
    now: Timestamp,
    violations: &mut Violations,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let deliver_at = read_time(event.deliver_time.as_ref(), "event.deliver_time", violations);
    if deliver_at.is_some_and(|at| at > now.plus(DELIVER_AHEAD_MAX)) {
        violations.add("event.deliver_time", "must be at most 30 days ahead");
    }
    let expires = read_time(event.expire_time.as_ref(), "event.expire_time", violations);
    if let Some(expires) = expires {
        if expires <= now && event.id.is_empty() {
            violations.add("event.expire_time", EXPIRED);
        }
        if deliver_at.is_some_and(|deliver_at| expires <= deliver_at) {
            violations.add("event.expire_time", "must be after `deliver_time`");
        }
        if expires > now.plus(EXPIRE_AHEAD_MAX) {
            violations.add("event.expire_time", "must be at most 90 days ahead");
        }
    }
    (deliver_at, expires)
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
