//! Repeats: a call that changes something and bears a request id acts once, and whoever repeats it within a day gets
//! the first answer.
//!
//! The id is taken, the change made and its answer kept in one transaction: a call that fails leaves no trace, a commit
//! whose outcome its caller never learned is found by the repeat, and of two calls at once the later waits for the
//! earlier's answer. What a call asked for is compared by a keyed fingerprint; its answer, in which secrets may stand,
//! is kept sealed.

mod call;
mod erase;

use std::{sync::Arc, time::Duration};

use prost::Message;
use zeroize::Zeroizing;

pub use self::call::{Answer, Call};
pub(crate) use self::erase::erase;
use crate::{
    model::{TenantKey, Timestamp},
    shared::Shared,
    store::{self, AnsweredRequest, RequestKey, Tx},
};

/// For so long a repeat gets the first answer.
pub const REPEATABLE_FOR: Duration = Duration::from_secs(24 * 3600);

/// The longest answer that is kept. Several times what an endpoint with all that it may have takes.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The id was used for a call of another method, or for one that asked for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request id was used for another request")]
pub struct Reused;

/// The id that a caller gave its call, and what the call asks for; answered with an `R`.
#[derive(Clone, Debug)]
pub struct Request<R> {
    id: String,
    fingerprint: [u8; 16],
    encode: fn(&R) -> Zeroizing<Vec<u8>>,
    decode: fn(&[u8]) -> Option<R>,
}

impl<R> Request<R> {
    /// A request with this id; `fingerprint` is a keyed hash of the method and of everything that the caller sent.
    pub fn new(id: String, fingerprint: [u8; 16]) -> Self
    where
        R: Message + Default,
    {
        Self { id, fingerprint, encode, decode: |bytes| R::decode(bytes).ok() }
    }

    /// The answer that a request of `tenant`'s with this id has got already.
    ///
    /// # Errors
    /// [`Reused`] if it asked for something else, [`store::Error`].
    pub(crate) async fn first_answer<E>(&self, shared: &Arc<Shared>, tenant: TenantKey) -> Result<Option<R>, E>
    where
        E: From<store::Error> + From<Reused>,
    {
        let (key, at) = (self.key(tenant), shared.clone());
        let find = shared.db.read(move |conn| {
            Box::pin(async move { store::request::find(conn, &at.keyring, &key, expired(at.clock.now())).await })
        });
        match find.await? {
            Some(answered) => self.read(answered).map(Some),
            None => Ok(None),
        }
    }

    /// Takes the id for this transaction, or finds what a request with it was answered.
    async fn claim<E>(&self, tx: &mut Tx, shared: &Shared, tenant: TenantKey) -> Result<Option<R>, E>
    where
        E: From<store::Error> + From<Reused>,
    {
        let (key, now) = (self.key(tenant), shared.clock.now());
        if store::request::claim(tx, &key, &self.fingerprint, now, expired(now)).await? {
            return Ok(None);
        }
        let answered = store::request::find(tx.conn(), &shared.keyring, &key, expired(now)).await?;
        let answered = answered.ok_or_else(|| store::Error::Corrupt("a request is taken and not there".to_owned()))?;
        self.read(answered).map(Some)
    }

    /// Keeps the answer of what this transaction has claimed.
    async fn keep(&self, tx: &mut Tx, shared: &Shared, tenant: TenantKey, answer: &R) -> store::Result<()> {
        let answer = (self.encode)(answer);
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(store::Error::Corrupt(format!("an answer of {} bytes cannot be kept", answer.len())));
        }
        store::request::answer(tx, &shared.keyring, &self.key(tenant), &answer).await
    }

    fn read<E: From<store::Error> + From<Reused>>(&self, answered: AnsweredRequest) -> Result<R, E> {
        if answered.fingerprint != self.fingerprint {
            return Err(Reused.into());
        }
        let unreadable = || store::Error::Corrupt("the answer of a request".to_owned());
        Ok((self.decode)(&answered.answer).ok_or_else(unreadable)?)
    }

    fn key(&self, tenant: TenantKey) -> RequestKey {
        RequestKey { tenant, id: self.id.clone() }
    }
}

/// A message as it is kept, or compared. Of its full length from the start: growing would leave copies behind that
/// nobody wipes.
pub(crate) fn encode<M: Message>(message: &M) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(message.encoded_len()));
    message.encode(&mut *bytes).expect("a vector grows as needed");
    bytes
}

/// What was answered then or before is forgotten at `now`.
fn expired(now: Timestamp) -> Timestamp {
    now.minus(REPEATABLE_FOR)
}

#[cfg(test)]
mod tests;
