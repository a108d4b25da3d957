//! Sealing: what is secret stands encrypted in the database, bound to the place where it stands.
//!
//! A record is a version byte (1), the id of the key it was sealed with (8 bytes), a nonce (24) and what
//! XChaCha20-Poly1305 makes of the plain bytes. The header and the place are authenticated, so that a record moved to
//! another row, column or tenant does not open. New records are sealed with the first key of the ring; the others only
//! open older ones. Keys never appear in Debug output, errors or logs.

use std::fmt;

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use rand::Rng as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

mod key_file;
mod table;

pub(super) use self::table::RowKey;
pub use self::{key_file::KeyFileError, table::SealedTable};

/// The form of records written now.
const VERSION: u8 = 1;

/// The length of a key, in bytes.
const KEY_BYTES: usize = 32;

const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
pub(super) const HEADER_BYTES: usize = 1 + KEY_ID_BYTES;

/// Where a sealed value stands. [`SealedTable`] makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The table.
    table: &'a str,
    /// Whose row it is.
    tenant: i64,
    /// The row's key.
    row: i64,
    /// The column.
    column: &'a str,
}

/// Why a record does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was sealed with a key that is not in the ring.
    #[error("the record was sealed with a key that this server does not have")]
    UnknownKey,
    /// It is damaged, or it was sealed for another place.
    #[error("the record is damaged or belongs elsewhere")]
    Corrupt,
    /// Its form is of a version that is not known here.
    #[error("the record has a form that this version does not know")]
    Version,
}

/// The keys that seal and open: one active, others for reading. Cheap enough to clone at start; share it by `Arc`.
#[derive(Clone)]
pub struct Keyring {
    active: Key,
    others: Vec<Key>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(…)")
    }
}

/// A ring of this one key.
impl From<[u8; KEY_BYTES]> for Keyring {
    fn from(key: [u8; KEY_BYTES]) -> Self {
        Self::new(&Zeroizing::new(key), &[])
    }
}

/// Tells a key from others without telling the key: the first 8 bytes of its SHA-256, in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; KEY_ID_BYTES]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl Keyring {
    /// A ring that seals with `active` and also opens what was sealed with `others`.
    pub fn new(active: &[u8; KEY_BYTES], others: &[[u8; KEY_BYTES]]) -> Self {
        Self { active: Key::new(active), others: others.iter().map(Key::new).collect() }
    }

    /// Seals `plain` for its place with the active key.
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let mut record = Vec::with_capacity(HEADER_BYTES + NONCE_BYTES + plain.len() + TAG_BYTES);
        record.extend_from_slice(&self.active_header());
        let aad = associated_data(&record, place);
        record.extend_from_slice(&nonce);
        let sealed = self
            .active
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &aad })
            .expect("the cipher takes up to 256 GiB, which no column holds");
        record.extend_from_slice(&sealed);
        record
    }

    /// Opens a record that was sealed for this place.
    pub fn open(&self, place: Place<'_>, record: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let id = key_id(record)?;
        let (header, rest) = record.split_at_checked(HEADER_BYTES).ok_or(SealError::Corrupt)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Corrupt)?;
        let key = self.key(id).ok_or(SealError::UnknownKey)?;
        let aad = associated_data(header, place);
        let plain = key.cipher().decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad });
        plain.map(Zeroizing::new).map_err(|_| SealError::Corrupt)
    }

    /// The key that seals.
    pub fn active(&self) -> KeyId {
        KeyId(self.active.id)
    }

    /// The keys that only open.
    pub fn others(&self) -> impl Iterator<Item = KeyId> {
        self.others.iter().map(|key| KeyId(key.id)).filter(|id| *id != self.active())
    }

    /// What records begin with that are sealed now.
    pub(in crate::store) fn active_header(&self) -> [u8; HEADER_BYTES] {
        let mut header = [VERSION; HEADER_BYTES];
        header[1..].copy_from_slice(&self.active.id);
        header
    }

    fn key(&self, id: KeyId) -> Option<&Key> {
        std::iter::once(&self.active).chain(&self.others).find(|key| key.id == id.0)
    }
}

/// The key that a record was sealed with. The first [`HEADER_BYTES`] of the record do.
pub(in crate::store) fn key_id(record: &[u8]) -> Result<KeyId, SealError> {
    match record.split_first() {
        Some((&VERSION, rest)) => rest.first_chunk().copied().map(KeyId).ok_or(SealError::Corrupt),
        Some(_) => Err(SealError::Version),
        None => Err(SealError::Corrupt),
    }
}

/// A key and its id, the first 8 bytes of its SHA-256.
#[derive(Clone)]
struct Key {
    id: [u8; KEY_ID_BYTES],
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl Key {
    fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        let digest = Sha256::digest(bytes);
        Self { id: std::array::from_fn(|place| digest[place]), bytes: Zeroizing::new(*bytes) }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.bytes).into())
    }
}

/// The record's header and its place. Names stand after their lengths, so that no two places give the same bytes.
fn associated_data(header: &[u8], place: Place<'_>) -> Vec<u8> {
    let mut data = header.to_vec();
    for name in [place.table, place.column] {
        data.extend_from_slice(&(name.len() as u64).to_be_bytes());
        data.extend_from_slice(name.as_bytes());
    }
    data.extend_from_slice(&place.tenant.to_be_bytes());
    data.extend_from_slice(&place.row.to_be_bytes());
    data
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place<'static> = Place { table: "secrets", tenant: 1, row: 2, column: "sealed" };

    fn ring() -> Keyring {
        Keyring::new(&[1; 32], &[])
    }

    #[test]
    fn record_has_version_key_id_nonce_and_tag() {
        let record = ring().seal(PLACE, b"abc");
        assert_eq!(record.len(), 1 + 8 + 24 + 3 + 16);
        assert_eq!(record[0], 1);
        assert_eq!(record[1..9], Sha256::digest([1; 32])[..8]);
        assert_ne!(record, ring().seal(PLACE, b"abc"), "nonces are fresh");
    }

    #[test]
    fn a_record_opens_in_its_place_only() {
        let record = ring().seal(PLACE, b"abc");
        assert_eq!(ring().open(PLACE, &record).unwrap().as_slice(), b"abc");
        for elsewhere in [
            Place { table: "secret", column: "ssealed", ..PLACE },
            Place { table: "sealed", column: "secrets", ..PLACE },
            Place { tenant: 2, row: 1, ..PLACE },
            Place { tenant: 2, ..PLACE },
            Place { row: 3, ..PLACE },
            Place { column: "other", ..PLACE },
        ] {
            assert_eq!(ring().open(elsewhere, &record), Err(SealError::Corrupt), "{elsewhere:?}");
        }
    }

    #[test]
    fn older_keys_open_but_do_not_seal() {
        let old = ring().seal(PLACE, b"abc");
        let newer = Keyring::new(&[2; 32], &[[1; 32]]);
        assert_eq!(newer.open(PLACE, &old).unwrap().as_slice(), b"abc");
        assert_eq!(ring().open(PLACE, &newer.seal(PLACE, b"abc")), Err(SealError::UnknownKey));
    }

    #[test]
    fn other_versions_and_short_records_are_told_apart() {
        let mut record = ring().seal(PLACE, b"");
        assert_eq!(ring().open(PLACE, &record).unwrap().as_slice(), b"");
        for length in 0..record.len() {
            assert_eq!(ring().open(PLACE, &record[..length]), Err(SealError::Corrupt), "{length}");
        }
        record[0] = 2;
        assert_eq!(ring().open(PLACE, &record), Err(SealError::Version));
    }

    #[test]
    fn key_of_a_record_is_known_by_its_beginning() {
        let ring = Keyring::new(&[2; 32], &[[1; 32], [2; 32]]);
        let record = ring.seal(PLACE, b"abc");
        assert_eq!(record[..HEADER_BYTES], ring.active_header());
        assert_eq!(key_id(&record[..HEADER_BYTES]), Ok(ring.active()));
        assert_eq!(ring.others().collect::<Vec<_>>(), [self::ring().active()], "the active one is none of the others");
        assert_eq!(self::ring().active().to_string(), "72cd6e8422c407fb");
        assert_eq!(key_id(&[]), Err(SealError::Corrupt));
        assert_eq!(key_id(&[1; 8]), Err(SealError::Corrupt));
        assert_eq!(key_id(&[2; 9]), Err(SealError::Version));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", ring()), "Keyring(…)");
    }

    proptest! {
        #[test]
        fn any_bytes_are_sealed_and_every_changed_bit_is_noticed(
            plain in prop::collection::vec(any::<u8>(), 0..100),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let mut record = ring().seal(PLACE, &plain);
            prop_assert_eq!(&*ring().open(PLACE, &record).unwrap(), &plain);
            let at = at.index(record.len());
            record[at] ^= 1 << bit;
            let expected = match at {
                0 => SealError::Version,
                1..9 => SealError::UnknownKey,
                _ => SealError::Corrupt,
            };
            prop_assert_eq!(ring().open(PLACE, &record), Err(expected));
        }
    }
}
