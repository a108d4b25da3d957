//! Debug of what publishers and receivers sent: it tells the size of a payload, a body, an answer or labels, and nothing of
//! what they say. Whatever is printed for people or logged goes by Debug, and none of that may hold them.
//!
//! [`debug_unshown`] stands in place of `derive(Debug)` on the types that hold such bytes. Tests that compare values by their
//! Debug output have to compare these bytes besides.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;

/// What stands in Debug output for something of this size, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Unshown(pub(crate) usize);

impl fmt::Debug for Unshown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0)
    }
}

/// What Debug tells of a field.
pub(crate) trait Size {
    /// How much it holds, in bytes.
    fn size(&self) -> usize;
}

impl Size for Bytes {
    fn size(&self) -> usize {
        self.len()
    }
}

impl Size for Vec<u8> {
    fn size(&self) -> usize {
        self.len()
    }
}

impl<T: Size> Size for Option<T> {
    fn size(&self) -> usize {
        self.as_ref().map_or(0, T::size)
    }
}

impl Size for &Bytes {
    fn size(&self) -> usize {
        self.len()
    }
}

impl Size for &[u8] {
    fn size(&self) -> usize {
        self.len()
    }
}

impl Size for BTreeMap<String, String> {
    fn size(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// `debug_unshown!(Type { shown, … } but { unshown, … })`: Debug for a struct with these fields. It names all of them, so that
/// a new one is shown by somebody's choice or not at all.
macro_rules! debug_unshown {
    ($type:ident $(<$lifetime:lifetime>)? { $($shown:ident),* } but { $($unshown:ident),+ }) => {
        impl $(<$lifetime>)? ::std::fmt::Debug for $type $(<$lifetime>)? {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                let Self { $($shown,)* $($unshown),+ } = self;
                f.debug_struct(stringify!($type))
                    $(.field(stringify!($shown), $shown))*
                    $(.field(stringify!($unshown), &$crate::model::Unshown($crate::model::Size::size($unshown))))+
                    .finish()
            }
        }
    };
}

pub(crate) use debug_unshown;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        model::{
            Attempt, AttemptResult, DEFAULT_CONTENT_TYPE, DeliveryKey, EndpointKey, Event, EventContent, EventFilter,
            EventKey, EventTimes, NewEvent, Outcome, TenantKey, Timestamp,
            envelope::{Body, Enveloped},
        },
        signing::Message,
    };

    /// Eleven bytes, in each of the forms in which Debug might show them.
    const CANARY: &str = "canary-data";

    fn canary() -> Bytes {
        Bytes::from_static(CANARY.as_bytes())
    }

    fn labels() -> BTreeMap<String, String> {
        [("canary".to_owned(), "-data".to_owned())].into()
    }

    fn content() -> EventContent {
        EventContent {
            key: EventKey(1),
            tenant: TenantKey::DEFAULT,
            id: "shown".into(),
            event_type: "a.b".into(),
            content_type: DEFAULT_CONTENT_TYPE.into(),
            payload: canary(),
            time: Timestamp::from_micros(0),
            created: Timestamp::from_micros(0),
            ping_of: None,
            expires: None,
        }
    }

    fn new_event() -> NewEvent {
        NewEvent {
            tenant: TenantKey::DEFAULT,
            id: Some("shown".to_owned()),
            event_type: "a.b".into(),
            content_type: None,
            payload: canary(),
            time: None,
            deliver_at: None,
            expires: None,
            labels: labels(),
        }
    }

    fn attempt() -> Attempt {
        Attempt {
            delivery: DeliveryKey { event: EventKey(1), endpoint: EndpointKey(1) },
            number: 1,
            result: AttemptResult::Failed,
            failure: None,
            http_status: Some(500),
            latency: None,
            ended: None,
            response: canary(),
            response_truncated: false,
            detail: "shown".to_owned(),
            body_note: None,
        }
    }

    fn outcome() -> Outcome {
        Outcome {
            failure: None,
            detail: "shown".to_owned(),
            http_status: Some(200),
            retry_after: None,
            latency: Duration::ZERO,
            response: canary(),
            response_truncated: false,
            body_note: None,
        }
    }

    #[test]
    fn debug_tells_sizes_of_what_was_sent_and_nothing_else_of_it() {
        let (time, payload) = (Timestamp::from_micros(0), canary());
        let event =
            Event { content: content(), payload_bytes: 11, times: EventTimes::default(), labels: labels(), cfg: 1 };
        let filter = EventFilter { labels: labels(), ..EventFilter::default() };
        let enveloped =
            Enveloped { id: "shown", event_type: "a.b", time, content_type: DEFAULT_CONTENT_TYPE, payload: &payload };
        let body = Body { signed: canary(), sent: Some(canary()), content_type: None, headers: Vec::new(), note: None };
        let message =
            Message { id: "shown", timestamp: time, event_type: "a.b", url: "https://example.com", body: &payload };
        let listed = format!("{:?}", CANARY.as_bytes());
        let listed = listed.trim_matches(['[', ']']);
        for (shown, sizes) in [
            (format!("{:?}", new_event()), 2),
            (format!("{:?}", content()), 1),
            (format!("{event:?}"), 2),
            (format!("{filter:?}"), 1),
            (format!("{:?}", outcome()), 1),
            (format!("{:?}", attempt()), 1),
            (format!("{enveloped:?}"), 1),
            (format!("{body:?}"), 2),
            (format!("{message:?}"), 1),
        ] {
            assert!(!shown.contains("canary") && !shown.contains(listed), "{shown}");
            assert_eq!(shown.matches("<11 bytes>").count(), sizes, "{shown}");
        }
        // What tells one value from another is there.
        assert!(format!("{:?} {:?} {:?}", new_event(), content(), outcome()).matches("\"shown\"").count() == 3);
    }
}
