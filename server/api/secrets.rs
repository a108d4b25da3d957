//! Signing secrets of endpoints: rotate, activate, list, revoke.

use std::{sync::Arc, time::Duration};

use zeroize::Zeroizing;

use super::{
    WebhookApi,
    convert::{read_duration_in, read_timestamp, timestamp},
    endpoints::unreported,
    error::{Error, Resource},
    idempotent::Once,
    imports::read_secret,
    page::{List, Place, Scope, read_size},
    violation::Violations,
};
use crate::{
    configure::{OVERLAP_DEFAULT, OVERLAP_MAX, Rotation, Takeover},
    model::{self, Begin, EndpointKey, EndpointScheme, EndpointStatus, Secret, SecretKey, Style, TenantKey, Timestamp},
    proto::{
        self, ActivateEndpointSecretRequest, ActivateEndpointSecretResponse, ListEndpointSecretsRequest,
        ListEndpointSecretsResponse, RevokeEndpointSecretRequest, RevokeEndpointSecretResponse,
        RotateEndpointSecretRequest, RotateEndpointSecretResponse,
    },
    publish::EndpointEntry,
    signing::{self, KeyForm},
};

/// The furthest ahead that a secret may be told to take over.
const ACTIVATE_AHEAD_MAX: Duration = Duration::from_secs(90 * 24 * 3600);

impl WebhookApi {
    pub(super) async fn rotate_endpoint_secret(
        &self,
        mut request: RotateEndpointSecretRequest,
        once: Once<RotateEndpointSecretRequest>,
    ) -> Result<RotateEndpointSecretResponse, Error> {
        let given = request.secret.take().map(Zeroizing::new);
        let mut violations = once.violations();
        let key = self.read_endpoint_id(&request.endpoint_id, "endpoint_id", &mut violations);
        let overlap = read_overlap(request.overlap.as_ref(), &mut violations);
        let activate = read_activate(request.activate_time.as_ref(), self.shared.clock.now(), &mut violations);
        let Some(key) = key else { return Err(Error::Invalid(violations)) };
        let entry = self.configured(once.tenant.key, key)?;
        let scheme = chosen_scheme(&entry, &request.scheme, &mut violations);
        let rotation = scheme.and_then(|scheme| {
            let takeover = takeover(scheme, overlap, activate, &mut violations);
            let form = scheme.scheme().definition().key_form;
            let value = match &given {
                None => Some(Arc::new(signing::Secret::generate(form))),
                Some(text) => read_secret(text, form, "secret", &mut violations),
            };
            Some(Rotation { scheme: scheme.name.clone(), value: value?, takeover: takeover? })
        });
        violations.check()?;
        let rotation = rotation.ok_or_else(unreported)?;

        let expected = (!request.etag.is_empty()).then_some(request.etag);
        let call = once.call(move |api, _, secrets: Vec<Secret>| {
            let new = secrets.first();
            RotateEndpointSecretResponse {
                secret: new.map(shown_text).unwrap_or_default(),
                secrets: api.show_live(key, &secrets),
                issued_secret: new.map(|secret| api.issue(secret)),
            }
        })?;
        Ok(self.configurator.rotate_secret(call, key, expected, rotation).await?)
    }

    pub(super) async fn activate_endpoint_secret(
        &self,
        request: ActivateEndpointSecretRequest,
        once: Once<ActivateEndpointSecretRequest>,
    ) -> Result<ActivateEndpointSecretResponse, Error> {
        let (endpoint, secret) = self.secret_key(&request.endpoint_id, &request.secret_id, once.violations())?;
        let expected = (!request.etag.is_empty()).then_some(request.etag);
        let call = once.call(move |api, _, secrets: Vec<Secret>| ActivateEndpointSecretResponse {
            secrets: api.show_live(endpoint, &secrets),
        })?;
        Ok(self.configurator.activate_secret(call, endpoint, expected, secret).await?)
    }

    pub(super) async fn list_endpoint_secrets(
        &self,
        request: ListEndpointSecretsRequest,
    ) -> Result<ListEndpointSecretsResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let key = self.read_endpoint_id(&request.endpoint_id, "endpoint_id", &mut violations);
        let size = read_size(request.page_size, &mut violations);
        let filter = key.map_or(0, |key| key.0).to_be_bytes();
        let tokens = &self.shared.keys.tokens;
        let scope = Scope { key: tokens, list: List::EndpointSecrets, tenant: tenant.key, filter: &filter };
        let after = scope.read(&request.page_token, &mut violations);
        violations.check()?;
        let entry = self.configured(tenant.key, key.ok_or_else(unreported)?)?;

        let now = self.shared.clock.now();
        let before = after.map_or(i64::MAX, |Place(before, _)| before);
        let mut live = entry.secrets.iter().filter(|secret| secret.lives(now) && secret.key.0 < before);
        let page: Vec<Secret> = live.by_ref().take(size).cloned().collect();
        let last = page.last().filter(|_| live.next().is_some()).map(|secret| Place(secret.key.0, 0));
        Ok(ListEndpointSecretsResponse {
            secrets: page
                .iter()
                .map(|secret| {
                    self.show_secret(secret, signs(&entry.endpoint.settings.style, &entry.secrets, secret, now))
                })
                .collect(),
            next_page_token: last.map(|last| scope.write(last)).unwrap_or_default(),
        })
    }

    pub(super) async fn revoke_endpoint_secret(
        &self,
        request: RevokeEndpointSecretRequest,
        once: Once<RevokeEndpointSecretRequest>,
    ) -> Result<RevokeEndpointSecretResponse, Error> {
        let (endpoint, secret) = self.secret_key(&request.endpoint_id, &request.secret_id, once.violations())?;
        let expected = (!request.etag.is_empty()).then_some(request.etag);
        let call = once.call(move |api, _, secrets: Vec<Secret>| RevokeEndpointSecretResponse {
            secrets: api.show_live(endpoint, &secrets),
        })?;
        Ok(self.configurator.revoke_secret(call, endpoint, expected, secret).await?)
    }

    /// Reads the ids of a request that can have nothing else wrong than `violations`.
    fn secret_key(
        &self,
        endpoint: &str,
        secret: &str,
        mut violations: Violations,
    ) -> Result<(EndpointKey, SecretKey), Error> {
        let endpoint = self.read_endpoint_id(endpoint, "endpoint_id", &mut violations);
        let secret = if secret.is_empty() {
            violations.add("secret_id", "is required");
            None
        } else {
            violations.take("secret_id", self.shared.ids.parse_secret(secret).map_err(|error| error.to_string()))
        };
        violations.check()?;
        endpoint.zip(secret).ok_or_else(unreported)
    }

    /// A tenant's endpoint as attempts see it, if there is one.
    fn configured(&self, tenant: TenantKey, key: EndpointKey) -> Result<Arc<EndpointEntry>, Error> {
        let entry = self.shared.routes.endpoint(key).filter(|entry| entry.endpoint.tenant == tenant);
        entry
            .filter(|entry| entry.endpoint.status != EndpointStatus::Deleted)
            .ok_or(Error::NotFound(Resource::Endpoint))
    }

    /// A secret as it is handed to its owner, once.
    pub(super) fn issue(&self, secret: &Secret) -> proto::IssuedSecret {
        proto::IssuedSecret {
            secret_id: self.shared.ids.secret(secret.key),
            scheme: secret.scheme.to_string(),
            secret: shown_text(secret),
            public_key: public_key(secret),
            warning: secret.value.weakness().unwrap_or_default().to_owned(),
        }
    }

    /// All live secrets of a scheme of an endpoint's, as they are after a change of them that changes no scheme.
    fn show_live(&self, endpoint: EndpointKey, live: &[Secret]) -> Vec<proto::EndpointSecret> {
        let now = self.shared.clock.now();
        let entry = self.shared.routes.endpoint(endpoint);
        let signs = |secret: &Secret| {
            entry.as_ref().is_some_and(|entry| signs(&entry.endpoint.settings.style, live, secret, now))
        };
        live.iter().map(|secret| self.show_secret(secret, signs(secret))).collect()
    }

    /// A signing secret: everything but the secret.
    fn show_secret(&self, secret: &Secret, signs: bool) -> proto::EndpointSecret {
        let state = if signs { proto::SecretState::Active } else { proto::SecretState::Staged };
        proto::EndpointSecret {
            id: self.shared.ids.secret(secret.key),
            fingerprint: fingerprint(secret),
            create_time: Some(timestamp(secret.created)),
            expire_time: secret.expires.map(timestamp),
            scheme: secret.scheme.to_string(),
            state: state as i32,
            activate_time: match secret.begins {
                Begin::At(time) => Some(timestamp(time)),
                Begin::Created | Begin::OnActivation => None,
            },
            public_key: public_key(secret),
        }
    }
}

/// Whether a secret, one of `all` that its endpoint has, signs at `now`.
fn signs(style: &Style, all: &[Secret], secret: &Secret, now: Timestamp) -> bool {
    let joins = style.scheme(&secret.scheme).is_some_and(|scheme| scheme.scheme().joins_signatures());
    let own = all.iter().filter(|other| other.scheme == secret.scheme);
    model::signing(own, joins, now).iter().any(|other| other.key == secret.key)
}

/// The text of a secret as its owner is shown it: nothing of a private key that only this server needs.
pub(super) fn shown_text(secret: &Secret) -> String {
    match secret.value.form() {
        KeyForm::Text | KeyForm::Base64 => secret.value.expose().to_owned(),
        KeyForm::Ed25519Seed => String::new(),
    }
}

/// None for a secret that a list of words may hold: the fingerprint would confirm the guess.
fn fingerprint(secret: &Secret) -> String {
    match secret.value.weakness() {
        None => secret.value.fingerprint(),
        Some(_) => String::new(),
    }
}

fn public_key(secret: &Secret) -> String {
    secret.value.public_key().map(|key| key.to_string()).unwrap_or_default()
}

fn read_overlap(overlap: Option<&prost_types::Duration>, violations: &mut Violations) -> Option<Duration> {
    let read = read_duration_in(overlap?, Duration::ZERO..=OVERLAP_MAX, "from 0 to 7 days");
    violations.take("overlap", read)
}

fn read_activate(
    time: Option<&prost_types::Timestamp>,
    now: Timestamp,
    violations: &mut Violations,
) -> Option<Timestamp> {
    let time = violations.take("activate_time", read_timestamp(time?))?;
    if time < now || time > now.plus(ACTIVATE_AHEAD_MAX) {
        violations.add("activate_time", "must lie from now to 90 days ahead");
    }
    Some(time)
}

fn chosen_scheme<'a>(entry: &'a EndpointEntry, name: &str, violations: &mut Violations) -> Option<&'a EndpointScheme> {
    let style = &entry.endpoint.settings.style;
    let found = match style.schemes() {
        [only] if name.is_empty() => Ok(only),
        _ if name.is_empty() => Err("is required: the endpoint has several schemes"),
        _ => style.scheme(name).ok_or("is not the name of a scheme of this endpoint"),
    };
    violations.take("scheme", found)
}

/// How a new secret takes over, as far as the scheme allows.
fn takeover(
    scheme: &EndpointScheme,
    overlap: Option<Duration>,
    activate: Option<Timestamp>,
    violations: &mut Violations,
) -> Option<Takeover> {
    let joins = scheme.scheme().joins_signatures();
    match (joins, overlap, activate) {
        (true, overlap, None) => Some(Takeover::Overlap(overlap.unwrap_or(OVERLAP_DEFAULT))),
        (true, _, Some(_)) => {
            let problem = "must be absent: this scheme signs with old and new secrets side by side from now on";
            violations.add("activate_time", problem);
            None
        }
        (false, None, Some(time)) => Some(Takeover::At(time)),
        (false, None, None) => Some(Takeover::OnActivation),
        (false, Some(_), _) => {
            let problem = "must be absent: a message of this scheme carries one signature; give `activate_time`, or activate \
                           the new secret later";
            violations.add("overlap", problem);
            None
        }
    }
}
