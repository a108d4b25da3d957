//! API keys: whose, for what, until when; and the text that their holders have.
//!
//! The text is `tdk_`, the key's id, `_`, and its secret: 256 random bits. Of the secret only the SHA-256 is stored. That
//! is enough for one that cannot be guessed; what slows guesses down would slow every call down.

use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{
    Scopes, TenantKey, Timestamp,
    id::{push_base32, read_base32},
};

/// What keys begin with.
pub const API_KEY_PREFIX: &str = "tdk_";

/// What a key's public id begins with.
const ID_PREFIX: &str = "key_";

/// Characters of an id, and of each half of a secret.
const BLOCK_CHARS: usize = 26;

/// Which key it is, for people and for look-ups: random, not secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKeyId(pub u128);

impl ApiKeyId {
    /// The id without its prefix, as it stands in keys and in the database.
    pub fn text(self) -> String {
        let mut text = String::with_capacity(BLOCK_CHARS);
        push_base32(&mut text, self.0);
        text
    }

    /// Reads what [`ApiKeyId::text`] writes.
    pub fn from_text(text: &str) -> Option<Self> {
        read_base32(text).map(Self)
    }

    /// Reads a public id.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(id: &str) -> Result<Self, super::IdError> {
        let text = id.strip_prefix(ID_PREFIX).ok_or(super::IdError::Prefix(ID_PREFIX))?;
        Self::from_text(text).ok_or(super::IdError::Malformed)
    }
}

/// The public id.
impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ID_PREFIX}{}", self.text())
    }
}

impl fmt::Debug for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key as its holder has it: its id and its secret. Shows nothing of the secret unless asked for its text.
#[derive(Clone, PartialEq, Eq)]
pub struct HeldKey {
    /// Its id.
    pub id: ApiKeyId,
    secret: Zeroizing<[u8; 32]>,
}

impl HeldKey {
    /// The key of these random numbers.
    pub fn new(id: u128, secret: Zeroizing<[u8; 32]>) -> Self {
        Self { id: ApiKeyId(id), secret }
    }

    /// Reads a key's text; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(API_KEY_PREFIX)?;
        let (id, secret) = rest.split_once('_')?;
        let (first, second) = secret.split_at_checked(BLOCK_CHARS)?;
        let mut bytes = Zeroizing::new([0; 32]);
        bytes[..16].copy_from_slice(&read_base32(first)?.to_be_bytes());
        bytes[16..].copy_from_slice(&read_base32(second)?.to_be_bytes());
        Some(Self { id: ApiKeyId::from_text(id)?, secret: bytes })
    }

    /// The key's text.
    pub fn text(&self) -> Zeroizing<String> {
        // Of its full length from the start: growing would leave copies behind that nobody wipes.
        let mut text = Zeroizing::new(String::with_capacity(API_KEY_PREFIX.len() + 3 * BLOCK_CHARS + 1));
        text.push_str(API_KEY_PREFIX);
        push_base32(&mut text, self.id.0);
        text.push('_');
        for half in self.secret.as_chunks::<16>().0 {
            push_base32(&mut text, u128::from_be_bytes(*half));
        }
        text
    }

    /// What is stored of the secret.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(*self.secret).into()
    }
}

impl fmt::Debug for HeldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeldKey({}, …)", self.id)
    }
}

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its row; keys are listed in this order.
    pub key: i64,
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is; an operator's if `None`.
    pub tenant: Option<TenantKey>,
    /// A name for people.
    pub display_name: String,
    /// What its holder may do.
    pub scopes: Scopes,
    /// [`HeldKey::hash`].
    pub hash: [u8; 32],
    /// When it was made.
    pub created: Timestamp,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random() -> HeldKey {
        HeldKey::new(rand::random(), Zeroizing::new(rand::random()))
    }

    #[test]
    fn texts_lead_back_and_ids_stand_in_them() {
        for _ in 0..100 {
            let key = random();
            let text = key.text();
            assert_eq!((text.len(), text.capacity()), (83, 83));
            assert_eq!(HeldKey::parse(&text).as_ref(), Some(&key));
            assert!(text[4..].starts_with(&key.id.text()));
            assert_eq!(ApiKeyId::parse(&key.id.to_string()), Ok(key.id));
        }
    }

    #[test]
    fn every_changed_character_makes_another_key_or_none() {
        let key = random();
        let text = key.text();
        for place in 0..text.len() {
            for digit in ["0", "7", "z", "_", "Z", "l"] {
                let mut other = text.to_string();
                other.replace_range(place..=place, digit);
                let same = HeldKey::parse(&other).is_some_and(|other| other.id == key.id && other.hash() == key.hash());
                assert_eq!(same, other == *text, "{place} {digit}");
            }
        }
    }

    #[test]
    fn what_is_no_key_is_not_read() {
        let text = random().text();
        let cut = [0, 3, 4, 29, 30, 31, 57, 82].map(|length| text[..length].to_owned());
        let wrong = ["tdk_", "tdk__", "Bearer", "tdk_é", "key_00000000000000000000000000"].map(str::to_owned);
        let odd = [format!("{}0", *text), format!(" {}", *text), text.to_uppercase(), text.replacen("tdk", "tdd", 1)];
        for wrong in cut.iter().chain(&wrong).chain(&odd) {
            assert_eq!(HeldKey::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn debug_shows_the_id_alone() {
        let key = random();
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.id.to_string()) && !shown.contains(&key.text()[31..]), "{shown}");
    }
}
