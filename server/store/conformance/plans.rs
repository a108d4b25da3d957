//! What the statements of the store read: the database is asked for the plan of each that the script runs. None reads the
//! whole of a table that grows with traffic, or of an index over one, but for [`ENDS`]: whatever the tables hold, whether the
//! database has counted it or not, and by the settings of either kind of connection.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use sqlx::Row as _;

use super::heard::Heard;
use crate::{
    fixture::{TestDatabase, database::use_postgres},
    store::{Conn, Db, Result, execute, fetch_all},
};

/// Tables that grow with what is published, delivered and called.
const GROWING: [&str; 7] = ["attempt", "audit_entry", "delivery", "event", "event_time", "log", "request"];

/// The others, which may be read as a whole: what grows with the configuration alone or stays small.
const BOUNDED: [&str; 17] = [
    "_sqlx_migrations",
    "api_key",
    "counter",
    "database_key",
    "endpoint",
    "endpoint_credentials",
    "endpoint_header",
    "endpoint_health",
    "endpoint_version",
    // One for each start after the clock was set back.
    "event_era",
    "event_type",
    "gate",
    // One for each turn of which something is in flight.
    "handoff",
    // One for each endpoint for which something waits.
    "lane",
    // Types of events and media.
    "name",
    "secret",
    "tenant",
];

/// Parts of statements that begin at one end of a growing table and stop there, at their LIMIT.
const ENDS: [(&str, &str); 3] = [
    ("SELECT created FROM event ORDER BY key DESC LIMIT 1", "event"),
    ("ORDER BY seq DESC LIMIT 1", "log"),
    ("ORDER BY seq LIMIT 1", "log"),
];

/// Rows of each growing table that are loaded, and the first one's number.
const ROWS: i64 = 20_000;
const FIRST: i64 = 1_000_000;

/// What the database would do, step by step.
struct Plan<'a> {
    statement: &'a str,
    steps: Vec<String>,
    /// The growing tables that it reads from one end.
    whole: Vec<&'static str>,
}

fn assert_frugal(plans: &[Plan<'_>], when: &str) {
    assert!(plans.len() > 100, "{} statements", plans.len());
    let mut wrong = Vec::new();
    for Plan { statement, steps, whole } in plans {
        let is_end = |table| ENDS.iter().any(|&(text, of)| of == table && statement.contains(text));
        for table in whole.iter().filter(|&&table| !is_end(table)) {
            wrong.push(format!("{table}: {statement}\n{}", steps.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{when}:\n{}", wrong.join("\n\n"));
    for (text, table) in ENDS {
        let mut ending = plans.iter().filter(|plan| plan.statement.contains(text));
        assert!(ending.any(|plan| plan.whole.contains(&table)), "{when}: {text} does not begin at an end of {table}");
    }
}

/// The growing table that a statement calls `name`, if it is one.
fn table_of(name: &str, statement: &str) -> Option<&'static str> {
    let words: Vec<&str> = statement.split_whitespace().map(|word| word.trim_matches(['(', ')', ','])).collect();
    let is_called = |table| {
        words.windows(2).any(|pair| *pair == [table, name]) || words.windows(3).any(|trio| *trio == [table, "AS", name])
    };
    GROWING.into_iter().find(|&table| table == name || is_called(table))
}

/// What SQLite reads from one end, or makes an index or a filter of.
fn whole_on_sqlite(steps: &[String], statement: &str) -> Vec<&'static str> {
    let of = |step: &String| {
        let (verb, rest) = step.split_once(' ')?;
        // A filter over a table is made of all of it, as an index of SQLite's own is.
        let name = rest.strip_prefix("FILTER ON ").unwrap_or(rest).split(' ').next()?;
        let is_whole = ["SCAN", "BLOOM"].contains(&verb) || rest.contains(" AUTOMATIC ");
        is_whole.then(|| table_of(name, statement)).flatten()
    };
    steps.iter().filter_map(of).collect()
}

/// What Postgres reads without a condition on an index, or looks up in a turn by a part of its key.
fn whole_on_postgres(lines: &[String]) -> Vec<&'static str> {
    let mut whole = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some((scan, read)) = line.split_once(" on ") else { continue };
        let condition = lines.get(number + 1).filter(|next| next.contains("Index Cond: "));
        let is_searched = condition.is_some_and(|condition| {
            let of_turn = condition.contains("v.event") || condition.contains("v.endpoint");
            let has = |column: &str| condition.contains(column);
            !of_turn || !read.starts_with("delivery") || has("(event >= ") && has("(endpoint >= ")
        });
        // The scan of a bitmap's heap goes by that of the index, which tells no table; the index is named after it.
        let of_bitmap = scan.contains("Bitmap Index Scan");
        if is_searched || !scan.contains("Scan") || scan.contains("Bitmap Heap Scan") {
            continue;
        }
        let read = read.split(' ').next().unwrap_or_default();
        whole.extend(GROWING.into_iter().find(|table| read == *table || of_bitmap && read.starts_with(table)));
    }
    whole
}

#[tokio::test]
async fn no_statement_on_sqlite_reads_a_whole_table_that_grows() {
    let heard = Heard::default();
    // SQLite's statements are run, and logged, by threads of sqlx's.
    tracing::subscriber::set_global_default(heard.subscriber()).expect("no other test listens to every thread");
    let database = TestDatabase::create().await;
    let statements = heard.run(&database).await;
    let db = super::open(&database).await.db;
    assert_always_frugal(&db, &statements).await;
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name";
    let tables: Vec<(String,)> = db.read(move |conn| Box::pin(async move { fetch_all!(conn, sql) })).await.unwrap();
    let tables: Vec<&str> = tables.iter().map(|(name,)| name.as_str()).collect();
    let mut known = [&GROWING[..], &BOUNDED[..]].concat();
    known.sort_unstable();
    assert_eq!(tables, known, "a new table belongs to either");
    db.close().await;
}

#[tokio::test]
async fn no_statement_on_postgres_reads_a_whole_table_that_grows() {
    use_postgres(true);
    let database = TestDatabase::create().await;
    use_postgres(false);
    let heard = Heard::default();
    let listening = tracing::subscriber::set_default(heard.subscriber());
    let statements = heard.run(&database).await;
    drop(listening);
    let db = super::open(&database).await.db;
    assert_always_frugal(&db, &statements).await;
    db.close().await;
}

/// Whether the tables are nearly empty, counted or not, or full, counted or not.
async fn assert_always_frugal(db: &Db, statements: &BTreeSet<String>) {
    assert_all_frugal(db, statements, "nearly empty").await;
    run(db, "ANALYZE".to_owned()).await;
    assert_all_frugal(db, statements, "nearly empty and counted").await;
    let loads = [
        "event SELECT n, 1, 'e' || n, 1, n, n, 1, 1, 0, 1, '', '', '{}' FROM n",
        "event_time SELECT n, n, n, n FROM n",
        "delivery (event, endpoint, state, owner, attempt, base, updated) SELECT n, n % 100, 3, 0, 1, 0, n FROM n",
        "attempt SELECT n, n % 100, 1, 2, 500, 1, 7, n, 0, '', '', 0 FROM n",
        "audit_entry SELECT n, n, 1, '', '', '', '[]', 0, '[]', '', '' FROM n",
        "log SELECT n, n, n, '' FROM n",
        "request SELECT 1, 'r' || n, '', n, '' FROM n",
    ];
    for load in loads {
        let (table, select) = load.split_at(load.find("SELECT").unwrap());
        // Beyond the script's own rows.
        let numbers = format!(
            "WITH RECURSIVE n (n) AS (SELECT {FIRST} UNION ALL SELECT n + 1 FROM n WHERE n < {FIRST} + {ROWS})"
        );
        run(db, format!("INSERT INTO {table} {numbers} {select}")).await;
    }
    assert_all_frugal(db, statements, "full").await;
    run(db, "ANALYZE".to_owned()).await;
    assert_all_frugal(db, statements, "full and counted").await;
}

async fn run(db: &Db, sql: String) {
    let unit = db.write(move |tx| {
        Box::pin(async move {
            execute!(tx.conn(), sqlx::AssertSqlSafe(sql))?;
            tx.commit().await
        })
    });
    unit.await.unwrap();
}

/// Of the plans that both kinds of connection make.
async fn assert_all_frugal(db: &Db, statements: &BTreeSet<String>, when: &str) {
    let texts: Vec<String> = statements.iter().cloned().collect();
    let of_reader = db.read({
        let texts = texts.clone();
        move |conn| explain(conn, texts)
    });
    let of_writer = db.write(move |tx| explain(tx.conn(), texts));
    for explained in [of_reader.await.unwrap(), of_writer.await.unwrap()] {
        let plans = statements.iter().zip(explained).map(|(statement, steps)| {
            let whole = if db.is_shared() { whole_on_postgres(&steps) } else { whole_on_sqlite(&steps, statement) };
            Plan { statement, steps, whole }
        });
        assert_frugal(&plans.collect::<Vec<_>>(), when);
    }
}

/// The steps of each statement's plan, whatever its parameters.
fn explain(conn: &mut Conn, statements: Vec<String>) -> BoxFuture<'_, Result<Vec<Vec<String>>>> {
    Box::pin(async move {
        let mut plans = Vec::new();
        for statement in statements {
            let steps = match conn {
                Conn::Sqlite(conn) => {
                    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
                    let steps = sqlx::query(explain).fetch_all(&mut **conn).await;
                    steps.map(|steps| steps.iter().map(|step| step.get("detail")).collect())
                }
                Conn::Postgres(conn) => {
                    let lines = sqlx::raw_sql(sqlx::AssertSqlSafe(script(&statement))).fetch_all(&mut **conn).await;
                    lines.map(|lines| lines.iter().map(|line| line.get(0)).collect())
                }
            };
            plans.push(steps.unwrap_or_else(|error| panic!("{statement}: {error}")));
        }
        Ok(plans)
    })
}

/// Has Postgres tell the plan that it keeps for a statement.
fn script(statement: &str) -> String {
    let parameters = (1..).take_while(|number| statement.contains(&format!("${number}"))).map(|_| "NULL");
    let parameters = parameters.collect::<Vec<_>>().join(", ");
    let parameters = if parameters.is_empty() { parameters } else { format!("({parameters})") };
    format!(
        "SET plan_cache_mode = force_generic_plan; PREPARE heard AS {statement}; EXPLAIN EXECUTE heard {parameters}; \
         DEALLOCATE heard; RESET plan_cache_mode"
    )
}
