use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgPool, SqlitePool};

use super::{schema::Column, *};
use crate::{
    fixture::{Fixture, PostgresDatabase, TENANT},
    model::DeliveryState,
};

/// What a database says of its columns: by table and column, what they hold and whether they may be NULL.
type Columns = BTreeMap<(String, String), (schema::Kind, bool)>;

fn silent() -> Observer {
    Arc::new(|_| {})
}

fn listed() -> Columns {
    let of_table = |table: &'static Table| {
        let named = |column: &Column| ((table.name.to_owned(), column.name.to_owned()), (column.kind, column.nullable));
        table.columns.iter().map(named)
    };
    TABLES.iter().flat_map(of_table).collect()
}

/// A SQLite installation that has been used: an endpoint, and an event whose delivery is pending.
async fn installation() -> (Fixture, Location) {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(false).await;
    for number in 0..3 {
        let state = if number == 0 { DeliveryState::Delivered } else { DeliveryState::Pending };
        fixture.event(TENANT, "a.b", &[endpoint.key], state).await;
    }
    fixture.shared.db.close().await;
    let location = fixture.database.config().location;
    (fixture, location)
}

/// The installation's file, which no process has locked any more.
async fn stopped() -> (crate::fixture::TestDatabase, Location) {
    let (Fixture { shared, configurator, database }, location) = installation().await;
    drop((shared, configurator));
    (database, location)
}

fn location(database: &PostgresDatabase) -> Location {
    database.url().as_str().parse().unwrap()
}

async fn count(database: &PostgresDatabase, table: &str) -> i64 {
    let pool = PgPool::connect(database.url().as_str()).await.unwrap();
    let (rows,): (i64,) =
        sqlx::query_as(AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"))).fetch_one(&pool).await.unwrap();
    pool.close().await;
    rows
}

#[tokio::test]
async fn every_column_of_sqlite_is_listed_with_its_key() {
    let (_database, location) = stopped().await;
    let Location::Sqlite(path) = location else { unreachable!("the fixture's database is SQLite's") };
    let pool = SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let sql = "SELECT t.name, c.name, c.type, c.\"notnull\" = 0 AND c.pk = 0, c.pk \
               FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name <> '_sqlx_migrations'";
    let rows: Vec<(String, String, String, bool, i64)> = sqlx::query_as(sql).fetch_all(&pool).await.unwrap();
    let mut keys: BTreeMap<&str, BTreeMap<i64, &str>> = BTreeMap::new();
    let mut columns = Columns::new();
    for (table, column, kind, nullable, key) in &rows {
        let kind = match kind.as_str() {
            "INTEGER" => schema::Kind::Integer,
            "TEXT" => schema::Kind::Text,
            "BLOB" => schema::Kind::Bytes,
            other => panic!("{table}.{column} is {other}"),
        };
        columns.insert((table.clone(), column.clone()), (kind, *nullable));
        if *key != 0 {
            keys.entry(table).or_default().insert(*key, column);
        }
    }
    assert_eq!(columns, listed());
    for table in TABLES {
        let key: Vec<&str> = table.columns[..table.key].iter().map(|column| column.name).collect();
        assert_eq!(keys[table.name].values().copied().collect::<Vec<_>>(), key, "{}", table.name);
    }
}

#[tokio::test]
async fn postgres_has_every_column_and_two_things_more() {
    let database = PostgresDatabase::create().await;
    Db::open(&location(&database)).await.unwrap().close().await;
    let pool = PgPool::connect(database.url().as_str()).await.unwrap();
    let sql = "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES' \
               FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'";
    let rows: Vec<(String, String, String, bool)> = sqlx::query_as(sql).fetch_all(&pool).await.unwrap();
    pool.close().await;
    let (mut columns, mut more) = (Columns::new(), BTreeSet::new());
    for (table, column, kind, nullable) in rows {
        if table == "replica" || (table.as_str(), column.as_str()) == ("gate", "live") {
            more.insert(table);
            continue;
        }
        let kind = match kind.as_str() {
            "bigint" => schema::Kind::Integer,
            "text" => schema::Kind::Text,
            "bytea" => schema::Kind::Bytes,
            other => panic!("{table}.{column} is {other}"),
        };
        columns.insert((table, column), (kind, nullable));
    }
    assert_eq!(columns, listed());
    assert_eq!(more.into_iter().collect::<Vec<_>>(), ["gate", "replica"]);
}

#[tokio::test]
async fn copy_has_every_row_and_is_told_of_table_by_table() {
    let ((_source, from), database) = (stopped().await, PostgresDatabase::create().await);
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let observer: Observer = Arc::new(move |progress| told.send(progress).unwrap());
    let copied = copy(&from, &location(&database), observer).await.unwrap();
    let names: Vec<&str> = copied.iter().map(|table| table.name).collect();
    assert_eq!(names, TABLES.iter().map(|table| table.name).collect::<Vec<_>>());
    for table in &copied {
        assert_eq!(u64::try_from(count(&database, table.name).await).unwrap(), table.rows, "{}", table.name);
    }
    assert_eq!(copied.iter().find(|table| table.name == "delivery").unwrap().rows, 3);
    let mut compared = Vec::new();
    while let Some(Progress { table, step, done, rows }) = heard.recv().await {
        assert!(done <= rows, "{table}");
        if step == Step::Compared {
            assert_eq!(done, rows);
            compared.push(table);
        }
    }
    assert_eq!(compared, names);
    let again = copy(&from, &location(&database), silent()).await;
    assert!(matches!(again, Err(CopyError::NotEmpty("database_key"))), "{again:?}");
}

#[tokio::test]
async fn table_of_several_batches_arrives_whole() {
    let ((_source, from), database) = (stopped().await, PostgresDatabase::create().await);
    let Location::Sqlite(path) = &from else { unreachable!("the fixture's database is SQLite's") };
    let pool = SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let sql = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500) \
               INSERT INTO event_type (tenant, name, description, created, updated) \
               SELECT 2, char(64 + n * 7 % 5000) || n, '\u{1F600}' || n, n, -n FROM n";
    pool.execute(sql).await.unwrap();
    pool.close().await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let observer: Observer = Arc::new(move |progress| told.send(progress).unwrap());
    copy(&from, &location(&database), observer).await.unwrap();
    assert_eq!(count(&database, "event_type").await, 2_500);
    let mut steps = Vec::new();
    while let Some(progress) = heard.recv().await {
        if progress.table == "event_type" {
            assert_eq!(progress.rows, 2_500);
            steps.push((progress.step, progress.done));
        }
    }
    let step = |step, done: &[u64]| done.iter().map(|done| (step, *done)).collect::<Vec<_>>();
    let expected = [
        step(Step::Copying, &[0, 1_000, 2_000, 2_500]),
        step(Step::Comparing, &[0, 1_000, 2_000]),
        step(Step::Compared, &[2_500]),
    ];
    assert_eq!(steps, expected.concat());
}

#[tokio::test]
async fn rows_that_change_or_are_lost_on_their_way_are_noticed_and_nothing_stays() {
    let (_source, from) = stopped().await;
    for (table, change, rows) in [
        ("event", "NEW.payload = NEW.payload || '\\x00'::bytea; RETURN NEW", (3, 3)),
        ("delivery", "IF NEW.state = 1 THEN NEW.ready_at = NEW.ready_at + 1; END IF; RETURN NEW", (3, 3)),
        ("endpoint_version", "RETURN NULL", (1, 0)),
    ] {
        let database = PostgresDatabase::create().await;
        Db::open(&location(&database)).await.unwrap().close().await;
        let function = "CREATE FUNCTION spoil() RETURNS TRIGGER LANGUAGE plpgsql AS";
        database.run(format!("{function} $$ BEGIN {change}; END $$")).await;
        database.run(format!("CREATE TRIGGER t BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION spoil()")).await;
        let copied = copy(&from, &location(&database), silent()).await;
        let Err(CopyError::Differs { table: named, source_rows, target_rows }) = copied else { panic!("{copied:?}") };
        assert_eq!((named, (source_rows, target_rows)), (table, rows));
        assert_eq!(count(&database, "database_key").await, 0, "nothing stays");
        assert_eq!(count(&database, "counter").await, 8, "what was there is there");
    }
}

#[tokio::test]
async fn row_of_the_target_that_is_changed_is_noticed_by_the_comparison() {
    let ((_source, from), database) = (stopped().await, PostgresDatabase::create().await);
    let (source, target) = (Db::open(&from).await.unwrap(), Db::open(&location(&database)).await.unwrap());
    let endpoint = TABLES.iter().find(|table| table.name == "endpoint").unwrap();
    let (Kind::Sqlite(sqlite), Kind::Postgres(postgres)) = (&*source.0, &*target.0) else {
        unreachable!("they were opened above")
    };
    let (mut from, mut to) = (sqlite.reader().await.unwrap(), postgres.writer().await.unwrap());
    let written = fill(&mut from, &mut to, endpoint, &|_| {}).await.unwrap();
    compare(&mut to, endpoint, &written, &|_| {}).await.unwrap();
    to.execute("UPDATE endpoint SET url = url || '/'").await.unwrap();
    let changed = compare(&mut to, endpoint, &written, &|_| {}).await;
    assert!(matches!(changed, Err(CopyError::Differs { table: "endpoint", source_rows: 1, target_rows: 1 })));
}

#[tokio::test]
async fn only_stopped_sqlite_to_new_postgres_is_taken() {
    let (fixture, from) = installation().await;
    let database = PostgresDatabase::create().await;
    let to = location(&database);
    let running = copy(&from, &to, silent()).await;
    assert!(matches!(running, Err(CopyError::Source { source: Error::InUse(_), .. })), "{running:?}");
    let Fixture { shared, configurator, database: _source } = fixture;
    drop((shared, configurator));

    for (from, to) in [(&to, &from), (&to, &to), (&from, &from)] {
        assert!(matches!(copy(from, to, silent()).await, Err(CopyError::Unsupported)));
    }
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.db");
    let copied = copy(&Location::Sqlite(missing.clone()), &to, silent()).await;
    assert!(matches!(copied, Err(CopyError::Missing(_))), "{copied:?}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is made");
    std::fs::write(&missing, "").unwrap();
    let unused = copy(&Location::Sqlite(missing), &to, silent()).await;
    assert!(matches!(unused, Err(CopyError::Unused)), "{unused:?}");

    database.run("INSERT INTO replica (incarnation, name, beat, cfg) VALUES (1, 'one', 0, 0)".to_owned()).await;
    let serving = copy(&from, &to, silent()).await;
    assert!(matches!(&serving, Err(CopyError::Serving(name)) if name == "one"), "{serving:?}");
}
