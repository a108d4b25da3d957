//! What is sent: 500 bytes of JSON that say when they were to be sent and which event they are.

use bytes::Bytes;

/// How long a payload is.
pub(crate) const PAYLOAD_BYTES: usize = 500;

/// The type of events that all endpoints want. The others are `bench.N`, for endpoint N alone.
pub(crate) const TYPE_FOR_ALL: &str = "bench.all";

const DIGITS: usize = 20;
const SENT_AT: usize = r#"{"sent":""#.len();
const EVENT_AT: usize = SENT_AT + DIGITS + r#"","event":""#.len();

/// Nanoseconds of the machine's monotonic clock, which all processes share.
pub(crate) fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The name of tenant number `number`, where there are some beside `default`.
pub(crate) fn tenant(number: usize) -> String {
    format!("bench-{number}")
}

/// The payload of event number `event`, to be sent at `sent`.
pub(crate) fn write(sent: u64, event: u64) -> Bytes {
    let mut text = format!(r#"{{"sent":"{sent:0DIGITS$}","event":"{event:0DIGITS$}","padding":""#);
    let padding = PAYLOAD_BYTES - text.len() - r#""}"#.len();
    text.extend(std::iter::repeat_n('x', padding));
    text.push_str(r#""}"#);
    text.into()
}

/// When a payload was to be sent, and its event's number.
pub(crate) fn read(payload: &[u8]) -> Option<(u64, u64)> {
    let number = |at| std::str::from_utf8(payload.get(at..at + DIGITS)?).ok()?.parse().ok();
    Some((number(SENT_AT)?, number(EVENT_AT)?))
}
