//! Headers of an endpoint's own: names and values sealed together.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::{
    Conn, Error, Result, Tx,
    packed::{fetch_packed, read_hex},
    seal::{Keyring, Place, SealedTable},
    sql::execute,
};
use crate::model::{CustomHeader, EndpointKey, HEADERS_BYTES_MAX, HEADERS_MAX, TenantKey};

/// The longest text of an endpoint's headers: JSON may double each byte, and adds six for each header.
const PLAIN_BYTES_MAX: usize = 2 * HEADERS_BYTES_MAX + 8 * HEADERS_MAX;

/// Puts these headers in the place of those an endpoint had.
pub(crate) async fn replace(
    tx: &mut Tx,
    keyring: &Keyring,
    tenant: TenantKey,
    endpoint: EndpointKey,
    headers: &[CustomHeader],
) -> Result<()> {
    if headers.is_empty() {
        return delete(tx, endpoint).await;
    }
    let listed: Vec<(&str, &str)> =
        headers.iter().map(|header| (header.name.as_str(), header.value.as_str())).collect();
    // Of its full length from the start: growing would leave copies behind that nobody wipes.
    let mut plain = Zeroizing::new(Vec::with_capacity(PLAIN_BYTES_MAX));
    serde_json::to_writer(&mut *plain, &listed).map_err(|error| Error::Corrupt(error.to_string()))?;
    let sealed = keyring.seal(place(tenant, endpoint), &plain);
    let sql = "INSERT INTO endpoint_header (endpoint, tenant, sealed) VALUES ($1, $2, $3) \
               ON CONFLICT (endpoint) DO UPDATE SET sealed = excluded.sealed";
    execute!(&mut tx.conn, sql, endpoint.0, tenant.0, sealed)?;
    Ok(())
}

/// Erases the headers of an endpoint.
pub(crate) async fn delete(tx: &mut Tx, endpoint: EndpointKey) -> Result<()> {
    execute!(&mut tx.conn, "DELETE FROM endpoint_header WHERE endpoint = $1", endpoint.0)?;
    Ok(())
}

/// The headers of the endpoints whose keys lie in `first..=last`, opened; endpoints without any are left out.
pub(crate) async fn load(
    conn: &mut Conn,
    keyring: &Keyring,
    first: EndpointKey,
    last: EndpointKey,
) -> Result<HashMap<EndpointKey, Vec<CustomHeader>>> {
    let rows: Vec<(i64, i64, String)> = fetch_packed!(
        conn,
        sealed "endpoint, tenant",
        "endpoint_header WHERE endpoint BETWEEN $1 AND $2",
        first.0,
        last.0
    )?;
    rows.into_iter()
        .map(|(endpoint, tenant, sealed)| {
            let key = EndpointKey(endpoint);
            let sealed = read_hex(&sealed).ok_or_else(|| Error::Corrupt(format!("headers of endpoint {endpoint}")))?;
            let opened =
                keyring.open(place(TenantKey(tenant), key), &sealed).map_err(|error| Error::Key(error.to_string()))?;
            let headers: Vec<(String, String)> = serde_json::from_slice(&opened)
                .map_err(|_| Error::Corrupt(format!("headers of endpoint {endpoint}")))?;
            Ok((
                key,
                headers.into_iter().map(|(name, value)| CustomHeader { name, value: Zeroizing::new(value) }).collect(),
            ))
        })
        .collect()
}

fn place(tenant: TenantKey, endpoint: EndpointKey) -> Place<'static> {
    SealedTable::EndpointHeader.numbered(tenant.0, endpoint.0)
}
