//! Rotating secrets of schemes whose header takes several signatures: the old sign beside the new until the overlap ends.

use std::{sync::Arc, time::Duration};

use super::{Configurator, Error, commit, live, secrets};
use crate::{
    model::{EndpointKey, Secret, SecretKey, TenantKey, Timestamp, TransitionKind},
    publish::EndpointEntry,
    shared::Shared,
    signing,
    store::{self, Tx},
};

/// Secrets that sign for one endpoint at once, at most: each adds a signature to every request's header.
pub const SECRETS_MAX: usize = 4;

/// How long old secrets sign beside a new one, unless the caller says otherwise.
pub const OVERLAP_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// The longest that old secrets may sign beside a new one.
pub const OVERLAP_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

impl Configurator {
    /// Gives an endpoint a new secret, which signs from now on, and returns all that sign then, newest first.
    ///
    /// Secrets that sign now go on for `overlap`, unless they expire earlier; with none they stop at once. Secrets that
    /// have expired are erased.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::SecretInUse`], [`Error::TooManySecrets`], [`Error::Store`].
    pub async fn rotate_secret(
        &self,
        tenant: TenantKey,
        key: EndpointKey,
        new: Arc<signing::Secret>,
        overlap: Duration,
    ) -> Result<Vec<Secret>, Error> {
        let shared = self.shared.clone();
        let unit = self.shared.db.write_checked(move |tx| {
            Box::pin(async move {
                let mut endpoint = live(tx, tenant, key).await?;
                let now = shared.clock.now();
                let mut signing = retire(tx, &shared, key, &new, now, overlap).await?;
                let secret = Secret {
                    key: SecretKey(store::meta::next_key(tx, "secret").await?),
                    value: new,
                    created: now,
                    expires: None,
                };
                store::secret::insert(tx, &shared.keyring, tenant, key, &secret).await?;
                signing.insert(0, secret);
                // Attempts read secrets, so a new one is a new version of the endpoint.
                endpoint.version = store::meta::raise_cfg(tx).await?;
                endpoint.updated = now;
                store::endpoint::update(tx, &endpoint, false).await?;
                let entry = EndpointEntry { endpoint, secrets: signing.clone() };
                commit(tx, &shared, entry, TransitionKind::SecretRotated).await?;
                Ok(signing)
            })
        });
        unit.await
    }
}

/// Sets when the present secrets stop signing, erases those that have stopped, and returns the others, newest first.
async fn retire(
    tx: &mut Tx,
    shared: &Shared,
    key: EndpointKey,
    new: &signing::Secret,
    now: Timestamp,
    overlap: Duration,
) -> Result<Vec<Secret>, Error> {
    let mut present = secrets(tx, shared, key).await?;
    present.retain(|secret| secret.expires.is_none_or(|expires| now < expires));
    if present.iter().any(|secret| secret.value.expose() == new.expose()) {
        return Err(Error::SecretInUse);
    }
    let end = now.plus(overlap);
    for secret in &mut present {
        if secret.expires.is_none_or(|expires| end < expires) {
            secret.expires = Some(end);
            store::secret::set_expiry(tx, secret.key, end).await?;
        }
    }
    store::secret::delete_expired(tx, key, now).await?;
    present.retain(|secret| secret.expires.is_none_or(|expires| now < expires));
    if present.len() >= SECRETS_MAX {
        return Err(Error::TooManySecrets);
    }
    Ok(present)
}
