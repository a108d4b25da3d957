//! Many rows in one: how a start reads the configuration.
//!
//! On SQLite each row that is fetched wakes another thread, and each of its columns is copied on the way. With a hundred
//! thousand endpoints that was most of what a start took. So there the rows of a page come packed into one, as a JSON text;
//! Postgres sends rows many at a time by itself. Packed rows come in no particular order: their reader sorts them.

use serde::de::DeserializeOwned;

use super::{Error, Result};

/// Fetches all rows of a query, packed on SQLite: `$columns` of `$from`, which goes on to the query's end. After `sealed` the
/// column of this name is read too, as the last one, in hexadecimal: JSON has no bytes.
macro_rules! fetch_packed {
    ($conn:expr, sealed $columns:literal, $from:literal $(, $bind:expr)* $(,)?) => {
        $crate::store::packed::fetch_packed!(@
            $conn, concat!($columns, ", hex(sealed)"), concat!($columns, ", encode(sealed, 'hex')"), $from, [$($bind),*]
        )
    };
    ($conn:expr, $columns:expr, $from:literal $(, $bind:expr)* $(,)?) => {
        $crate::store::packed::fetch_packed!(@ $conn, $columns, $columns, $from, [$($bind),*])
    };
    (@ $conn:expr, $sqlite:expr, $postgres:expr, $from:literal, [$($bind:expr),*]) => {
        match $conn {
            $crate::store::Conn::Sqlite(c) => {
                let sql = concat!("SELECT json_group_array(json_array(", $sqlite, ")) FROM (SELECT * FROM ", $from, ")");
                let packed = sqlx::query_as(sql)$(.bind($bind))*.fetch_one(&mut **c).await;
                packed.map_err($crate::store::Error::from).and_then(|(text,): (String,)| $crate::store::packed::unpack(&text))
            }
            $crate::store::Conn::Postgres(c) => {
                let sql = concat!("SELECT ", $postgres, " FROM ", $from);
                sqlx::query_as(sql)$(.bind($bind))*.fetch_all(&mut **c).await.map_err($crate::store::Error::from)
            }
        }
    };
}

pub(super) use fetch_packed;

/// Reads rows that were packed.
pub(super) fn unpack<R: DeserializeOwned>(text: &str) -> Result<Vec<R>> {
    serde_json::from_str(text).map_err(|error| Error::Corrupt(format!("packed rows: {error}")))
}

/// Reads a sealed record in hexadecimal; `None` if it is none.
pub(super) fn read_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_of_either_case_are_read_in_pairs() {
        assert_eq!(read_hex("00aFFf"), Some(vec![0, 0xaf, 0xff]));
        assert_eq!(read_hex(""), Some(vec![]));
        for wrong in ["0", "000", "0g", "+1", "ä"] {
            assert_eq!(read_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rows_are_unpacked_column_by_column() {
        let rows: Vec<(i64, String, Option<i64>)> =
            unpack(r#"[[9223372036854775807,"ä\u0000\"",null],[-1,"",2]]"#).unwrap();
        assert_eq!(rows, [(i64::MAX, "ä\0\"".to_owned(), None), (-1, String::new(), Some(2))]);
        let wrong = unpack::<(i64, String)>(r#"[[1]]"#).unwrap_err();
        assert!(matches!(wrong, Error::Corrupt(_)), "{wrong:?}");
    }
}
