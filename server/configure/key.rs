//! Making and revoking API keys.

use super::{Configurator, Error};
use crate::{
    access::new_key,
    model::{ApiKey, ApiKeyId, HeldKey, Scopes, TenantKey, Timestamp},
    repeat::Call,
    store,
};

/// Keys of one tenant, or of operators, at most: they are in memory, all of them.
pub const KEYS_MAX: i64 = 1_000;

/// A key to make, checked.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Whose it is; an operator's if `None`.
    pub tenant: Option<TenantKey>,
    /// A name for people.
    pub display_name: String,
    /// What its holder may do.
    pub scopes: Scopes,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
}

impl Configurator {
    /// Makes a key, and returns it as it is stored and as its holder gets it, which nobody can find out afterwards.
    ///
    /// # Errors
    /// [`Error::NoSuchTenant`], [`Error::TooManyKeys`], [`Error::Reused`], [`Error::Store`].
    pub async fn create_key<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<(ApiKey, HeldKey), R>>,
        new: NewKey,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let tenant_id = match new.tenant {
                    Some(tenant) => {
                        let tenant = store::tenant::get(tx.conn(), tenant).await?;
                        Some(tenant.ok_or(Error::NoSuchTenant)?.id)
                    }
                    None => None,
                };
                if store::api_key::count(tx.conn(), new.tenant).await? >= KEYS_MAX {
                    return Err(Error::TooManyKeys);
                }
                let held = new_key();
                let version = store::meta::raise_cfg(tx).await?;
                let key = ApiKey {
                    key: store::meta::next_key(tx, "api_key").await?,
                    id: held.id,
                    tenant: new.tenant,
                    display_name: new.display_name,
                    scopes: new.scopes,
                    hash: held.hash(),
                    created: shared.clock.now(),
                    expires: new.expires,
                };
                store::api_key::insert(tx, &key).await?;
                let answer = answer.with(tx, (key.clone(), held)).await?;
                tx.commit().await?;
                shared.routes.advance(version);
                shared.access.apply(&key, tenant_id.as_deref());
                Ok(answer)
            })
        });
        unit.await
    }

    /// Revokes a key: it is erased, no call with it is let in from now on, and streams that were opened with it end.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::Reused`], [`Error::Store`].
    pub async fn revoke_key<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<(), R>>,
        id: ApiKeyId,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let owner = match store::api_key::delete(tx, id).await?.ok_or(Error::NoSuchKey)? {
                    Some(tenant) => store::tenant::get(tx.conn(), tenant).await?.map(|tenant| tenant.id),
                    None => None,
                };
                let version = store::meta::raise_cfg(tx).await?;
                let answer = answer.concerning(owner.unwrap_or_default()).with(tx, ()).await?;
                tx.commit().await?;
                shared.routes.advance(version);
                shared.access.revoke(id);
                Ok(answer)
            })
        });
        unit.await
    }
}
