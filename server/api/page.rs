//! Pages of lists: how much a page holds, and the token that says where the next begins.
//!
//! A token is the position of the last item, enciphered and authenticated under a key of the database's (as in SIV: the
//! authenticator over context and position is the seed of the cipher), so that it tells nothing (of a name, its length)
//! and fits only the list, tenant and filter that it was made for. Every other text is refused in the same words.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use prost::Message;
use sha2::Sha256;

use super::violation::Violations;
use crate::{
    model::{EVENT_TYPE_BYTES_MAX, TenantKey},
    proto::ErrorReason,
};

const PAGE_SIZE_DEFAULT: i32 = 50;
const PAGE_SIZE_MAX: i32 = 1_000;

/// What the items of a page may come to, in bytes, where they may be long: gRPC's clients take answers of up to 4 MiB unless
/// they are told otherwise. One item is given however long it is.
pub(super) const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

const POSITION_BYTES: usize = 16;
/// A name is an event type's at most.
const POSITION_BYTES_MAX: usize = EVENT_TYPE_BYTES_MAX;
const MAC_BYTES: usize = 16;

/// Which list a token is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum List {
    Endpoints = 1,
    Deliveries = 2,
    Attempts = 3,
    /// Its places are names.
    EventTypes = 4,
    EndpointSecrets = 5,
    Events = 10,
    EventRoutes = 11,
    /// Of no tenant's.
    Tenants = 12,
    /// Of one tenant's, or of all.
    Keys = 13,
    /// Of all tenants.
    AuditEntries = 14,
}

/// A place in a list: up to two keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place(pub(super) i64, pub(super) i64);

/// What a token is bound to.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    /// The key to authenticate with.
    pub(super) key: &'a [u8; 32],
    /// Which list.
    pub(super) list: List,
    /// Whose.
    pub(super) tenant: TenantKey,
    /// What it is narrowed down to, in bytes that differ for different filters.
    pub(super) filter: &'a [u8],
}

/// How many items a page holds, or what is wrong with the number.
pub(super) fn read_size(page_size: i32, violations: &mut Violations) -> usize {
    if page_size < 0 {
        violations.add("page_size", "must not be negative; 0 stands for 50");
    }
    let size = if page_size == 0 { PAGE_SIZE_DEFAULT } else { page_size.min(PAGE_SIZE_MAX) };
    usize::try_from(size).unwrap_or(0)
}

/// How many of these messages fit on one page, one at least.
pub(super) fn fitting<M: Message>(items: &[M]) -> usize {
    let mut bytes = 0;
    let fits = |item: &&M| {
        bytes += item.encoded_len();
        bytes <= PAGE_BYTES_MAX
    };
    items.iter().take_while(fits).count().max(1)
}

impl Scope<'_> {
    /// The token of a page that begins after `place`.
    pub(super) fn write(&self, place: Place) -> String {
        let mut position = [0; POSITION_BYTES];
        position[..8].copy_from_slice(&place.0.to_be_bytes());
        position[8..].copy_from_slice(&place.1.to_be_bytes());
        self.seal(&position)
    }

    /// The token of a page that begins after the item of this name.
    pub(super) fn write_name(&self, name: &str) -> String {
        self.seal(name.as_bytes())
    }

    /// Where the page begins that `token` stands for: `None` for the first, and for one that is refused.
    pub(super) fn read(&self, token: &str, violations: &mut Violations) -> Option<Place> {
        self.read_as(token, violations, |position| {
            let (first, second) = position.split_at_checked(8)?;
            Some(Place(i64::from_be_bytes(first.try_into().ok()?), i64::from_be_bytes(second.try_into().ok()?)))
        })
    }

    /// The name of the item that the page begins after: `None` as with [`Scope::read`].
    pub(super) fn read_name(&self, token: &str, violations: &mut Violations) -> Option<String> {
        self.read_as(token, violations, |position| String::from_utf8(position.to_vec()).ok())
    }

    fn read_as<T>(&self, token: &str, violations: &mut Violations, of: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        if token.is_empty() {
            return None;
        }
        let place = self.open(token).and_then(|position| of(&position));
        if place.is_none() {
            violations.add_for(
                ErrorReason::InvalidPageToken,
                "page_token",
                "is not one that this call returned for the same tenant and filter; start again without one",
            );
        }
        place
    }

    fn seal(&self, position: &[u8]) -> String {
        let mac = self.mac(position);
        URL_SAFE_NO_PAD.encode([&mac[..], &self.enciphered(position, &mac)].concat())
    }

    fn open(&self, token: &str) -> Option<Vec<u8>> {
        let mut bytes = [0; MAC_BYTES + POSITION_BYTES_MAX];
        let length = URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).ok()?;
        let (mac, position) = bytes[..length].split_at_checked(MAC_BYTES)?;
        let position = self.enciphered(position, mac);
        let genuine = subtle::ConstantTimeEq::ct_eq(mac, self.mac(&position).as_slice());
        bool::from(genuine).then_some(position)
    }

    fn mac(&self, position: &[u8]) -> [u8; MAC_BYTES] {
        let filter_bytes = u64::try_from(self.filter.len()).unwrap_or(u64::MAX);
        self.hash(&[
            b"page",
            &[self.list as u8],
            &self.tenant.0.to_be_bytes(),
            &filter_bytes.to_be_bytes(),
            self.filter,
            position,
        ])
    }

    /// Enciphers a position, or deciphers it.
    fn enciphered(&self, position: &[u8], mac: &[u8]) -> Vec<u8> {
        let blocks = (0_u8..).zip(position.chunks(MAC_BYTES));
        let stream = blocks.map(|(number, block)| (block, self.hash(&[b"page cipher", mac, &[number]])));
        stream
            .flat_map(|(block, key)| block.iter().zip(key).map(|(byte, key)| byte ^ key).collect::<Vec<_>>())
            .collect()
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
        let mut hmac = Hmac::<Sha256>::new_from_slice(self.key).expect("HMAC takes keys of any length");
        for part in parts {
            hmac.update(part);
        }
        let mut hash = [0; MAC_BYTES];
        hash.copy_from_slice(&hmac.finalize().into_bytes()[..MAC_BYTES]);
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn scope(list: List, tenant: i64, filter: &[u8]) -> Scope<'_> {
        Scope { key: &KEY, list, tenant: TenantKey(tenant), filter }
    }

    fn refused(scope: &Scope<'_>, token: &str) -> Violations {
        let mut violations = Violations::default();
        assert_eq!(scope.read(token, &mut violations), None, "{token}");
        violations
    }

    #[test]
    fn a_token_leads_back_to_its_place() {
        let scope = scope(List::Deliveries, 1, b"filter");
        for place in [Place(0, 0), Place(1, 2), Place(i64::MAX, -1), Place(i64::MIN, i64::MAX)] {
            let mut violations = Violations::default();
            assert_eq!(scope.read(&scope.write(place), &mut violations), Some(place));
            assert_eq!(violations, Violations::default());
        }
    }

    #[test]
    fn a_token_leads_back_to_its_name() {
        let scope = scope(List::EventTypes, 1, b"");
        for length in [1, 15, 16, 17, 128] {
            let name = "a.b-C_9.".repeat(16)[..length].to_owned();
            let mut violations = Violations::default();
            assert_eq!(scope.read_name(&scope.write_name(&name), &mut violations), Some(name));
            assert_eq!(violations, Violations::default());
        }
        let mut violations = Violations::default();
        assert_eq!(scope.read_name(&scope.write(Place(1, -1)), &mut violations), None, "not UTF-8");
        assert_eq!(violations.reason(), ErrorReason::InvalidPageToken);
    }

    #[test]
    fn other_tokens_are_refused_in_the_same_words() {
        let own = scope(List::Deliveries, 1, b"filter");
        let garbage = refused(&own, "garbage");
        assert_eq!(garbage.reason(), ErrorReason::InvalidPageToken);
        let place = Place(5, 6);
        let foreign = [
            scope(List::Attempts, 1, b"filter").write(place),
            scope(List::Deliveries, 2, b"filter").write(place),
            scope(List::Deliveries, 1, b"other").write(place),
            Scope { key: &[8; 32], ..scope(List::Deliveries, 1, b"filter") }.write(place),
            format!("{}A", own.write(place)),
            own.write(place)[1..].to_owned(),
            "AAAA".repeat(1_000),
            "' OR 1=1".to_owned(),
        ];
        for token in foreign {
            assert_eq!(refused(&own, &token), garbage);
        }
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let own = scope(List::Endpoints, 1, b"");
        let token = own.write(Place(5, 6));
        for index in 0..token.len() {
            let other = if token.as_bytes()[index] == b'A' { "B" } else { "A" };
            let mut tampered = token.clone();
            tampered.replace_range(index..=index, other);
            refused(&own, &tampered);
        }
    }

    #[test]
    fn a_token_tells_nothing_of_its_place() {
        let own = scope(List::Endpoints, 1, b"");
        let (first, second) = (own.write(Place(1, 0)), own.write(Place(2, 0)));
        let same = first.bytes().zip(second.bytes()).filter(|(a, b)| a == b).count();
        assert!(same < 12, "{first} {second}");
    }

    #[test]
    fn as_many_messages_fit_as_there_is_room_for_and_one_at_least() {
        let half = PAGE_BYTES_MAX / 2;
        // A message of one field of bytes. Its tag and its length take four more.
        let item = |bytes: usize| vec![7_u8; bytes - 4];
        assert_eq!(item(half).encoded_len(), half);
        assert_eq!(fitting(&[item(half), item(half), item(5)]), 2);
        assert_eq!(fitting(&[item(half), item(half + 1)]), 1);
        assert_eq!(fitting(&[item(2 * PAGE_BYTES_MAX), item(5)]), 1);
    }

    #[test]
    fn page_sizes_have_a_default_and_a_maximum() {
        let mut violations = Violations::default();
        for (given, taken) in [(0, 50), (1, 1), (1_000, 1_000), (1_001, 1_000), (i32::MAX, 1_000)] {
            assert_eq!(read_size(given, &mut violations), taken);
        }
        assert_eq!(violations, Violations::default());
        read_size(-1, &mut violations);
        assert_ne!(violations, Violations::default());
    }
}
