//! Etags: opaque, so that nobody can tell from them how often a configuration changes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{model::Endpoint, store::DatabaseKeys};

/// 72 bits: an etag guards against accidents, and 9 bytes make base64 without a rest.
const ETAG_BYTES: usize = 9;

/// The etag of an endpoint as it stands: 12 characters of a keyed hash over the endpoint and the configuration version
/// that last changed it.
pub fn etag(keys: &DatabaseKeys, endpoint: &Endpoint) -> String {
    let mut hmac = Hmac::<Sha256>::new_from_slice(keys.tokens.as_slice()).expect("HMAC takes keys of any length");
    hmac.update(b"etag");
    hmac.update(&endpoint.key.0.to_be_bytes());
    hmac.update(&endpoint.version.to_be_bytes());
    URL_SAFE_NO_PAD.encode(&hmac.finalize().into_bytes()[..ETAG_BYTES])
}
