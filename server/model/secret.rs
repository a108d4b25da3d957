//! Signing secrets as endpoints hold them: which scheme signs with each, and when.

use std::sync::Arc;

use super::{SecretKey, Timestamp};
use crate::signing;

/// A signing secret as it is stored, opened.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Its row.
    pub key: SecretKey,
    /// The scheme that signs with it, by its name within the endpoint.
    pub scheme: Arc<str>,
    /// The secret itself, as its owner was shown it.
    pub value: Arc<signing::Secret>,
    /// When it was created.
    pub created: Timestamp,
    /// When it begins to sign.
    pub begins: Begin,
    /// When it stops signing; `None` if nothing ends it.
    pub expires: Option<Timestamp>,
}

/// When a secret begins to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With its creation.
    Created,
    /// At this time.
    At(Timestamp),
    /// Once somebody activates it.
    OnActivation,
}

impl Secret {
    /// Whether it signs at `now` or will later.
    pub fn lives(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    fn has_begun(&self, now: Timestamp) -> bool {
        match self.begins {
            Begin::Created => true,
            Begin::At(begins) => begins <= now,
            Begin::OnActivation => false,
        }
    }
}

/// Which of the secrets of one scheme, newest first, sign at `now`.
///
/// All that have begun and not ended, if a message may carry several signatures (`joins`). If it carries one: the one that
/// ends first, since its successor may not have reached every receiver. And if none has begun, because the clock was set
/// back since one was activated: the one that begins first. So a scheme with a secret that was ever active always signs.
pub fn signing<'a>(secrets: impl Iterator<Item = &'a Secret>, joins: bool, now: Timestamp) -> Vec<&'a Secret> {
    let (mut begun, mut coming) = (Vec::new(), None);
    for secret in secrets.filter(|secret| secret.lives(now)) {
        match secret.begins {
            _ if secret.has_begun(now) => begun.push(secret),
            Begin::At(at) if coming.is_none_or(|(earliest, _)| at < earliest) => coming = Some((at, secret)),
            Begin::At(_) | Begin::Created | Begin::OnActivation => {}
        }
    }
    if begun.is_empty() {
        return coming.map(|(_, secret)| secret).into_iter().collect();
    }
    if !joins {
        let end = |secret: &Secret| secret.expires.map_or(i64::MAX, Timestamp::as_micros);
        begun.sort_by_key(|secret| end(secret));
        begun.truncate(1);
    }
    begun
}

#[cfg(test)]
mod tests;
