//! The tables that hold sealed records. A [`Place`] is made here and nowhere else, so whatever is sealed is in this list,
//! and what seals everything anew goes by it.

use super::Place;

/// A table with a column `sealed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedTable {
    /// The database's own random keys, which have names.
    DatabaseKey,
    /// Signing secrets.
    Secret,
    /// Headers of endpoints' own.
    EndpointHeader,
    /// Credentials by which the server is known to endpoints.
    EndpointCredentials,
    /// Answers of calls with a request id.
    Request,
}

/// The columns that tell a table's rows apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum RowKey {
    /// The column with a row's number; `tenant` stands beside it.
    Number(&'static str),
    /// What gives the tenant, and the column with a name that is the tenant's own.
    Name(&'static str, &'static str),
}

impl SealedTable {
    /// All of them, the database's own keys first: once they are sealed anew, no server starts that lacks the new key.
    pub const ALL: [Self; 5] =
        [Self::DatabaseKey, Self::Secret, Self::EndpointHeader, Self::EndpointCredentials, Self::Request];

    /// What the table is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::DatabaseKey => "database_key",
            Self::Secret => "secret",
            Self::EndpointHeader => "endpoint_header",
            Self::EndpointCredentials => "endpoint_credentials",
            Self::Request => "request",
        }
    }

    pub(in crate::store) fn row_key(self) -> RowKey {
        match self {
            // They are nobody's.
            Self::DatabaseKey => RowKey::Name("CAST(0 AS BIGINT)", "name"),
            Self::Secret => RowKey::Number("key"),
            Self::EndpointHeader | Self::EndpointCredentials => RowKey::Number("endpoint"),
            Self::Request => RowKey::Name("tenant", "id"),
        }
    }

    /// The place of a row that has a number.
    pub fn numbered(self, tenant: i64, row: i64) -> Place<'static> {
        Place { table: self.name(), tenant, row, column: "sealed" }
    }

    /// The place of a row that has a name, which stands for the column: there is no number to tell it by.
    pub fn named(self, tenant: i64, name: &str) -> Place<'_> {
        Place { table: self.name(), tenant, row: 0, column: name }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::copy::{ColumnKind, columns};

    /// Columns of bytes that are plain, and why that is right.
    const PLAIN: [(&str, &str); 8] = [
        // A hash of 256 random bits.
        ("api_key", "hash"),
        // Keyed.
        ("event", "fingerprint"),
        ("request", "fingerprint"),
        // What events are and what endpoints answered is plain by design.
        ("event", "labels"),
        ("event", "payload"),
        ("delivery", "response"),
        ("attempt", "response"),
        // Which deliveries changed, and when.
        ("log", "body"),
    ];

    #[test]
    fn every_column_of_bytes_is_sealed_or_known_to_be_plain() {
        let sealed = SealedTable::ALL.map(|table| (table.name(), "sealed"));
        assert_eq!(sealed.iter().collect::<BTreeSet<_>>().len(), sealed.len());
        let bytes: BTreeSet<_> = columns()
            .filter(|(_, _, kind)| *kind == ColumnKind::Bytes)
            .map(|(table, column, _)| (table, column))
            .collect();
        assert_eq!(bytes, sealed.into_iter().chain(PLAIN).collect());
    }

    #[test]
    fn rows_are_told_apart_by_columns_of_their_tables() {
        let has = |table: SealedTable, name: &str| {
            columns().any(|(other, column, _)| (other, column) == (table.name(), name))
        };
        for table in SealedTable::ALL {
            match table.row_key() {
                RowKey::Number(number) => assert!(has(table, "tenant") && has(table, number), "{table:?}"),
                RowKey::Name(tenant, name) => {
                    assert_eq!(has(table, tenant), has(table, "tenant"), "{table:?}");
                    assert!(has(table, name), "{table:?}");
                }
            }
        }
    }
}
