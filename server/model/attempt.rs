//! Attempts: one HTTP request each, and what came of it.

use std::time::Duration;

use bytes::Bytes;

use super::{DeliveryKey, Timestamp, debug_unshown, envelope::BodyNote};

/// Why an attempt failed, or a delivery ended without one. The numbers are those of the protocol and of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum FailureKind {
    /// The host name could not be resolved.
    Dns = 1,
    /// The connection was refused, or the host cannot be reached.
    Connect = 2,
    /// The TLS handshake failed, not for the certificate's sake.
    Tls = 3,
    /// There was a connection, and the exchange took longer than it may.
    Timeout = 4,
    /// The answer was not HTTP.
    Protocol = 5,
    /// The address is not one that the server sends to; nothing was sent.
    BlockedAddress = 6,
    /// The answer's status was not 2xx.
    HttpStatus = 7,
    /// The server stopped before the outcome was recorded.
    LeaseLost = 8,
    /// The delivery was held for too long.
    HeldTooLong = 9,
    /// The payload does not fit into the endpoint's envelope or body form; no request was made.
    EnvelopeUnsupported = 10,
    /// The event expired; no request was made after that.
    Expired = 11,
    /// No name server answered in time.
    DnsTimeout = 12,
    /// No connection, TLS included, was made in time.
    ConnectTimeout = 13,
    /// The connection broke before the answer ended.
    ConnectionLost = 14,
    /// The certificate has expired, or is not valid yet.
    CertificateExpired = 15,
    /// The certificate is for another name.
    CertificateName = 16,
    /// Nobody whom the server trusts vouches for the certificate.
    CertificateUntrusted = 17,
    /// No access token could be had; no request was made.
    Authorization = 18,
}

impl FailureKind {
    /// Whether the endpoint was not asked for a reason of the event's, which says nothing of the endpoint.
    pub fn spares_endpoint(self) -> bool {
        matches!(self, Self::EnvelopeUnsupported | Self::Expired)
    }

    const ALL: [Self; 18] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Protocol,
        Self::BlockedAddress,
        Self::HttpStatus,
        Self::LeaseLost,
        Self::HeldTooLong,
        Self::EnvelopeUnsupported,
        Self::Expired,
        Self::DnsTimeout,
        Self::ConnectTimeout,
        Self::ConnectionLost,
        Self::CertificateExpired,
        Self::CertificateName,
        Self::CertificateUntrusted,
        Self::Authorization,
    ];

    /// Reads the number; `None` if there is no such kind.
    pub fn from_i64(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i64 == number)
    }
}

/// What came of one exchange with an endpoint. Failure is data here, never an `Err`.
#[derive(Clone, PartialEq)]
pub struct Outcome {
    /// Why it failed; `None` if the endpoint answered 2xx.
    pub failure: Option<FailureKind>,
    /// The failure in words, for people; free of secrets, header values and URL queries. Empty on success.
    pub detail: String,
    /// The HTTP status, if there was an answer.
    pub http_status: Option<u16>,
    /// How long the endpoint asked to be left alone (`Retry-After`), whatever the status.
    pub retry_after: Option<Duration>,
    /// From the start of the exchange to the last byte read.
    pub latency: Duration,
    /// The answer's body, as far as it is kept.
    pub response: Bytes,
    /// Whether the answer's body was longer than `response`.
    pub response_truncated: bool,
    /// Where the body that was sent differs from what the endpoint's style promises.
    pub body_note: Option<BodyNote>,
}

debug_unshown!(
    Outcome { failure, detail, http_status, retry_after, latency, response_truncated, body_note } but { response }
);

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum AttemptResult {
    /// Not known yet.
    InFlight = 1,
    /// 2xx.
    Succeeded = 2,
    /// It failed.
    Failed = 3,
    /// The server stopped before the outcome was recorded.
    Lost = 4,
}

impl AttemptResult {
    /// Reads the number; `None` if there is no such result.
    pub fn from_i64(number: i64) -> Option<Self> {
        [Self::InFlight, Self::Succeeded, Self::Failed, Self::Lost].into_iter().find(|result| *result as i64 == number)
    }
}

/// An attempt as it is kept and shown.
#[derive(Clone, PartialEq)]
pub struct Attempt {
    /// The delivery.
    pub delivery: DeliveryKey,
    /// Its number within the delivery, from 1.
    pub number: u32,
    /// What came of it.
    pub result: AttemptResult,
    /// Why it failed.
    pub failure: Option<FailureKind>,
    /// The HTTP status, if there was an answer.
    pub http_status: Option<u16>,
    /// How long it took.
    pub latency: Option<Duration>,
    /// When it ended, or its loss was found.
    pub ended: Option<Timestamp>,
    /// The answer's body, as far as it is kept.
    pub response: Bytes,
    /// Whether the answer's body was longer than `response`.
    pub response_truncated: bool,
    /// The failure in words.
    pub detail: String,
    /// Where the body that was sent differs from what the endpoint's style promises.
    pub body_note: Option<BodyNote>,
}

debug_unshown!(
    Attempt {
        delivery, number, result, failure, http_status, latency, ended, response_truncated, detail, body_note
    } but { response }
);
