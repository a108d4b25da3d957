//! The opaque ids that callers see: keys inside, a keyed permutation outside, so that no column and no look-up is needed
//! and nothing can be read from an id or counted by it.
//!
//! Ids of events are the exception. They are kept as text, for publishers may choose them, and what the server makes is
//! laid out as a ULID (<https://github.com/ulid/spec>): ids that rise with time are added at the end of an index, here and
//! in every receiver that keeps the ids it has seen. Nothing is told by it but a time that the event tells anyway.
//!
//! Any other id is its prefix and 26 characters of lower-case Crockford base32: one AES-256 block of kind (8 bits), first key
//! (56), second key (40) and number (24). A block that was not made under the codec's key has the right kind and zeros
//! in its unused fields only by chance, so a guessed id is found malformed rather than unknown.

use std::{fmt, sync::Arc};

use aes::{
    Aes256,
    cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};

use super::{DeliveryKey, EndpointKey, EventKey, SecretKey, Timestamp};

const FIRST_BITS: u32 = 56;
const SECOND_BITS: u32 = 40;
const NUMBER_BITS: u32 = 24;

/// A ULID's lower bits: 48 of milliseconds stand before them.
const ULID_RANDOM_BITS: u32 = 80;

/// How many base32 characters a block takes: 128 bits by fives, the first character having three.
const TEXT_LEN: usize = 26;

/// Digits and letters without i, l, o and u (Crockford), lower case.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Makes ids of keys and keys of ids, under one secret key.
///
/// Keys are counters from 1. One that does not fit its field (2^56 events, 2^40 endpoints of a delivery, 2^24 attempts)
/// is shown as the field's greatest value, which no counter reaches.
#[derive(Clone)]
pub struct IdCodec {
    cipher: Arc<Aes256>,
}

impl fmt::Debug for IdCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdCodec(…)")
    }
}

/// An attempt: a delivery and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptId {
    /// The delivery.
    pub delivery: DeliveryKey,
    /// From 1.
    pub number: u32,
}

/// An id that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// It does not start with the prefix of its kind.
    #[error("must start with `{0}`")]
    Prefix(&'static str),
    /// What follows the prefix is not of the right form.
    #[error("is malformed")]
    Malformed,
}

impl IdCodec {
    /// A codec under `key`.
    pub fn new(key: &[u8; 32]) -> Self {
        Self { cipher: Arc::new(Aes256::new(key.into())) }
    }

    /// `ep_…`
    pub fn endpoint(&self, key: EndpointKey) -> String {
        self.encode(Kind::Endpoint, Fields { first: key.0, ..Fields::default() })
    }

    /// `evt_…`, for an event of that time whose publisher gave none: a ULID whose random bits are those of the permuted
    /// key. Event ids are looked up as text, never parsed.
    pub fn event(&self, key: EventKey, created: Timestamp) -> String {
        let permuted = self.permute(Kind::Event, Fields { first: key.0, ..Fields::default() });
        let millis = u128::try_from(created.as_micros() / 1_000).unwrap_or(0);
        let random = permuted & ((1 << ULID_RANDOM_BITS) - 1);
        write(Kind::Event, (millis << ULID_RANDOM_BITS) | random)
    }

    /// `dlv_…`
    pub fn delivery(&self, key: DeliveryKey) -> String {
        self.encode(Kind::Delivery, Fields { first: key.event.0, second: key.endpoint.0, number: 0 })
    }

    /// `att_…`
    pub fn attempt(&self, id: AttemptId) -> String {
        let DeliveryKey { event, endpoint } = id.delivery;
        self.encode(Kind::Attempt, Fields { first: event.0, second: endpoint.0, number: i64::from(id.number) })
    }

    /// `sec_…`
    pub fn secret(&self, key: SecretKey) -> String {
        self.encode(Kind::Secret, Fields { first: key.0, ..Fields::default() })
    }

    /// `aud_…`, for an entry of the audit log. Nothing asks for one by its id, so none is parsed.
    pub fn audit_entry(&self, key: i64) -> String {
        self.encode(Kind::AuditEntry, Fields { first: key, ..Fields::default() })
    }

    /// Reads `ep_…`.
    pub fn parse_endpoint(&self, id: &str) -> Result<EndpointKey, IdError> {
        match self.decode(Kind::Endpoint, id)? {
            Fields { first, second: 0, number: 0 } => Ok(EndpointKey(first)),
            Fields { .. } => Err(IdError::Malformed),
        }
    }

    /// Reads `sec_…`.
    pub fn parse_secret(&self, id: &str) -> Result<SecretKey, IdError> {
        match self.decode(Kind::Secret, id)? {
            Fields { first, second: 0, number: 0 } => Ok(SecretKey(first)),
            Fields { .. } => Err(IdError::Malformed),
        }
    }

    /// Reads `dlv_…`.
    pub fn parse_delivery(&self, id: &str) -> Result<DeliveryKey, IdError> {
        match self.decode(Kind::Delivery, id)? {
            Fields { first, second, number: 0 } => {
                Ok(DeliveryKey { event: EventKey(first), endpoint: EndpointKey(second) })
            }
            Fields { .. } => Err(IdError::Malformed),
        }
    }

    fn encode(&self, kind: Kind, fields: Fields) -> String {
        write(kind, self.permute(kind, fields))
    }

    fn permute(&self, kind: Kind, fields: Fields) -> u128 {
        let mut block = Array(pack(kind, fields).to_be_bytes());
        self.cipher.encrypt_block(&mut block);
        u128::from_be_bytes(block.0)
    }

    fn decode(&self, kind: Kind, id: &str) -> Result<Fields, IdError> {
        let text = id.strip_prefix(kind.prefix()).ok_or(IdError::Prefix(kind.prefix()))?;
        let mut block = Array(read_base32(text).ok_or(IdError::Malformed)?.to_be_bytes());
        self.cipher.decrypt_block(&mut block);
        unpack(kind, u128::from_be_bytes(block.0)).ok_or(IdError::Malformed)
    }
}

/// What an id is of. The numbers are part of every id ever given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Endpoint = 1,
    Event = 2,
    Delivery = 3,
    Attempt = 4,
    Secret = 5,
    AuditEntry = 6,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Endpoint => "ep_",
            Self::Event => "evt_",
            Self::Delivery => "dlv_",
            Self::Attempt => "att_",
            Self::Secret => "sec_",
            Self::AuditEntry => "aud_",
        }
    }
}

/// What a block holds beside the kind; zero where a kind has no use for a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fields {
    first: i64,
    second: i64,
    number: i64,
}

fn pack(kind: Kind, fields: Fields) -> u128 {
    let mut block = u128::from(kind as u8);
    for (value, bits) in [(fields.first, FIRST_BITS), (fields.second, SECOND_BITS), (fields.number, NUMBER_BITS)] {
        let greatest = (1_u64 << bits) - 1;
        let value = u64::try_from(value).unwrap_or(greatest).min(greatest);
        block = (block << bits) | u128::from(value);
    }
    block
}

fn unpack(kind: Kind, block: u128) -> Option<Fields> {
    let field = |shift: u32, bits: u32| i64::try_from((block >> shift) & ((1 << bits) - 1)).ok();
    let fields = Fields {
        first: field(SECOND_BITS + NUMBER_BITS, FIRST_BITS)?,
        second: field(NUMBER_BITS, SECOND_BITS)?,
        number: field(0, NUMBER_BITS)?,
    };
    let found = block >> (FIRST_BITS + SECOND_BITS + NUMBER_BITS);
    (found == u128::from(kind as u8)).then_some(fields)
}

/// The prefix and the block.
fn write(kind: Kind, block: u128) -> String {
    let prefix = kind.prefix();
    let mut id = String::with_capacity(prefix.len() + TEXT_LEN);
    id.push_str(prefix);
    push_base32(&mut id, block);
    id
}

/// Writes 26 characters of lower-case Crockford base32.
pub(super) fn push_base32(text: &mut String, value: u128) {
    let digits = (0..TEXT_LEN).rev().map(|place| ALPHABET[(value >> (5 * place)) as usize & 31]);
    text.extend(digits.map(char::from));
}

/// `None` unless `text` is what [`push_base32`] writes for some value.
pub(super) fn read_base32(text: &str) -> Option<u128> {
    if text.len() != TEXT_LEN {
        return None;
    }
    let mut value: u128 = 0;
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|&letter| letter == byte)?;
        if value.leading_zeros() < 5 {
            return None;
        }
        value = (value << 5) | digit as u128;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn codec() -> IdCodec {
        IdCodec::new(&[7; 32])
    }

    fn delivery(event: i64, endpoint: i64) -> DeliveryKey {
        DeliveryKey { event: EventKey(event), endpoint: EndpointKey(endpoint) }
    }

    #[test]
    fn base32_of_known_values() {
        let mut text = String::new();
        push_base32(&mut text, u128::MAX);
        assert_eq!(text, "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(read_base32(&text), Some(u128::MAX));
        assert_eq!(read_base32("8zzzzzzzzzzzzzzzzzzzzzzzzz"), None);
        assert_eq!(read_base32("0000000000000000000000000z"), Some(31));
        assert_eq!(read_base32("00000000000000000000000010"), Some(32));
    }

    /// The block is FIPS 197 appendix C.3's, so that ids stay what they are whatever library permutes them.
    #[test]
    fn permutation_is_aes_256() {
        let key: [u8; 32] = std::array::from_fn(|place| place as u8);
        let mut block = Array(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes());
        IdCodec::new(&key).cipher.encrypt_block(&mut block);
        assert_eq!(u128::from_be_bytes(block.0), 0x8ea2_b7ca_5167_45bf_eafc_4990_4b49_6089);
    }

    #[test]
    fn each_kind_has_its_prefix_and_length() {
        let codec = codec();
        let attempt = AttemptId { delivery: delivery(1, 2), number: 3 };
        let ids = [
            ("ep_", codec.endpoint(EndpointKey(1))),
            ("evt_", codec.event(EventKey(1), Timestamp::from_micros(1))),
            ("dlv_", codec.delivery(delivery(1, 2))),
            ("att_", codec.attempt(attempt)),
            ("sec_", codec.secret(SecretKey(1))),
        ];
        let mut bodies = HashSet::new();
        for (prefix, id) in &ids {
            let body = id.strip_prefix(prefix).unwrap();
            assert_eq!(body.len(), 26, "{id}");
            assert_eq!(id.capacity(), id.len());
            bodies.insert(body);
        }
        assert_eq!(bodies.len(), ids.len());
    }

    #[test]
    fn ids_of_events_are_ulids_of_their_time() {
        // The time of the specification's example, and the greatest that it allows.
        let id = codec().event(EventKey(1), Timestamp::from_micros(1_469_922_850_259_999));
        assert!(id.starts_with("evt_01arz3ndek"), "{id}");
        let id = codec().event(EventKey(1), Timestamp::from_micros(((1 << 48) - 1) * 1_000));
        assert!(id.starts_with("evt_7zzzzzzzzz"), "{id}");
        let id = codec().event(EventKey(1), Timestamp::from_micros(-1));
        assert!(id.starts_with("evt_0000000000"), "{id}");
    }

    #[test]
    fn ids_of_events_of_one_time_differ_and_later_ones_are_greater() {
        let id = |key, millis: i64| codec().event(EventKey(key), Timestamp::from_micros(millis * 1_000));
        let ids: HashSet<String> = (1..=1_000).map(|key| id(key, 5)).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|earlier| *earlier < id(1, 6)));
        assert_ne!(id(1, 5), IdCodec::new(&[8; 32]).event(EventKey(1), Timestamp::from_micros(5_000)));
    }

    #[test]
    fn only_the_canonical_text_is_read() {
        let codec = codec();
        let id = codec.endpoint(EndpointKey(42));
        assert_eq!(codec.parse_endpoint(&id), Ok(EndpointKey(42)));
        let body = &id[3..];
        for wrong in [
            format!("ep_{}", body.to_uppercase()),
            format!("ep_{body}0"),
            format!("ep_{}", &body[1..]),
            format!("ep_ {}", &body[1..]),
            format!("ep_8{}", &body[1..]),
            format!("ep_{}u", &body[1..]),
            format!("ep_{}é", &body[2..]),
            "ep_".to_owned(),
        ] {
            assert_eq!(codec.parse_endpoint(&wrong), Err(IdError::Malformed), "{wrong}");
        }
    }

    #[test]
    fn an_id_of_another_kind_or_key_is_refused() {
        let codec = codec();
        let id = codec.delivery(delivery(5, 0));
        assert_eq!(codec.parse_endpoint(&id), Err(IdError::Prefix("ep_")));
        assert_eq!(codec.parse_endpoint(""), Err(IdError::Prefix("ep_")));
        assert_eq!(codec.parse_endpoint(&id.replace("dlv_", "ep_")), Err(IdError::Malformed));
        let attempt = codec.attempt(AttemptId { delivery: delivery(5, 1), number: 1 });
        assert_eq!(codec.parse_delivery(&attempt.replace("att_", "dlv_")), Err(IdError::Malformed));
        assert_eq!(IdCodec::new(&[8; 32]).parse_delivery(&id), Err(IdError::Malformed));
    }

    #[test]
    fn unused_fields_that_are_not_zero_are_refused() {
        let codec = codec();
        let stray = codec.encode(Kind::Endpoint, Fields { first: 1, second: 1, number: 0 });
        assert_eq!(codec.parse_endpoint(&stray), Err(IdError::Malformed));
        let stray = codec.encode(Kind::Delivery, Fields { first: 1, second: 1, number: 1 });
        assert_eq!(codec.parse_delivery(&stray), Err(IdError::Malformed));
    }

    #[test]
    fn a_key_too_great_becomes_the_greatest() {
        let codec = codec();
        let greatest = EndpointKey((1 << 56) - 1);
        for odd in [-1, i64::MIN, i64::MAX, 1 << 56] {
            assert_eq!(codec.parse_endpoint(&codec.endpoint(EndpointKey(odd))), Ok(greatest));
        }
    }

    #[test]
    fn debug_shows_nothing_of_the_key() {
        assert_eq!(format!("{:?}", codec()), "IdCodec(…)");
    }

    proptest! {
        #[test]
        fn keys_survive_the_way_there_and_back(key: [u8; 32], event in 0..1_i64 << 56, endpoint in 0..1_i64 << 40, n in 0..1_u32 << 24) {
            let codec = IdCodec::new(&key);
            prop_assert_eq!(codec.parse_endpoint(&codec.endpoint(EndpointKey(event))), Ok(EndpointKey(event)));
            let key = delivery(event, endpoint);
            prop_assert_eq!(codec.parse_delivery(&codec.delivery(key)), Ok(key));
            let attempt = codec.attempt(AttemptId { delivery: key, number: n });
            let fields = Fields { first: event, second: endpoint, number: i64::from(n) };
            prop_assert_eq!(codec.decode(Kind::Attempt, &attempt), Ok(fields));
        }

        #[test]
        fn a_changed_character_is_noticed(event in 0..1_i64 << 56, place in 0..26_usize, digit in 0..32_usize) {
            let codec = codec();
            let id = codec.endpoint(EndpointKey(event));
            let mut bytes = id.clone().into_bytes();
            bytes[3 + place] = ALPHABET[digit];
            let changed = String::from_utf8(bytes).unwrap();
            prop_assume!(changed != id);
            prop_assert_eq!(codec.parse_endpoint(&changed), Err(IdError::Malformed));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "(ep_|dlv_)?.{0,40}") {
            prop_assert!(codec().parse_endpoint(&text).is_err());
            prop_assert!(codec().parse_delivery(&text).is_err());
        }
    }
}
