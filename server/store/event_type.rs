//! Catalogues of event types. Names are ASCII, and sorted by their bytes.

use super::{
    Conn, Result, Tx,
    sql::{MultiRow, column, execute, fetch_all, fetch_optional, pieces},
};
use crate::model::{EventType, EventTypeFilter, EventTypeSettings, TenantKey, Timestamp};

/// What is there as it is given is not returned. A change is always later than the creation, so that what is returned with
/// one time for both is new.
const UPSERT: MultiRow = MultiRow {
    head: "INSERT INTO event_type (tenant, name, description, schema, deprecated, version, created, updated)",
    tail: " ON CONFLICT (tenant, name) DO UPDATE SET description = excluded.description, schema = excluded.schema, \
            deprecated = excluded.deprecated, version = excluded.version, \
            updated = CASE WHEN excluded.updated > event_type.created THEN excluded.updated \
            ELSE event_type.created + 1 END \
            WHERE event_type.description <> excluded.description OR event_type.schema <> excluded.schema \
            OR event_type.deprecated <> excluded.deprecated RETURNING created, updated",
    columns: &["bigint", "text", "text", "text", "bigint", "bigint", "bigint", "bigint"],
};

/// Comes after every character that a name may have.
const AFTER_NAMES: char = '\u{7f}';

/// What a write of event types changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upserted {
    /// So many were new.
    pub created: usize,
    /// So many were different.
    pub updated: usize,
}

/// How much a catalogue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CatalogueSize {
    /// So many event types.
    pub types: usize,
    /// So many bytes of schemas.
    pub schema_bytes: usize,
}

/// What publishing reads of an event type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishRule {
    /// Whose it is.
    pub tenant: TenantKey,
    /// The type as events bear it.
    pub name: String,
    /// What payloads are to look like; empty if they may be anything.
    pub schema: String,
    /// It should no longer be published.
    pub deprecated: bool,
}

type Row = (String, String, String, i64, i64, i64, i64);

/// Writes those of `types`, no two of one name, that are new or different, under configuration `version`.
pub(crate) async fn upsert(
    tx: &mut Tx,
    tenant: TenantKey,
    version: i64,
    now: Timestamp,
    types: &[EventTypeSettings],
) -> Result<Upserted> {
    let mut written: Vec<(i64, i64)> = Vec::with_capacity(types.len());
    match &mut tx.conn {
        Conn::Sqlite(conn) => {
            for piece in pieces(types) {
                let mut query = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.get(&UPSERT, piece.len())));
                for settings in piece {
                    query = query
                        .bind(tenant.0)
                        .bind(&settings.name)
                        .bind(&settings.description)
                        .bind(settings.schema_text())
                        .bind(i64::from(settings.deprecated))
                        .bind(version)
                        .bind(now.as_micros())
                        .bind(now.as_micros());
                }
                written.append(&mut query.fetch_all(&mut **conn).await?);
            }
        }
        Conn::Postgres(conn) => {
            written = sqlx::query_as(sqlx::AssertSqlSafe(tx.texts.of_arrays(&UPSERT)))
                .bind(column(types, |_| tenant.0))
                .bind(column(types, |settings| settings.name.as_str()))
                .bind(column(types, |settings| settings.description.as_str()))
                .bind(column(types, |settings| settings.schema_text()))
                .bind(column(types, |settings| i64::from(settings.deprecated)))
                .bind(column(types, |_| version))
                .bind(column(types, |_| now.as_micros()))
                .bind(column(types, |_| now.as_micros()))
                .fetch_all(&mut **conn)
                .await?;
        }
    }
    let created = written.iter().filter(|(created, updated)| created == updated).count();
    Ok(Upserted { created, updated: written.len() - created })
}

/// Writes all that can change of an event type.
pub(crate) async fn update(tx: &mut Tx, tenant: TenantKey, event_type: &EventType) -> Result<()> {
    let sql = "UPDATE event_type SET description = $3, schema = $4, deprecated = $5, version = $6, updated = $7 \
               WHERE tenant = $1 AND name = $2";
    execute!(
        &mut tx.conn,
        sql,
        tenant.0,
        &event_type.name,
        &event_type.description,
        &event_type.schema,
        i64::from(event_type.deprecated),
        event_type.version,
        event_type.updated.as_micros(),
    )?;
    Ok(())
}

/// Takes an event type out of a tenant's catalogue.
pub(crate) async fn delete(tx: &mut Tx, tenant: TenantKey, name: &str) -> Result<()> {
    execute!(&mut tx.conn, "DELETE FROM event_type WHERE tenant = $1 AND name = $2", tenant.0, name)?;
    Ok(())
}

/// Erases a tenant's catalogue.
pub(crate) async fn delete_of(tx: &mut Tx, tenant: TenantKey) -> Result<()> {
    execute!(&mut tx.conn, "DELETE FROM event_type WHERE tenant = $1", tenant.0)?;
    Ok(())
}

/// How much a tenant's catalogue holds.
pub(crate) async fn size(conn: &mut Conn, tenant: TenantKey) -> Result<CatalogueSize> {
    let sql =
        "SELECT count(*), CAST(coalesce(sum(octet_length(schema)), 0) AS BIGINT) FROM event_type WHERE tenant = $1";
    let (types, bytes): (i64, i64) = fetch_optional!(conn, sql, tenant.0)?.unwrap_or_default();
    let count = |number| usize::try_from(number).unwrap_or(0);
    Ok(CatalogueSize { types: count(types), schema_bytes: count(bytes) })
}

/// An event type of a tenant's.
pub(crate) async fn get(conn: &mut Conn, tenant: TenantKey, name: &str) -> Result<Option<EventType>> {
    let sql = "SELECT name, description, schema, deprecated, version, created, updated FROM event_type \
               WHERE tenant = $1 AND name = $2";
    let row: Option<Row> = fetch_optional!(conn, sql, tenant.0, name)?;
    Ok(row.map(read))
}

pub(super) const LIST: &str = "SELECT name, description, schema, deprecated, version, created, updated FROM event_type \
     WHERE tenant = $1 AND name > $2 AND name >= $3 AND name < $4 AND ($5 < 0 OR deprecated = $5) ORDER BY name LIMIT $6";

/// A tenant's event types that `filter` selects and whose names come after `after`, by name.
pub(crate) async fn list(
    conn: &mut Conn,
    tenant: TenantKey,
    filter: &EventTypeFilter,
    after: &str,
    limit: i64,
) -> Result<Vec<EventType>> {
    let beyond = format!("{}{AFTER_NAMES}", filter.name_prefix);
    let deprecated = filter.deprecated.map_or(-1, i64::from);
    let rows: Vec<Row> = fetch_all!(conn, LIST, tenant.0, after, &filter.name_prefix, &beyond, deprecated, limit)?;
    Ok(rows.into_iter().map(read).collect())
}

/// What publishing reads of all event types of all tenants.
pub(crate) async fn rules(conn: &mut Conn) -> Result<Vec<PublishRule>> {
    let sql = "SELECT tenant, name, schema, deprecated FROM event_type WHERE schema <> '' OR deprecated <> 0 \
               ORDER BY tenant, name";
    let rows: Vec<(i64, String, String, i64)> = fetch_all!(conn, sql)?;
    let read = |(tenant, name, schema, deprecated): (i64, String, String, i64)| PublishRule {
        tenant: TenantKey(tenant),
        name,
        schema,
        deprecated: deprecated != 0,
    };
    Ok(rows.into_iter().map(read).collect())
}

fn read((name, description, schema, deprecated, version, created, updated): Row) -> EventType {
    EventType {
        name,
        description,
        schema,
        deprecated: deprecated != 0,
        version,
        created: Timestamp::from_micros(created),
        updated: Timestamp::from_micros(updated),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        fixture::{Fixture, OTHER_TENANT, TENANT, twins},
        model::schema::Schema,
    };

    impl Fixture {
        async fn upsert(&self, tenant: TenantKey, types: &[(&str, &str)]) -> Upserted {
            let now = self.shared.clock.now();
            let types: Vec<_> = types.iter().map(|&(name, description)| settings(name, description)).collect();
            let write = self.shared.db.write(move |tx| {
                Box::pin(async move {
                    let upserted = upsert(tx, tenant, 7, now, &types).await?;
                    tx.commit().await?;
                    Ok(upserted)
                })
            });
            write.await.unwrap()
        }

        async fn stored_type(&self, tenant: TenantKey, name: &'static str) -> Option<EventType> {
            self.shared.db.read(move |conn| Box::pin(get(conn, tenant, name))).await.unwrap()
        }

        async fn names(&self, tenant: TenantKey, after: &'static str, limit: i64) -> Vec<String> {
            let types = self
                .shared
                .db
                .read(move |conn| {
                    Box::pin(async move { list(conn, tenant, &EventTypeFilter::default(), after, limit).await })
                })
                .await
                .unwrap();
            types.into_iter().map(|event_type| event_type.name).collect()
        }
    }

    fn settings(name: &str, description: &str) -> EventTypeSettings {
        EventTypeSettings {
            name: name.to_owned(),
            description: description.to_owned(),
            schema: None,
            deprecated: false,
        }
    }

    #[tokio::test]
    async fn upsert_writes_only_what_differs_and_counts_it() {
        let fixture = Fixture::new().await;
        let start = fixture.shared.clock.now();
        let upserted = fixture.upsert(TENANT, &[("a", "one"), ("b", "")]).await;
        assert_eq!(upserted, Upserted { created: 2, updated: 0 });
        // The clock stands still: what is changed within the microsecond of its creation is still told from what is new.
        let upserted = fixture.upsert(TENANT, &[("a", "two"), ("b", ""), ("c", "")]).await;
        assert_eq!(upserted, Upserted { created: 1, updated: 1 });
        let changed = fixture.stored_type(TENANT, "a").await.unwrap();
        assert_eq!((changed.description.as_str(), changed.created), ("two", start));

        fixture.shared.clock.advance(Duration::from_secs(1));
        let upserted = fixture.upsert(TENANT, &[("a", "three"), ("b", "")]).await;
        assert_eq!(upserted, Upserted { created: 0, updated: 1 });
        let changed = fixture.stored_type(TENANT, "a").await.unwrap();
        assert_eq!((changed.created, changed.updated), (start, fixture.shared.clock.now()));
        let unchanged = fixture.stored_type(TENANT, "b").await.unwrap();
        assert_eq!((unchanged.created, unchanged.updated), (start, start));
    }

    #[tokio::test]
    async fn list_goes_by_the_bytes_of_the_names() {
        let fixture = Fixture::new().await;
        let names = ["a-b", "a.b", "a.b.c", "a0", "aB", "a_", "ab", "b"];
        let shuffled = [7, 2, 5, 0, 3, 6, 1, 4].map(|index| (names[index], ""));
        fixture.upsert(TENANT, &shuffled).await;
        assert_eq!(fixture.names(TENANT, "", 100).await, names);
        assert_eq!(fixture.names(TENANT, "a.b", 2).await, ["a.b.c", "a0"]);
        assert_eq!(fixture.names(TENANT, "b", 2).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn catalogues_of_two_tenants_are_apart() {
        let fixture = Fixture::new().await;
        fixture.upsert(TENANT, &[("a", "mine"), ("b", "")]).await;
        let upserted = fixture.upsert(OTHER_TENANT, &[("a", "theirs")]).await;
        assert_eq!(upserted, Upserted { created: 1, updated: 0 });
        assert_eq!(fixture.stored_type(TENANT, "a").await.unwrap().description, "mine");
        assert_eq!(fixture.stored_type(OTHER_TENANT, "a").await.unwrap().description, "theirs");
        assert_eq!(fixture.stored_type(OTHER_TENANT, "b").await, None);
        assert_eq!(fixture.names(OTHER_TENANT, "", 100).await, ["a"]);
        let size = |tenant| fixture.shared.db.read(move |conn| Box::pin(size(conn, tenant)));
        assert_eq!((size(TENANT).await.unwrap().types, size(OTHER_TENANT).await.unwrap().types), (2, 1));
    }

    #[tokio::test]
    async fn schema_and_deprecation_are_changes_too_and_bear_their_version() {
        let fixture = Fixture::new().await;
        fixture.upsert(TENANT, &[("a", ""), ("b", "")]).await;
        let schema = Arc::new(Schema::compile("{\"type\": \"object\"}").unwrap());
        let with_schema = EventTypeSettings { schema: Some(schema), ..settings("a", "") };
        let deprecated = EventTypeSettings { deprecated: true, ..settings("b", "") };
        for updated in [2, 0] {
            let types = [with_schema.clone(), deprecated.clone()];
            let write = fixture.shared.db.write(move |tx| {
                Box::pin(async move {
                    let upserted = upsert(tx, TENANT, 9, Timestamp::from_micros(5), &types).await?;
                    tx.commit().await?;
                    Ok(upserted)
                })
            });
            assert_eq!(write.await.unwrap(), Upserted { created: 0, updated });
        }
        let stored = fixture.stored_type(TENANT, "a").await.unwrap();
        assert_eq!((stored.schema.as_str(), stored.deprecated, stored.version), ("{\"type\": \"object\"}", false, 9));
        let rules = fixture.shared.db.read(|conn| Box::pin(rules(conn))).await.unwrap();
        let found: Vec<_> = rules.iter().map(|rule| (rule.name.as_str(), rule.deprecated)).collect();
        assert_eq!(found, [("a", false), ("b", true)]);
        let size = fixture.shared.db.read(|conn| Box::pin(size(conn, TENANT))).await.unwrap();
        assert_eq!(size, CatalogueSize { types: 2, schema_bytes: 18 });
    }

    #[tokio::test]
    async fn filters_narrow_the_list_and_keep_its_order() {
        let fixture = Fixture::new().await;
        fixture.upsert(TENANT, &[("a", ""), ("a.b", ""), ("a.z_", ""), ("a0", ""), ("b", "")]).await;
        let narrowed = |prefix: &str, deprecated| {
            let filter = EventTypeFilter { name_prefix: prefix.to_owned(), deprecated };
            let read =
                fixture.shared.db.read(move |conn| Box::pin(async move { list(conn, TENANT, &filter, "", 100).await }));
            async { read.await.unwrap().into_iter().map(|found| found.name).collect::<Vec<_>>() }
        };
        assert_eq!(narrowed("a.", None).await, ["a.b", "a.z_"]);
        assert_eq!(narrowed("a", Some(false)).await, ["a", "a.b", "a.z_", "a0"]);
        assert_eq!(narrowed("", Some(true)).await, Vec::<String>::new());
        assert_eq!(narrowed("c", None).await, Vec::<String>::new());
    }

    twins!(
        "event_type.rs",
        [
            upsert_writes_only_what_differs_and_counts_it,
            list_goes_by_the_bytes_of_the_names,
            catalogues_of_two_tenants_are_apart,
            schema_and_deprecation_are_changes_too_and_bear_their_version,
            filters_narrow_the_list_and_keep_its_order,
        ]
    );
}
