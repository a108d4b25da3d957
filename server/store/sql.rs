//! One SQL text for every database: the macros that run it on whichever one a connection is of, and the building of
//! multi-row statements.
//!
//! On SQLite multi-row statements come in few sizes, so that few distinct texts are ever prepared. On Postgres each has one
//! text, whose rows come as one array for each column.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::ConnectOptions;

/// Runs a query and returns all rows as tuples.
macro_rules! fetch_all {
    ($conn:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        match $conn {
            $crate::store::Conn::Sqlite(c) => {
                sqlx::query_as($sql)$(.bind($bind))*.fetch_all(&mut **c).await.map_err($crate::store::Error::from)
            }
            $crate::store::Conn::Postgres(c) => {
                sqlx::query_as($sql)$(.bind($bind))*.fetch_all(&mut **c).await.map_err($crate::store::Error::from)
            }
        }
    };
}

/// Runs a query and returns its first row as a tuple, if there is one.
macro_rules! fetch_optional {
    ($conn:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        match $conn {
            $crate::store::Conn::Sqlite(c) => {
                sqlx::query_as($sql)$(.bind($bind))*.fetch_optional(&mut **c).await.map_err($crate::store::Error::from)
            }
            $crate::store::Conn::Postgres(c) => {
                sqlx::query_as($sql)$(.bind($bind))*.fetch_optional(&mut **c).await.map_err($crate::store::Error::from)
            }
        }
    };
}

/// Runs a statement and returns how many rows it changed.
macro_rules! execute {
    ($conn:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        match $conn {
            $crate::store::Conn::Sqlite(c) => sqlx::query($sql)$(.bind($bind))*
                .execute(&mut **c)
                .await
                .map(|done| done.rows_affected())
                .map_err($crate::store::Error::from),
            $crate::store::Conn::Postgres(c) => sqlx::query($sql)$(.bind($bind))*
                .execute(&mut **c)
                .await
                .map(|done| done.rows_affected())
                .map_err($crate::store::Error::from),
        }
    };
}

pub(crate) use {execute, fetch_all, fetch_optional};

/// The most rows that one statement takes: 32,766 binds is SQLite's limit, 16 the widest row.
const ROWS_MAX: usize = 128;

/// Beyond so many rows a statement takes a multiple of them.
const ROWS_STEP: usize = 8;

/// Cuts `rows` into pieces of few sizes: as many as a statement takes, then a multiple of eight, then what is left. So
/// there are 23 sizes, and a turn of up to 128 rows needs two statements at most; powers of two took up to seven.
pub(super) fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = match rows.len() {
            0 => return None,
            few if few < ROWS_STEP => few,
            many => ROWS_MAX.min(many / ROWS_STEP * ROWS_STEP),
        };
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        Some(piece)
    })
}

/// Connections by these options log no statement, but for the test that looks at what is run.
pub(super) fn unlogged<O: ConnectOptions>(options: O) -> O {
    #[cfg(test)]
    if super::conformance::is_heard() {
        return super::conformance::logged(options);
    }
    options.disable_statement_logging()
}

/// One column of `rows`, to be bound as an array.
pub(super) fn column<'a, T, C>(rows: &'a [T], read: impl Fn(&'a T) -> C) -> Vec<C> {
    rows.iter().map(read).collect()
}

/// A statement over many rows: `head`, then the rows, then `tail`.
#[derive(Debug)]
pub(super) struct MultiRow {
    /// What precedes the rows.
    pub(super) head: &'static str,
    /// What follows the rows. Its own placeholders are `$1` to `$9`; they are bound after the rows on SQLite, before them on
    /// Postgres. In braces are equalities by which rows of a table that grows are looked up: see [`Self::after_arrays`].
    pub(super) tail: &'static str,
    /// The types of each row's binds, as Postgres calls them.
    pub(super) columns: &'static [&'static str],
}

/// The texts built so far.
#[derive(Debug, Default)]
pub(super) struct Texts(Mutex<HashMap<TextKey, Arc<str>>>);

/// Stands for the number of rows in the key of a text that takes arrays.
const ARRAYS: usize = 0;

/// A statement's head and tail, and how many rows.
pub(super) type TextKey = (&'static str, &'static str, usize);

impl Texts {
    /// SQLite's text of `statement` for `rows` rows.
    pub(super) fn get(&self, statement: &MultiRow, rows: usize) -> Arc<str> {
        self.made((statement.head, statement.tail, rows), || statement.text(rows))
    }

    /// Postgres's text of `statement`, for any number of rows.
    pub(super) fn of_arrays(&self, statement: &MultiRow) -> Arc<str> {
        self.made((statement.head, statement.tail, ARRAYS), || statement.text_of_arrays())
    }

    /// The text that is known by a key, made if it has not been.
    pub(super) fn made(&self, key: TextKey, make: impl FnOnce() -> String) -> Arc<str> {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        texts.entry(key).or_insert_with(|| make().into()).clone()
    }
}

impl MultiRow {
    /// The rows' placeholders have no numbers: the name of each that has one is looked up for each bind, in a list of
    /// all, which at 128 rows took a third of the server's time.
    pub(super) fn text(&self, rows: usize) -> String {
        let columns = self.columns.len();
        let mut text = String::with_capacity(self.head.len() + self.tail.len() + rows * (columns * 3 + 4) + 7);
        text.push_str(self.head);
        text.push_str(" VALUES");
        for row in 0..rows {
            text.push_str(if row == 0 { " (" } else { ", (" });
            for column in 0..columns {
                text.push_str(if column == 0 { "?" } else { ", ?" });
            }
            text.push(')');
        }
        let tail = self.tail.replace(['{', '}'], "");
        let mut parts = tail.split('$');
        text.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let (number, rest) = part.split_at_checked(1).unwrap_or((part, ""));
            let number = number.parse::<usize>().expect("a tail's placeholders are $1 to $9");
            write!(text, "${}{rest}", rows * columns + number).expect("writing to a String cannot fail");
        }
        text
    }

    /// The rows as Postgres takes them, between head and tail: of the arrays, the first of which is bound to the placeholder of
    /// this number. One `UNNEST` of all in the FROM clause would say the same, but gather each column by itself first.
    pub(super) fn arrays(&self, first: usize) -> String {
        let arrays: Vec<String> =
            (first..).zip(self.columns).map(|(number, column)| format!("UNNEST(${number}::{column}[])")).collect();
        format!(" SELECT {}", arrays.join(", "))
    }

    /// What follows the rows on Postgres, where `{t.key = v.key}` is said in two other ways, since plans are kept while tables
    /// grow. By a plain equality one could merge, so Postgres would think of reading an index from end to end, and rightly so
    /// while the table is nearly empty. `= ANY` may be left out of an index's search, for the same reason; a range may not.
    pub(super) fn after_arrays(&self) -> String {
        let mut parts = self.tail.split(['{', '}']);
        let mut text = parts.next().unwrap_or_default().to_owned();
        while let (Some(equality), Some(rest)) = (parts.next(), parts.next()) {
            let (column, key) = equality.split_once(" = ").expect("what is in braces is an equality");
            write!(text, "{column} = ANY (ARRAY[{key}]) AND {column} BETWEEN {key} AND {key}{rest}")
                .expect("writing to a String cannot fail");
        }
        text
    }

    fn text_of_arrays(&self) -> String {
        let own = (1..=9).take_while(|number| self.tail.contains(&format!("${number}"))).count();
        format!("{}{}{}", self.head, self.arrays(own + 1), self.after_arrays())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_few_sizes_and_cover_everything() {
        let rows: Vec<usize> = (0..303).collect();
        let sizes: Vec<usize> = pieces(&rows).map(<[usize]>::len).collect();
        assert_eq!(sizes, [128, 128, 40, 7]);
        let distinct: std::collections::HashSet<usize> =
            (1..1_000).flat_map(|n| pieces(&vec![(); n]).map(<[()]>::len).collect::<Vec<_>>()).collect();
        assert_eq!(distinct.len(), 23);
        assert_eq!(pieces(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        assert_eq!(pieces::<usize>(&[]).count(), 0);
    }

    #[test]
    fn rows_come_first_and_are_not_numbered() {
        let statement = MultiRow { head: "INSERT INTO t", tail: " RETURNING $2 + $1", columns: &["bigint", "text"] };
        assert_eq!(statement.text(2), "INSERT INTO t VALUES (?, ?), (?, ?) RETURNING $6 + $5");
    }

    #[test]
    fn arrays_are_numbered_after_the_tails_placeholders() {
        let statement = MultiRow { head: "INSERT INTO t", tail: " RETURNING $2 + $1", columns: &["bigint", "text"] };
        let expected = "INSERT INTO t SELECT UNNEST($3::bigint[]), UNNEST($4::text[]) RETURNING $2 + $1";
        assert_eq!(statement.text_of_arrays(), expected);
        let statement = MultiRow { head: "DELETE FROM t WHERE k IN (", tail: ")", columns: &["bigint"] };
        assert_eq!(statement.text_of_arrays(), "DELETE FROM t WHERE k IN ( SELECT UNNEST($1::bigint[]))");
    }

    #[test]
    fn what_is_looked_up_by_is_no_equality_to_merge_by() {
        let statement = MultiRow {
            head: "WITH v (k) AS (",
            tail: ") SELECT $1 FROM v CROSS JOIN t WHERE {t.k = v.k}",
            columns: &["bigint"],
        };
        assert_eq!(statement.text(1), "WITH v (k) AS ( VALUES (?)) SELECT $2 FROM v CROSS JOIN t WHERE t.k = v.k");
        let expected = "WITH v (k) AS ( SELECT UNNEST($2::bigint[])) \
                        SELECT $1 FROM v CROSS JOIN t WHERE t.k = ANY (ARRAY[v.k]) AND t.k BETWEEN v.k AND v.k";
        assert_eq!(statement.text_of_arrays(), expected);
    }
}
