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
    /// Whether it signs at `now`.
    pub fn signs(&self, now: Timestamp) -> bool {
        let begun = match self.begins {
            Begin::Created => true,
            Begin::At(begins) => begins <= now,
            Begin::OnActivation => false,
        };
        begun && self.lives(now)
    }

    /// Whether it signs at `now` or will later.
    pub fn lives(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}
