//! A call that changes something: whose it is, its request id if it has one, and how its answer is made.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::{Request, Reused};
use crate::{
    audit::Change,
    model::TenantKey,
    shared::Shared,
    store::{self, Tx},
};

/// A call that changes something: the change gives a `T`, of which the answer, an `R`, is made.
///
/// A bare tenant stands for a call without a request id that is answered with what the change gives.
pub struct Call<T, R = T> {
    tenant: TenantKey,
    request: Option<Request<R>>,
    show: Show<T, R>,
    audit: Option<Audit<R>>,
}

/// What the call leaves in the audit log, and what of its answer belongs there: what was made.
type Audit<R> = (Change, fn(&R) -> Vec<String>);

type Show<T, R> = Box<dyn FnOnce(T) -> R + Send>;

impl<T, R> fmt::Debug for Call<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl<T> From<TenantKey> for Call<T> {
    fn from(tenant: TenantKey) -> Self {
        Self::new(tenant, None, |given| given)
    }
}

impl<T, R> Call<T, R> {
    /// A call of `tenant`'s that is answered with what `show` makes of the change.
    pub fn new(tenant: TenantKey, request: Option<Request<R>>, show: impl FnOnce(T) -> R + Send + 'static) -> Self {
        Self { tenant, request, show: Box::new(show), audit: None }
    }

    /// The call leaves an entry in the audit log if it succeeds: `change`, which concerns what `made` finds in the answer as
    /// well.
    pub fn audited(self, change: Change, made: fn(&R) -> Vec<String>) -> Self {
        Self { audit: Some((change, made)), ..self }
    }

    /// Whose it is.
    pub fn tenant(&self) -> TenantKey {
        self.tenant
    }

    /// Runs a unit of database work for the call, as [`store::Db::write_checked`] does, unless the call is a repeat:
    /// then the unit is not run and the first answer is given. The unit's way to an answer of its own is the [`Answer`]
    /// it is handed.
    pub(crate) async fn write<E, F>(self, shared: &Arc<Shared>, unit: F) -> Result<R, E>
    where
        T: 'static,
        R: Send + Sync + 'static,
        E: From<store::Error> + From<Reused> + Send + 'static,
        F: for<'tx> FnOnce(&'tx mut Tx, Answer<T, R>) -> BoxFuture<'tx, Result<R, E>> + Send + 'static,
    {
        let answer = Answer { call: self, shared: shared.clone() };
        let unit = shared.db.write_checked(move |tx| {
            Box::pin(async move {
                if let Some(request) = &answer.call.request
                    && let Some(first) = request.claim::<E>(tx, &answer.shared, answer.call.tenant).await?
                {
                    tx.abandon().await;
                    return Ok(first);
                }
                unit(tx, answer).await
            })
        });
        unit.await
    }
}

/// What a unit of database work answers its call with: once, in the transaction that makes the change.
#[derive(Debug)]
#[must_use]
pub struct Answer<T, R> {
    call: Call<T, R>,
    shared: Arc<Shared>,
}

impl<T, R> Answer<T, R> {
    /// Makes the answer of a change, keeps it for a repeat, and writes the call's entry in the audit log. To be called
    /// before the commit, once the change is written.
    pub(crate) async fn with(self, tx: &mut Tx, given: T) -> store::Result<R> {
        let Self { call: Call { tenant, request, show, audit }, shared } = self;
        let answer = show(given);
        if let Some(request) = request {
            request.keep(tx, &shared, tenant, &answer).await?;
        }
        if let Some((change, made)) = audit {
            change.concerning(made(&answer)).write(tx, shared.clock.now()).await?;
        }
        Ok(answer)
    }

    /// The call concerns the tenant with this public id, as the change has found out; with an empty one none.
    pub(crate) fn concerning(mut self, tenant: String) -> Self {
        if let Some((change, _)) = &mut self.call.audit {
            change.tenant = tenant;
        }
        self
    }

    /// Makes the answer of a call that found nothing to change. Ends the transaction: with a commit if something is kept of it,
    /// for a repeat or in the audit log.
    pub(crate) async fn unchanged(self, tx: &mut Tx, given: T) -> store::Result<R> {
        let kept = self.call.request.is_some() || self.call.audit.is_some();
        let answer = self.with(tx, given).await?;
        if kept {
            tx.commit().await?;
        } else {
            tx.abandon().await;
        }
        Ok(answer)
    }
}
