//! Watching: a stream of transitions as the protocol has them.

use std::{pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt as _};
use tonic::Status;

use super::{
    WebhookApi,
    convert::{duration, read_timestamp, timestamp},
    error::Error,
    filter::refuse_create_times,
    violation::Violations,
};
use crate::{
    model::{DeliveryKey, EndpointKey, EventKey, IdCodec, LogEntry, LogEvent, Timestamp, TransitionKind},
    proto::{
        DeliveryTransition, EndpointTransition, Heartbeat, WatchDeliveriesRequest, WatchDeliveriesResponse,
        watch_deliveries_request, watch_deliveries_response::Message,
    },
    watch::{LOG_BEGAN, Start, WatchItem, WatchMessage},
};

/// How far the numbers of endpoints' transitions lie above the protocol's.
const ENDPOINT_KINDS: i32 = TransitionKind::EndpointCreated as i32 - 1;

/// What WatchDeliveries answers with.
pub(super) type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchDeliveriesResponse, Status>> + Send>>;

impl WebhookApi {
    pub(super) async fn watch_deliveries(&self, request: WatchDeliveriesRequest) -> Result<WatchStream, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let filter = self.read_filter(request.filter.as_ref(), "filter", &mut violations);
        refuse_create_times(request.filter.as_ref().unwrap_or(&Default::default()), &mut violations);
        let start = read_start(request.start, &mut violations);
        violations.check()?;
        self.own_endpoints(tenant.key, &filter.endpoints).await?;

        let items = self.watch.subscribe(tenant.key, &filter, start).await?;
        let ids = self.shared.ids.clone();
        Ok(items.map(move |item| item.map(|item| show(&ids, item)).map_err(|end| Error::from(end).into())).boxed())
    }
}

/// Reads where to start; a token is read by the stream itself.
fn read_start(start: Option<watch_deliveries_request::Start>, violations: &mut Violations) -> Start {
    match start {
        None => Start::Now,
        Some(watch_deliveries_request::Start::StartTime(time)) => {
            violations.take("start_time", read_timestamp(&time)).map_or(Start::Now, Start::Time)
        }
        Some(watch_deliveries_request::Start::FromOldest(from_oldest)) => {
            if !from_oldest {
                violations.add("from_oldest", "must be true if it is set; leave it out to start from now");
            }
            Start::Oldest
        }
        Some(watch_deliveries_request::Start::ResumeToken(token)) => Start::Token(token),
    }
}

/// A message as the protocol has it.
fn show(ids: &IdCodec, item: WatchItem) -> WatchDeliveriesResponse {
    let message = match item.message {
        WatchMessage::Delivery { event, entry } => Message::Delivery(show_delivery(ids, event, &entry)),
        WatchMessage::Endpoint(entry) => Message::Endpoint(EndpointTransition {
            endpoint_id: ids.endpoint(EndpointKey(entry.endpoint)),
            kind: entry.kind - ENDPOINT_KINDS,
            disable_reason: entry.disable_reason,
        }),
        WatchMessage::Heartbeat => Message::Heartbeat(Heartbeat {}),
    };
    WatchDeliveriesResponse {
        resume_token: item.resume_token,
        commit_time: (item.time > LOG_BEGAN).then(|| timestamp(item.time)),
        message: Some(message),
    }
}

/// The log's numbers of kinds, states and failures are the protocol's.
fn show_delivery(ids: &IdCodec, event: LogEvent, entry: &LogEntry) -> DeliveryTransition {
    let endpoint = EndpointKey(entry.endpoint);
    let latency = entry.latency_micros.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
    DeliveryTransition {
        delivery_id: ids.delivery(DeliveryKey { event: EventKey(event.key), endpoint }),
        event_id: event.id,
        endpoint_id: ids.endpoint(endpoint),
        event_type: event.event_type,
        kind: entry.kind,
        state: entry.state,
        attempt_number: i32::try_from(entry.attempt).unwrap_or(i32::MAX),
        http_status: i32::try_from(entry.http_status).unwrap_or(i32::MAX),
        failure_kind: entry.failure,
        latency: latency.map(duration),
        next_attempt_time: entry.next_attempt_micros.map(|micros| timestamp(Timestamp::from_micros(micros))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{DisableReason, FailureKind, ShownState},
        proto,
    };

    fn entry(kind: TransitionKind) -> LogEntry {
        LogEntry { tenant: 1, endpoint: 2, kind: kind as i32, ..LogEntry::default() }
    }

    fn shown(message: WatchMessage) -> Message {
        let item = WatchItem { resume_token: "t".to_owned(), time: Timestamp::from_micros(1_500_000), message };
        let response = show(&IdCodec::new(&[1; 32]), item);
        assert_eq!(response.resume_token, "t");
        assert_eq!(response.commit_time, Some(prost_types::Timestamp { seconds: 1, nanos: 500_000_000 }));
        response.message.unwrap()
    }

    #[test]
    fn delivery_is_shown_with_all_that_the_log_says() {
        let ids = IdCodec::new(&[1; 32]);
        let event = LogEvent { key: 7, id: "order-7".to_owned(), event_type: "order.paid".to_owned() };
        let entry = LogEntry {
            state: ShownState::Pending as i32,
            attempt: 3,
            http_status: 503,
            failure: FailureKind::HttpStatus as i32,
            latency_micros: Some(1_250_000),
            next_attempt_micros: Some(9_000_001),
            ..entry(TransitionKind::RetryScheduled)
        };
        let expected = DeliveryTransition {
            delivery_id: ids.delivery(DeliveryKey { event: EventKey(7), endpoint: EndpointKey(2) }),
            event_id: "order-7".to_owned(),
            endpoint_id: ids.endpoint(EndpointKey(2)),
            event_type: "order.paid".to_owned(),
            kind: proto::DeliveryTransitionKind::RetryScheduled as i32,
            state: proto::DeliveryState::Pending as i32,
            attempt_number: 3,
            http_status: 503,
            failure_kind: proto::FailureKind::HttpStatus as i32,
            latency: Some(prost_types::Duration { seconds: 1, nanos: 250_000_000 }),
            next_attempt_time: Some(prost_types::Timestamp { seconds: 9, nanos: 1_000 }),
        };
        assert_eq!(shown(WatchMessage::Delivery { event, entry }), Message::Delivery(expected));
    }

    #[test]
    fn endpoint_is_shown_with_its_reason() {
        let entry = LogEntry { disable_reason: DisableReason::Gone as i32, ..entry(TransitionKind::EndpointDisabled) };
        let Message::Endpoint(shown) = shown(WatchMessage::Endpoint(entry)) else { panic!("not an endpoint's") };
        assert_eq!(shown.kind(), proto::EndpointTransitionKind::Disabled);
        assert_eq!(shown.disable_reason(), proto::DisableReason::Gone);
    }

    #[test]
    fn numbers_of_the_log_are_those_of_the_protocol() {
        for number in 1..=8 {
            let kind = TransitionKind::from_i32(number).unwrap();
            let name = proto::DeliveryTransitionKind::try_from(number).unwrap().as_str_name().replace('_', "");
            let expected = format!("DELIVERYTRANSITIONKIND{}", format!("{kind:?}").to_uppercase());
            assert_eq!(name, expected);
        }
        for number in 1..=10 {
            let kind = TransitionKind::from_i32(ENDPOINT_KINDS + number).unwrap();
            let name = proto::EndpointTransitionKind::try_from(number).unwrap().as_str_name().replace('_', "");
            let word = format!("{kind:?}").replace("Endpoint", "").to_uppercase();
            assert_eq!(name, format!("ENDPOINTTRANSITIONKIND{word}"));
        }
        assert!(proto::DeliveryTransitionKind::try_from(9).is_err() && TransitionKind::from_i32(9).is_none());
        assert!(proto::EndpointTransitionKind::try_from(11).is_err() && TransitionKind::from_i32(111).is_none());
    }

    #[test]
    fn start_is_read_as_documented() {
        use watch_deliveries_request::Start as Given;
        let read = |start| {
            let mut violations = Violations::default();
            let start = read_start(start, &mut violations);
            let fields = violations.into_shown().into_iter().map(|(field, _)| field).collect::<Vec<_>>();
            (start, fields)
        };
        let time = |seconds, nanos| Some(Given::StartTime(prost_types::Timestamp { seconds, nanos }));
        assert_eq!(read(None), (Start::Now, vec![]));
        assert_eq!(read(time(1, 2_000)), (Start::Time(Timestamp::from_micros(1_000_002)), vec![]));
        assert_eq!(read(Some(Given::FromOldest(true))), (Start::Oldest, vec![]));
        assert_eq!(read(Some(Given::ResumeToken("x".to_owned()))), (Start::Token("x".to_owned()), vec![]));
        assert_eq!(read(Some(Given::FromOldest(false))).1, ["from_oldest"]);
        assert_eq!(read(time(0, 1_000_000_000)).1, ["start_time"]);
        assert_eq!(read(time(i64::MAX, 0)).1, ["start_time"]);
    }
}
