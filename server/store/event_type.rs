//! Catalogues of event types. Names are ASCII, and sorted by their bytes.

use super::{
    Conn, Result, Tx,
    sql::{MultiRow, column, fetch_all, fetch_optional, pieces},
};
use crate::model::{EventType, EventTypeSettings, TenantKey, Timestamp};

/// What is there with the same description is not returned. A change is always later than the creation, so that what is
/// returned with one time for both is new.
const UPSERT: MultiRow = MultiRow {
    head: "INSERT INTO event_type (tenant, name, description, created, updated)",
    tail: " ON CONFLICT (tenant, name) DO UPDATE SET description = excluded.description, \
            updated = CASE WHEN excluded.updated > event_type.created THEN excluded.updated \
            ELSE event_type.created + 1 END \
            WHERE event_type.description <> excluded.description RETURNING created, updated",
    columns: &["bigint", "text", "text", "bigint", "bigint"],
};

/// What a write of event types changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upserted {
    /// So many were new.
    pub created: usize,
    /// So many had another description.
    pub updated: usize,
}

type Row = (String, String, i64, i64);

/// Writes those of `types`, no two of one name, that are new or have another description.
pub(crate) async fn upsert(
    tx: &mut Tx,
    tenant: TenantKey,
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
                .bind(column(types, |_| now.as_micros()))
                .bind(column(types, |_| now.as_micros()))
                .fetch_all(&mut **conn)
                .await?;
        }
    }
    let created = written.iter().filter(|(created, updated)| created == updated).count();
    Ok(Upserted { created, updated: written.len() - created })
}

/// How many event types a tenant's catalogue has.
pub(crate) async fn count(conn: &mut Conn, tenant: TenantKey) -> Result<usize> {
    let sql = "SELECT count(*) FROM event_type WHERE tenant = $1";
    let count: Option<(i64,)> = fetch_optional!(conn, sql, tenant.0)?;
    Ok(count.map_or(0, |(count,)| usize::try_from(count).unwrap_or(0)))
}

/// An event type of a tenant's.
pub(crate) async fn get(conn: &mut Conn, tenant: TenantKey, name: &str) -> Result<Option<EventType>> {
    let sql = "SELECT name, description, created, updated FROM event_type WHERE tenant = $1 AND name = $2";
    let row: Option<Row> = fetch_optional!(conn, sql, tenant.0, name)?;
    Ok(row.map(read))
}

/// A tenant's event types whose names come after `after`, by name.
pub(crate) async fn list(conn: &mut Conn, tenant: TenantKey, after: &str, limit: i64) -> Result<Vec<EventType>> {
    let sql = "SELECT name, description, created, updated FROM event_type \
               WHERE tenant = $1 AND name > $2 ORDER BY name LIMIT $3";
    let rows: Vec<Row> = fetch_all!(conn, sql, tenant.0, after, limit)?;
    Ok(rows.into_iter().map(read).collect())
}

fn read((name, description, created, updated): Row) -> EventType {
    EventType {
        settings: EventTypeSettings { name, description },
        created: Timestamp::from_micros(created),
        updated: Timestamp::from_micros(updated),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixture::{Fixture, OTHER_TENANT, TENANT, twins};

    impl Fixture {
        async fn upsert(&self, tenant: TenantKey, types: &[(&str, &str)]) -> Upserted {
            let now = self.shared.clock.now();
            let types: Vec<_> = types.iter().map(|&(name, description)| settings(name, description)).collect();
            let write = self.shared.db.write(move |tx| {
                Box::pin(async move {
                    let upserted = upsert(tx, tenant, now, &types).await?;
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
            let types = self.shared.db.read(move |conn| Box::pin(list(conn, tenant, after, limit))).await.unwrap();
            types.into_iter().map(|event_type| event_type.settings.name).collect()
        }
    }

    fn settings(name: &str, description: &str) -> EventTypeSettings {
        EventTypeSettings { name: name.to_owned(), description: description.to_owned() }
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
        assert_eq!((changed.settings, changed.created), (settings("a", "two"), start));

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
        assert_eq!(fixture.stored_type(TENANT, "a").await.unwrap().settings.description, "mine");
        assert_eq!(fixture.stored_type(OTHER_TENANT, "a").await.unwrap().settings.description, "theirs");
        assert_eq!(fixture.stored_type(OTHER_TENANT, "b").await, None);
        assert_eq!(fixture.names(OTHER_TENANT, "", 100).await, ["a"]);
        let count = |tenant| fixture.shared.db.read(move |conn| Box::pin(count(conn, tenant)));
        assert_eq!((count(TENANT).await.unwrap(), count(OTHER_TENANT).await.unwrap()), (2, 1));
    }

    twins!(
        "event_type.rs",
        [
            upsert_writes_only_what_differs_and_counts_it,
            list_goes_by_the_bytes_of_the_names,
            catalogues_of_two_tenants_are_apart,
        ]
    );
}
