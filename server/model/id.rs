//! The opaque ids that callers see: keys inside, a keyed permutation outside, so that no column and no look-up is needed
//! and nothing can be read from an id or counted by it.

use super::{DeliveryKey, EndpointKey, EventKey, SecretKey};

/// Makes ids of keys and keys of ids, under one secret key.
#[derive(Clone)]
pub struct IdCodec {}

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
        let _ = key;
        todo!()
    }

    /// `ep_…`
    pub fn endpoint(&self, key: EndpointKey) -> String {
        let _ = key;
        todo!()
    }

    /// `evt_…`, for an event whose publisher gave none. Event ids are looked up as text, never parsed.
    pub fn event(&self, key: EventKey) -> String {
        let _ = key;
        todo!()
    }

    /// `dlv_…`
    pub fn delivery(&self, key: DeliveryKey) -> String {
        let _ = key;
        todo!()
    }

    /// `att_…`
    pub fn attempt(&self, id: AttemptId) -> String {
        let _ = id;
        todo!()
    }

    /// `sec_…`
    pub fn secret(&self, key: SecretKey) -> String {
        let _ = key;
        todo!()
    }

    /// Reads `ep_…`.
    pub fn parse_endpoint(&self, id: &str) -> Result<EndpointKey, IdError> {
        let _ = id;
        todo!()
    }

    /// Reads `dlv_…`.
    pub fn parse_delivery(&self, id: &str) -> Result<DeliveryKey, IdError> {
        let _ = id;
        todo!()
    }
}
