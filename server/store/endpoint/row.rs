//! The row of an endpoint: its columns, and what they say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use super::Alike;
use crate::{
    model::{
        Activation, Backlog, DisableReason, Drain, DrainRate, Endpoint, EndpointKey, EndpointSettings, EndpointStatus,
        EventKey, TenantKey, Timestamp, TypeFilter,
    },
    store::{Error, Result},
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

pub(super) use columns;

/// A row of what is selected.
#[derive(Debug, Deserialize)]
pub(super) struct Stored {
    pub(super) key: i64,
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
pub(super) type BacklogColumns = [i64; 7];

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
pub struct ListedEndpoint(pub(super) Stored);

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

pub(super) fn read(stored: Stored) -> Result<Endpoint> {
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

pub(super) fn backlog_columns(backlog: &Backlog) -> BacklogColumns {
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

pub(super) fn status_columns(status: EndpointStatus) -> (i64, i64, i64) {
    match status {
        EndpointStatus::Enabled => (ENABLED, 0, 0),
        EndpointStatus::Disabled { reason, since } => (DISABLED, reason as i64, since.as_micros()),
        EndpointStatus::Deleted => (DELETED, 0, 0),
        EndpointStatus::Paused { since } => (PAUSED, 0, since.as_micros()),
    }
}

pub(super) fn read_status(state: i64, reason: i64, since: i64) -> Result<EndpointStatus> {
    match (state, DisableReason::from_i64(reason)) {
        (ENABLED, _) => Ok(EndpointStatus::Enabled),
        (DISABLED, Some(reason)) => Ok(EndpointStatus::Disabled { reason, since: Timestamp::from_micros(since) }),
        (DELETED, _) => Ok(EndpointStatus::Deleted),
        (PAUSED, _) => Ok(EndpointStatus::Paused { since: Timestamp::from_micros(since) }),
        _ => Err(Error::Corrupt(format!("endpoint state {state} with reason {reason}"))),
    }
}

pub(super) fn filter_text(filter: &TypeFilter) -> Result<String> {
    json_text(filter.patterns())
}

pub(super) fn json_text<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Corrupt(error.to_string()))
}

pub(super) fn read_filter(text: &str) -> Result<TypeFilter> {
    let patterns: Vec<String> =
        serde_json::from_str(text).map_err(|_| Error::Corrupt("an endpoint's filter".to_owned()))?;
    TypeFilter::parse(&patterns).map_err(|_| Error::Corrupt("an endpoint's filter".to_owned()))
}

fn read_labels(text: &str) -> Result<BTreeMap<String, String>> {
    serde_json::from_str(text).map_err(|_| Error::Corrupt("an endpoint's labels".to_owned()))
}
