//! Telling failures apart.
//!
//! What went wrong is read off the types in an error's chain of causes, never off the text of messages. The text made
//! here is short and holds no part of the URL: the HTTP client's own messages quote it, query and all.

use std::{error::Error, io, iter};

use super::{guard::Blocked, resolve::LookupError};
use crate::model::FailureKind;

/// The longest detail, in characters. Certificate errors quote names that the peer chose.
const DETAIL_CHARS_MAX: usize = 200;

/// What went wrong, for machines and for people.
#[derive(Debug, PartialEq, Eq)]
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
            return Self::new(FailureKind::Dns, &lookup.to_string());
        }
        if error.is_dns() {
            return Self::new(FailureKind::Dns, "the host name could not be resolved");
        }
        if let Some(tls) = find::<rustls::Error>(error) {
            return Self::new(FailureKind::Tls, &format!("TLS: {tls}"));
        }
        if error.is_timeout() {
            let detail = if error.is_connect() { "no connection in time" } else { "the peer stopped answering" };
            return Self::new(FailureKind::Timeout, detail);
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
        let detail = match find::<hyper::Error>(error) {
            Some(hyper) if hyper.is_parse() => "the answer is not HTTP".to_owned(),
            Some(hyper) if hyper.is_incomplete_message() => "the connection closed before the answer ended".to_owned(),
            Some(_) | None => match (find::<h2::Error>(error), find::<io::Error>(error)) {
                (Some(h2), _) if h2.reason().is_some() => {
                    format!("HTTP/2: {}", h2.reason().unwrap_or(h2::Reason::INTERNAL_ERROR).description())
                }
                (_, Some(io)) => format!("the connection broke: {}", io.kind()),
                (_, None) => "the exchange broke off".to_owned(),
            },
        };
        Self::new(FailureKind::Protocol, &detail)
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
