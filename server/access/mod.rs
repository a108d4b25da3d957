//! Who may call: the API keys, in memory as the rest of the configuration, and what their holders may do.
//!
//! A call bears the text of a key, or a dashboard token that a key's holder had made ([`token`]). What comes of it is a
//! [`Caller`], which every handler goes by. Keys are applied after their commit while the write lock is still held, as
//! endpoints are; one that is revoked ends the streams that were opened with it. How keys are stored, `store` knows; how
//! a call bears one, `api`.

mod first;
mod token;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

pub use self::{
    first::{AdminConfig, AdminKeyError},
    token::{LIFETIME_DEFAULT, LIFETIME_MAX, LIFETIME_MIN, TOKEN_PREFIX},
};
pub(crate) use self::{
    first::{ensure_admin, read as read_key_file},
    token::issue,
};
use crate::{
    model::{Actor, ApiKey, ApiKeyId, HeldKey, Scope, Scopes, TenantKey, Timestamp},
    shared::Shared,
};

/// Whoever makes a call. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key that was shown, or with which the token was made that was shown.
    pub key: ApiKeyId,
    /// Whose it is, if it is not an operator's: the tenant's row and public id.
    pub tenant: Option<(TenantKey, Arc<str>)>,
    /// What it may do.
    pub scopes: Scopes,
    /// The key is the one that the server was given at its start.
    pub given: bool,
    /// It was shown a token, which makes no other tokens.
    pub by_token: bool,
    /// When the key or the token ends.
    pub expires: Option<Timestamp>,
    /// Cancelled when the key is revoked.
    pub revoked: CancellationToken,
}

/// There is no such key, or it has expired, or it is none. Callers are not told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key is not valid")]
pub struct Invalid;

/// The keys in memory.
#[derive(Default)]
pub struct Access(RwLock<Inner>);

#[derive(Default)]
struct Inner {
    /// An operator's key that is not in the database: valid for as long as the server runs with it.
    given: Option<Entry>,
    stored: HashMap<ApiKeyId, Entry>,
}

struct Entry {
    hash: [u8; 32],
    caller: Caller,
}

impl Drop for Entry {
    /// Whoever is forgotten is no longer let in, and what it had opened ends.
    fn drop(&mut self) {
        self.caller.revoked.cancel();
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({} keys)", self.read().stored.len())
    }
}

/// What a key is compared with that is not there, so that it takes as long to refuse as one whose secret is wrong.
const NO_HASH: [u8; 32] = [0; 32];

impl Access {
    /// Takes over a committed key of the tenant with this public id, or of operators.
    pub(crate) fn apply(&self, key: &ApiKey, tenant_id: Option<&str>) {
        let caller = Caller {
            key: key.id,
            tenant: key.tenant.zip(tenant_id.map(Arc::from)),
            scopes: key.scopes,
            given: false,
            by_token: false,
            expires: key.expires,
            revoked: CancellationToken::new(),
        };
        self.write().stored.insert(key.id, Entry { hash: key.hash, caller });
    }

    /// Lets an operator in with this key, beside those that are stored.
    pub(crate) fn give(&self, key: &HeldKey) {
        let caller = Caller {
            key: key.id,
            tenant: None,
            scopes: [Scope::Admin].into_iter().collect(),
            given: true,
            by_token: false,
            expires: None,
            revoked: CancellationToken::new(),
        };
        self.write().given = Some(Entry { hash: key.hash(), caller });
    }

    /// Forgets a key; what was opened with it ends.
    pub(crate) fn revoke(&self, id: ApiKeyId) {
        self.write().stored.remove(&id);
    }

    /// Forgets all keys of a tenant.
    pub(crate) fn revoke_all(&self, tenant: TenantKey) {
        self.write().stored.retain(|_, entry| entry.caller.tenant.as_ref().is_none_or(|(key, _)| *key != tenant));
    }

    /// Takes over the stored keys as a whole. What was opened with a key that is still there goes on.
    pub(crate) fn replace(&self, other: Self) {
        let mut stored = std::mem::take(&mut other.write().stored);
        let mut inner = self.write();
        for (id, known) in &mut inner.stored {
            // Keys never change, so the one that is known is as good, and its streams follow it.
            if let Some(entry) = stored.get_mut(id) {
                std::mem::swap(entry, known);
            }
        }
        inner.stored = stored;
    }

    /// Whether an operator can get in who may do everything, at `now`.
    fn has_admin(&self, now: Timestamp) -> bool {
        let admin = |entry: &Entry| {
            let caller = &entry.caller;
            caller.tenant.is_none() && caller.scopes.allow(Scope::Admin) && caller.lasts(now)
        };
        let inner = self.read();
        inner.given.iter().chain(inner.stored.values()).any(admin)
    }

    /// Who holds the key of this text, at `now`.
    ///
    /// # Errors
    /// [`Invalid`].
    fn holder(&self, text: &str, now: Timestamp) -> Result<Caller, Invalid> {
        let shown = HeldKey::parse(text).ok_or(Invalid)?;
        let hash = shown.hash();
        let inner = self.read();
        let entry = inner.find(shown.id);
        let same = bool::from(hash.ct_eq(entry.map_or(&NO_HASH, |entry| &entry.hash)));
        let entry = entry.filter(|entry| same && entry.caller.lasts(now)).ok_or(Invalid)?;
        Ok(entry.caller.clone())
    }

    /// The holder of the key with this id, at `now`.
    fn maker(&self, id: ApiKeyId, now: Timestamp) -> Option<Caller> {
        self.read().find(id).map(|entry| entry.caller.clone()).filter(|caller| caller.lasts(now))
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn find(&self, id: ApiKeyId) -> Option<&Entry> {
        self.given.as_ref().filter(|given| given.caller.key == id).or_else(|| self.stored.get(&id))
    }
}

impl Caller {
    /// Who is to be named for what the call changes.
    pub(crate) fn actor(&self) -> Actor {
        if self.given { Actor::EnvironmentKey(self.key) } else { Actor::Key(self.key) }
    }

    /// Whether the key or token has not expired by `now`.
    pub fn lasts(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// A new key, of random numbers.
pub fn new_key() -> HeldKey {
    HeldKey::new(rand::random(), Zeroizing::new(rand::random()))
}

/// Who shows this text, of a key or of a dashboard token.
///
/// # Errors
/// [`Invalid`].
pub(crate) fn caller(shared: &Shared, text: &str) -> Result<Caller, Invalid> {
    let now = shared.clock.now();
    if text.starts_with(TOKEN_PREFIX) { token::caller(shared, text, now) } else { shared.access.holder(text, now) }
}

#[cfg(test)]
mod tests;
