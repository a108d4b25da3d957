//! Endpoints and the history of what routing reads of them.

mod alike;
mod row;

pub(crate) use self::alike::Alike;
pub use self::row::ListedEndpoint;
use self::row::{
    Stored, backlog_columns, columns, filter_text, json_text, read, read_filter, read_status, status_columns,
};
use super::{
    Conn, Result, Tx,
    packed::fetch_packed,
    policy::policy_text,
    sql::{execute, fetch_all, fetch_optional},
};
use crate::model::{Backlog, Endpoint, EndpointKey, EndpointStatus, TenantKey, Timestamp, TypeFilter};

/// A query of endpoints that ends with `$tail`.
macro_rules! select {
    ($tail:literal) => {
        concat!("SELECT ", columns!(), " FROM endpoint ", $tail)
    };
}

/// A page of a tenant's endpoints, served by their index. Left to themselves both databases would rather go by the primary
/// key once they have counted the rows, and pass over other tenants', however many lie between.
pub(super) const LIST_ON_SQLITE: &str =
    select!("INDEXED BY endpoint_of_tenant WHERE tenant = $1 AND key > $2 ORDER BY key LIMIT $3");

/// As [`LIST_ON_SQLITE`]: no other index has this order.
pub(super) const LIST_ON_POSTGRES: &str =
    select!("WHERE (tenant, key) > ($1, $2) AND tenant <= $1 ORDER BY tenant, key LIMIT $3");

/// What routing read of a page of a tenant's endpoints under a configuration, served by the index of theirs, as
/// [`LIST_ON_POSTGRES`] is.
pub(super) const VERSIONS_AT: &str = "SELECT v.endpoint, v.filter, v.state, v.reason FROM endpoint_version v \
     WHERE (v.tenant, v.endpoint) > ($1, $3) AND v.tenant <= $1 AND v.cfg = (SELECT max(w.cfg) FROM endpoint_version w \
     WHERE w.endpoint = v.endpoint AND w.cfg <= $2) AND v.state <> 3 ORDER BY v.tenant, v.endpoint LIMIT $4";

/// A version of what routing reads of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointVersion {
    /// The endpoint.
    pub endpoint: EndpointKey,
    /// What it wanted.
    pub filter: TypeFilter,
    /// Whether it received events.
    pub status: EndpointStatus,
}

/// Writes a new endpoint and its first version.
pub(crate) async fn insert(tx: &mut Tx, endpoint: &Endpoint) -> Result<()> {
    let (state, reason, since) = status_columns(endpoint.status);
    let sql = "INSERT INTO endpoint (key, tenant, display_name, description, url, filter, policy, state, reason, since, \
               generation, version, created, updated, style, header_names, labels, held_since, credentials) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";
    execute!(
        &mut tx.conn,
        sql,
        endpoint.key.0,
        endpoint.tenant.0,
        &endpoint.settings.display_name,
        &endpoint.settings.description,
        endpoint.settings.url.as_str(),
        filter_text(&endpoint.settings.filter)?,
        policy_text(&endpoint.settings.policy)?,
        state,
        reason,
        since,
        endpoint.generation,
        endpoint.version,
        endpoint.created.as_micros(),
        endpoint.updated.as_micros(),
        json_text(endpoint.settings.style.choice())?,
        json_text(&endpoint.settings.header_names)?,
        json_text(&endpoint.settings.labels)?,
        endpoint.backlog.held_since.map_or(0, Timestamp::as_micros),
        json_text(&endpoint.settings.credentials)?,
    )?;
    insert_version(tx, endpoint).await
}

/// Writes all that can change of an endpoint, and a version if routing reads it.
pub(crate) async fn update(tx: &mut Tx, endpoint: &Endpoint, routing_changed: bool) -> Result<()> {
    let (state, reason, since) = status_columns(endpoint.status);
    let sql = "UPDATE endpoint SET display_name = $2, description = $3, url = $4, filter = $5, policy = $6, state = $7, \
               reason = $8, since = $9, generation = $10, version = $11, updated = $12, style = $13, header_names = $14, \
               labels = $15, held_since = $16, drain_rate = $17, activated = $18, activated_event = $19, skipped = $20, \
               skipped_event = $21, skipping = $22, credentials = $23 WHERE key = $1";
    let [held_since, drain_rate, activated, activated_event, skipped, skipped_event, skipping] =
        backlog_columns(&endpoint.backlog);
    execute!(
        &mut tx.conn,
        sql,
        endpoint.key.0,
        &endpoint.settings.display_name,
        &endpoint.settings.description,
        endpoint.settings.url.as_str(),
        filter_text(&endpoint.settings.filter)?,
        policy_text(&endpoint.settings.policy)?,
        state,
        reason,
        since,
        endpoint.generation,
        endpoint.version,
        endpoint.updated.as_micros(),
        json_text(endpoint.settings.style.choice())?,
        json_text(&endpoint.settings.header_names)?,
        json_text(&endpoint.settings.labels)?,
        held_since,
        drain_rate,
        activated,
        activated_event,
        skipped,
        skipped_event,
        skipping,
        json_text(&endpoint.settings.credentials)?,
    )?;
    if routing_changed { insert_version(tx, endpoint).await } else { Ok(()) }
}

/// Writes what has become of an endpoint's backlog, which is no change of its configuration.
pub(crate) async fn set_backlog(tx: &mut Tx, key: EndpointKey, backlog: &Backlog) -> Result<()> {
    let sql = "UPDATE endpoint SET held_since = $2, drain_rate = $3, activated = $4, activated_event = $5, skipped = $6, \
               skipped_event = $7, skipping = $8 WHERE key = $1";
    let [held_since, drain_rate, activated, activated_event, skipped, skipped_event, skipping] =
        backlog_columns(backlog);
    execute!(
        &mut tx.conn,
        sql,
        key.0,
        held_since,
        drain_rate,
        activated,
        activated_event,
        skipped,
        skipped_event,
        skipping
    )?;
    Ok(())
}

async fn insert_version(tx: &mut Tx, endpoint: &Endpoint) -> Result<()> {
    let (state, reason, _) = status_columns(endpoint.status);
    let sql = "INSERT INTO endpoint_version (endpoint, cfg, tenant, filter, state, reason) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let filter = filter_text(&endpoint.settings.filter)?;
    execute!(&mut tx.conn, sql, endpoint.key.0, endpoint.version, endpoint.tenant.0, filter, state, reason)?;
    Ok(())
}

/// An endpoint of a tenant's, tombstones included.
pub(crate) async fn get(conn: &mut Conn, tenant: TenantKey, key: EndpointKey) -> Result<Option<Endpoint>> {
    let sql = select!("WHERE tenant = $1 AND key = $2");
    fetch_optional!(conn, sql, tenant.0, key.0)?.map(read).transpose()
}

/// The next `limit` endpoints of a tenant's after `after`, oldest first, tombstones included: the caller passes them
/// over, so that a tenant with many is served in bounded steps.
pub(crate) async fn list(conn: &mut Conn, tenant: TenantKey, after: i64, limit: i64) -> Result<Vec<ListedEndpoint>> {
    let sql = match conn {
        Conn::Sqlite(_) => LIST_ON_SQLITE,
        Conn::Postgres(_) => LIST_ON_POSTGRES,
    };
    let rows: Vec<Stored> = fetch_all!(conn, sql, tenant.0, after, limit)?;
    Ok(rows.into_iter().map(ListedEndpoint).collect())
}

/// How many endpoints a tenant has that are not deleted.
pub(crate) async fn count_live(conn: &mut Conn, tenant: TenantKey) -> Result<i64> {
    let sql = "SELECT count(*) FROM endpoint WHERE tenant = $1 AND state <> 3";
    let row: Option<(i64,)> = fetch_optional!(conn, sql, tenant.0)?;
    Ok(row.map_or(0, |(count,)| count))
}

/// Endpoints of all tenants after `after`, by key, without tombstones.
pub(crate) async fn load(conn: &mut Conn, after: i64, limit: i64) -> Result<Vec<ListedEndpoint>> {
    let mut rows: Vec<Stored> =
        fetch_packed!(conn, columns!(), "endpoint WHERE key > $1 AND state <> 3 ORDER BY key LIMIT $2", after, limit)?;
    rows.sort_unstable_by_key(|stored| stored.key);
    Ok(rows.into_iter().map(ListedEndpoint).collect())
}

/// What routing read of the next `limit` endpoints of a tenant after `after` at configuration version `cfg`, oldest endpoint
/// first.
pub(crate) async fn versions_at(
    conn: &mut Conn,
    tenant: TenantKey,
    cfg: i64,
    after: EndpointKey,
    limit: i64,
) -> Result<Vec<EndpointVersion>> {
    let rows: Vec<(i64, String, i64, i64)> = fetch_all!(conn, VERSIONS_AT, tenant.0, cfg, after.0, limit)?;
    rows.into_iter()
        .map(|(endpoint, filter, state, reason)| {
            Ok(EndpointVersion {
                endpoint: EndpointKey(endpoint),
                filter: read_filter(&filter)?,
                status: read_status(state, reason, 0)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
