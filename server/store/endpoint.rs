//! Endpoints and the history of what routing reads of them.

mod alike;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

pub(crate) use self::alike::Alike;
use super::{
    Conn, Error, Result, Tx,
    packed::fetch_packed,
    policy::policy_text,
    sql::{execute, fetch_all, fetch_optional},
};
use crate::model::{
    Activation, Backlog, DisableReason, Drain, DrainRate, Endpoint, EndpointKey, EndpointSettings, EndpointStatus,
    EventKey, TenantKey, Timestamp, TypeFilter,
};

const ENABLED: i64 = 1;
const DISABLED: i64 = 2;
const DELETED: i64 = 3;
const PAUSED: i64 = 4;

/// What is read of an endpoint: the fields of [`Stored`], in their order.
macro_rules! columns {
    () => {
        "key, tenant, display_name, description, url, filter, policy, style, header_names, state, reason, since, \
         generation, version, created, updated, labels, credentials, held_since, drain_rate, activated, activated_event, \
         skipped, skipped_event, skipping"
    };
}

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

/// A row of what is selected.
#[derive(Debug, Deserialize)]
struct Stored {
    key: i64,
    tenant: i64,
    display_name: String,
    description: String,
    url: String,
    filter: String,
    policy: String,
    style: String,
    header_names: String,
    state: i64,
    reason: i64,
    since: i64,
    generation: i64,
    version: i64,
    created: i64,
    updated: i64,
    labels: String,
    credentials: String,
    held_since: i64,
    drain_rate: i64,
    activated: i64,
    activated_event: i64,
    skipped: i64,
    skipped_event: i64,
    skipping: i64,
}

/// The columns `held_since`, `drain_rate`, `activated`, `activated_event`, `skipped`, `skipped_event` and `skipping`.
type BacklogColumns = [i64; 7];

// More columns than a tuple may have.
impl<'r, R: Row> FromRow<'r, R> for Stored
where
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        Ok(Self {
            key: row.try_get(0)?,
            tenant: row.try_get(1)?,
            display_name: row.try_get(2)?,
            description: row.try_get(3)?,
            url: row.try_get(4)?,
            filter: row.try_get(5)?,
            policy: row.try_get(6)?,
            style: row.try_get(7)?,
            header_names: row.try_get(8)?,
            state: row.try_get(9)?,
            reason: row.try_get(10)?,
            since: row.try_get(11)?,
            generation: row.try_get(12)?,
            version: row.try_get(13)?,
            created: row.try_get(14)?,
            updated: row.try_get(15)?,
            labels: row.try_get(16)?,
            credentials: row.try_get(17)?,
            held_since: row.try_get(18)?,
            drain_rate: row.try_get(19)?,
            activated: row.try_get(20)?,
            activated_event: row.try_get(21)?,
            skipped: row.try_get(22)?,
            skipped_event: row.try_get(23)?,
            skipping: row.try_get(24)?,
        })
    }
}

/// An endpoint in a list, of which only what is asked for is read: most are passed over by a filter.
#[derive(Debug)]
pub struct ListedEndpoint(Stored);

impl ListedEndpoint {
    /// Its row.
    pub fn key(&self) -> EndpointKey {
        EndpointKey(self.0.key)
    }

    /// How long its texts are, in bytes.
    pub fn text_bytes(&self) -> usize {
        let Stored { display_name, description, url, filter, policy, style, header_names, labels, credentials, .. } =
            &self.0;
        [display_name, description, url, filter, policy, style, header_names, labels, credentials]
            .map(String::len)
            .iter()
            .sum()
    }

    /// Whether it receives events.
    pub fn status(&self) -> Result<EndpointStatus> {
        read_status(self.0.state, self.0.reason, self.0.since)
    }

    /// Its labels.
    pub fn labels(&self) -> Result<BTreeMap<String, String>> {
        read_labels(&self.0.labels)
    }

    /// Which event types it wants.
    pub fn filter(&self) -> Result<TypeFilter> {
        read_filter(&self.0.filter)
    }

    /// Where to POST.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// All of it.
    pub fn read(self) -> Result<Endpoint> {
        read(self.0)
    }

    /// All of it, sharing what it has alike with others.
    pub(crate) fn read_alike(self, alike: &mut Alike) -> Result<Endpoint> {
        read_with(self.0, alike)
    }
}

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

fn read(stored: Stored) -> Result<Endpoint> {
    read_with(stored, &mut Alike::default())
}

fn read_with(stored: Stored, alike: &mut Alike) -> Result<Endpoint> {
    let corrupt = |what: &str| Error::Corrupt(format!("{what} of endpoint {}", stored.key));
    let url = stored.url.parse().map_err(|_| corrupt("URL"))?;
    let style = alike.style(&stored.style).ok_or_else(|| corrupt("style"))?;
    let header_names = serde_json::from_str(&stored.header_names).map_err(|_| corrupt("header names"))?;
    let credentials = serde_json::from_str(&stored.credentials).map_err(|_| corrupt("credentials' summary"))?;
    let policy = alike.policy(&stored.policy).ok_or_else(|| corrupt("policy"))?;
    let backlog = alike.backlog(read_backlog(&stored));
    Ok(Endpoint {
        key: EndpointKey(stored.key),
        tenant: TenantKey(stored.tenant),
        settings: EndpointSettings {
            display_name: stored.display_name,
            description: stored.description,
            labels: read_labels(&stored.labels)?,
            url,
            filter: read_filter(&stored.filter)?,
            style,
            header_names,
            credentials,
            policy,
        },
        status: read_status(stored.state, stored.reason, stored.since)?,
        backlog,
        generation: stored.generation,
        version: stored.version,
        created: Timestamp::from_micros(stored.created),
        updated: Timestamp::from_micros(stored.updated),
    })
}

fn backlog_columns(backlog: &Backlog) -> BacklogColumns {
    let activation = |it: Option<Activation>| it.map_or((0, 0), |it| (it.at.as_micros(), it.last_event.0));
    let (activated, activated_event) = activation(backlog.drain.map(|drain| drain.activation));
    let (skipped, skipped_event) = activation(backlog.skipped);
    [
        backlog.held_since.map_or(0, Timestamp::as_micros),
        backlog.drain.map_or(0, |drain| drain.rate.thousandths()),
        activated,
        activated_event,
        skipped,
        skipped_event,
        i64::from(backlog.skipping),
    ]
}

fn read_backlog(stored: &Stored) -> Backlog {
    let activation = |at, event| Activation { at: Timestamp::from_micros(at), last_event: EventKey(event) };
    let drain = |rate| Drain { rate, activation: activation(stored.activated, stored.activated_event) };
    Backlog {
        held_since: (stored.held_since != 0).then_some(Timestamp::from_micros(stored.held_since)),
        drain: DrainRate::from_thousandths(stored.drain_rate).map(drain),
        skipped: (stored.skipped != 0).then_some(activation(stored.skipped, stored.skipped_event)),
        skipping: stored.skipping != 0,
    }
}

fn status_columns(status: EndpointStatus) -> (i64, i64, i64) {
    match status {
        EndpointStatus::Enabled => (ENABLED, 0, 0),
        EndpointStatus::Disabled { reason, since } => (DISABLED, reason as i64, since.as_micros()),
        EndpointStatus::Deleted => (DELETED, 0, 0),
        EndpointStatus::Paused { since } => (PAUSED, 0, since.as_micros()),
    }
}

fn read_status(state: i64, reason: i64, since: i64) -> Result<EndpointStatus> {
    match (state, DisableReason::from_i64(reason)) {
        (ENABLED, _) => Ok(EndpointStatus::Enabled),
        (DISABLED, Some(reason)) => Ok(EndpointStatus::Disabled { reason, since: Timestamp::from_micros(since) }),
        (DELETED, _) => Ok(EndpointStatus::Deleted),
        (PAUSED, _) => Ok(EndpointStatus::Paused { since: Timestamp::from_micros(since) }),
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

fn read_labels(text: &str) -> Result<BTreeMap<String, String>> {
    serde_json::from_str(text).map_err(|_| Error::Corrupt("an endpoint's labels".to_owned()))
}

#[cfg(test)]
mod tests;
