//! Building a turn's packed log row.

use std::collections::HashMap;

use crate::model::{
    DeliveryKey, DisableReason, EndpointKey, EventKey, LogBody, LogEntry, LogEvent, ShownState, TenantKey, Timestamp,
    TransitionKind,
};

/// A log row in the making.
#[derive(Debug, Default)]
pub(crate) struct LogBuilder {
    body: LogBody,
    events: HashMap<EventKey, u32>,
}

/// A delivery's transition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transition<'a> {
    /// Whose it is.
    pub(crate) tenant: TenantKey,
    /// The delivery.
    pub(crate) key: DeliveryKey,
    /// The event's public id.
    pub(crate) event_id: &'a str,
    /// The event's type.
    pub(crate) event_type: &'a str,
    /// What happened.
    pub(crate) kind: TransitionKind,
    /// The state after it.
    pub(crate) state: ShownState,
    /// The latest attempt's number.
    pub(crate) attempt: u32,
    /// What came of the attempt that ended: HTTP status, failure, microseconds.
    pub(crate) ended: Option<(u16, i32, i64)>,
    /// When the next attempt is due.
    pub(crate) next_attempt: Option<Timestamp>,
}

impl LogBuilder {
    /// Adds a delivery's transition.
    pub(crate) fn delivery(&mut self, transition: Transition<'_>) {
        let Transition { tenant, key, event_id, event_type, kind, state, attempt, ended, next_attempt } = transition;
        let events = &mut self.body.events;
        let event = *self.events.entry(key.event).or_insert_with(|| {
            let (id, event_type) = (event_id.to_owned(), event_type.to_owned());
            events.push(LogEvent { key: key.event.0, id, event_type });
            u32::try_from(events.len() - 1).unwrap_or(u32::MAX)
        });
        self.body.entries.push(LogEntry {
            tenant: tenant.0,
            endpoint: key.endpoint.0,
            kind: kind as i32,
            event,
            state: state as i32,
            attempt,
            http_status: ended.map_or(0, |(status, ..)| u32::from(status)),
            failure: ended.map_or(0, |(_, failure, _)| failure),
            latency_micros: ended.map(|(.., latency)| latency).filter(|latency| *latency >= 0),
            next_attempt_micros: next_attempt.map(Timestamp::as_micros),
            disable_reason: 0,
        });
    }

    /// Adds an endpoint's transition.
    pub(crate) fn endpoint(
        &mut self,
        tenant: TenantKey,
        endpoint: EndpointKey,
        kind: TransitionKind,
        reason: Option<DisableReason>,
    ) {
        self.body.entries.push(LogEntry {
            tenant: tenant.0,
            endpoint: endpoint.0,
            kind: kind as i32,
            disable_reason: reason.map_or(0, |reason| reason as i32),
            ..LogEntry::default()
        });
    }

    /// The row's body; `None` if nothing happened.
    pub(crate) fn finish(self) -> Option<LogBody> {
        (!self.body.entries.is_empty()).then_some(self.body)
    }
}
