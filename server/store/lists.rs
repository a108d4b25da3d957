//! The plans of what lists and their kin read, on both databases: whatever the tables hold, and whether the database has
//! counted it or not, every statement goes by an index, in that index's order, and reads no further than its LIMIT.
//!
//! A statement of a new list gets a row in [`PINNED`]. ListEndpointSecrets has none: it answers from memory.

use sqlx::Row as _;

use self::Statement::{Each, Same};
use super::{Conn, attempt, audit, delivery, endpoint, event, event_delivery, event_era, event_type, execute};
use crate::fixture::{Fixture, twins};

/// Rows of each table that are loaded.
const ROWS: i64 = 20_000;

/// A statement, and what it goes by.
struct Pinned {
    statement: Statement,
    /// Values for its parameters, for each of which a plan is made.
    values: &'static [&'static str],
    /// What SQLite says of each table, in the order in which it is read.
    sqlite: &'static [&'static str],
    /// What Postgres reads its first table by.
    postgres: &'static str,
}

/// A statement's text.
#[derive(Clone, Copy)]
enum Statement {
    /// One for both databases.
    Same(&'static str),
    /// One for each.
    Each { sqlite: &'static str, postgres: &'static str },
}

impl Statement {
    fn on(self, postgres: bool) -> &'static str {
        match self {
            Same(text) => text,
            Each { sqlite, .. } if !postgres => sqlite,
            Each { postgres, .. } => postgres,
        }
    }
}

/// How SQLite reads what belongs to a delivery.
const BY_KEY: &str = "SEARCH e USING INTEGER PRIMARY KEY (rowid=?)";
const TYPE_BY_KEY: &str = "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)";
const MEDIA_BY_KEY: &str = "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)";

/// How SQLite reads the times that few events have.
const TIMES_BY_KEY: &str = "SEARCH x USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN";

const PINNED: &[Pinned] = &[
    Pinned {
        statement: Same(delivery::PAGE),
        values: &["15000, 3, 100, 500"],
        sqlite: &[
            "CO-ROUTINE d",
            "SEARCH delivery USING PRIMARY KEY (event>? AND (event,endpoint)<(?,?))",
            "SCAN d",
            BY_KEY,
            TYPE_BY_KEY,
        ],
        postgres: "Index Scan Backward using delivery_pkey",
    },
    Pinned {
        statement: Same(delivery::PAGE_OF_ENDPOINT),
        values: &["7, 15000, 100, 500"],
        sqlite: &[
            "CO-ROUTINE d",
            "SEARCH delivery USING INDEX delivery_of_endpoint ((endpoint,event)>(?,?) AND (endpoint,event)<(?,?))",
            "SCAN d",
            BY_KEY,
            TYPE_BY_KEY,
        ],
        postgres: "Index Scan Backward using delivery_of_endpoint",
    },
    Pinned {
        statement: Same(delivery::PAGE_OF_EVENT),
        values: &["15000, 7, 500"],
        sqlite: &[
            "CO-ROUTINE d",
            "SEARCH delivery USING PRIMARY KEY (event=? AND endpoint<?)",
            "SCAN d",
            BY_KEY,
            TYPE_BY_KEY,
        ],
        postgres: "Index Scan Backward using delivery_pkey",
    },
    Pinned {
        statement: Same(delivery::GET),
        values: &["15000, 7, 1"],
        sqlite: &["SEARCH d USING PRIMARY KEY (event=? AND endpoint=?)", BY_KEY, TYPE_BY_KEY],
        postgres: "Index Scan using delivery_",
    },
    Pinned {
        statement: Each { sqlite: endpoint::LIST_ON_SQLITE, postgres: endpoint::LIST_ON_POSTGRES },
        values: &["1, 7, 201", "2, 0, 200", "3, 0, 200", "4, 0, 200"],
        sqlite: &["SEARCH endpoint USING INDEX endpoint_of_tenant (tenant=? AND key>?)"],
        postgres: "Index Scan using endpoint_of_tenant",
    },
    Pinned {
        statement: Same(endpoint::VERSIONS_AT),
        values: &["1, 15000, 7, 51", "3, 15000, 0, 51", "4, 15000, 0, 51"],
        sqlite: &[
            "SEARCH v USING INDEX endpoint_version_of_tenant ((tenant,endpoint)>(?,?) AND tenant<?)",
            "CORRELATED SCALAR SUBQUERY 1",
            "SEARCH w USING PRIMARY KEY (endpoint=? AND cfg<?)",
        ],
        postgres: "Index Scan using endpoint_version_of_tenant",
    },
    Pinned {
        statement: Same(event_delivery::ENDPOINTS),
        values: &["15000, 7, 90"],
        sqlite: &["SEARCH delivery USING PRIMARY KEY (event=? AND endpoint>? AND endpoint<?)"],
        postgres: "Index Only Scan using delivery_pkey",
    },
    Pinned {
        statement: Same(event_delivery::NEXT_RANGE),
        values: &["15000, 7, 500"],
        sqlite: &["CO-ROUTINE page", "SEARCH delivery USING PRIMARY KEY (event=? AND endpoint>?)", "SEARCH page"],
        postgres: "Index Only Scan using delivery_pkey",
    },
    Pinned {
        statement: Same(event::FIND),
        values: &["1, 'e15000'"],
        sqlite: &["SEARCH event USING COVERING INDEX sqlite_autoindex_event_1 (tenant=? AND id=?)"],
        postgres: "Index Scan using event_tenant_id_key",
    },
    Pinned {
        statement: Same(event::GET),
        values: &["1, 'e15000'"],
        sqlite: &[
            "SEARCH e USING INDEX sqlite_autoindex_event_1 (tenant=? AND id=?)",
            TYPE_BY_KEY,
            MEDIA_BY_KEY,
            TIMES_BY_KEY,
        ],
        postgres: "Index Scan using event_tenant_id_key",
    },
    Pinned {
        statement: Same(event::PAGE),
        values: &["1, 100, 15000, 100"],
        sqlite: &["SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)", TYPE_BY_KEY, MEDIA_BY_KEY, TIMES_BY_KEY],
        postgres: "Index Scan Backward using event_pkey",
    },
    Pinned {
        statement: Same(event::NEWEST_BELOW),
        values: &["15000"],
        sqlite: &["SEARCH event USING INTEGER PRIMARY KEY (rowid<?)"],
        postgres: "Index Only Scan Backward using event_pkey",
    },
    Pinned {
        statement: Same(event_era::FIRST_OF),
        values: &["15000"],
        sqlite: &["SEARCH event_era USING INTEGER PRIMARY KEY (rowid<?)"],
        postgres: "Index Only Scan Backward using event_era_pkey",
    },
    Pinned {
        statement: Same(event_era::FIRST_FROM),
        values: &["15000, 16000"],
        sqlite: &["SEARCH event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"],
        postgres: "Index Scan using event_pkey",
    },
    Pinned {
        statement: Same(attempt::LIST),
        values: &["15000, 7, 2, 1001"],
        sqlite: &["SEARCH attempt USING PRIMARY KEY (event=? AND endpoint=? AND n>?)"],
        postgres: "Index Scan using attempt_pkey",
    },
    Pinned {
        statement: Same(event_type::LIST),
        values: &["1, 'type-5', 'type-', 'type-~', -1, 1001"],
        sqlite: &["SEARCH event_type USING PRIMARY KEY (tenant=? AND name>? AND name<?)"],
        postgres: "Index Scan using event_type_pkey",
    },
    Pinned {
        statement: Same(audit::LIST),
        values: &["15000, 15000, 100, 500"],
        sqlite: &["SEARCH audit_entry USING INDEX audit_entry_at (time>? AND time<?)"],
        postgres: "Index Scan Backward using audit_entry_at",
    },
    Pinned {
        statement: Same(audit::LIST_OF_CALLER),
        values: &["15000, 15000, 100, 500, '1'", "19990, 19990, 0, 500, '3'", "15000, 15000, 0, 500, '4'"],
        sqlite: &["SEARCH audit_entry USING INDEX audit_entry_of_caller ((caller,time)>(?,?) AND (caller,time)<(?,?))"],
        postgres: "Index Scan Backward using audit_entry_of_caller",
    },
    Pinned {
        statement: Same(audit::LIST_OF_TENANT),
        values: &["15000, 15000, 100, 500, '1'", "19990, 19990, 0, 500, '3'", "15000, 15000, 0, 500, '4'"],
        sqlite: &["SEARCH audit_entry USING INDEX audit_entry_of_tenant ((tenant,time)>(?,?) AND (tenant,time)<(?,?))"],
        postgres: "Index Scan Backward using audit_entry_of_tenant",
    },
    Pinned {
        statement: Same(audit::LIST_OF_METHOD),
        values: &["15000, 15000, 100, 500, '1'", "19990, 19990, 0, 500, '3'", "15000, 15000, 0, 500, '4'"],
        sqlite: &["SEARCH audit_entry USING INDEX audit_entry_of_method ((method,time)>(?,?) AND (method,time)<(?,?))"],
        postgres: "Index Scan Backward using audit_entry_of_method",
    },
];

/// Fills every table that is listed, without letting the database count.
async fn load(fixture: &Fixture) {
    let numbers = format!("WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {ROWS})");
    let fills = [
        "name SELECT n, 'a.b' || n FROM n WHERE n <= 100",
        "event SELECT n, 1, 'e' || n, 1 + n % 100, n, n, 1, 1, 0, 1, '', '', '{}' FROM n",
        "event_era SELECT n FROM n",
        "delivery (event, endpoint, state, owner, attempt, base, updated) SELECT n, n % 100, 3, 0, 1, 0, n FROM n",
        "attempt (event, endpoint, n, result, status, latency, kind, ended, truncated, detail, response) \
         SELECT n, n % 100, 1, 2, 500, 1, 7, n, 0, '', '' FROM n",
        "endpoint (key, tenant, display_name, description, url, filter, policy, state, reason, since, generation, version, \
         created, updated) SELECT n, {tenant}, '', '', 'https://example.com/', '[]', '{}', 1, 0, 0, 1, n, 0, 0 FROM n",
        "endpoint_version SELECT n, n, {tenant}, '[]', 1, 0 FROM n",
        "secret (key, tenant, endpoint, sealed, created) SELECT n, 1, n, '', n FROM n",
        "event_time (event, deliver_at, expires) SELECT n, n, n FROM n",
        "event_type (tenant, name, description, created, updated) SELECT 1, 'type-' || n, '', n, n FROM n",
        "audit_entry SELECT n, n, 1, CAST({tenant} AS TEXT), CAST({tenant} AS TEXT), CAST({tenant} AS TEXT), '[]', 0, '[]', '', '' FROM n",
    ];
    for fill in fills {
        let (table, select) = fill.split_at(fill.find("SELECT").unwrap());
        // Endpoints and entries are of four tenants: half of them, half behind those, few behind them, none.
        let select = select.replace("{tenant}", "CASE WHEN n > 19900 THEN 3 WHEN n > 10000 THEN 2 ELSE 1 END");
        run(fixture, format!("INSERT INTO {table} {numbers} {select}")).await;
    }
}

async fn run(fixture: &Fixture, sql: String) {
    let unit = fixture.shared.db.write(move |tx| {
        Box::pin(async move {
            execute!(tx.conn(), sqlx::AssertSqlSafe(sql))?;
            tx.commit().await
        })
    });
    unit.await.unwrap();
}

/// What the database would do, step by step, on a connection that reads.
async fn plans(fixture: &Fixture, pinned: &'static Pinned) -> Vec<Vec<String>> {
    let Pinned { statement, values, .. } = pinned;
    let statement = statement.on(fixture.shared.db.is_shared());
    // On Postgres as it is made for any values, which is kept, and as it is made for these.
    let modes = ["force_generic_plan", "force_custom_plan"];
    let made: Vec<_> = values.iter().flat_map(|values| modes.map(|mode| (mode, *values))).collect();
    let read = fixture.shared.db.read(move |conn| {
        Box::pin(async move {
            let mut plans = Vec::new();
            match conn {
                Conn::Sqlite(conn) => {
                    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
                    let steps = sqlx::query(explain).fetch_all(&mut **conn).await?;
                    plans.push(steps.iter().map(|step| step.get("detail")).collect());
                }
                Conn::Postgres(conn) => {
                    for (mode, values) in made {
                        let script = format!(
                            "SET plan_cache_mode = {mode}; PREPARE pinned AS {statement}; \
                             EXPLAIN EXECUTE pinned ({values}); DEALLOCATE pinned; RESET plan_cache_mode"
                        );
                        let lines = sqlx::raw_sql(sqlx::AssertSqlSafe(script)).fetch_all(&mut **conn).await?;
                        plans.push(lines.iter().map(|line| line.get(0)).collect());
                    }
                }
            }
            Ok(plans)
        })
    });
    read.await.unwrap()
}

async fn assert_frugal(fixture: &Fixture, when: &str) {
    let on_postgres = fixture.shared.db.is_shared();
    let mut wrong = Vec::new();
    for pinned in PINNED {
        for plan in plans(fixture, pinned).await {
            let text = plan.join("\n");
            let right = if on_postgres {
                let dear = ["Seq Scan", "Bitmap", "Sort", "Hash", "Merge Join"];
                text.contains(pinned.postgres) && !dear.iter().any(|step| text.contains(step))
            } else {
                plan == pinned.sqlite
            };
            if !right {
                wrong.push(format!("{}\n{text}", pinned.statement.on(on_postgres)));
            }
        }
    }
    assert!(wrong.is_empty(), "{when}:\n{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn no_statement_of_a_list_reads_a_whole_table() {
    let fixture = Fixture::new().await;
    assert_frugal(&fixture, "empty").await;
    load(&fixture).await;
    assert_frugal(&fixture, "full").await;
    run(&fixture, "ANALYZE".to_owned()).await;
    assert_frugal(&fixture, "full and counted").await;
}

twins!("lists.rs", [no_statement_of_a_list_reads_a_whole_table]);
