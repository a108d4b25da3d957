//! Calls with a request id, and what each was answered, sealed.

use std::fmt;

use zeroize::Zeroizing;

use super::{
    Conn, Error, Result, Tx,
    seal::{Keyring, Place, SealedTable},
    sql::{execute, fetch_optional},
};
use crate::model::{TenantKey, Timestamp};

/// A request as it is told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Whose it is.
    pub tenant: TenantKey,
    /// The id that its caller gave it.
    pub id: String,
}

/// A request that was answered. Debug does not show the answer, in which secrets may stand.
#[derive(Clone, PartialEq, Eq)]
pub struct AnsweredRequest {
    /// The keyed fingerprint of what its caller asked for.
    pub fingerprint: Vec<u8>,
    /// The answer.
    pub answer: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for AnsweredRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnsweredRequest").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// Takes a request's id for this transaction, which has to [`answer`] it before its commit. An id that was taken at
/// `expired` or before is free again. Returns whether it was free; another transaction that is about to take it is
/// waited for.
pub(crate) async fn claim(
    tx: &mut Tx,
    request: &RequestKey,
    fingerprint: &[u8],
    now: Timestamp,
    expired: Timestamp,
) -> Result<bool> {
    let sql = "INSERT INTO request (tenant, id, fingerprint, created, sealed) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (tenant, id) DO UPDATE SET fingerprint = excluded.fingerprint, created = excluded.created, \
               sealed = excluded.sealed WHERE request.created <= $6";
    let (now, expired, unanswered) = (now.as_micros(), expired.as_micros(), &[][..]);
    let RequestKey { tenant, id } = request;
    Ok(execute!(&mut tx.conn, sql, tenant.0, id, fingerprint, now, unanswered, expired)? == 1)
}

/// Writes the answer of a request that this transaction has claimed.
pub(crate) async fn answer(tx: &mut Tx, keyring: &Keyring, request: &RequestKey, answer: &[u8]) -> Result<()> {
    let sealed = keyring.seal(place(request), answer);
    let sql = "UPDATE request SET sealed = $3 WHERE tenant = $1 AND id = $2";
    execute!(&mut tx.conn, sql, request.tenant.0, &request.id, sealed)?;
    Ok(())
}

/// The request with this id, if it was answered after `expired`.
pub(crate) async fn find(
    conn: &mut Conn,
    keyring: &Keyring,
    request: &RequestKey,
    expired: Timestamp,
) -> Result<Option<AnsweredRequest>> {
    let sql = "SELECT fingerprint, sealed FROM request WHERE tenant = $1 AND id = $2 AND created > $3";
    let row: Option<(Vec<u8>, Vec<u8>)> =
        fetch_optional!(conn, sql, request.tenant.0, &request.id, expired.as_micros())?;
    let Some((fingerprint, sealed)) = row else { return Ok(None) };
    let answer = keyring.open(place(request), &sealed).map_err(|error| Error::Key(error.to_string()))?;
    Ok(Some(AnsweredRequest { fingerprint, answer }))
}

/// Erases up to `limit` requests that were answered at `expired` or before, the oldest first, and what is as old as the last of
/// them. Returns how many.
pub(crate) async fn delete_expired(tx: &mut Tx, expired: Timestamp, limit: u64) -> Result<u64> {
    let sql = "DELETE FROM request WHERE created <= (SELECT max(created) FROM \
               (SELECT created FROM request WHERE created <= $1 ORDER BY created LIMIT $2) AS oldest)";
    execute!(&mut tx.conn, sql, expired.as_micros(), i64::try_from(limit).unwrap_or(i64::MAX))
}

/// Erases all that a tenant was answered.
pub(crate) async fn delete_of(tx: &mut Tx, tenant: TenantKey) -> Result<()> {
    execute!(&mut tx.conn, "DELETE FROM request WHERE tenant = $1", tenant.0)?;
    Ok(())
}

/// Rows have no number, so the id in their place tells them apart.
fn place(request: &RequestKey) -> Place<'_> {
    SealedTable::Request.named(request.tenant.0, &request.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_answer() {
        let request = AnsweredRequest { fingerprint: vec![7], answer: Zeroizing::new(b"canary".to_vec()) };
        let shown = format!("{request:?}");
        assert!(!shown.contains("canary") && !shown.contains("99, 97, 110"), "{shown}");
    }
}
