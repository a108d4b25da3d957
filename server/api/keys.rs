//! API keys: create, list, revoke; and dashboard tokens.

use super::{
    WebhookApi,
    convert::{read_duration_in, read_timestamp, timestamp},
    endpoints::unreported,
    error::Error,
    idempotent::Once,
    page::{List, Place, Scope as PageScope, read_size},
    tenants::NAME_BYTES_MAX,
    violation::{Violations, check_text, echo},
};
use crate::{
    access,
    configure::NewKey,
    model::{ApiKey, ApiKeyId, HeldKey, Scope, Scopes, TenantKey},
    proto::{
        self, CreateDashboardTokenRequest, CreateDashboardTokenResponse, CreateKeyRequest, CreateKeyResponse,
        ListKeysRequest, ListKeysResponse, RevokeKeyRequest, RevokeKeyResponse,
    },
    store,
};

/// What dashboards may do.
const FOR_LOOKING: [Scope; 2] = [Scope::EndpointsRead, Scope::DeliveriesRead];

/// How long a token may last, in words.
const LIFETIME_BOUNDS: &str = "from 60 seconds to 24 hours";

impl WebhookApi {
    pub(super) async fn create_key(
        &self,
        request: CreateKeyRequest,
        once: Once<CreateKeyRequest>,
    ) -> Result<CreateKeyResponse, Error> {
        let mut violations = once.violations();
        let tenant = if request.operator {
            if !request.tenant_id.is_empty() {
                violations.add("tenant_id", "must be empty for an operator's key");
            }
            None
        } else {
            Some(self.tenant(&request.tenant_id)?.key)
        };
        violations.take("display_name", check_text(&request.display_name, NAME_BYTES_MAX));
        if request.scopes.is_empty() {
            violations.add("scopes", format!("must have at least one entry, of {}", names(Scope::ALL)));
        }
        let scopes = read_scopes(&request.scopes, &Scope::ALL, &mut violations);
        if tenant.is_some() && scopes.iter().any(|scope| scope == Scope::Admin) {
            violations.add("scopes", "must not have `admin` unless `operator` is set");
        }
        let expires = request.expire_time.as_ref().map(read_timestamp).transpose();
        let expires = violations.take("expire_time", expires).flatten();
        if expires.is_some_and(|expires| expires <= self.shared.clock.now()) {
            violations.add("expire_time", "must be in the future");
        }
        violations.check()?;

        let new = NewKey { tenant, display_name: request.display_name, scopes, expires };
        let call = once.call(|api, _, (key, held): (ApiKey, HeldKey)| CreateKeyResponse {
            key: Some(api.show_key(key)),
            secret: held.text().to_string(),
        })?;
        Ok(self.configurator.create_key(call, new).await?)
    }

    pub(super) async fn list_keys(&self, request: ListKeysRequest) -> Result<ListKeysResponse, Error> {
        let tenant = match request.tenant_id.as_str() {
            "" => None,
            id => Some(self.tenant(id)?.key),
        };
        let mut violations = Violations::default();
        let size = read_size(request.page_size, &mut violations);
        let (key, of) = (&self.shared.keys.tokens, tenant.unwrap_or(TenantKey::OPERATORS));
        let scope = PageScope { key, list: List::Keys, tenant: of, filter: &[] };
        let Place(after, _) = scope.read(&request.page_token, &mut violations).unwrap_or_default();
        violations.check()?;

        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let read = self.shared.db.read(move |conn| Box::pin(store::api_key::list(conn, tenant, after, limit)));
        let mut keys = read.await?;
        let more = keys.len() > size;
        keys.truncate(size);
        let next = keys.last().filter(|_| more).map(|last| scope.write(Place(last.key, 0)));
        Ok(ListKeysResponse {
            keys: keys.into_iter().map(|key| self.show_key(key)).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    pub(super) async fn revoke_key(
        &self,
        request: RevokeKeyRequest,
        once: Once<RevokeKeyRequest>,
    ) -> Result<RevokeKeyResponse, Error> {
        let mut violations = once.violations();
        let id = match request.key_id.as_str() {
            "" => Err("is required".to_owned()),
            id => ApiKeyId::parse(id).map_err(|error| error.to_string()),
        };
        let id = violations.take("key_id", id);
        violations.check()?;
        let call = once.call(|_, _, ()| RevokeKeyResponse {})?;
        Ok(self.configurator.revoke_key(call, id.ok_or_else(unreported)?).await?)
    }

    pub(super) async fn create_dashboard_token(
        &self,
        request: CreateDashboardTokenRequest,
    ) -> Result<CreateDashboardTokenResponse, Error> {
        let (tenant, caller) = (self.tenant(&request.tenant_id)?, self.caller()?);
        if caller.by_token {
            return Err(Error::NoFurtherToken);
        }
        let mut violations = Violations::default();
        let bounds = access::LIFETIME_MIN..=access::LIFETIME_MAX;
        let lifetime =
            request.lifetime.as_ref().map(|given| read_duration_in(given, bounds, LIFETIME_BOUNDS)).transpose();
        let lifetime = violations.take("lifetime", lifetime).flatten().unwrap_or(access::LIFETIME_DEFAULT);
        let held: Vec<Scope> = FOR_LOOKING.into_iter().filter(|scope| caller.scopes.allow(*scope)).collect();
        let mut scopes = read_scopes(&request.scopes, &held, &mut violations);
        violations.check()?;
        if request.scopes.is_empty() {
            scopes = held.into_iter().collect();
        }

        let ends = self.shared.clock.now().plus(lifetime);
        let expires = caller.expires.map_or(ends, |end| end.min(ends));
        Ok(CreateDashboardTokenResponse {
            token: access::issue(&self.shared.keys, caller.key, tenant.key, scopes, expires),
            expire_time: Some(timestamp(expires)),
            tenant_id: tenant.id.to_string(),
            scopes: shown(scopes),
        })
    }

    fn show_key(&self, key: ApiKey) -> proto::ApiKey {
        let tenant_id = key.tenant.and_then(|tenant| self.shared.routes.tenant_id(tenant));
        proto::ApiKey {
            id: key.id.to_string(),
            display_name: key.display_name,
            tenant_id: tenant_id.map(|id| id.to_string()).unwrap_or_default(),
            scopes: shown(key.scopes),
            create_time: Some(timestamp(key.created)),
            expire_time: key.expires.map(timestamp),
        }
    }
}

/// Reads the field `scopes`, whose entries must be among `allowed`.
fn read_scopes(given: &[String], allowed: &[Scope], violations: &mut Violations) -> Scopes {
    let mut read = Vec::new();
    for (index, name) in given.iter().enumerate() {
        match Scope::from_name(name).filter(|scope| allowed.contains(scope)) {
            Some(scope) if read.contains(&scope) => {
                violations.add(format!("scopes[{index}]"), format!("repeats `{scope}`"));
            }
            Some(scope) => read.push(scope),
            None => {
                let among = names(allowed.iter().copied());
                violations.add(format!("scopes[{index}]"), format!("must be one of {among}; `{}` is not", echo(name)));
            }
        }
    }
    read.into_iter().collect()
}

fn names(scopes: impl IntoIterator<Item = Scope>) -> String {
    scopes.into_iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", ")
}

fn shown(scopes: Scopes) -> Vec<String> {
    scopes.iter().map(|scope| scope.to_string()).collect()
}
