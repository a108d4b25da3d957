//! Importing event types into a tenant's catalogue.

use super::{Configurator, Error};
use crate::{
    model::EventTypeSettings,
    repeat::Call,
    store::{self, Upserted},
};

/// Event types in one catalogue, at most: ten full imports, and a list that people still page through.
pub const EVENT_TYPES_MAX: usize = 10_000;

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// So many event types were added.
    pub created: usize,
    /// So many got another description.
    pub updated: usize,
    /// So many were there as they were given.
    pub unchanged: usize,
}

impl Configurator {
    /// Adds `types`, no two of one name, to a tenant's catalogue, and describes those anew that it has. Removes nothing.
    ///
    /// # Errors
    /// [`Error::TooManyEventTypes`], [`Error::Reused`], [`Error::Store`].
    pub async fn import_event_types<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<Imported, R>>,
        types: Vec<EventTypeSettings>,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let tenant = call.tenant();
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let now = shared.clock.now();
                let Upserted { created, updated } = store::event_type::upsert(tx, tenant, now, &types).await?;
                let count = store::event_type::count(tx.conn(), tenant).await?;
                if count > EVENT_TYPES_MAX {
                    return Err(Error::TooManyEventTypes { count });
                }
                let imported = Imported { created, updated, unchanged: types.len() - created - updated };
                let answer = answer.with(tx, imported).await?;
                tx.commit().await?;
                Ok(answer)
            })
        });
        unit.await
    }
}
