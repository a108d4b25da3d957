//! Activating and revoking secrets.

use super::{Configurator, Error, commit_secrets, live, secrets};
use crate::{
    model::{Begin, EndpointKey, Secret, SecretKey, TenantKey, Timestamp, TransitionKind},
    shared::Shared,
    store::{self, Tx},
};

impl Configurator {
    /// Has a secret sign from now on, in the place of those of its scheme that sign now, and returns the scheme's live
    /// secrets, newest first. One that signs already changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoSuchSecret`], [`Error::Store`].
    pub async fn activate_secret(
        &self,
        tenant: TenantKey,
        key: EndpointKey,
        secret: SecretKey,
    ) -> Result<Vec<Secret>, Error> {
        let shared = self.shared.clone();
        let unit = self.shared.db.write_checked(move |tx| {
            Box::pin(async move {
                let endpoint = live(tx, tenant, key).await?;
                let now = shared.clock.now();
                let Present { chosen, siblings } = present(tx, &shared, key, secret, now).await?;
                if chosen.signs(now) {
                    return Ok(in_order(chosen, siblings));
                }
                store::secret::set_begin(tx, chosen.key, Begin::At(now)).await?;
                store::secret::clear_expiry(tx, chosen.key).await?;
                for other in siblings.iter().filter(|other| other.signs(now)) {
                    store::secret::delete(tx, other.key).await?;
                }
                commit_secrets(tx, &shared, endpoint, &chosen.scheme, TransitionKind::SecretActivated).await
            })
        });
        unit.await
    }

    /// Erases a secret and returns the live ones of its scheme that are left, newest first. If all that sign were to make room
    /// for it, the newest of them goes on.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoSuchSecret`], [`Error::LastSecret`], [`Error::Store`].
    pub async fn revoke_secret(
        &self,
        tenant: TenantKey,
        key: EndpointKey,
        secret: SecretKey,
    ) -> Result<Vec<Secret>, Error> {
        let shared = self.shared.clone();
        let unit = self.shared.db.write_checked(move |tx| {
            Box::pin(async move {
                let endpoint = live(tx, tenant, key).await?;
                let now = shared.clock.now();
                let Present { chosen, siblings } = present(tx, &shared, key, secret, now).await?;
                let newest = siblings.iter().find(|other| other.signs(now));
                if chosen.signs(now) && newest.is_none() {
                    return Err(Error::LastSecret);
                }
                if let Some(newest) = newest.filter(|_| siblings.iter().all(ends)) {
                    // It was to make room for the one that is revoked.
                    store::secret::clear_expiry(tx, newest.key).await?;
                }
                store::secret::delete(tx, chosen.key).await?;
                commit_secrets(tx, &shared, endpoint, &chosen.scheme, TransitionKind::SecretRevoked).await
            })
        });
        unit.await
    }
}

/// A live secret and the others of its scheme.
struct Present {
    chosen: Secret,
    /// Newest first.
    siblings: Vec<Secret>,
}

async fn present(
    tx: &mut Tx,
    shared: &Shared,
    endpoint: EndpointKey,
    key: SecretKey,
    now: Timestamp,
) -> Result<Present, Error> {
    let mut present = secrets(tx, shared, endpoint).await?;
    present.retain(|secret| secret.lives(now));
    let index = present.iter().position(|secret| secret.key == key).ok_or(Error::NoSuchSecret)?;
    let chosen = present.remove(index);
    present.retain(|secret| secret.scheme == chosen.scheme);
    Ok(Present { chosen, siblings: present })
}

fn in_order(chosen: Secret, siblings: Vec<Secret>) -> Vec<Secret> {
    let mut all = siblings;
    all.push(chosen);
    all.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.key));
    all
}

/// Whether a secret stops signing by itself, or never begins to.
fn ends(secret: &Secret) -> bool {
    secret.expires.is_some() || secret.begins == Begin::OnActivation
}
