//! What holds on Postgres alone: the gate, taking over, commits whose connections break, turns that are one statement, plans, and what is refused.

mod at_once;
mod broken;
mod plans;
mod wire;

use std::sync::Arc;

use crate::{
    configure::{Configurator, NewEndpoint, TenantPatch},
    fixture::{PostgresDatabase, TENANT, settings},
    model::{
        Clock, EndpointKey, EndpointStatus, EventTypeSettings, LogBody, LogEntry, SchemaCheck, Timestamp,
        schema::Schema,
    },
    shared::Shared,
    store::{self, Config, Conn, Db, Error, KeySource, Kind, Location, Result, fetch_all, fetch_optional},
};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn config(url: &str, replica: &str) -> Config {
    Config { location: url.parse().unwrap(), key: KeySource::Given([7; 32].into()), replica: replica.to_owned() }
}

async fn server(url: &str, replica: &str) -> Arc<Shared> {
    // Beside whoever is there: the database is ready for several.
    Arc::new(Shared::open_if(&config(url, replica), Clock::manual(NOW), |_| Ok(())).await.unwrap())
}

/// Commits a row of the log that names an endpoint.
async fn append(db: &Db, endpoint: i64) -> Result<i64> {
    let body = LogBody { events: Vec::new(), entries: vec![LogEntry { endpoint, ..LogEntry::default() }] };
    db.write(move |tx| Box::pin(async move { store::log::commit(tx, NOW, &body).await })).await
}

/// Commits without a row in the log.
async fn raise_counter(db: &Db) -> Result<i64> {
    let unit = db.write(|tx| {
        Box::pin(async move {
            let key = store::meta::next_key(tx, "secret").await?;
            tx.commit().await?;
            Ok(key)
        })
    });
    unit.await
}

/// The endpoints that the log names, in order.
async fn appended(db: &Db) -> Vec<i64> {
    let rows = db.read(|conn| Box::pin(store::log::after(conn, 1, 1_000, i64::MAX))).await.unwrap();
    assert!(rows.iter().zip(2..).all(|(row, seq)| row.seq == seq), "without a gap");
    rows.into_iter().flat_map(|row| row.body.entries).map(|entry| entry.endpoint).collect()
}

async fn create_endpoint(shared: &Arc<Shared>) -> std::result::Result<EndpointKey, crate::configure::Error> {
    let new = NewEndpoint {
        settings: settings(),
        disabled: false,
        secrets: Vec::new(),
        headers: Vec::new(),
        credentials: Default::default(),
    };
    Ok(Configurator::new(shared.clone()).create_endpoint(TENANT, new).await?.0.key)
}

#[tokio::test]
async fn server_that_starts_takes_over_from_the_one_that_had_its_name() {
    let database = PostgresDatabase::create().await;
    let (first, other) = (server(database.url().as_str(), "one").await, server(database.url().as_str(), "two").await);
    append(&first.db, 1).await.unwrap();
    append(&other.db, 2).await.unwrap();
    let second = server(database.url().as_str(), "one").await;
    assert!(second.incarnation > first.incarnation);
    assert!(matches!(append(&first.db, 3).await, Err(Error::Fenced)));
    assert!(matches!(raise_counter(&first.db).await, Err(Error::Fenced)));
    assert!(matches!(first.db.beat(first.incarnation).await, Err(Error::Fenced)));
    assert_eq!(raise_counter(&second.db).await.unwrap(), 1, "what was fenced has changed nothing");
    append(&second.db, 4).await.unwrap();
    append(&other.db, 5).await.unwrap();
    assert_eq!(appended(&second.db).await, [1, 2, 4, 5]);
    assert!(!other.db.beat(other.incarnation).await.unwrap().unwrap().lapsed);
}

#[tokio::test]
async fn server_whose_heart_has_stopped_is_taken_over_from() {
    let database = PostgresDatabase::create().await;
    let (stopped, other) = (server(database.url().as_str(), "one").await, server(database.url().as_str(), "two").await);
    let unit = other.db.write(|tx| {
        Box::pin(async move {
            let micros = store::replica::LAPSE_MICROS;
            store::execute!(tx.conn(), "UPDATE replica SET beat = beat - $1 WHERE name = 'one'", micros)?;
            tx.commit().await
        })
    });
    unit.await.unwrap();
    assert!(other.db.beat(other.incarnation).await.unwrap().unwrap().lapsed);
    let unit = other.db.write(|tx| {
        Box::pin(async move {
            let fenced = store::replica::fence_lapsed(tx).await?;
            tx.commit().await?;
            Ok(fenced)
        })
    });
    assert_eq!(unit.await.unwrap(), 1);
    assert!(matches!(append(&stopped.db, 1).await, Err(Error::Fenced)));
    append(&other.db, 2).await.unwrap();
    assert_eq!(appended(&other.db).await, [2]);
}

#[tokio::test]
async fn nothing_is_committed_under_an_older_configuration() {
    let database = PostgresDatabase::create().await;
    let (one, two) = (server(database.url().as_str(), "one").await, server(database.url().as_str(), "two").await);
    let endpoint = create_endpoint(&one).await.unwrap();
    assert!(matches!(append(&two.db, 9).await, Err(Error::Outdated)));
    let refused = create_endpoint(&two).await;
    assert!(matches!(refused, Err(crate::configure::Error::Store(Error::Outdated))), "{refused:?}");
    let pulse = two.db.beat(two.incarnation).await.unwrap().unwrap();
    assert!(pulse.cfg > pulse.known);

    two.catch_up().await.unwrap();
    assert_eq!(two.routes.status(endpoint), EndpointStatus::Enabled);
    assert_eq!(two.routes.cfg(), one.routes.cfg());
    append(&two.db, 9).await.unwrap();
    create_endpoint(&two).await.unwrap();
    assert!(matches!(append(&one.db, 8).await, Err(Error::Outdated)));
    assert_eq!(appended(&two.db).await.len(), 3);
}

#[tokio::test]
async fn schemas_reach_the_other_server_with_the_configuration() {
    let database = PostgresDatabase::create().await;
    let (one, two) = (server(database.url().as_str(), "one").await, server(database.url().as_str(), "two").await);
    let configurator = Configurator::new(one.clone());
    let schema = Some(Arc::new(Schema::compile("{}").unwrap()));
    let new = EventTypeSettings { name: "a".to_owned(), description: String::new(), schema, deprecated: true };
    configurator.create_event_type(TENANT, new).await.unwrap();
    let check = TenantPatch { schema_check: Some(SchemaCheck::Warn), ..Default::default() };
    configurator.update_tenant(TENANT, None, check).await.unwrap();
    assert!(matches!(append(&two.db, 9).await, Err(Error::Outdated)));
    two.catch_up().await.unwrap();
    let (check, rule) = two.catalogue.rule(TENANT, "a");
    assert_eq!((check, rule.deprecated, rule.schema.unwrap().text()), (SchemaCheck::Warn, true, "{}"));
    append(&two.db, 9).await.unwrap();
}

#[tokio::test]
async fn server_is_refused_while_another_lives() {
    let database = PostgresDatabase::create().await;
    let first = Shared::open(&config(database.url().as_str(), "one"), Clock::manual(NOW)).await.unwrap();
    let second = Shared::open(&config(database.url().as_str(), "two"), Clock::manual(NOW)).await;
    assert!(matches!(&second, Err(Error::Unsuitable(fault)) if fault.contains("`one`")), "{second:?}");
    append(&first.db, 1).await.unwrap();
    first.close().await;
    let second = Shared::open(&config(database.url().as_str(), "two"), Clock::manual(NOW)).await.unwrap();
    let live = second.db.read(|conn| {
        Box::pin(async move {
            let rows: Vec<(i64,)> = fetch_all!(conn, "SELECT unnest(live) FROM gate")?;
            Ok(rows)
        })
    });
    assert_eq!(live.await.unwrap(), [(second.incarnation.0,)], "what the first may have left is nobody's");
}

#[tokio::test]
async fn failed_unit_leaves_the_known_configuration_as_it_was() {
    let database = PostgresDatabase::create().await;
    let one = server(database.url().as_str(), "one").await;
    let unit: Result<()> = one
        .db
        .write(|tx| {
            Box::pin(async move {
                store::meta::raise_cfg(tx).await?;
                Err(Error::Corrupt("on purpose".to_owned()))
            })
        })
        .await;
    assert!(unit.is_err());
    create_endpoint(&one).await.unwrap();
    append(&one.db, 1).await.unwrap();
}

#[tokio::test]
async fn time_is_the_databases() {
    let database = PostgresDatabase::create().await;
    let shared = Shared::open(&config(database.url().as_str(), "one"), Clock::system()).await.unwrap();
    assert!(shared.clock.is_led());
    let before = shared.db.clock().await.unwrap().unwrap();
    let pulse = shared.db.beat(shared.incarnation).await.unwrap().unwrap();
    assert!(pulse.now >= before);
    assert!(shared.clock.now().since(before) < std::time::Duration::from_secs(30));
}

#[tokio::test]
async fn every_connection_is_set_up_and_readers_only_read() {
    let database = PostgresDatabase::create().await;
    let shared = server(database.url().as_str(), "one").await;
    let Kind::Postgres(postgres) = &*shared.db.0 else { unreachable!("it was opened above") };
    let mut conns =
        vec![Conn::Postgres(postgres.writer().await.unwrap()), Conn::Postgres(postgres.beat().await.unwrap())];
    // All at once, so that the pool gives each of its connections.
    for _ in 0..super::READERS_MAX {
        conns.push(Conn::Postgres(postgres.reader().await.unwrap()));
    }
    let sql = "SELECT current_setting('transaction_isolation'), current_setting('statement_timeout'), \
               current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'), \
               current_setting('enable_seqscan'), current_setting('enable_sort'), \
               current_setting('transaction_read_only')";
    type Row = (String, String, String, String, String, String, String);
    for (index, conn) in conns.iter_mut().enumerate() {
        let rows: Vec<Row> = fetch_all!(&mut *conn, sql).unwrap();
        let (isolation, statement, lock, idle, seqscan, sort, read_only) = rows[0].clone();
        let set = [isolation.as_str(), &statement, &lock, &idle];
        assert_eq!(set, ["read committed", "30s", "5s", "2s"], "connection {index}");
        // The heartbeat's is the second.
        let reads = index > 1;
        let switches = (seqscan == "off", sort == "off", read_only == "on");
        assert_eq!(switches, (index != 1, reads, reads), "connection {index}");
    }
}

#[tokio::test]
async fn databases_that_could_lose_or_garble_what_they_are_given_are_refused() {
    let refusal = async |alteration: &'static str| {
        let database = PostgresDatabase::create().await;
        database.alter(alteration).await;
        match Db::open(&database.url().as_str().parse().unwrap()).await {
            Err(Error::Unsuitable(fault)) => fault,
            other => panic!("{alteration}: {other:?}"),
        }
    };
    assert!(refusal("SET synchronous_commit = off").await.contains("synchronous_commit off"));

    let database = PostgresDatabase::create_with("ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'").await;
    let refused = Db::open(&database.url().as_str().parse().unwrap()).await;
    assert!(matches!(&refused, Err(Error::Unsuitable(fault)) if fault.contains("SQL_ASCII")), "{refused:?}");
}

#[tokio::test]
async fn errors_show_no_password() {
    let database = PostgresDatabase::create().await;
    let mut url = database.url();
    url.set_password(Some("canary")).unwrap();
    let wrong = Db::open(&url.as_str().parse().unwrap()).await.unwrap_err();
    assert!(matches!(wrong, Error::Unavailable(_)), "{wrong:?}");
    let malformed = Db::open(&"postgres://u:canary@host:port/x".parse::<Location>().unwrap()).await.unwrap_err();
    assert!(matches!(malformed, Error::Unsuitable(_)), "{malformed:?}");
    for error in [wrong, malformed] {
        let shown = format!("{error} {error:?}");
        let shown = format!("{shown} {:#}", anyhow::Error::from(error));
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[tokio::test]
async fn statements_errors_say_what_can_be_done() {
    let database = PostgresDatabase::create().await;
    let shared = server(database.url().as_str(), "one").await;
    let failing = async |sql: &'static str| {
        let unit: Result<()> = shared
            .db
            .write(move |tx| {
                Box::pin(async move {
                    store::execute!(tx.conn(), sql)?;
                    tx.commit().await
                })
            })
            .await;
        unit.unwrap_err()
    };
    assert!(matches!(failing("INSERT INTO tenant (key, id, created) VALUES (1, 'again', 0)").await, Error::Data(_)));
    assert!(matches!(failing("INSERT INTO name VALUES (1, repeat('x', 1000) || chr(0))").await, Error::Data(_)));
    assert!(matches!(failing("SELECT nothing").await, Error::Unavailable(_)));
    assert!(matches!(failing("SELECT pg_terminate_backend(pg_backend_pid())").await, Error::Unavailable(_)));
    append(&shared.db, 1).await.unwrap();
}
