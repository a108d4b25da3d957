//! Resume tokens: how far a stream has come, authenticated, and worth nothing to another tenant or filter.
//!
//! A token is base64url of a version byte, the position (28 bytes, most significant first) and the first half of an
//! HMAC-SHA256 over tenant, filter and position. Whatever else is given is refused without saying why.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::filter::Selector;
use crate::model::Timestamp;

/// Sets these apart from everything else that is authenticated under the same key.
const DOMAIN: &[u8] = b"tidings watch resume token\0";

/// The form of tokens written now.
const VERSION: u8 = 1;

const POSITION_BYTES: usize = 28;
const TAG_BYTES: usize = 16;
const TOKEN_BYTES: usize = 1 + POSITION_BYTES + TAG_BYTES;
/// Without padding, as the bytes come in threes.
const TOKEN_CHARS: usize = TOKEN_BYTES / 3 * 4;

/// Stands for "the whole row".
const WHOLE: u32 = u32::MAX;

/// How far a stream has consumed the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The last row of which something was consumed; all before it were consumed whole.
    pub(crate) seq: i64,
    /// That row's mark; 0 for the place before the oldest row.
    pub(crate) mark: i64,
    /// The last transition consumed of that row; `None`: all of it.
    pub(crate) index: Option<u32>,
    /// Rows committed before this are passed over.
    pub(crate) not_before: Timestamp,
}

impl Position {
    /// The row that is to be read next.
    pub(crate) fn next_seq(&self) -> i64 {
        if self.index.is_some() { self.seq } else { self.seq.saturating_add(1) }
    }
}

/// Writes and reads the tokens of one tenant and filter.
#[derive(Clone)]
pub(crate) struct Tokens {
    /// Has taken in everything that does not change from token to token.
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(…)")
    }
}

impl Tokens {
    /// The tokens of what `selector` selects, under the database's key.
    pub(crate) fn new(key: &[u8; 32], selector: &Selector) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(DOMAIN);
        mac.update(&selector.canonical());
        Self { mac }
    }

    /// Writes a token.
    pub(crate) fn write(&self, position: &Position) -> String {
        let mut bytes = Vec::with_capacity(TOKEN_BYTES);
        bytes.push(VERSION);
        bytes.extend(position.seq.to_be_bytes());
        bytes.extend(position.mark.to_be_bytes());
        bytes.extend(position.index.unwrap_or(WHOLE).to_be_bytes());
        bytes.extend(position.not_before.as_micros().to_be_bytes());
        let tag = self.mac.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend(&tag[..TAG_BYTES]);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token; `None` if it was not written by [`Tokens::write`] for the same key, tenant and filter.
    pub(crate) fn read(&self, token: &str) -> Option<Position> {
        if token.len() != TOKEN_CHARS {
            return None;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (signed, tag) = bytes.split_at_checked(1 + POSITION_BYTES)?;
        self.mac.clone().chain_update(signed).verify_truncated_left(tag).ok()?;
        let (&version, signed) = signed.split_first()?;
        let (seq, signed) = signed.split_first_chunk()?;
        let (mark, signed) = signed.split_first_chunk()?;
        let (index, signed) = signed.split_first_chunk()?;
        let (not_before, _) = signed.split_first_chunk()?;
        let index = u32::from_be_bytes(*index);
        (version == VERSION && tag.len() == TAG_BYTES).then_some(Position {
            seq: i64::from_be_bytes(*seq),
            mark: i64::from_be_bytes(*mark),
            index: (index != WHOLE).then_some(index),
            not_before: Timestamp::from_micros(i64::from_be_bytes(*not_before)),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{DeliveryFilter, EndpointKey, TenantKey};

    fn tokens(key: u8, tenant: i64, endpoints: &[i64]) -> Tokens {
        let endpoints = endpoints.iter().map(|key| EndpointKey(*key)).collect();
        let filter = DeliveryFilter { endpoints, ..DeliveryFilter::default() };
        Tokens::new(&[key; 32], &Selector::new(TenantKey(tenant), &filter))
    }

    fn position(seq: i64, index: Option<u32>) -> Position {
        Position { seq, mark: 77, index, not_before: Timestamp::from_micros(5) }
    }

    #[test]
    fn token_of_another_key_tenant_or_filter_is_refused() {
        let token = tokens(1, 1, &[3]).write(&position(4, Some(2)));
        assert_eq!(tokens(1, 1, &[3]).read(&token), Some(position(4, Some(2))));
        for other in [tokens(2, 1, &[3]), tokens(1, 2, &[3]), tokens(1, 1, &[4]), tokens(1, 1, &[])] {
            assert_eq!(other.read(&token), None);
        }
    }

    #[test]
    fn token_has_one_text_only() {
        let tokens = tokens(1, 1, &[]);
        let token = tokens.write(&position(4, None));
        for wrong in [format!("{token}="), format!(" {token}"), token[1..].to_owned(), String::new(), "é".repeat(30)] {
            assert_eq!(tokens.read(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn next_row_is_the_same_one_while_something_of_it_is_left() {
        assert_eq!(position(4, Some(0)).next_seq(), 4);
        assert_eq!(position(4, None).next_seq(), 5);
    }

    proptest! {
        #[test]
        fn positions_survive_and_any_change_is_noticed(
            seq: i64, mark: i64, index in prop::option::of(0..u32::MAX), micros: i64, place: prop::sample::Index, with in "[A-Za-z0-9_-]",
        ) {
            let tokens = tokens(9, 1, &[1, 2]);
            let position = Position { seq, mark, index, not_before: Timestamp::from_micros(micros) };
            let token = tokens.write(&position);
            prop_assert_eq!(tokens.read(&token), Some(position));
            let place = place.index(token.len());
            let changed = format!("{}{with}{}", &token[..place], &token[place + 1..]);
            prop_assert!(changed == token || tokens.read(&changed).is_none());
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text in ".{0,80}") {
            prop_assert_eq!(tokens(1, 1, &[]).read(&text), None);
        }
    }
}
