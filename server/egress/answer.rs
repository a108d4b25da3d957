//! What an endpoint answered, as far as it is read and kept.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version, header};

use super::{
    RESPONSE_KEPT_BYTES_MAX, RESPONSE_READ_BYTES_MAX,
    failure::{self, Failure},
    phase::Phase,
};
use crate::model::{FailureKind, Outcome};

/// The longest wait that is passed on; the policy's own cap is far below. Keeps sums with it from overflowing.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// An answer that is being read.
#[derive(Default)]
pub(super) struct Answer {
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
    /// The body ends where the connection does (RFC 9112, section 6.3, rule 8).
    ends_with_connection: bool,
    read_bytes: usize,
    kept: Vec<u8>,
}

impl Answer {
    /// Takes the head; `now` is what a date in `Retry-After` is relative to.
    pub(super) fn begin(&mut self, response: &reqwest::Response, now: SystemTime) {
        self.status = Some(response.status());
        self.retry_after = retry_after(response.headers(), now);
        self.ends_with_connection = response.version() <= Version::HTTP_11
            && !response.headers().contains_key(header::CONTENT_LENGTH)
            && !response.headers().contains_key(header::TRANSFER_ENCODING);
    }

    /// Takes a piece of the body and says whether to read on. Copies what is kept, so that a kept kilobyte does not hold
    /// the whole buffer it came in.
    pub(super) fn take(&mut self, chunk: &[u8]) -> bool {
        let room = RESPONSE_KEPT_BYTES_MAX - self.kept.len();
        self.kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.read_bytes += chunk.len();
        self.read_bytes < RESPONSE_READ_BYTES_MAX
    }

    /// Whether the body is taken as whole although reading it ended in `error`. A body that ends with the connection is,
    /// even if TLS was not closed properly: many small servers never do, and nothing depends on the body's last byte.
    pub(super) fn is_whole_despite(&self, error: &reqwest::Error) -> bool {
        self.ends_with_connection && failure::ended_without_notice(error)
    }

    /// The exchange was in this phase when its time was up.
    pub(super) fn timed_out(&self, phase: Phase, timeout: Duration) -> Failure {
        let (kind, what) = match phase {
            Phase::Resolving => (FailureKind::DnsTimeout, "the host name could not be resolved"),
            Phase::Connecting => (FailureKind::ConnectTimeout, "there was no connection"),
            Phase::Exchanging if self.status.is_some() => (FailureKind::Timeout, "the answer's body did not end"),
            Phase::Exchanging => (FailureKind::Timeout, "there was no answer"),
        };
        Failure::new(kind, &format!("{what} within {timeout:?}"))
    }

    pub(super) fn into_outcome(self, failure: Option<Failure>, latency: Duration) -> Outcome {
        let failure = failure.or_else(|| self.status.and_then(refused));
        let (failure, detail) = failure.map_or((None, String::new()), |failure| (Some(failure.kind), failure.detail));
        Outcome {
            failure,
            detail,
            http_status: self.status.map(|status| status.as_u16()),
            retry_after: self.retry_after,
            latency,
            body_note: None,
            response_truncated: self.read_bytes > self.kept.len(),
            response: Bytes::from(self.kept),
        }
    }
}

/// Anything but 2xx.
fn refused(status: StatusCode) -> Option<Failure> {
    if status.is_success() {
        return None;
    }
    let followed = if status.is_redirection() { "; redirects are not followed" } else { "" };
    Some(Failure::new(FailureKind::HttpStatus, &format!("the endpoint answered {}{followed}", status.as_u16())))
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date. A date in the past is no wait; nonsense is no header.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // All digits and yet no number: too large for one.
        value.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn parse(value: &'static str) -> Option<Duration> {
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(value))]);
        // 1994-11-06 08:49:37 UTC, the date of RFC 9110's examples.
        retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        assert_eq!(parse("0"), Some(Duration::ZERO));
        assert_eq!(parse(" 120 "), Some(Duration::from_secs(120)));
    }

    #[test]
    fn retry_after_is_read_as_a_date_in_all_three_forms() {
        for date in ["Sun, 06 Nov 1994 08:50:37 GMT", "Sunday, 06-Nov-94 08:50:37 GMT", "Sun Nov  6 08:50:37 1994"] {
            assert_eq!(parse(date), Some(Duration::from_secs(60)), "{date}");
        }
    }

    #[test]
    fn retry_after_in_the_past_is_no_wait() {
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:36 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn retry_after_is_capped() {
        assert_eq!(parse("99999999999999999999999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(parse("Fri, 31 Dec 9999 23:59:59 GMT"), Some(RETRY_AFTER_MAX));
    }

    #[test]
    fn nonsense_in_retry_after_is_ignored() {
        for nonsense in ["", "-1", "1.5", "soon", "Sun, 06 Nov 1994"] {
            assert_eq!(parse(nonsense), None, "{nonsense:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }

    #[test]
    fn reading_stops_at_its_limit_and_keeps_less() {
        let mut answer = Answer::default();
        assert!(answer.take(&[b'a'; RESPONSE_READ_BYTES_MAX - 1]));
        assert!(!answer.take(b"b"));
        let outcome = answer.into_outcome(None, Duration::ZERO);
        assert_eq!(outcome.response, vec![b'a'; RESPONSE_KEPT_BYTES_MAX]);
        assert!(outcome.response_truncated);
    }
}
