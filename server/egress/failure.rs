//! Telling failures apart.
//!
//! What went wrong is read off the types in an error's chain of causes, never off the text of messages. The text made
//! here is short and holds no part of the URL: the HTTP client's own messages quote it, query and all.

use std::{error::Error, io, iter};

use super::{CONNECT_TIMEOUT, guard::Blocked, resolve::LookupError};
use crate::model::FailureKind;

/// The longest detail, in characters. Certificate errors quote names that the peer chose.
const DETAIL_CHARS_MAX: usize = 200;

/// What went wrong, for machines and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(kind: FailureKind, detail: &str) -> Self {
        let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        let detail = detail.chars().map(printable).take(DETAIL_CHARS_MAX).collect();
        Self { kind, detail }
    }

    pub(super) fn blocked(blocked: &Blocked) -> Self {
        Self::new(FailureKind::BlockedAddress, &blocked.to_string())
    }

    pub(super) fn of(error: &reqwest::Error) -> Self {
        if let Some(blocked) = find::<Blocked>(error) {
            return Self::blocked(blocked);
        }
        if let Some(lookup) = find::<LookupError>(error) {
            let slow = matches!(lookup, LookupError::Slow);
            return Self::new(if slow { FailureKind::DnsTimeout } else { FailureKind::Dns }, &lookup.to_string());
        }
        if error.is_dns() {
            return Self::new(FailureKind::Dns, "the host name could not be resolved");
        }
        if let Some(tls) = find::<rustls::Error>(error) {
            return Self::new(kind_of_tls(tls), &format!("TLS: {tls}"));
        }
        if error.is_timeout() && error.is_connect() {
            return Self::new(
                FailureKind::ConnectTimeout,
                &format!("there was no connection within {CONNECT_TIMEOUT:?}"),
            );
        }
        if error.is_timeout() {
            return Self::new(FailureKind::Timeout, "the peer stopped answering");
        }
        if error.is_connect() {
            return Self::connecting(error);
        }
        Self::exchanging(error)
    }

    fn connecting(error: &reqwest::Error) -> Self {
        let cause = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).last();
        let cause = cause.map_or_else(|| "no connection was made".to_owned(), |cause| cause.kind().to_string());
        if broke_in_handshake(error) {
            return Self::new(FailureKind::Tls, &format!("the TLS handshake broke off: {cause}"));
        }
        Self::new(FailureKind::Connect, &cause)
    }

    fn exchanging(error: &reqwest::Error) -> Self {
        match find::<hyper::Error>(error) {
            Some(hyper) if hyper.is_parse() => Self::new(FailureKind::Protocol, "the answer is not HTTP"),
            Some(hyper) if hyper.is_incomplete_message() => {
                Self::new(FailureKind::ConnectionLost, "the connection closed before the answer ended")
            }
            Some(_) | None => match (find::<h2::Error>(error).and_then(h2::Error::reason), find::<io::Error>(error)) {
                (Some(reason), _) => Self::new(FailureKind::Protocol, &format!("HTTP/2: {}", reason.description())),
                (None, Some(io)) => {
                    Self::new(FailureKind::ConnectionLost, &format!("the connection broke: {}", io.kind()))
                }
                (None, None) => Self::new(FailureKind::Protocol, "the exchange broke off"),
            },
        }
    }
}

/// What is wrong with the certificate, if it is the certificate.
fn kind_of_tls(error: &rustls::Error) -> FailureKind {
    use rustls::CertificateError as Fault;
    let rustls::Error::InvalidCertificate(fault) = error else { return FailureKind::Tls };
    match fault {
        Fault::Expired | Fault::ExpiredContext { .. } | Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            FailureKind::CertificateExpired
        }
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => FailureKind::CertificateName,
        // Signed by a name that is trusted, but not with its key.
        Fault::UnknownIssuer | Fault::BadSignature | Fault::Revoked => FailureKind::CertificateUntrusted,
        _ => FailureKind::Tls,
    }
}

/// Whether the peer closed the connection without the closing message that TLS asks for.
pub(super) fn ended_without_notice(error: &reqwest::Error) -> bool {
    find::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
}

/// Once TCP stands, the TLS connector wraps an I/O error in another; TCP's own errors come bare.
fn broke_in_handshake(error: &reqwest::Error) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.get_ref().is_some_and(|inner| inner.is::<io::Error>()))
}

fn find<T: Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The error and its causes, outermost first. `io::Error::source` skips the error it wraps, so that is asked for by name.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    iter::successors(Some(error as &(dyn Error + 'static)), |error| cause(*error))
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}
