//! Rows of any table: read from either database, gathered into batches, and summed up so that two tables can be compared.

use sha2::{Digest as _, Sha256};
use sqlx::{ColumnIndex, Database, Decode, Row, Type, postgres::PgArguments};

use super::schema::{Kind, Table};
use crate::store::{Error, Result};

/// A batch is full at so many rows, which is a few milliseconds' work,
const ROWS_MAX: usize = 1_000;

/// or at so many bytes. One row may have more: a payload has up to 16 MiB.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// One column's value; `None` is NULL.
#[derive(Debug)]
pub(super) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// Reads a row of `table`, whose columns were asked for in its order.
pub(super) fn read<'r, R>(row: &'r R, table: &Table) -> Result<Vec<Value>>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    R::Database: Database,
{
    let read = |(index, column): (usize, &super::schema::Column)| {
        let value = match column.kind {
            Kind::Integer => row.try_get(index).map(Value::Integer),
            Kind::Text => row.try_get(index).map(Value::Text),
            Kind::Bytes => row.try_get(index).map(Value::Bytes),
        };
        match value {
            Ok(value) if value.is_null() && !column.nullable => {
                Err(Error::Corrupt(format!("{}.{} is NULL", table.name, column.name)))
            }
            read => Ok(read?),
        }
    };
    table.columns.iter().enumerate().map(read).collect()
}

impl Value {
    fn is_null(&self) -> bool {
        matches!(self, Self::Integer(None) | Self::Text(None) | Self::Bytes(None))
    }

    fn byte_len(&self) -> usize {
        match self {
            Self::Integer(_) => size_of::<i64>(),
            Self::Text(text) => text.as_ref().map_or(0, String::len),
            Self::Bytes(bytes) => bytes.as_ref().map_or(0, Vec::len),
        }
    }
}

/// How many rows, and what they hold: equal for tables whose rows are the same in the same order.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    rows: u64,
    hash: Sha256,
}

impl Sum {
    /// Counts a row in. Every value says what it is and how long, so that no two rows are written the same.
    pub(super) fn add(&mut self, row: &[Value]) {
        self.rows += 1;
        for value in row {
            match value {
                Value::Integer(None) | Value::Text(None) | Value::Bytes(None) => self.hash.update([0]),
                Value::Integer(Some(value)) => {
                    self.hash.update([1]);
                    self.hash.update(value.to_be_bytes());
                }
                Value::Text(Some(text)) => self.add_bytes(2, text.as_bytes()),
                Value::Bytes(Some(bytes)) => self.add_bytes(3, bytes),
            }
        }
    }

    fn add_bytes(&mut self, kind: u8, bytes: &[u8]) {
        self.hash.update([kind]);
        self.hash.update((bytes.len() as u64).to_be_bytes());
        self.hash.update(bytes);
    }

    /// How many rows were counted in.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// The SHA-256 of them all.
    pub(super) fn checksum(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }
}

/// Rows that are inserted together, column by column.
#[derive(Debug)]
pub(super) struct Batch {
    columns: Vec<Values>,
    rows: usize,
    bytes: usize,
}

/// One column of a batch.
#[derive(Debug)]
enum Values {
    Integers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Batch {
    /// An empty one, of rows of `table`.
    pub(super) fn of(table: &Table) -> Self {
        let columns = table.columns.iter().map(|column| match column.kind {
            Kind::Integer => Values::Integers(Vec::new()),
            Kind::Text => Values::Texts(Vec::new()),
            Kind::Bytes => Values::Bytes(Vec::new()),
        });
        Self { columns: columns.collect(), rows: 0, bytes: 0 }
    }

    /// Adds a row of its table.
    pub(super) fn push(&mut self, row: Vec<Value>) {
        self.rows += 1;
        for (column, value) in self.columns.iter_mut().zip(row) {
            self.bytes += value.byte_len();
            match (column, value) {
                (Values::Integers(values), Value::Integer(value)) => values.push(value),
                (Values::Texts(values), Value::Text(value)) => values.push(value),
                (Values::Bytes(values), Value::Bytes(value)) => values.push(value),
                (column, value) => unreachable!("{value:?} was read for {column:?}"),
            }
        }
    }

    /// Whether it is time to insert it.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= ROWS_MAX || self.bytes >= BYTES_MAX
    }

    /// Whether it has no row.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Its columns, for [`Table::insert`]; it is empty afterwards.
    pub(super) fn take(&mut self) -> Result<PgArguments> {
        use sqlx::Arguments as _;

        (self.rows, self.bytes) = (0, 0);
        let mut arguments = PgArguments::default();
        for column in &mut self.columns {
            let added = match column {
                Values::Integers(values) => arguments.add(std::mem::take(values)),
                Values::Texts(values) => arguments.add(std::mem::take(values)),
                Values::Bytes(values) => arguments.add(std::mem::take(values)),
            };
            added.map_err(|error| Error::from(sqlx::Error::Encode(error)))?;
        }
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(rows: &[&[Value]]) -> [u8; 32] {
        let mut sum = Sum::default();
        rows.iter().for_each(|row| sum.add(row));
        sum.checksum()
    }

    fn text(text: &str) -> Value {
        Value::Text(Some(text.to_owned()))
    }

    #[test]
    fn rows_that_look_alike_have_different_checksums() {
        let bytes = |bytes: &[u8]| Value::Bytes(Some(bytes.to_owned()));
        let tables: [&[&[Value]]; 10] = [
            &[],
            &[&[text("ab"), text("c")]],
            &[&[text("a"), text("bc")]],
            &[&[text("c"), text("ab")]],
            &[&[bytes(b"ab"), text("c")]],
            &[&[Value::Text(None), text("c")]],
            &[&[text(""), text("c")]],
            &[&[bytes(b""), text("c")]],
            &[&[Value::Integer(Some(0)), text("c")]],
            &[&[text("ab"), text("c")], &[text("ab"), text("c")]],
        ];
        let checksums: std::collections::BTreeSet<_> = tables.iter().map(|table| checksum(table)).collect();
        assert_eq!(checksums.len(), tables.len());
        assert_eq!(checksum(&[&[Value::Integer(None)]]), checksum(&[&[Value::Bytes(None)]]), "NULL is NULL");
    }

    #[test]
    fn batch_is_full_by_its_rows_or_its_bytes() {
        let table = super::super::schema::TABLES.iter().find(|table| table.name == "name").unwrap();
        let mut batch = Batch::of(table);
        for key in 0..ROWS_MAX {
            assert!(!batch.is_full());
            batch.push(vec![Value::Integer(Some(key as i64)), text("a")]);
        }
        assert!(batch.is_full());
        batch.take().unwrap();
        assert!(batch.is_empty() && !batch.is_full());
        batch.push(vec![Value::Integer(Some(0)), text(&"a".repeat(BYTES_MAX))]);
        assert!(batch.is_full());
    }
}
