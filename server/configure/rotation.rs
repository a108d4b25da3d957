//! Rotating secrets without a moment that receivers cannot follow.
//!
//! Where a message may carry several signatures the old secrets sign beside the new one until the overlap ends. Where it
//! carries one the new secret is issued first, so that receivers learn it, and takes over later, by time or by hand.

use std::{sync::Arc, time::Duration};

use super::{Configurator, Error, Refusal, check_etag, commit_secrets, live, secrets};
use crate::{
    model::{Begin, EndpointKey, Secret, SecretKey, Style, Timestamp, TransitionKind, signing},
    repeat::Call,
    store::{self, Tx},
};

/// Live secrets of one scheme, at most: each may add a signature to every request's header.
pub const SECRETS_MAX: usize = 4;

/// How long old secrets sign beside a new one, unless the caller says otherwise.
pub const OVERLAP_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// The longest that old secrets may sign beside a new one.
pub const OVERLAP_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// A new secret of a scheme, and how it takes the place of those before.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The scheme, by its name within the endpoint.
    pub scheme: Arc<str>,
    /// The new secret, in the scheme's key form.
    pub value: Arc<crate::signing::Secret>,
    /// How it takes over.
    pub takeover: Takeover,
}

/// How a new secret takes the place of those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// It signs from now on, and those before beside it for this long, unless they expire earlier.
    Overlap(Duration),
    /// It signs from this time on, and the one before until then.
    At(Timestamp),
    /// It signs once it is activated, and the one before until then.
    OnActivation,
}

impl Configurator {
    /// Gives a scheme of an endpoint a new secret and returns the scheme's live secrets, newest first. Secrets that have
    /// expired are erased. With `expected` the endpoint's present etag must be that.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Refused`] if the secret is in use, [`Error::SchemeChanged`]
    /// if the takeover does not fit the scheme, [`Error::SecretStaged`], [`Error::TooManySecrets`], [`Error::Reused`],
    /// [`Error::Store`].
    pub async fn rotate_secret<R: Send + Sync + 'static>(
        &self,
        call: impl Into<Call<Vec<Secret>, R>>,
        key: EndpointKey,
        expected: Option<String>,
        rotation: Rotation,
    ) -> Result<R, Error> {
        let (call, shared) = (call.into(), self.shared.clone());
        let tenant = call.tenant();
        let unit = call.write(&self.shared, move |tx, answer| {
            Box::pin(async move {
                let endpoint = live(tx, tenant, key).await?;
                check_etag(&shared, &endpoint, expected)?;
                let now = shared.clock.now();
                check_fit(&endpoint.settings.style, &rotation)?;
                let mut present = secrets(tx, &shared, key).await?;
                present.retain(|secret| secret.scheme == rotation.scheme && secret.lives(now));
                retire(tx, &present, &rotation, now).await?;
                let secret = Secret {
                    key: SecretKey(store::meta::next_key(tx, "secret").await?),
                    scheme: rotation.scheme.clone(),
                    value: rotation.value,
                    created: now,
                    begins: match rotation.takeover {
                        Takeover::Overlap(_) => Begin::Created,
                        Takeover::At(time) => Begin::At(time),
                        Takeover::OnActivation => Begin::OnActivation,
                    },
                    expires: None,
                };
                store::secret::insert(tx, &shared.keyring, tenant, key, &secret).await?;
                commit_secrets(tx, &shared, endpoint, &rotation.scheme, TransitionKind::SecretRotated, answer).await
            })
        });
        unit.await
    }
}

/// The scheme may have changed since the caller looked at it.
fn check_fit(style: &Style, rotation: &Rotation) -> Result<(), Error> {
    let scheme = style.scheme(&rotation.scheme).ok_or(Error::SchemeChanged)?.scheme();
    let overlaps = matches!(rotation.takeover, Takeover::Overlap(_));
    let fits = scheme.definition().key_form == rotation.value.form() && scheme.joins_signatures() == overlaps;
    if fits { Ok(()) } else { Err(Error::SchemeChanged) }
}

/// Sets when the present secrets of the scheme stop signing.
async fn retire(tx: &mut Tx, present: &[Secret], rotation: &Rotation, now: Timestamp) -> Result<(), Error> {
    if present.iter().any(|secret| secret.value.expose() == rotation.value.expose()) {
        let problem = "is in use by this scheme already; give another one, or none to have one made".to_owned();
        return Err(Error::Refused(vec![Refusal { field: "secret".to_owned(), problem }]));
    }
    let signs = signing(present.iter(), true, now);
    let end = match rotation.takeover {
        Takeover::Overlap(overlap) => Some(now.plus(overlap)),
        Takeover::At(_) | Takeover::OnActivation if signs.len() < present.len() => return Err(Error::SecretStaged),
        Takeover::At(time) => Some(time),
        Takeover::OnActivation => None,
    };
    // What does not sign yet was staged while the scheme carried one signature; it goes on waiting.
    let mut staying = present.len() - signs.len();
    for secret in signs {
        let expires = match (secret.expires, end) {
            (Some(expires), Some(end)) => Some(expires.min(end)),
            (expires, end) => expires.or(end),
        };
        if let Some(expires) = expires.filter(|_| secret.expires != expires) {
            store::secret::set_expiry(tx, secret.key, expires).await?;
        }
        staying += usize::from(expires.is_none_or(|expires| now < expires));
    }
    if staying >= SECRETS_MAX { Err(Error::TooManySecrets) } else { Ok(()) }
}
