//! Etags: opaque, so that nobody can tell from them how often a configuration changes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{
    model::{Endpoint, EventType, Tenant, TenantKey},
    store::DatabaseKeys,
};

/// 72 bits: an etag guards against accidents, and 9 bytes make base64 without a rest.
const ETAG_BYTES: usize = 9;

/// The etag of an endpoint as it stands: 12 characters of a keyed hash over the endpoint and the configuration version
/// that last changed it.
pub fn etag(keys: &DatabaseKeys, endpoint: &Endpoint) -> String {
    keyed(keys, &[b"etag", &endpoint.key.0.to_be_bytes(), &endpoint.version.to_be_bytes()])
}

/// The etag of an event type of a tenant's as it stands, made likewise.
pub fn event_type_etag(keys: &DatabaseKeys, tenant: TenantKey, event_type: &EventType) -> String {
    let (tenant, version) = (tenant.0.to_be_bytes(), event_type.version.to_be_bytes());
    keyed(keys, &[b"event type etag", &tenant, &version, event_type.name.as_bytes()])
}

/// The etag of a tenant as it stands, made likewise.
pub fn tenant_etag(keys: &DatabaseKeys, tenant: &Tenant) -> String {
    keyed(keys, &[b"tenant etag", &tenant.key.0.to_be_bytes(), &tenant.version.to_be_bytes()])
}

fn keyed(keys: &DatabaseKeys, parts: &[&[u8]]) -> String {
    let mut hmac = Hmac::<Sha256>::new_from_slice(keys.tokens.as_slice()).expect("HMAC takes keys of any length");
    for part in parts {
        hmac.update(part);
    }
    URL_SAFE_NO_PAD.encode(&hmac.finalize().into_bytes()[..ETAG_BYTES])
}
