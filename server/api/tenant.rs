//! Whose call it is.

use super::{
    WebhookApi,
    error::{Error, Resource},
};
use crate::model::TenantKey;

/// The tenant that a call without one concerns.
const DEFAULT: &str = "default";

/// The tenant of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tenant {
    /// Its row.
    pub(super) key: TenantKey,
    /// Its public id.
    pub(super) id: String,
}

impl WebhookApi {
    /// The tenant that a request names; an empty id stands for `default`.
    pub(super) fn tenant(&self, id: &str) -> Result<Tenant, Error> {
        let id = if id.is_empty() { DEFAULT } else { id };
        let key = self.shared.routes.tenant(id).ok_or(Error::NotFound(Resource::Tenant))?;
        Ok(Tenant { key, id: id.to_owned() })
    }
}
