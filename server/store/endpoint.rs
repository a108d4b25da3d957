//! Endpoints and the history of what routing reads of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Conn, Error, Result, Tx,
    sql::{execute, fetch_all, fetch_optional},
};
use crate::model::{
    DeliveryPolicy, DisableReason, Endpoint, EndpointKey, EndpointSettings, EndpointStatus, RetrySchedule, TenantKey,
    Timestamp, TypeFilter,
};

const ENABLED: i64 = 1;
const DISABLED: i64 = 2;
const DELETED: i64 = 3;

type Row = (i64, i64, String, String, String, String, String, i64, i64, i64, i64, i64, i64, i64);

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

/// A [`DeliveryPolicy`] as it is written: JSON, units in the names.
#[derive(Deserialize, Serialize)]
struct PolicyText {
    retry: RetryText,
    timeout_ms: u64,
    max_in_flight: u32,
    hold_secs: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum RetryText {
    Standard,
    DelaysMs(Vec<u64>),
    Exponential { initial_ms: u64, multiplier: f64, max_delay_ms: u64, max_attempts: u32 },
}

/// Writes a new endpoint and its first version.
pub(crate) async fn insert(tx: &mut Tx, endpoint: &Endpoint) -> Result<()> {
    let (state, reason, since) = status_columns(endpoint.status);
    let sql = "INSERT INTO endpoint (key, tenant, display_name, description, url, filter, policy, state, reason, since, \
               generation, version, created, updated) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
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
    )?;
    insert_version(tx, endpoint).await
}

/// Writes all that can change of an endpoint, and a version if routing reads it.
pub(crate) async fn update(tx: &mut Tx, endpoint: &Endpoint, routing_changed: bool) -> Result<()> {
    let (state, reason, since) = status_columns(endpoint.status);
    let sql = "UPDATE endpoint SET display_name = $2, description = $3, url = $4, filter = $5, policy = $6, state = $7, \
               reason = $8, since = $9, generation = $10, version = $11, updated = $12 WHERE key = $1";
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
               version, created, updated FROM endpoint WHERE tenant = $1 AND key = $2";
    fetch_optional!(conn, sql, tenant.0, key.0)?.map(read).transpose()
}

/// A tenant's endpoints after `after`, oldest first, without tombstones.
pub(crate) async fn list(conn: &mut Conn, tenant: TenantKey, after: i64, limit: i64) -> Result<Vec<Endpoint>> {
    let sql = "SELECT key, tenant, display_name, description, url, filter, policy, state, reason, since, generation, \
               version, created, updated FROM endpoint \
               WHERE tenant = $1 AND key > $2 AND state <> 3 ORDER BY key LIMIT $3";
    fetch_all!(conn, sql, tenant.0, after, limit)?.into_iter().map(read).collect()
}

/// Endpoints of all tenants after `after`, by key, tombstones included while deliveries wait behind them.
pub(crate) async fn load(conn: &mut Conn, after: i64, limit: i64) -> Result<Vec<Endpoint>> {
    let sql = "SELECT key, tenant, display_name, description, url, filter, policy, state, reason, since, generation, \
               version, created, updated FROM endpoint WHERE key > $1 \
               AND (state <> 3 OR EXISTS (SELECT 1 FROM lane WHERE lane.endpoint = endpoint.key)) \
               ORDER BY key LIMIT $2";
    fetch_all!(conn, sql, after, limit)?.into_iter().map(read).collect()
}

/// What routing read of each endpoint of a tenant at configuration version `cfg`, oldest endpoint first.
pub(crate) async fn versions_at(
    conn: &mut Conn,
    tenant: TenantKey,
    cfg: i64,
    limit: i64,
) -> Result<Vec<EndpointVersion>> {
    let sql = "SELECT v.endpoint, v.filter, v.state, v.reason FROM endpoint_version v \
               WHERE v.tenant = $1 AND v.cfg = (SELECT max(w.cfg) FROM endpoint_version w \
               WHERE w.endpoint = v.endpoint AND w.cfg <= $2) AND v.state <> 3 ORDER BY v.endpoint LIMIT $3";
    let rows: Vec<(i64, String, i64, i64)> = fetch_all!(conn, sql, tenant.0, cfg, limit)?;
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
    let (key, tenant, display_name, description, url, filter, policy, state, reason, since, ..) = row;
    let (generation, version, created, updated) = (row.10, row.11, row.12, row.13);
    let url = url::Url::parse(&url).map_err(|_| Error::Corrupt(format!("URL of endpoint {key}")))?;
    let policy: PolicyText =
        serde_json::from_str(&policy).map_err(|_| Error::Corrupt(format!("policy of endpoint {key}")))?;
    Ok(Endpoint {
        key: EndpointKey(key),
        tenant: TenantKey(tenant),
        settings: EndpointSettings {
            display_name,
            description,
            url,
            filter: read_filter(&filter)?,
            policy: policy.into(),
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
    serde_json::to_string(filter.patterns()).map_err(|error| Error::Corrupt(error.to_string()))
}

fn read_filter(text: &str) -> Result<TypeFilter> {
    let patterns: Vec<String> =
        serde_json::from_str(text).map_err(|_| Error::Corrupt("an endpoint's filter".to_owned()))?;
    TypeFilter::parse(&patterns).map_err(|_| Error::Corrupt("an endpoint's filter".to_owned()))
}

fn policy_text(policy: &DeliveryPolicy) -> Result<String> {
    let retry = match &policy.retry {
        RetrySchedule::Standard => RetryText::Standard,
        RetrySchedule::Delays(delays) => RetryText::DelaysMs(delays.iter().copied().map(millis).collect()),
        RetrySchedule::Exponential { initial, multiplier, max_delay, max_attempts } => RetryText::Exponential {
            initial_ms: millis(*initial),
            multiplier: *multiplier,
            max_delay_ms: millis(*max_delay),
            max_attempts: *max_attempts,
        },
    };
    let text = PolicyText {
        retry,
        timeout_ms: millis(policy.timeout),
        max_in_flight: policy.max_in_flight,
        hold_secs: policy.hold_duration.as_secs(),
    };
    serde_json::to_string(&text).map_err(|error| Error::Corrupt(error.to_string()))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<PolicyText> for DeliveryPolicy {
    fn from(text: PolicyText) -> Self {
        let retry = match text.retry {
            RetryText::Standard => RetrySchedule::Standard,
            RetryText::DelaysMs(delays) => {
                RetrySchedule::Delays(delays.into_iter().map(Duration::from_millis).collect())
            }
            RetryText::Exponential { initial_ms, multiplier, max_delay_ms, max_attempts } => {
                RetrySchedule::Exponential {
                    initial: Duration::from_millis(initial_ms),
                    multiplier,
                    max_delay: Duration::from_millis(max_delay_ms),
                    max_attempts,
                }
            }
        };
        Self {
            retry,
            timeout: Duration::from_millis(text.timeout_ms),
            max_in_flight: text.max_in_flight,
            hold_duration: Duration::from_secs(text.hold_secs),
        }
    }
}
