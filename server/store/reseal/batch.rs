//! One batch of records of one table.

use sqlx::AssertSqlSafe;

use super::{ResealError, SealedTable};
use crate::store::{
    Error, Keyring, Place, Tx,
    seal::RowKey,
    sql::{execute, fetch_all},
};

/// How many records a transaction takes at most.
pub(super) const RECORDS_MAX: i64 = 200;

/// A row, and the place in its table up to which records are done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The row's number, or, where rows have names, whose it is.
    number: i64,
    name: String,
}

/// A record as it is read: the row's number or tenant, what else tells it, and what is sealed.
struct Record {
    cursor: Cursor,
    tenant: i64,
    sealed: Vec<u8>,
}

impl Cursor {
    /// Before all rows.
    pub(super) fn start() -> Self {
        Self { number: i64::MIN, name: String::new() }
    }
}

/// Seals the next records after `after` anew, and commits. Returns how many, and where to go on unless that was all.
pub(super) async fn reseal(
    tx: &mut Tx,
    table: SealedTable,
    keyring: &Keyring,
    after: Cursor,
) -> Result<(u64, Option<Cursor>), ResealError> {
    let records = read(tx, table, keyring, &after).await?;
    for record in &records {
        let place = place(table, record);
        let opened = keyring.open(place, &record.sealed).map_err(|source| refused(table, &record.cursor, source))?;
        write(tx, table, &record.cursor, keyring.seal(place, &opened)).await?;
    }
    tx.commit().await?;
    let full = records.len() as i64 == RECORDS_MAX;
    let done = records.len() as u64;
    Ok((done, records.into_iter().next_back().map(|record| record.cursor).filter(|_| full)))
}

/// What is not sealed with the active key, in the order of the rows' keys.
async fn read(tx: &mut Tx, table: SealedTable, keyring: &Keyring, after: &Cursor) -> Result<Vec<Record>, Error> {
    let (name, active) = (table.name(), keyring.active_header());
    let rows: Vec<(i64, String, i64, Vec<u8>)> = match table.row_key() {
        RowKey::Number(key) => {
            let sql = format!(
                "SELECT {key}, '', tenant, sealed FROM {name} WHERE {key} > $1 AND substr(sealed, 1, 9) <> $2 \
                 ORDER BY {key} LIMIT $3"
            );
            fetch_all!(&mut tx.conn, AssertSqlSafe(sql), after.number, &active[..], RECORDS_MAX)?
        }
        RowKey::Name(tenant, key) => {
            let sql = format!(
                "SELECT {tenant}, {key}, {tenant}, sealed FROM {name} WHERE ({tenant}, {key}) > ($1, $2) \
                 AND substr(sealed, 1, 9) <> $3 ORDER BY {tenant}, {key} LIMIT $4"
            );
            fetch_all!(&mut tx.conn, AssertSqlSafe(sql), after.number, &*after.name, &active[..], RECORDS_MAX)?
        }
    };
    let record = |(number, name, tenant, sealed)| Record { cursor: Cursor { number, name }, tenant, sealed };
    Ok(rows.into_iter().map(record).collect())
}

async fn write(tx: &mut Tx, table: SealedTable, row: &Cursor, sealed: Vec<u8>) -> Result<(), Error> {
    let name = table.name();
    match table.row_key() {
        RowKey::Number(key) => {
            let sql = format!("UPDATE {name} SET sealed = $1 WHERE {key} = $2");
            execute!(&mut tx.conn, AssertSqlSafe(sql), sealed, row.number)?
        }
        RowKey::Name(tenant, key) => {
            let sql = format!("UPDATE {name} SET sealed = $1 WHERE {tenant} = $2 AND {key} = $3");
            execute!(&mut tx.conn, AssertSqlSafe(sql), sealed, row.number, &*row.name)?
        }
    };
    Ok(())
}

fn place(table: SealedTable, record: &Record) -> Place<'_> {
    match table.row_key() {
        RowKey::Number(_) => table.numbered(record.tenant, record.cursor.number),
        RowKey::Name(..) => table.named(record.tenant, &record.cursor.name),
    }
}

fn refused(table: SealedTable, row: &Cursor, source: crate::store::SealError) -> ResealError {
    let row = match table.row_key() {
        RowKey::Number(key) => format!("{key} {}", row.number),
        RowKey::Name(..) => format!("{:?}", row.name),
    };
    ResealError::Record { table: table.name(), row, source }
}
