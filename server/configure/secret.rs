//! Activating and revoking secrets.

use super::{Configurator, Error, OVERLAP_DEFAULT, check_etag, commit_secrets, live, secrets};
use crate::{
    model::{Begin, EndpointKey, Secret, SecretKey, Timestamp, TransitionKind, signing},
    repeat::Call,
    shared::Shared,
    store::{self, Tx},
};

impl Configurator {
    /// Has a secret sign from now on and returns the scheme's live secrets, newest first. Where a message carries one
    /// signature it takes the place of the one before, which is erased; where several may stand side by side the others sign
    /// on for [`OVERLAP_DEFAULT`]. One that signs already changes nothing. With
    /// `expected` the endpoint's present etag must be that.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::NoSuchSecret`], [`Error::Reused`], [`Error::Store`].
    pub async fn activate_secret<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<Vec<Secret>, R>>,
        key: EndpointKey,
        expected: Option<String>,
        secret: SecretKey,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let tenant = call.tenant();
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let endpoint = live(tx, tenant, key).await?;
                check_etag(&shared, &endpoint, expected)?;
                let now = shared.clock.now();
                let Present { chosen, siblings } = present(tx, &shared, key, secret).await?;
                let joins =
                    endpoint.settings.style.scheme(&chosen.scheme).is_some_and(|it| it.scheme().joins_signatures());
                let all = siblings.iter().chain([&chosen]);
                if signing(all, joins, now).iter().any(|signs| signs.key == chosen.key) {
                    return Ok(answer.unchanged(tx, in_order(chosen, siblings, now)).await?);
                }
                store::secret::set_begin(tx, chosen.key, Begin::At(now)).await?;
                store::secret::clear_expiry(tx, chosen.key).await?;
                for other in signing(siblings.iter(), true, now) {
                    let end = now.plus(OVERLAP_DEFAULT);
                    match other.expires {
                        _ if !joins => store::secret::delete(tx, other.key).await?,
                        Some(expires) if expires <= end => {}
                        Some(_) | None => store::secret::set_expiry(tx, other.key, end).await?,
                    }
                }
                commit_secrets(tx, &shared, endpoint, &chosen.scheme, TransitionKind::SecretActivated, answer).await
            })
        });
        unit.await
    }

    /// Erases a secret, even one that has stopped signing, and returns the live ones of its scheme that are left, newest
    /// first. If all that sign were to make room for it, the newest of them goes on. With `expected` the endpoint's
    /// present etag must be that.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::NoSuchSecret`], [`Error::Reused`], [`Error::LastSecret`],
    /// [`Error::Store`].
    pub async fn revoke_secret<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<Vec<Secret>, R>>,
        key: EndpointKey,
        expected: Option<String>,
        secret: SecretKey,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let tenant = call.tenant();
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let endpoint = live(tx, tenant, key).await?;
                check_etag(&shared, &endpoint, expected)?;
                let now = shared.clock.now();
                let Present { chosen, siblings } = present(tx, &shared, key, secret).await?;
                let staying = signing(siblings.iter(), true, now);
                let newest = staying.first().ok_or(Error::LastSecret)?;
                let live = siblings.iter().filter(|other| other.lives(now));
                if chosen.lives(now) && live.clone().all(ends) {
                    // It was to make room for the one that is revoked.
                    store::secret::clear_expiry(tx, newest.key).await?;
                }
                store::secret::delete(tx, chosen.key).await?;
                commit_secrets(tx, &shared, endpoint, &chosen.scheme, TransitionKind::SecretRevoked, answer).await
            })
        });
        unit.await
    }
}

/// A secret and the others of its scheme.
struct Present {
    chosen: Secret,
    /// Newest first.
    siblings: Vec<Secret>,
}

async fn present(tx: &mut Tx, shared: &Shared, endpoint: EndpointKey, key: SecretKey) -> Result<Present, Error> {
    let mut present = secrets(tx, shared, endpoint).await?;
    let index = present.iter().position(|secret| secret.key == key).ok_or(Error::NoSuchSecret)?;
    let chosen = present.remove(index);
    present.retain(|secret| secret.scheme == chosen.scheme);
    Ok(Present { chosen, siblings: present })
}

fn in_order(chosen: Secret, siblings: Vec<Secret>, now: Timestamp) -> Vec<Secret> {
    let mut all = siblings;
    all.push(chosen);
    all.retain(|secret| secret.lives(now));
    all.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.key));
    all
}

/// Whether a secret stops signing by itself, or never begins to.
fn ends(secret: &Secret) -> bool {
    secret.expires.is_some() || secret.begins == Begin::OnActivation
}
