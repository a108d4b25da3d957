//! Which secrets an endpoint's schemes begin with, and which they keep when its style changes.

use std::sync::Arc;

use super::{Error, Refusal};
use crate::{
    model::{Begin, EndpointKey, EndpointScheme, Secret, SecretKey, Style, TenantKey, Timestamp},
    shared::Shared,
    signing,
    store::{self, Tx},
};

/// A secret to import for a scheme.
#[derive(Clone, Debug)]
pub struct NewSecret {
    /// The scheme, by its name within the endpoint.
    pub scheme: String,
    /// The secret, in the scheme's key form.
    pub value: Arc<signing::Secret>,
}

/// Whose secrets are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) tenant: TenantKey,
    pub(super) endpoint: EndpointKey,
    pub(super) now: Timestamp,
}

/// Brings an endpoint's secrets to a style: erases those of schemes that are gone or read keys in another form, and gives each
/// scheme without a secret the one to import for it, or a new one. Returns those, in the schemes' order.
pub(super) async fn settle(
    tx: &mut Tx,
    shared: &Shared,
    owner: Owner,
    style: &Style,
    present: &[Secret],
    imported: &[NewSecret],
) -> Result<Vec<Secret>, Error> {
    let fits = |secret: &Secret, scheme: &EndpointScheme| {
        secret.scheme == scheme.name && secret.value.form() == scheme.scheme().definition().key_form
    };
    for secret in present {
        if !style.schemes().iter().any(|scheme| fits(secret, scheme)) {
            store::secret::delete(tx, secret.key).await?;
        }
    }
    let signs = |scheme: &EndpointScheme| present.iter().any(|secret| fits(secret, scheme) && secret.signs(owner.now));
    check_wanted(style, imported, signs)?;
    let mut issued = Vec::new();
    for scheme in style.schemes().iter().filter(|scheme| !signs(scheme)) {
        let import = imported.iter().find(|secret| *secret.scheme == *scheme.name);
        let value = match import {
            Some(import) => import.value.clone(),
            None => Arc::new(signing::Secret::generate(scheme.scheme().definition().key_form)),
        };
        let secret = Secret {
            key: SecretKey(store::meta::next_key(tx, "secret").await?),
            scheme: scheme.name.clone(),
            value,
            created: owner.now,
            begins: Begin::Created,
            expires: None,
        };
        store::secret::insert(tx, &shared.keyring, owner.tenant, owner.endpoint, &secret).await?;
        issued.push(secret);
    }
    Ok(issued)
}

/// Refuses secrets for schemes that there are not, or that go on with theirs.
fn check_wanted(style: &Style, imported: &[NewSecret], signs: impl Fn(&EndpointScheme) -> bool) -> Result<(), Error> {
    let mut refused = Vec::new();
    for (index, secret) in imported.iter().enumerate() {
        let problem = match style.scheme(&secret.scheme) {
            None => "is not the name of a scheme of this endpoint",
            Some(scheme) if signs(scheme) => "is a scheme that keeps its secrets; rotate them to change them",
            Some(_) => continue,
        };
        refused.push(Refusal { field: format!("secrets[{index}].scheme"), problem: problem.to_owned() });
    }
    if refused.is_empty() { Ok(()) } else { Err(Error::Refused(refused)) }
}
