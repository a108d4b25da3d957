//! What publishing one event, a batch and a stream share beside reading the event.

use bytes::Bytes;

use super::warnings::show_warning;
use crate::{
    model::NewEvent,
    proto::PublishedEvent,
    publish::{Published, Warning},
};

/// A published event as the protocol has it.
pub(super) fn show_published(published: &Published, warnings: Vec<Warning>) -> PublishedEvent {
    PublishedEvent {
        event_id: published.id.to_string(),
        delivery_count: i32::try_from(published.fanout).unwrap_or(i32::MAX),
        duplicate: published.duplicate,
        warnings: warnings.into_iter().map(show_warning).collect(),
    }
}

/// The event with a payload of its own. As it was decoded, it keeps the buffer that it stands in, with its neighbours'
/// payloads, for as long as one delivery of it waits for an answer.
pub(super) fn in_memory_of_its_own(event: NewEvent) -> NewEvent {
    NewEvent { payload: Bytes::copy_from_slice(&event.payload), ..event }
}
