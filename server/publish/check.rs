//! Whether an event is as its type's description has it, looked at before it is queued.
//!
//! One function for every way of publishing. It takes the configuration of the moment; a change that is committed while an
//! event waits in the queue does not concern that event any more.

use crate::{
    model::{
        NewEvent, SchemaCheck,
        schema::{Schema, SchemaViolation},
    },
    publish::fingerprint,
    shared::Shared,
    store,
};

/// Violations of one event that a refusal names at most.
pub const VIOLATIONS_MAX: usize = 64;

/// Warnings about one event at most.
pub const WARNINGS_MAX: usize = 16;

/// A payload beyond this is not checked on a thread that others wait for.
const SMALL_BYTES_MAX: usize = 64 * 1024;

/// Something that is not as it should be with an event that is published all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Its payload breaks a rule of its type's schema.
    SchemaViolation(SchemaViolation),
    /// Its type is deprecated.
    Deprecated,
}

/// What becomes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be published; its publisher is to be told this, [`WARNINGS_MAX`] at most.
    Publish(Vec<Warning>),
    /// It may not, for its payload breaks these rules of its type's schema, [`VIOLATIONS_MAX`] at most.
    Refuse(Vec<SchemaViolation>),
}

/// Holds an event against its type's description.
///
/// The repeat of an event that was accepted before may always be published: its publisher, who may not have got the answer,
/// is to learn that it is a duplicate, however strict the schema has become meanwhile.
///
/// # Errors
/// The database could not be asked whether it is a repeat; or the check panicked.
pub async fn check(shared: &Shared, event: &NewEvent) -> store::Result<Verdict> {
    let (check, rule) = shared.catalogue.rule(event.tenant, &event.event_type);
    let mut warnings: Vec<Warning> = rule.deprecated.then_some(Warning::Deprecated).into_iter().collect();
    let violations = match (check, rule.schema) {
        (SchemaCheck::Off, _) | (_, None) => Vec::new(),
        (SchemaCheck::Warn | SchemaCheck::Reject, Some(schema)) => violations(shared, schema, event).await?,
    };
    if check == SchemaCheck::Reject && !violations.is_empty() && !is_repeat(shared, event).await? {
        return Ok(Verdict::Refuse(violations));
    }
    warnings.extend(violations.into_iter().map(Warning::SchemaViolation));
    warnings.truncate(WARNINGS_MAX);
    Ok(Verdict::Publish(warnings))
}

async fn violations(
    shared: &Shared,
    schema: std::sync::Arc<Schema>,
    event: &NewEvent,
) -> store::Result<Vec<SchemaViolation>> {
    if event.payload.len() <= SMALL_BYTES_MAX {
        return Ok(schema.violations(&event.payload, VIOLATIONS_MAX));
    }
    let permit = shared.catalogue.large().await;
    let payload = event.payload.clone();
    let checking = tokio::task::spawn_blocking(move || {
        let violations = schema.violations(&payload, VIOLATIONS_MAX);
        drop(permit);
        violations
    });
    checking.await.map_err(|_| store::Error::Panicked)
}

/// Whether the same event was published before, under the same id of its publisher's.
async fn is_repeat(shared: &Shared, event: &NewEvent) -> store::Result<bool> {
    let Some(id) = event.id.clone() else { return Ok(false) };
    let tenant = event.tenant;
    let read =
        shared.db.read(move |conn| Box::pin(async move { store::event::find_published(conn, tenant, &id).await }));
    let same = |stored: store::StoredEvent| stored.fingerprint == fingerprint(&shared.keys.fingerprints, event);
    Ok(read.await?.is_some_and(same))
}
