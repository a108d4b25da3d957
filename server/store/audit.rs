//! The audit log. Entries are added and listed, never changed and not erased.

use super::{
    Conn, Error, Result, Tx,
    sql::{execute, fetch_all},
};
use crate::model::{Actor, ApiKeyId, AuditEntry, AuditFilter, Timestamp};

type Row = (i64, i64, i64, String, String, String, String, i64, String, String, String);

/// A place in the list, newest first: an entry's time and row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditPosition(pub Timestamp, pub i64);

impl AuditPosition {
    /// Before all entries that are older than `end`; before all if there is none.
    pub fn start(end: Option<Timestamp>) -> Self {
        end.map_or(Self(Timestamp::from_micros(i64::MAX), i64::MAX), |end| Self(end, 0))
    }
}

/// A list of the entries for which a condition holds, in an order.
macro_rules! list {
    ($selected:expr) => {
        concat!(
            "SELECT key, time, actor, caller, tenant, method, resources, resource_count, fields, remote, request_id \
             FROM audit_entry WHERE ",
            $selected,
            " LIMIT $4"
        )
    };
}

pub(super) const LIST: &str = list!("(time, key) < ($1, $2) AND time >= $3 ORDER BY time DESC, key DESC");

/// A list of those entries where a column that has an index of its own is `$5`. It is compared as part of a row, for which
/// that index alone is of use: by itself it may be passed over for the index of all entries.
macro_rules! list_of {
    ($column:literal) => {
        list!(concat!(
            "(",
            $column,
            ", time, key) < ($5, $1, $2) AND (",
            $column,
            ", time) >= ($5, $3) \
             ORDER BY ",
            $column,
            " DESC, time DESC, key DESC"
        ))
    };
}

pub(super) const LIST_OF_CALLER: &str = list_of!("caller");
pub(super) const LIST_OF_TENANT: &str = list_of!("tenant");
pub(super) const LIST_OF_METHOD: &str = list_of!("method");

/// Writes a new entry.
pub(crate) async fn insert(tx: &mut Tx, entry: &AuditEntry) -> Result<()> {
    let sql = "INSERT INTO audit_entry \
               (key, time, actor, caller, tenant, method, resources, resource_count, fields, remote, request_id) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let actor = match entry.actor {
        Actor::Key(_) => 1_i64,
        Actor::EnvironmentKey(_) => 2,
        Actor::Server => 3,
    };
    execute!(
        &mut tx.conn,
        sql,
        entry.key,
        entry.time.as_micros(),
        actor,
        entry.actor.key().map(ApiKeyId::text).unwrap_or_default(),
        &entry.tenant,
        &entry.method,
        json(&entry.resources),
        i64::try_from(entry.resource_count).unwrap_or(i64::MAX),
        json(&entry.fields),
        &entry.remote,
        &entry.request_id,
    )?;
    Ok(())
}

/// Up to `limit` entries after `after`, newest first, among which are all that `filter` selects: the index of one of its
/// conditions is read, and the others are the caller's to look at.
pub(crate) async fn list(
    conn: &mut Conn,
    filter: &AuditFilter,
    after: AuditPosition,
    limit: i64,
) -> Result<Vec<AuditEntry>> {
    let AuditPosition(time, key) = after;
    let (time, start) = (time.as_micros(), filter.start.map_or(i64::MIN, Timestamp::as_micros));
    let (sql, value) = match filter {
        AuditFilter { key: Some(key), .. } => (LIST_OF_CALLER, Some(key.text())),
        AuditFilter { tenant: Some(tenant), .. } => (LIST_OF_TENANT, Some(tenant.clone())),
        AuditFilter { method: Some(method), .. } => (LIST_OF_METHOD, Some(method.clone())),
        AuditFilter { .. } => (LIST, None),
    };
    let rows: Vec<Row> = match value {
        Some(value) => fetch_all!(conn, sql, time, key, start, limit, value.as_str())?,
        None => fetch_all!(conn, sql, time, key, start, limit)?,
    };
    rows.into_iter().map(read).collect()
}

fn read(row: Row) -> Result<AuditEntry> {
    let (key, time, actor, caller, tenant, method, resources, resource_count, fields, remote, request_id) = row;
    let corrupt = || Error::Corrupt(format!("audit entry {key}"));
    let list = |text: &str| serde_json::from_str::<Vec<String>>(text).map_err(|_| corrupt());
    let caller = ApiKeyId::from_text(&caller);
    Ok(AuditEntry {
        key,
        time: Timestamp::from_micros(time),
        actor: match (actor, caller) {
            (1, Some(id)) => Actor::Key(id),
            (2, Some(id)) => Actor::EnvironmentKey(id),
            (3, None) => Actor::Server,
            _ => return Err(corrupt()),
        },
        tenant,
        method,
        resources: list(&resources)?,
        resource_count: usize::try_from(resource_count).map_err(|_| corrupt())?,
        fields: list(&fields)?,
        remote,
        request_id,
    })
}

fn json(texts: &[String]) -> String {
    serde_json::to_string(texts).expect("texts can be written as JSON")
}
