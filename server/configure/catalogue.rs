//! Changing a tenant's catalogue of event types.

use std::sync::Arc;

use super::{Configurator, Error, etag::event_type_etag};
use crate::{
    model::{EventType, EventTypeSettings, TenantKey, Timestamp, schema::Schema},
    publish::TypeRule,
    repeat::Call,
    shared::Shared,
    store::{self, Tx, Upserted},
};

/// Event types in one catalogue, at most: ten full imports, and a list that people still page through.
pub const EVENT_TYPES_MAX: usize = 10_000;

/// Schemas of one catalogue together, in bytes: they are compiled and in memory, all of them.
pub const SCHEMAS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// So many event types were added.
    pub created: usize,
    /// So many got another description, schema or deprecation.
    pub updated: usize,
    /// So many were there as they were given.
    pub unchanged: usize,
}

/// What to change of an event type, checked; `None` leaves a setting as it is.
#[derive(Clone, Debug, Default)]
pub struct EventTypePatch {
    /// What an event of this type says.
    pub description: Option<String>,
    /// What payloads are to look like; `Some(None)` whatever they like.
    pub schema: Option<Option<Arc<Schema>>>,
    /// It should no longer be published.
    pub deprecated: Option<bool>,
}

impl Configurator {
    /// Adds `types`, no two of one name, to a tenant's catalogue, and describes those anew that it has. Removes nothing.
    ///
    /// # Errors
    /// [`Error::TooManyEventTypes`], [`Error::CatalogueTooLarge`], [`Error::Reused`], [`Error::Store`].
    pub async fn import_event_types<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<Imported, R>>,
        types: Vec<EventTypeSettings>,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let tenant = call.tenant();
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let version = store::meta::raise_cfg(tx).await?;
                let now = shared.clock.now();
                let Upserted { created, updated } = store::event_type::upsert(tx, tenant, version, now, &types).await?;
                let imported = Imported { created, updated, unchanged: types.len() - created - updated };
                if created + updated == 0 {
                    // Nobody is to read the configuration anew for an import of what is there already.
                    store::meta::lower_cfg(tx).await?;
                    return Ok(answer.unchanged(tx, imported).await?);
                }
                check_size(tx, tenant).await?;
                let answer = answer.with(tx, imported).await?;
                tx.commit().await?;
                shared.routes.advance(version);
                types.into_iter().for_each(|settings| apply(&shared, tenant, settings));
                Ok(answer)
            })
        });
        unit.await
    }

    /// Adds an event type to a tenant's catalogue.
    ///
    /// # Errors
    /// [`Error::Reused`], [`Error::EventTypeExists`], [`Error::TooManyEventTypes`], [`Error::CatalogueTooLarge`], [`Error::Store`].
    pub async fn create_event_type<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<EventType, R>>,
        settings: EventTypeSettings,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let tenant = call.tenant();
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                if store::event_type::get(tx.conn(), tenant, &settings.name).await?.is_some() {
                    return Err(Error::EventTypeExists);
                }
                let version = store::meta::raise_cfg(tx).await?;
                let types = [settings];
                store::event_type::upsert(tx, tenant, version, shared.clock.now(), &types).await?;
                check_size(tx, tenant).await?;
                let [settings] = types;
                let created = stored(tx, tenant, &settings.name).await?;
                let answer = answer.with(tx, created).await?;
                tx.commit().await?;
                shared.routes.advance(version);
                apply(&shared, tenant, settings);
                Ok(answer)
            })
        });
        unit.await
    }

    /// Changes what `patch` names of an event type, and returns it as it is then. With `expected` its present
    /// [`event_type_etag`] must be that.
    ///
    /// # Errors
    /// [`Error::Reused`], [`Error::NoSuchEventType`], [`Error::Conflict`], [`Error::CatalogueTooLarge`], [`Error::Store`].
    pub async fn update_event_type<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<EventType, R>>,
        name: String,
        expected: Option<String>,
        patch: EventTypePatch,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let tenant = call.tenant();
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let mut event_type = expected_type(tx, &shared, tenant, &name, expected).await?;
                let mut rule = shared.catalogue.rule(tenant, &name).1;
                if let Some(description) = patch.description {
                    event_type.description = description;
                }
                if let Some(schema) = patch.schema {
                    event_type.schema = schema.as_ref().map_or_else(String::new, |schema| schema.text().to_owned());
                    rule.schema = schema;
                }
                event_type.deprecated = patch.deprecated.unwrap_or(event_type.deprecated);
                rule.deprecated = event_type.deprecated;
                event_type.version = store::meta::raise_cfg(tx).await?;
                // Later than the creation even if the clock stands still, as with an import.
                let after_creation = Timestamp::from_micros(event_type.created.as_micros() + 1);
                event_type.updated = shared.clock.now().max(after_creation);
                store::event_type::update(tx, tenant, &event_type).await?;
                check_size(tx, tenant).await?;
                let version = event_type.version;
                let answer = answer.with(tx, event_type).await?;
                tx.commit().await?;
                shared.routes.advance(version);
                shared.catalogue.apply(tenant, &name, rule);
                Ok(answer)
            })
        });
        unit.await
    }

    /// Takes an event type out of a tenant's catalogue. With `expected` its present [`event_type_etag`] must be that.
    ///
    /// # Errors
    /// [`Error::Reused`], [`Error::NoSuchEventType`], [`Error::Conflict`], [`Error::Store`].
    pub async fn delete_event_type<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<(), R>>,
        name: String,
        expected: Option<String>,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let tenant = call.tenant();
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                expected_type(tx, &shared, tenant, &name, expected).await?;
                let version = store::meta::raise_cfg(tx).await?;
                store::event_type::delete(tx, tenant, &name).await?;
                let answer = answer.with(tx, ()).await?;
                tx.commit().await?;
                shared.routes.advance(version);
                shared.catalogue.apply(tenant, &name, TypeRule::default());
                Ok(answer)
            })
        });
        unit.await
    }
}

/// Takes over what was committed.
fn apply(shared: &Shared, tenant: TenantKey, settings: EventTypeSettings) {
    let EventTypeSettings { name, schema, deprecated, .. } = settings;
    shared.catalogue.apply(tenant, &name, TypeRule { schema, deprecated });
}

/// An event type that is there and, with `expected`, has that etag.
async fn expected_type(
    tx: &mut Tx,
    shared: &Shared,
    tenant: TenantKey,
    name: &str,
    expected: Option<String>,
) -> Result<EventType, Error> {
    let event_type = stored(tx, tenant, name).await?;
    match expected {
        Some(expected) if expected != event_type_etag(&shared.keys, tenant, &event_type) => Err(Error::Conflict),
        Some(_) | None => Ok(event_type),
    }
}

async fn stored(tx: &mut Tx, tenant: TenantKey, name: &str) -> Result<EventType, Error> {
    store::event_type::get(tx.conn(), tenant, name).await?.ok_or(Error::NoSuchEventType)
}

/// Fails if a catalogue, as it is written, is larger than it may be.
async fn check_size(tx: &mut Tx, tenant: TenantKey) -> Result<(), Error> {
    let size = store::event_type::size(tx.conn(), tenant).await?;
    if size.types > EVENT_TYPES_MAX {
        return Err(Error::TooManyEventTypes { count: size.types });
    }
    if size.schema_bytes > SCHEMAS_BYTES_MAX {
        return Err(Error::CatalogueTooLarge { bytes: size.schema_bytes });
    }
    Ok(())
}
