//! The request of an attempt: the body as the endpoint's style has it, signed, with all its headers.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};

use super::Job;
use crate::{
    egress::Request,
    model::{
        AttemptId, EventContent, Style,
        envelope::{Body, BodyError, Enveloped, build},
    },
    publish::EndpointEntry,
    shared::Shared,
    signing::{Message, Secret, Signer, sign},
};

const EVENT_TYPE: HeaderName = HeaderName::from_static("tidings-event-type");
const ATTEMPT_ID: HeaderName = HeaderName::from_static("tidings-attempt-id");

/// The body of an event as a style has it; the same on every attempt.
pub(super) fn body(event: &EventContent, style: &Style) -> Result<Body, BodyError> {
    let enveloped = Enveloped {
        id: &event.id,
        event_type: &event.event_type,
        time: event.time,
        content_type: &event.content_type,
        payload: &event.payload,
    };
    build(style.envelope(), style.body_form(), &enveloped)
}

/// The request that brings `body` to the endpoint, signed as of now. `None` if a header cannot be sent, which what was
/// checked when it was written does not do.
pub(super) fn request(shared: &Shared, job: &Job, entry: &EndpointEntry, body: Body) -> Option<Request> {
    let settings = &entry.endpoint.settings;
    // The styles' own are at most half; the client adds some.
    let mut headers = HeaderMap::with_capacity(12 + entry.headers.len());
    let attempt = shared.ids.attempt(AttemptId { delivery: job.key, number: job.attempt });
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(body.content_type.unwrap_or(&job.event.content_type)).ok()?);
    headers.insert(EVENT_TYPE, HeaderValue::try_from(&*job.event.event_type).ok()?);
    headers.insert(ATTEMPT_ID, HeaderValue::try_from(attempt).ok()?);
    for (name, value) in body.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value).ok()?);
    }
    for header in &entry.headers {
        let mut value = HeaderValue::try_from(header.value.as_str()).ok()?;
        value.set_sensitive(true);
        headers.insert(HeaderName::try_from(&header.name).ok()?, value);
    }
    let now = shared.clock.now();
    let secrets: Vec<Vec<&Secret>> = settings
        .style
        .schemes()
        .iter()
        .map(|scheme| entry.signing_secrets(&scheme.name, now).into_iter().map(|secret| &*secret.value).collect())
        .collect();
    let signers: Vec<Signer<'_, '_>> = settings
        .style
        .schemes()
        .iter()
        .zip(&secrets)
        .map(|(scheme, secrets)| Signer { scheme: scheme.scheme(), secrets })
        .collect();
    let message = Message {
        id: &job.event.id,
        timestamp: shared.clock.wall(),
        event_type: &job.event.event_type,
        url: settings.url.as_str(),
        body: &body.signed,
    };
    for header in sign(&signers, &message) {
        headers.insert(HeaderName::try_from(header.name).ok()?, HeaderValue::try_from(header.value).ok()?);
    }
    let sent = body.sent.unwrap_or(body.signed);
    Some(Request {
        url: settings.url.parsed().ok()?.clone(),
        headers,
        body: sent,
        timeout: settings.timeout(),
        credentials: entry.credentials.clone(),
    })
}

#[cfg(test)]
mod tests;
