//! One message of a watch stream as one line for people.
//!
//! Shared by everything on the command line that shows what happens as it happens.

use std::fmt;

use super::terminal::{Palette, Tone, printable, time_of_day};
use crate::{
    model::Timestamp,
    proto::{
        DeliveryTransition, DeliveryTransitionKind, DisableReason, EndpointTransition, EndpointTransitionKind,
        FailureKind, WatchDeliveriesResponse, watch_deliveries_response::Message,
    },
};

/// The longest id or type is 128 characters.
const TEXT_CHARS_MAX: usize = 128;

/// How much of an event's id a brief line shows.
const BRIEF_ID_CHARS_MAX: usize = 18;
/// The columns of types and names in a brief line.
const BRIEF_TYPE_WIDTH: usize = 20;
const BRIEF_NAME_WIDTH: usize = 9;

/// A transition, to be shown as a line (without the line break).
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    time: Timestamp,
    what: What<'a>,
    palette: Palette,
    names: Option<&'a [(String, &'static str)]>,
}

#[derive(Clone, Copy, Debug)]
enum What<'a> {
    Delivery(&'a DeliveryTransition),
    Endpoint(&'a EndpointTransition),
}

impl<'a> Line<'a> {
    /// The line of a message; `None` for a heartbeat, and for messages of a newer server's that are not known here.
    pub fn new(response: &'a WatchDeliveriesResponse, palette: Palette) -> Option<Self> {
        let what = match response.message.as_ref()? {
            Message::Delivery(transition) => What::Delivery(transition),
            Message::Endpoint(transition) => What::Endpoint(transition),
            Message::Heartbeat(_) => return None,
        };
        let time = response.commit_time.as_ref().map(timestamp).unwrap_or_default();
        Some(Self { time, what, palette, names: None })
    }

    /// The same in brief, for few endpoints that are known by name: without the delivery's id, and with `names` (by
    /// endpoint id) in the place of endpoints' ids.
    #[must_use]
    pub fn brief(self, names: &'a [(String, &'static str)]) -> Self {
        Self { names: Some(names), ..self }
    }

    /// The delivery's id, the event's and the endpoint.
    fn route(&self, f: &mut fmt::Formatter<'_>, transition: &DeliveryTransition) -> fmt::Result {
        let endpoint = &transition.endpoint_id;
        let Some(names) = self.names else {
            return write!(
                f,
                "{}  {} → {}",
                self.palette.paint(Tone::Faint, printable(&transition.delivery_id, TEXT_CHARS_MAX)),
                printable(&transition.event_id, TEXT_CHARS_MAX),
                self.palette.paint(Tone::Name, printable(endpoint, TEXT_CHARS_MAX)),
            );
        };
        let name = names.iter().find(|(id, _)| id == endpoint).map_or(endpoint.as_str(), |(_, name)| name);
        let event = printable(&transition.event_id, BRIEF_ID_CHARS_MAX);
        let name = self.palette.paint(Tone::Name, printable(name, TEXT_CHARS_MAX));
        write!(f, "{event:<BRIEF_ID_CHARS_MAX$} → {name:<BRIEF_NAME_WIDTH$}")
    }

    fn delivery(&self, f: &mut fmt::Formatter<'_>, transition: &DeliveryTransition) -> fmt::Result {
        let (tone, word) = delivery_word(transition.kind());
        write!(
            f,
            "{}  {:<width$}  ",
            self.palette.paint(tone, format_args!("{word:<10}")),
            printable(&transition.event_type, TEXT_CHARS_MAX),
            width = if self.names.is_some() { BRIEF_TYPE_WIDTH } else { 0 },
        )?;
        self.route(f, transition)?;
        if transition.attempt_number > 0 {
            write!(f, "  attempt {}", transition.attempt_number)?;
        }
        if transition.http_status > 0 {
            write!(f, "  {}", transition.http_status)?;
        }
        if let Some(failure) = failure_word(transition.failure_kind()) {
            write!(f, "  {}", self.palette.paint(tone, failure))?;
        }
        if let Some(latency) = &transition.latency {
            write!(
                f,
                "  {} ms",
                latency.seconds.saturating_mul(1_000).saturating_add(i64::from(latency.nanos) / 1_000_000)
            )?;
        }
        if let Some(next) = &transition.next_attempt_time {
            write!(f, "  next {}", time_of_day(timestamp(next)))?;
        }
        Ok(())
    }

    fn endpoint(&self, f: &mut fmt::Formatter<'_>, transition: &EndpointTransition) -> fmt::Result {
        let (tone, word) = endpoint_word(transition.kind());
        let id = printable(&transition.endpoint_id, TEXT_CHARS_MAX);
        let word = self.palette.paint(tone, word);
        write!(f, "{:<10}  {}  {word}", "endpoint", self.palette.paint(Tone::Name, id))?;
        let warned = transition.kind() == EndpointTransitionKind::Warned;
        match transition.disable_reason() {
            DisableReason::Unspecified => Ok(()),
            DisableReason::Requested => f.write_str("  as requested"),
            DisableReason::Gone => f.write_str("  it answered 410 Gone"),
            DisableReason::Failing if warned => f.write_str("  it has failed for long"),
            DisableReason::Failing => f.write_str("  it failed for too long"),
            DisableReason::DeadInARow if warned => f.write_str("  many deliveries in a row have died"),
            DisableReason::DeadInARow => f.write_str("  too many deliveries in a row died"),
        }
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ", self.palette.paint(Tone::Faint, time_of_day(self.time)))?;
        match self.what {
            What::Delivery(transition) => self.delivery(f, transition),
            What::Endpoint(transition) => self.endpoint(f, transition),
        }
    }
}

fn timestamp(time: &prost_types::Timestamp) -> Timestamp {
    Timestamp::from_micros(time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos) / 1_000))
}

fn delivery_word(kind: DeliveryTransitionKind) -> (Tone, &'static str) {
    match kind {
        DeliveryTransitionKind::Unspecified => (Tone::Faint, "changed"),
        DeliveryTransitionKind::Queued => (Tone::Faint, "queued"),
        DeliveryTransitionKind::Delivered => (Tone::Good, "delivered"),
        DeliveryTransitionKind::RetryScheduled => (Tone::Warning, "retry"),
        DeliveryTransitionKind::Dead => (Tone::Bad, "dead"),
        DeliveryTransitionKind::Cancelled => (Tone::Warning, "cancelled"),
        DeliveryTransitionKind::Held => (Tone::Warning, "held"),
        DeliveryTransitionKind::RetryRequested => (Tone::Strong, "retry requested"),
        DeliveryTransitionKind::CancelRequested => (Tone::Warning, "cancelling"),
    }
}

fn endpoint_word(kind: EndpointTransitionKind) -> (Tone, &'static str) {
    match kind {
        EndpointTransitionKind::Unspecified => (Tone::Faint, "changed"),
        EndpointTransitionKind::Created => (Tone::Good, "created"),
        EndpointTransitionKind::Updated => (Tone::Strong, "updated"),
        EndpointTransitionKind::Disabled => (Tone::Bad, "disabled"),
        EndpointTransitionKind::Activated => (Tone::Good, "activated"),
        EndpointTransitionKind::Deleted => (Tone::Warning, "deleted"),
        EndpointTransitionKind::SecretRotated => (Tone::Strong, "secret rotated"),
        EndpointTransitionKind::SecretActivated => (Tone::Strong, "secret activated"),
        EndpointTransitionKind::SecretRevoked => (Tone::Strong, "secret revoked"),
        EndpointTransitionKind::Paused => (Tone::Warning, "paused"),
        EndpointTransitionKind::Warned => (Tone::Warning, "will be disabled unless it recovers"),
    }
}

fn failure_word(kind: FailureKind) -> Option<&'static str> {
    match kind {
        // The status is shown by itself.
        FailureKind::Unspecified | FailureKind::HttpStatus => None,
        FailureKind::Dns => Some("name not resolved"),
        FailureKind::Connect => Some("no connection"),
        FailureKind::Tls => Some("TLS failed"),
        FailureKind::Timeout => Some("timeout"),
        FailureKind::Protocol => Some("not HTTP"),
        FailureKind::DnsTimeout => Some("no answer from DNS"),
        FailureKind::ConnectTimeout => Some("no connection in time"),
        FailureKind::ConnectionLost => Some("connection broke"),
        FailureKind::CertificateExpired => Some("certificate expired"),
        FailureKind::CertificateName => Some("certificate of another name"),
        FailureKind::CertificateUntrusted => Some("certificate not trusted"),
        FailureKind::Authorization => Some("no access token"),
        FailureKind::BlockedAddress => Some("address blocked"),
        FailureKind::LeaseLost => Some("lost in a restart"),
        FailureKind::HeldTooLong => Some("held too long"),
        FailureKind::EnvelopeUnsupported => Some("payload does not fit the style"),
        FailureKind::Expired => Some("expired"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{DeliveryState, Heartbeat};

    fn response(message: Message) -> WatchDeliveriesResponse {
        WatchDeliveriesResponse {
            resume_token: "t".to_owned(),
            commit_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 250_000_000 }),
            message: Some(message),
        }
    }

    fn retry() -> DeliveryTransition {
        DeliveryTransition {
            delivery_id: "dlv_1".to_owned(),
            event_id: "order-7".to_owned(),
            endpoint_id: "ep_1".to_owned(),
            event_type: "order.paid".to_owned(),
            kind: DeliveryTransitionKind::RetryScheduled as i32,
            state: DeliveryState::Pending as i32,
            attempt_number: 2,
            http_status: 503,
            failure_kind: FailureKind::HttpStatus as i32,
            latency: Some(prost_types::Duration { seconds: 1, nanos: 35_900_000 }),
            next_attempt_time: Some(prost_types::Timestamp { seconds: 1_700_000_300, nanos: 0 }),
        }
    }

    fn plain(message: Message) -> String {
        Line::new(&response(message), Palette::plain()).unwrap().to_string()
    }

    #[test]
    fn delivery_says_what_happened_and_what_comes_next() {
        assert_eq!(
            plain(Message::Delivery(retry())),
            "22:13:20.250Z  retry       order.paid  dlv_1  order-7 → ep_1  attempt 2  503  1035 ms  next 22:18:20.000Z"
        );
        let queued = DeliveryTransition {
            kind: DeliveryTransitionKind::Queued as i32,
            attempt_number: 0,
            http_status: 0,
            failure_kind: 0,
            latency: None,
            next_attempt_time: None,
            ..retry()
        };
        assert_eq!(plain(Message::Delivery(queued)), "22:13:20.250Z  queued      order.paid  dlv_1  order-7 → ep_1");
    }

    #[test]
    fn brief_line_names_the_endpoint_and_shortens_ids() {
        let long = DeliveryTransition { event_id: "evt_0123456789abcdefghij".to_owned(), ..retry() };
        let message = response(Message::Delivery(DeliveryTransition { next_attempt_time: None, ..long }));
        let names = [("ep_1".to_owned(), "shop")];
        let line = Line::new(&message, Palette::plain()).unwrap();
        assert_eq!(
            line.brief(&names).to_string(),
            "22:13:20.250Z  retry       order.paid            evt_0123456789abc… → shop       attempt 2  503  1035 ms"
        );
        assert!(line.brief(&[]).to_string().contains(" → ep_1 "));
    }

    #[test]
    fn endpoint_says_why_it_was_disabled() {
        let gone = EndpointTransition {
            endpoint_id: "ep_1".to_owned(),
            kind: EndpointTransitionKind::Disabled as i32,
            disable_reason: DisableReason::Gone as i32,
        };
        assert_eq!(plain(Message::Endpoint(gone)), "22:13:20.250Z  endpoint    ep_1  disabled  it answered 410 Gone");
    }

    #[test]
    fn pause_and_warning_are_told_in_words() {
        let line = |kind: EndpointTransitionKind, reason: DisableReason| {
            let endpoint_id = "ep_1".to_owned();
            let told = EndpointTransition { endpoint_id, kind: kind as i32, disable_reason: reason as i32 };
            plain(Message::Endpoint(told))
        };
        let paused = line(EndpointTransitionKind::Paused, DisableReason::Unspecified);
        assert_eq!(paused, "22:13:20.250Z  endpoint    ep_1  paused");
        let warned = line(EndpointTransitionKind::Warned, DisableReason::DeadInARow);
        let words = "will be disabled unless it recovers  many deliveries in a row have died";
        assert_eq!(warned, format!("22:13:20.250Z  endpoint    ep_1  {words}"));
        assert!(line(EndpointTransitionKind::Warned, DisableReason::Failing).ends_with("  it has failed for long"));
    }

    #[test]
    fn heartbeat_has_no_line() {
        assert!(Line::new(&response(Message::Heartbeat(Heartbeat {})), Palette::plain()).is_none());
    }

    #[test]
    fn colour_appears_on_a_terminal_only_and_text_cannot_steer_it() {
        let hostile = DeliveryTransition { event_type: "a\x1b[2Jb".to_owned(), ..retry() };
        let message = response(Message::Delivery(hostile));
        let plain = Line::new(&message, Palette::plain()).unwrap().to_string();
        assert!(!plain.contains('\x1b'), "{plain:?}");
        let coloured = Line::new(&message, Palette::coloured()).unwrap().to_string();
        assert!(coloured.contains("\x1b[33mretry"), "{coloured:?}");
        assert!(!coloured.contains("\x1b[2J"), "{coloured:?}");
    }
}
