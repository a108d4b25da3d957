//! Which keys the records of a database are sealed with.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection as _};

use super::{KeyId, Keyring, Location, ResealError, SealedTable};
use crate::store::{Error, postgres, seal, sqlite};

/// How many records are sealed with which keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Each table, in the order in which they are sealed anew.
    pub tables: Vec<TableSurvey>,
    /// Keys of the ring, other than the active one, that records are sealed with, and how many.
    pub needed: Vec<(KeyId, u64)>,
    /// The ring's older keys that no record is sealed with.
    pub idle: Vec<KeyId>,
    /// Keys that records are sealed with but that the ring does not have.
    pub unknown: Vec<(KeyId, u64)>,
}

/// The records of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSurvey {
    /// Which.
    pub table: SealedTable,
    /// How many there are.
    pub records: u64,
    /// How many of them are not sealed with the active key.
    pub older: u64,
}

/// Counts the records by the keys that they name; none is opened.
pub(super) async fn survey(location: &Location, keyring: &Keyring) -> Result<Survey, ResealError> {
    let mut survey = Survey::default();
    let mut keys: BTreeMap<KeyId, u64> = BTreeMap::new();
    for (table, rows) in SealedTable::ALL.into_iter().zip(count(location).await?) {
        let (mut records, mut older) = (0, 0);
        for (header, count) in rows {
            let key = seal::key_id(&header);
            let key = key.map_err(|source| {
                let row = format!("{count} rows");
                ResealError::Record { table: table.name(), row, source }
            })?;
            records += count.unsigned_abs();
            if key != keyring.active() {
                older += count.unsigned_abs();
                *keys.entry(key).or_default() += count.unsigned_abs();
            }
        }
        survey.tables.push(TableSurvey { table, records, older });
    }
    survey.idle = keyring.others().filter(|key| !keys.contains_key(key)).collect();
    let held = |key: &KeyId| keyring.others().any(|other| other == *key);
    (survey.needed, survey.unknown) = keys.into_iter().partition(|(key, _)| held(key));
    Ok(survey)
}

/// Of each table the beginnings of its records, and how many begin so.
async fn count(location: &Location) -> Result<Vec<Vec<(Vec<u8>, i64)>>, Error> {
    let texts = SealedTable::ALL.map(|table| {
        let sql = format!("SELECT substr(sealed, 1, 9), COUNT(*) FROM {} GROUP BY substr(sealed, 1, 9)", table.name());
        AssertSqlSafe(sql)
    });
    let mut tables = Vec::with_capacity(texts.len());
    match location {
        Location::Sqlite(path) => {
            let mut conn = sqlite::connect_to_look(path).await?;
            for sql in texts {
                tables.push(sqlx::query_as(sql).fetch_all(&mut conn).await?);
            }
            // It has only read; whatever closing it might say changes nothing.
            let _ = conn.close().await;
        }
        Location::Postgres(url) => {
            let mut conn = postgres::connect_to_look(url).await?;
            for sql in texts {
                tables.push(sqlx::query_as(sql).fetch_all(&mut conn).await?);
            }
            let _ = conn.close().await;
        }
    }
    Ok(tables)
}
