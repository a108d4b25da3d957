//! Who calls, and for which tenant.

use std::sync::Arc;

use tonic::{Request, Status};

use super::{
    WebhookApi,
    error::{Error, Resource, key_missing},
};
use crate::{access::Caller, model::TenantKey};

/// The tenant that an operator's call without one concerns.
pub(super) const DEFAULT: &str = "default";

/// The tenant of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tenant {
    /// Its row.
    pub(super) key: TenantKey,
    /// Its public id.
    pub(super) id: Arc<str>,
}

impl Tenant {
    /// What stands for one in calls that are no tenant's, but operators'.
    pub(super) fn of_operators() -> Self {
        Self { key: TenantKey::OPERATORS, id: "".into() }
    }
}

impl WebhookApi {
    /// The service as this call's caller may use it, and what it asks for. A call that did not come past the layer which
    /// looks at keys has no caller, and is refused.
    pub(super) fn called<T>(&self, mut request: Request<T>) -> Result<(Self, T), Status> {
        let remote = request.remote_addr();
        let caller = request.extensions_mut().remove::<Caller>().ok_or_else(key_missing)?;
        Ok((Self { caller: Some(caller), remote, ..self.clone() }, request.into_inner()))
    }

    /// Who calls.
    pub(super) fn caller(&self) -> Result<&Caller, Error> {
        self.caller.as_ref().ok_or(Error::NoCaller)
    }

    /// The tenant that a request names. An empty id stands for the caller's, or for `default` if the caller is an operator;
    /// to a tenant's own key every other tenant is as if it were not there.
    pub(super) fn tenant(&self, id: &str) -> Result<Tenant, Error> {
        match &self.caller()?.tenant {
            Some((key, own)) if id.is_empty() || id == &**own => Ok(Tenant { key: *key, id: own.clone() }),
            Some(_) => Err(Error::NotFound(Resource::Tenant)),
            None => {
                let id = if id.is_empty() { DEFAULT } else { id };
                let key = self.shared.routes.tenant(id).ok_or(Error::NotFound(Resource::Tenant))?;
                Ok(Tenant { key, id: id.into() })
            }
        }
    }
}
