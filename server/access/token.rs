//! Dashboard tokens: short-lived, of one tenant, for looking only. Whoever holds a key has them made for people whose
//! browsers must not hold it.
//!
//! A token is `tdd_` and, in base64, what it says and an authenticator over that under a key of the database's: nothing of
//! it is stored. It is good as long as the key is with which it was made, and as that key's scopes go.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{Caller, Invalid};
use crate::{
    model::{ApiKeyId, Scopes, TenantKey, Timestamp},
    shared::Shared,
    store::DatabaseKeys,
};

/// What tokens begin with.
pub const TOKEN_PREFIX: &str = "tdd_";

/// How long a token may last.
pub const LIFETIME_MIN: Duration = Duration::from_secs(60);
/// See [`LIFETIME_MIN`].
pub const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long it lasts if nothing is said.
pub const LIFETIME_DEFAULT: Duration = Duration::from_secs(3600);

/// Tenant, maker, expiry, scopes.
const CLAIM_BYTES: usize = 8 + 16 + 8 + 1;
const MAC_BYTES: usize = 32;

/// A token by which its holder looks at `tenant`, within `scopes` and until `expires`, on behalf of the holder of `maker`.
pub(crate) fn issue(
    keys: &DatabaseKeys,
    maker: ApiKeyId,
    tenant: TenantKey,
    scopes: Scopes,
    expires: Timestamp,
) -> String {
    let mut token = Vec::with_capacity(CLAIM_BYTES + MAC_BYTES);
    token.extend_from_slice(&tenant.0.to_be_bytes());
    token.extend_from_slice(&maker.0.to_be_bytes());
    token.extend_from_slice(&expires.as_micros().to_be_bytes());
    token.push(u8::try_from(scopes.bits()).unwrap_or(0));
    let mac = mac(keys, &token).finalize().into_bytes();
    token.extend_from_slice(&mac);
    format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(token))
}

/// Who shows this token.
pub(super) fn caller(shared: &Shared, text: &str, now: Timestamp) -> Result<Caller, Invalid> {
    let body = text.strip_prefix(TOKEN_PREFIX).ok_or(Invalid)?;
    let mut bytes = [0; CLAIM_BYTES + MAC_BYTES];
    let length = URL_SAFE_NO_PAD.decode_slice(body, &mut bytes).map_err(|_| Invalid)?;
    let (claim, shown) = bytes.split_at(CLAIM_BYTES);
    if length != bytes.len() || mac(&shared.keys, claim).verify_slice(shown).is_err() {
        return Err(Invalid);
    }
    let (tenant, rest) = claim.split_first_chunk().ok_or(Invalid)?;
    let (maker, rest) = rest.split_first_chunk().ok_or(Invalid)?;
    let (expires, rest) = rest.split_first_chunk().ok_or(Invalid)?;
    let tenant = TenantKey(i64::from_be_bytes(*tenant));
    let expires = Timestamp::from_micros(i64::from_be_bytes(*expires));
    let scopes = rest.first().and_then(|bits| Scopes::from_bits(i64::from(*bits))).ok_or(Invalid)?;
    let maker = shared.access.maker(ApiKeyId(u128::from_be_bytes(*maker)), now).ok_or(Invalid)?;
    let id = shared.routes.tenant_id(tenant).ok_or(Invalid)?;
    let caller = Caller {
        tenant: Some((tenant, id)),
        scopes: scopes.iter().filter(|scope| maker.scopes.allow(*scope)).collect(),
        by_token: true,
        expires: Some(maker.expires.map_or(expires, |end| end.min(expires))),
        ..maker
    };
    if caller.lasts(now) { Ok(caller) } else { Err(Invalid) }
}

fn mac(keys: &DatabaseKeys, claim: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(keys.tokens.as_slice()).expect("HMAC takes keys of any length");
    mac.update(b"dashboard token");
    mac.update(claim);
    mac
}
