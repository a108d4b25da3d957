//! What callers see of the model: every resource as the protocol has it.

use super::{
    WebhookApi,
    convert::{duration, timestamp},
    credentials::show_summary,
    policy::{write_effective_policy, write_policy},
    style::write_style,
    tenant::Tenant,
};
use crate::{
    configure::etag,
    model::{
        Attempt, AttemptId, AttemptResult, Delivery, DisableReason, Drain, Endpoint, EndpointStatus, Event,
        FAILING_MAX, FailureKind, ShownState, envelope::BodyNote,
    },
    proto,
    store::Health,
};

impl WebhookApi {
    /// An endpoint.
    pub(super) fn show_endpoint(&self, tenant: &Tenant, endpoint: &Endpoint) -> proto::Endpoint {
        let (reason, paused, disabled) = match endpoint.status {
            EndpointStatus::Paused { since } => (None, Some(since), None),
            EndpointStatus::Disabled { reason, since } => (Some(reason), None, Some(since)),
            EndpointStatus::Enabled | EndpointStatus::Deleted => (None, None, None),
        };
        let failing = self.shared.routes.failing(endpoint.key);
        let failing = failing.filter(|health| health.generation == endpoint.generation);
        proto::Endpoint {
            id: self.shared.ids.endpoint(endpoint.key),
            tenant_id: tenant.id.to_string(),
            display_name: endpoint.settings.display_name.clone(),
            description: endpoint.settings.description.clone(),
            labels: endpoint.settings.labels.clone(),
            url: endpoint.settings.url.as_str().to_owned(),
            event_types: endpoint.settings.filter.patterns().to_vec(),
            policy: Some(write_policy(&endpoint.settings.policy)),
            effective_policy: Some(write_effective_policy(&endpoint.settings)),
            state: endpoint_state(endpoint.status) as i32,
            disable_reason: disable_reason(reason) as i32,
            disable_time: disabled.map(timestamp),
            pause_time: paused.map(timestamp),
            failing_since_time: failing.map(|health| timestamp(health.failing_since)),
            create_time: Some(timestamp(endpoint.created)),
            update_time: Some(timestamp(endpoint.updated)),
            etag: etag(&self.shared.keys, endpoint),
            style: Some(write_style(&endpoint.settings.style)),
            headers: endpoint.settings.header_names.iter().map(|name| show_header(name)).collect(),
            credentials: None,
            credentials_summary: show_summary(&endpoint.settings.credentials),
            disable_warning: failing.and_then(|health| show_warning(endpoint, &health)),
            backlog_drain: endpoint.backlog.drain.map(show_drain),
        }
    }

    /// An event, with its payload if that was read.
    pub(super) fn show_event(&self, tenant: &Tenant, event: Event) -> proto::Event {
        proto::Event {
            id: event.content.id.to_string(),
            tenant_id: tenant.id.to_string(),
            r#type: event.content.event_type.to_string(),
            payload: event.content.payload,
            content_type: event.content.content_type.to_string(),
            event_time: Some(timestamp(event.content.time)),
            labels: event.labels,
            create_time: Some(timestamp(event.content.created)),
            payload_bytes: i64::try_from(event.payload_bytes).unwrap_or(i64::MAX),
            deliver_time: event.times.deliver_at.map(timestamp),
            expire_time: event.times.expires.map(timestamp),
            expunge_time: event.times.expunged.map(timestamp),
        }
    }

    /// A delivery.
    pub(super) fn show_delivery(&self, tenant: &Tenant, delivery: &Delivery) -> proto::Delivery {
        proto::Delivery {
            id: self.shared.ids.delivery(delivery.key),
            tenant_id: tenant.id.to_string(),
            event_id: delivery.event_id.to_string(),
            endpoint_id: self.shared.ids.endpoint(delivery.key.endpoint),
            event_type: delivery.event_type.to_string(),
            state: proto::DeliveryState::from(delivery.state) as i32,
            attempt_count: count(delivery.attempt),
            next_attempt_time: delivery.next_attempt.map(timestamp),
            cancel_requested: delivery.cancel_requested && delivery.state == ShownState::InFlight,
            http_status: delivery.http_status.map_or(0, i32::from),
            failure_kind: failure_kind(delivery.failure) as i32,
            latency: delivery.latency.map(duration),
            create_time: Some(timestamp(delivery.created)),
            update_time: Some(timestamp(delivery.updated)),
        }
    }

    /// An attempt.
    pub(super) fn show_attempt(&self, attempt: Attempt) -> proto::Attempt {
        let outcome = match attempt.result {
            AttemptResult::InFlight => proto::AttemptOutcome::InFlight,
            AttemptResult::Succeeded => proto::AttemptOutcome::Succeeded,
            AttemptResult::Failed => proto::AttemptOutcome::Failed,
            AttemptResult::Lost => proto::AttemptOutcome::Lost,
        };
        proto::Attempt {
            id: self.shared.ids.attempt(AttemptId { delivery: attempt.delivery, number: attempt.number }),
            delivery_id: self.shared.ids.delivery(attempt.delivery),
            number: count(attempt.number),
            outcome: outcome as i32,
            failure_kind: failure_kind(attempt.failure) as i32,
            http_status: attempt.http_status.map_or(0, i32::from),
            latency: attempt.latency.map(duration),
            end_time: attempt.ended.map(timestamp),
            response_body: attempt.response,
            response_truncated: attempt.response_truncated,
            error_detail: attempt.detail,
            body_note: body_note(attempt.body_note) as i32,
        }
    }
}

/// The warning that an endpoint will be disabled, unless it is already or does not fail in a way that disables it any more.
fn show_warning(endpoint: &Endpoint, health: &Health) -> Option<proto::DisableWarning> {
    let warning = health.warning.filter(|_| endpoint.status.is_routed())?;
    let disable_time = match warning.reason {
        DisableReason::Failing => Some(health.failing_since.plus(FAILING_MAX)),
        DisableReason::DeadInARow if endpoint.settings.disable_after_dead() == 0 => return None,
        DisableReason::DeadInARow | DisableReason::Requested | DisableReason::Gone => None,
    };
    Some(proto::DisableWarning {
        reason: disable_reason(Some(warning.reason)) as i32,
        warn_time: Some(timestamp(warning.at)),
        disable_time: disable_time.map(timestamp),
    })
}

fn show_drain(drain: Drain) -> proto::BacklogDrain {
    let activate_time = Some(timestamp(drain.activation.at));
    proto::BacklogDrain { rate_per_second: drain.rate.as_f64(), activate_time }
}

/// A header of an endpoint's own: its name alone, for the value may be a credential.
fn show_header(name: &str) -> proto::EndpointHeader {
    proto::EndpointHeader { name: name.to_owned(), value: None }
}

/// A status as the protocol has it; of what is deleted nothing is shown.
pub(super) fn endpoint_state(status: EndpointStatus) -> proto::EndpointState {
    match status {
        EndpointStatus::Enabled => proto::EndpointState::Enabled,
        EndpointStatus::Paused { .. } => proto::EndpointState::Paused,
        EndpointStatus::Disabled { .. } => proto::EndpointState::Disabled,
        EndpointStatus::Deleted => proto::EndpointState::Unspecified,
    }
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn disable_reason(reason: Option<DisableReason>) -> proto::DisableReason {
    match reason {
        None => proto::DisableReason::Unspecified,
        Some(DisableReason::Requested) => proto::DisableReason::Requested,
        Some(DisableReason::Gone) => proto::DisableReason::Gone,
        Some(DisableReason::Failing) => proto::DisableReason::Failing,
        Some(DisableReason::DeadInARow) => proto::DisableReason::DeadInARow,
    }
}

fn body_note(note: Option<BodyNote>) -> proto::BodyNote {
    match note {
        None => proto::BodyNote::Unspecified,
        Some(BodyNote::NumberKept) => proto::BodyNote::NumberNotStable,
        Some(BodyNote::RepeatedMemberKept) => proto::BodyNote::MemberRepeated,
    }
}

fn failure_kind(kind: Option<FailureKind>) -> proto::FailureKind {
    match kind {
        None => proto::FailureKind::Unspecified,
        Some(FailureKind::Dns) => proto::FailureKind::Dns,
        Some(FailureKind::Connect) => proto::FailureKind::Connect,
        Some(FailureKind::Tls) => proto::FailureKind::Tls,
        Some(FailureKind::Timeout) => proto::FailureKind::Timeout,
        Some(FailureKind::Protocol) => proto::FailureKind::Protocol,
        Some(FailureKind::BlockedAddress) => proto::FailureKind::BlockedAddress,
        Some(FailureKind::HttpStatus) => proto::FailureKind::HttpStatus,
        Some(FailureKind::LeaseLost) => proto::FailureKind::LeaseLost,
        Some(FailureKind::HeldTooLong) => proto::FailureKind::HeldTooLong,
        Some(FailureKind::EnvelopeUnsupported) => proto::FailureKind::EnvelopeUnsupported,
        Some(FailureKind::Expired) => proto::FailureKind::Expired,
        Some(FailureKind::DnsTimeout) => proto::FailureKind::DnsTimeout,
        Some(FailureKind::ConnectTimeout) => proto::FailureKind::ConnectTimeout,
        Some(FailureKind::ConnectionLost) => proto::FailureKind::ConnectionLost,
        Some(FailureKind::CertificateExpired) => proto::FailureKind::CertificateExpired,
        Some(FailureKind::CertificateName) => proto::FailureKind::CertificateName,
        Some(FailureKind::CertificateUntrusted) => proto::FailureKind::CertificateUntrusted,
        Some(FailureKind::Authorization) => proto::FailureKind::Authorization,
    }
}
