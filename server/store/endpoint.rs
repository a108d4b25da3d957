//! Endpoints and the history of what routing reads of them.

use serde::Serialize;

use super::{
    Conn, Error, Result, Tx,
    policy::{policy_text, read_policy},
    sql::{execute, fetch_all, fetch_optional},
};
use crate::model::{
    DisableReason, Endpoint, EndpointKey, EndpointSettings, EndpointStatus, Style, TenantKey, Timestamp, TypeFilter,
};

const ENABLED: i64 = 1;
const DISABLED: i64 = 2;
const DELETED: i64 = 3;

type Row = (i64, i64, String, String, String, String, String, i64, i64, i64, i64, i64, i64, i64, String, String);

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
               generation, version, created, updated, style, header_names) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
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
    )?;
    insert_version(tx, endpoint).await
}

/// Writes all that can change of an endpoint, and a version if routing reads it.
pub(crate) async fn update(tx: &mut Tx, endpoint: &Endpoint, routing_changed: bool) -> Result<()> {
    let (state, reason, since) = status_columns(endpoint.status);
    let sql = "UPDATE endpoint SET display_name = $2, description = $3, url = $4, filter = $5, policy = $6, state = $7, \
               reason = $8, since = $9, generation = $10, version = $11, updated = $12, style = $13, header_names = $14 \
               WHERE key = $1";
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
    )?;
    if routing_changed { insert_version(tx, endpoint).await } else { Ok(()) }
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
    let sql = "SELECT key, tenant, display_name, description, url, filter, policy, state, reason, since, generation, \
               version, created, updated, style, header_names FROM endpoint WHERE tenant = $1 AND key = $2";
    fetch_optional!(conn, sql, tenant.0, key.0)?.map(read).transpose()
}

/// A tenant's endpoints after `after`, oldest first, without tombstones.
pub(crate) async fn list(conn: &mut Conn, tenant: TenantKey, after: i64, limit: i64) -> Result<Vec<Endpoint>> {
    let sql = "SELECT key, tenant, display_name, description, url, filter, policy, state, reason, since, generation, \
               version, created, updated, style, header_names FROM endpoint \
               WHERE tenant = $1 AND key > $2 AND state <> 3 ORDER BY key LIMIT $3";
    fetch_all!(conn, sql, tenant.0, after, limit)?.into_iter().map(read).collect()
}

/// Endpoints of all tenants after `after`, by key, tombstones included while deliveries wait behind them.
pub(crate) async fn load(conn: &mut Conn, after: i64, limit: i64) -> Result<Vec<Endpoint>> {
    let sql = "SELECT key, tenant, display_name, description, url, filter, policy, state, reason, since, generation, \
               version, created, updated, style, header_names FROM endpoint WHERE key > $1 \
               AND (state <> 3 OR EXISTS (SELECT 1 FROM lane WHERE lane.endpoint = endpoint.key)) \
               ORDER BY key LIMIT $2";
    fetch_all!(conn, sql, after, limit)?.into_iter().map(read).collect()
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
    let sql = "SELECT v.endpoint, v.filter, v.state, v.reason FROM endpoint_version v \
               WHERE v.tenant = $1 AND v.cfg = (SELECT max(w.cfg) FROM endpoint_version w \
               WHERE w.endpoint = v.endpoint AND w.cfg <= $2) AND v.state <> 3 AND v.endpoint > $3 ORDER BY v.endpoint LIMIT $4";
    let rows: Vec<(i64, String, i64, i64)> = fetch_all!(conn, sql, tenant.0, cfg, after.0, limit)?;
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

fn read(row: Row) -> Result<Endpoint> {
    let (key, tenant, display_name, description, url, filter, policy, state, reason, since) =
        (row.0, row.1, row.2, row.3, row.4, row.5, row.6, row.7, row.8, row.9);
    let (generation, version, created, updated, style, header_names) = (row.10, row.11, row.12, row.13, row.14, row.15);
    let corrupt = |what: &str| Error::Corrupt(format!("{what} of endpoint {key}"));
    let url = url::Url::parse(&url).map_err(|_| corrupt("URL"))?;
    let style = serde_json::from_str(&style).map_err(|_| corrupt("style"))?;
    let style = Style::new(style).map_err(|_| corrupt("style"))?;
    let header_names = serde_json::from_str(&header_names).map_err(|_| corrupt("header names"))?;
    Ok(Endpoint {
        key: EndpointKey(key),
        tenant: TenantKey(tenant),
        settings: EndpointSettings {
            display_name,
            description,
            url,
            filter: read_filter(&filter)?,
            style,
            header_names,
            policy: read_policy(&policy).ok_or_else(|| corrupt("policy"))?,
        },
        status: read_status(state, reason, since)?,
        generation,
        version,
        created: Timestamp::from_micros(created),
        updated: Timestamp::from_micros(updated),
    })
}

fn status_columns(status: EndpointStatus) -> (i64, i64, i64) {
    match status {
        EndpointStatus::Enabled => (ENABLED, 0, 0),
        EndpointStatus::Disabled { reason, since } => (DISABLED, reason as i64, since.as_micros()),
        EndpointStatus::Deleted => (DELETED, 0, 0),
    }
}

fn read_status(state: i64, reason: i64, since: i64) -> Result<EndpointStatus> {
    match (state, DisableReason::from_i64(reason)) {
        (ENABLED, _) => Ok(EndpointStatus::Enabled),
        (DISABLED, Some(reason)) => Ok(EndpointStatus::Disabled { reason, since: Timestamp::from_micros(since) }),
        (DELETED, _) => Ok(EndpointStatus::Deleted),
        _ => Err(Error::Corrupt(format!("endpoint state {state} with reason {reason}"))),
    }
}

fn filter_text(filter: &TypeFilter) -> Result<String> {
    json_text(filter.patterns())
}

fn json_text<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Corrupt(error.to_string()))
}

fn read_filter(text: &str) -> Result<TypeFilter> {
    let patterns: Vec<String> =
        serde_json::from_str(text).map_err(|_| Error::Corrupt("an endpoint's filter".to_owned()))?;
    TypeFilter::parse(&patterns).map_err(|_| Error::Corrupt("an endpoint's filter".to_owned()))
}
