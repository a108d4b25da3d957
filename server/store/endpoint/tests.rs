use sqlx::Row as _;

use super::*;
use crate::{
    configure::NewEndpoint,
    fixture::{Fixture, TENANT, settings, twins},
};

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

#[tokio::test]
async fn endpoints_that_are_loaded_share_what_they_have_alike() {
    let fixture = Fixture::new().await;
    let mut keys = Vec::new();
    for max_in_flight in [8, 8, 9] {
        let policy = DeliveryPolicy { max_in_flight, ..DeliveryPolicy::default() };
        let settings = EndpointSettings { policy: policy.into(), ..settings() };
        let new = NewEndpoint { settings, disabled: false, secrets: Vec::new(), headers: Vec::new() };
        keys.push(fixture.configurator.create_endpoint(TENANT, new).await.unwrap().0);
    }
    let fixture = fixture.reopened().await;
    let loaded: Vec<_> = keys.iter().map(|made| fixture.shared.routes.endpoint(made.key).unwrap()).collect();
    for (made, loaded) in keys.iter().zip(&loaded) {
        assert_eq!(&loaded.endpoint, made);
        let (secret, scheme) = (&loaded.secrets[0], &loaded.endpoint.settings.style.schemes()[0]);
        assert!(Arc::ptr_eq(&secret.scheme, &scheme.name));
        assert_eq!(loaded.secrets.capacity(), 1);
    }
    let policy = |index: usize| &loaded[index].endpoint.settings.policy;
    assert!(Arc::ptr_eq(policy(0), policy(1)) && !Arc::ptr_eq(policy(0), policy(2)));
    let scheme = |index: usize| &loaded[index].endpoint.settings.style.schemes()[0].name;
    assert!(Arc::ptr_eq(scheme(0), scheme(1)) && Arc::ptr_eq(scheme(0), scheme(2)));
}

#[test]
fn no_more_texts_are_remembered_than_the_limit() {
    let mut known = HashMap::new();
    for number in 0..2 * ALIKE_MAX {
        assert_eq!(read_once(&mut known, &number.to_string(), |text| text.parse::<usize>().ok()), Some(number));
    }
    assert_eq!(known.len(), ALIKE_MAX);
    assert_eq!(read_once(&mut known, "0", |_| None), Some(0), "it is not read again");
    assert_eq!(read_once(&mut known, "none", |_| None), None);
}

twins!(
    "tests.rs",
    [list_goes_by_the_index_of_a_tenants_endpoints, endpoints_that_are_loaded_share_what_they_have_alike]
);
