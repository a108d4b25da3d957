//! Settings of endpoints between the protocol and the model: a new endpoint's, and those that an update changes.

use std::sync::Arc;

use super::{
    WebhookApi,
    credentials::check_conflicts,
    filter::read_types,
    header::{check_headers, read_new_headers},
    labels::check_labels,
    mask::EndpointMask,
    policy::{read_dead, read_hold, read_max_in_flight, read_policy, read_retry, read_timeout},
    style::read_style,
    violation::{Violations, check_text},
};
use crate::{
    configure::{CredentialsPatch, EndpointPatch, HeaderPatch},
    model::{CredentialsSummary, CustomHeader, EndpointSettings, EndpointUrl, Style, UrlError},
    proto::{self, ErrorReason},
};

/// The longest display name and description, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 1_024;

const LABELS: &str = "endpoint.labels";

/// Ranges of allowed ports that a refusal names at most.
const PORT_RANGES_SHOWN_MAX: usize = 16;

impl WebhookApi {
    /// Reads a new endpoint's settings, but for its style, and its headers.
    pub(super) fn read_settings(
        &self,
        endpoint: &proto::Endpoint,
        headers: Vec<HeaderPatch>,
        credentials: CredentialsSummary,
        style: Option<Style>,
        violations: &mut Violations,
    ) -> Option<(EndpointSettings, Vec<CustomHeader>)> {
        check_texts(endpoint, violations);
        check_labels(&endpoint.labels, LABELS, violations);
        let filter = read_types(&endpoint.event_types, "endpoint.event_types", violations);
        let policy = read_policy(endpoint.policy.as_ref(), "endpoint.policy", violations);
        let headers = read_new_headers(headers, style.as_ref(), violations);
        let url = self.read_url(&endpoint.url, "endpoint.url", violations).map(EndpointUrl::from);
        let header_names: Vec<String> = headers.iter().map(|header| header.name.clone()).collect();
        check_conflicts(&credentials, url.as_ref(), style.as_ref(), &header_names, violations);
        let settings = EndpointSettings {
            display_name: endpoint.display_name.clone(),
            description: endpoint.description.clone(),
            labels: endpoint.labels.clone(),
            url: url?,
            filter,
            style: style?,
            header_names,
            credentials,
            policy: Arc::new(policy),
        };
        Some((settings, headers))
    }

    /// Reads the fields of an endpoint that `mask` names, and looks at no other.
    pub(super) fn read_patch(
        &self,
        given: &proto::Endpoint,
        headers: Vec<HeaderPatch>,
        mask: EndpointMask,
        violations: &mut Violations,
    ) -> EndpointPatch {
        let named = proto::Endpoint {
            display_name: if mask.display_name { given.display_name.clone() } else { String::new() },
            description: if mask.description { given.description.clone() } else { String::new() },
            ..proto::Endpoint::default()
        };
        check_texts(&named, violations);
        let policy = given.policy.as_ref();
        let retry = policy.and_then(|policy| policy.retry.as_ref());
        let timeout = policy.and_then(|policy| policy.timeout.as_ref());
        let max_in_flight = policy.map_or(0, |policy| policy.max_in_flight);
        let hold = policy.and_then(|policy| policy.hold_duration.as_ref());
        let dead = policy.and_then(|policy| policy.disable_after_dead);
        let field = |part: &str| format!("endpoint.policy.{part}");
        EndpointPatch {
            display_name: mask.display_name.then_some(named.display_name),
            description: mask.description.then_some(named.description),
            labels: mask.labels.then(|| {
                check_labels(&given.labels, LABELS, violations);
                given.labels.clone()
            }),
            url: if mask.url { self.read_url(&given.url, "endpoint.url", violations).map(Into::into) } else { None },
            filter: mask.event_types.then(|| read_types(&given.event_types, "endpoint.event_types", violations)),
            style: if mask.style { read_style(given.style.as_ref(), "endpoint.style", violations) } else { None },
            secrets: Vec::new(),
            credentials: CredentialsPatch::default(),
            headers: mask.headers.then(|| {
                check_headers(&headers, violations);
                headers
            }),
            retry: mask.retry.then(|| read_retry(retry, &field("retry"), violations)),
            timeout: mask.timeout.then(|| read_timeout(timeout, &field("timeout"), violations)),
            max_in_flight: mask
                .max_in_flight
                .then(|| read_max_in_flight(max_in_flight, &field("max_in_flight"), violations)),
            hold_duration: mask.hold_duration.then(|| read_hold(hold, &field("hold_duration"), violations)),
            disable_after_dead: mask
                .disable_after_dead
                .then(|| read_dead(dead, &field("disable_after_dead"), violations)),
        }
    }

    /// Reads the URL at `field`, to which requests may go.
    pub(super) fn read_url(&self, text: &str, field: &str, violations: &mut Violations) -> Option<url::Url> {
        let errors = match self.urls.check(text) {
            Ok(url) => return Some(url),
            Err(errors) => errors,
        };
        for error in errors {
            match error {
                UrlError::Form(_) => violations.add(field, error.to_string()),
                UrlError::BlockedAddress => {
                    violations.add_for(ErrorReason::UrlBlockedAddress, field, error.to_string());
                }
                UrlError::Port => violations.add_for(ErrorReason::UrlPort, field, self.ports_allowed(&error)),
            }
        }
        None
    }

    fn ports_allowed(&self, error: &UrlError) -> String {
        let mut ports = self.urls.ports.clone();
        ports.sort_unstable();
        ports.dedup();
        let ranges = ports.chunk_by(|port, next| port + 1 == *next).take(PORT_RANGES_SHOWN_MAX);
        let ranges: Vec<String> = ranges
            .map(|range| match range {
                [port] => port.to_string(),
                [first, .., last] => format!("{first}-{last}"),
                [] => String::new(),
            })
            .collect();
        format!("{error}; this server sends to {}", ranges.join(", "))
    }
}

fn check_texts(endpoint: &proto::Endpoint, violations: &mut Violations) {
    violations.take("endpoint.display_name", check_text(&endpoint.display_name, TEXT_BYTES_MAX));
    violations.take("endpoint.description", check_text(&endpoint.description, TEXT_BYTES_MAX));
}
