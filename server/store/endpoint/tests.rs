use sqlx::Row as _;

use super::*;
use crate::fixture::{Fixture, twins};

/// How the database reads a page of a tenant's list.
async fn plan(fixture: &Fixture, tenant: i64) -> String {
    let sql = LIST.replace("$1", &tenant.to_string()).replace("$2", "0").replace("$3", "200");
    let read = fixture.shared.db.read(move |conn| {
        Box::pin(async move {
            Ok(match conn {
                Conn::Sqlite(conn) => {
                    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
                    let steps = sqlx::query(explain).fetch_all(&mut **conn).await?;
                    steps.iter().map(|step| step.get::<String, _>("detail") + "\n").collect()
                }
                Conn::Postgres(conn) => {
                    // As it is made for these values, and as it is made for any.
                    let explain = format!(
                        "EXPLAIN {sql}; PREPARE listing (bigint, bigint, bigint) AS {LIST}; \
                         SET plan_cache_mode = force_generic_plan; EXPLAIN EXECUTE listing ({tenant}, 0, 200); \
                         DEALLOCATE listing; RESET plan_cache_mode"
                    );
                    let lines = sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).fetch_all(&mut **conn).await?;
                    lines.iter().map(|line| line.get::<String, _>(0) + "\n").collect()
                }
            })
        })
    });
    let plan: String = read.await.unwrap();
    plan
}

#[tokio::test]
async fn list_goes_by_the_index_of_a_tenants_endpoints() {
    let fixture = Fixture::new().await;
    // Four tenants: half, half behind those, few behind them, none.
    let write = fixture.shared.db.write(|tx| {
        Box::pin(async move {
            let sql = "INSERT INTO endpoint (key, tenant, display_name, description, url, filter, policy, state, \
                       reason, since, generation, version, created, updated) \
                       WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000) \
                       SELECT n, CASE WHEN n > 19900 THEN 3 WHEN n > 10000 THEN 2 ELSE 1 END, '', '', \
                       'https://example.com/', '[]', '{}', 1, 0, 0, 1, n, 0, 0 FROM n";
            execute!(&mut tx.conn, sql)?;
            tx.commit().await
        })
    });
    write.await.unwrap();
    let analyze = fixture.shared.db.write(|tx| {
        Box::pin(async move {
            execute!(&mut tx.conn, "ANALYZE")?;
            tx.commit().await
        })
    });
    analyze.await.unwrap();
    for tenant in [1, 2, 3, 4] {
        let plan = plan(&fixture, tenant).await;
        assert!(plan.contains("endpoint_of_tenant"), "tenant {tenant}: {plan}");
        assert!(!plan.contains("pkey"), "tenant {tenant}: {plan}");
        for dear in ["Seq Scan", "SCAN", "Sort", "B-TREE"] {
            assert!(!plan.contains(dear), "tenant {tenant}: {plan}");
        }
    }
}

twins!("tests.rs", [list_goes_by_the_index_of_a_tenants_endpoints]);
