use std::{collections::BTreeMap, sync::Mutex};

use super::{batch::RECORDS_MAX, *};
use crate::{
    configure::{Configurator, NewEndpoint},
    fixture::{TENANT, TestDatabase, settings, twins},
    model::{Clock, Credentials, CustomHeader, EndpointKey, EndpointSettings, HttpCredentials, TenantKey, Timestamp},
    shared::Shared,
    store::{self, RequestKey, execute, fetch_all},
};

/// More than two batches.
const REQUESTS: i64 = 2 * RECORDS_MAX + 50;

fn old() -> Keyring {
    Keyring::from([1; 32])
}

fn new() -> Keyring {
    Keyring::from([2; 32])
}

/// Seals with the new key and opens with both.
fn both() -> KeySource {
    KeySource::Given(Keyring::new(&[2; 32], &[[1; 32]]))
}

fn silent() -> Observer {
    Arc::new(|_| {})
}

async fn open(database: &TestDatabase, keyring: Keyring) -> Arc<Shared> {
    let config = store::Config { key: KeySource::Given(keyring), ..database.config() };
    Arc::new(Shared::open(&config, Clock::manual(Timestamp::from_micros(1_000_000_000))).await.unwrap())
}

fn request(number: i64) -> RequestKey {
    RequestKey { tenant: TenantKey(1 + number % 2), id: format!("request-{number}") }
}

fn answer(number: i64) -> String {
    format!("answer {number}")
}

/// A database with something sealed in every table, under the old key, that no server uses.
async fn stopped() -> (TestDatabase, EndpointKey) {
    let database = TestDatabase::create().await;
    let shared = open(&database, old()).await;
    let endpoint = fill(&shared).await;
    shared.close().await;
    (database, endpoint)
}

async fn fill(shared: &Arc<Shared>) -> EndpointKey {
    let credentials =
        Credentials { http: Some(HttpCredentials::Bearer("token".to_owned().into())), ..Default::default() };
    let endpoint = NewEndpoint {
        settings: EndpointSettings { credentials: credentials.summary(), ..settings() },
        disabled: false,
        secrets: Vec::new(),
        headers: vec![CustomHeader { name: "X-A".to_owned(), value: "value".to_owned().into() }],
        credentials,
    };
    let endpoint = Configurator::new(shared.clone()).create_endpoint(TENANT, endpoint).await.unwrap().0.key;
    let keyring = shared.keyring.clone();
    let write = shared.db.write(move |tx| {
        Box::pin(async move {
            for number in 0..REQUESTS {
                let (now, expired) = (Timestamp::from_micros(number), Timestamp::from_micros(-1));
                store::request::claim(tx, &request(number), &[7; 16], now, expired).await?;
                store::request::answer(tx, &keyring, &request(number), answer(number).as_bytes()).await?;
            }
            tx.commit().await
        })
    });
    write.await.unwrap();
    endpoint
}

/// What is sealed, by table, as it stands there.
async fn records(database: &TestDatabase) -> BTreeMap<&'static str, Vec<Vec<u8>>> {
    let db = Db::open(&database.config().location).await.unwrap();
    let read = db.read(|conn| {
        Box::pin(async move {
            let mut records = BTreeMap::new();
            for table in SealedTable::ALL {
                let sql = format!("SELECT sealed FROM {} ORDER BY sealed", table.name());
                let rows: Vec<(Vec<u8>,)> = fetch_all!(&mut *conn, sqlx::AssertSqlSafe(sql))?;
                records.insert(table.name(), rows.into_iter().map(|(sealed,)| sealed).collect());
            }
            Ok(records)
        })
    });
    let records = read.await.unwrap();
    db.close().await;
    records
}

async fn run(database: &TestDatabase, sql: &'static str) {
    let db = Db::open(&database.config().location).await.unwrap();
    let write = db.write(move |tx| {
        Box::pin(async move {
            execute!(tx.conn(), sql)?;
            tx.commit().await
        })
    });
    write.await.unwrap();
    db.close().await;
}

/// What a server with the new key alone reads.
async fn assert_opens_with_the_new_key_alone(database: &TestDatabase, endpoint: EndpointKey, secret: &str) {
    let shared = open(database, new()).await;
    let entry = shared.routes.endpoint(endpoint).unwrap();
    assert_eq!(entry.secrets[0].value.expose(), secret);
    assert_eq!(&**entry.headers[0].value, "value");
    let expected = Some(HttpCredentials::Bearer("token".to_owned().into()));
    assert_eq!(entry.credentials.as_ref().unwrap().http, expected);
    let keyring = shared.keyring.clone();
    let read = shared.db.read(move |conn| {
        Box::pin(async move {
            for number in 0..REQUESTS {
                let found =
                    store::request::find(conn, &keyring, &request(number), Timestamp::from_micros(-1)).await?.unwrap();
                assert_eq!(*found.answer, answer(number).into_bytes());
            }
            Ok(())
        })
    });
    read.await.unwrap();
    shared.close().await;
}

async fn secret_of(database: &TestDatabase, endpoint: EndpointKey, keyring: Keyring) -> String {
    let shared = open(database, keyring).await;
    let secret = shared.routes.endpoint(endpoint).unwrap().secrets[0].value.expose().to_owned();
    shared.close().await;
    secret
}

#[tokio::test]
async fn everything_is_sealed_anew_and_the_old_key_can_go() {
    let (database, endpoint) = stopped().await;
    let location = database.config().location;
    let secret = secret_of(&database, endpoint, old()).await;
    let before = check(&location, &both()).await.unwrap();
    assert!(before.tables.iter().all(|table| table.older > 0 && table.older == table.records), "{before:?}");
    let total = before.tables.iter().map(|table| table.records).sum::<u64>();
    assert_eq!((before.needed, before.idle), (vec![(old().active(), total)], vec![]));

    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = heard.clone();
    let observer: Observer = Arc::new(move |progress| told.lock().unwrap().push(progress));
    let done = reseal(&location, &both(), false, observer).await.unwrap();
    assert_eq!(done.active, new().active());
    let expected: Vec<_> = before.tables.iter().map(|table| (table.table, table.records)).collect();
    assert_eq!(done.records, expected);
    assert_eq!((done.survey.needed, done.survey.idle), (vec![], vec![old().active()]));
    let heard = heard.lock().unwrap().clone();
    for (table, records) in expected {
        let last = heard.iter().rfind(|progress| progress.table == table).unwrap();
        assert_eq!((last.done, last.due), (records, records), "{table:?}");
    }
    assert_opens_with_the_new_key_alone(&database, endpoint, &secret).await;

    let kept = records(&database).await;
    let again = reseal(&location, &both(), false, silent()).await.unwrap();
    assert!(again.records.iter().all(|(_, records)| *records == 0), "{again:?}");
    assert_eq!(records(&database).await, kept, "what is sealed with the active key is passed over");
}

#[tokio::test]
async fn interrupted_work_goes_on_where_it_was() {
    let (database, endpoint) = stopped().await;
    let location = database.config().location;
    let secret = secret_of(&database, endpoint, old()).await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let observer: Observer = Arc::new(move |progress| told.send(progress).unwrap());
    let batch_of_requests = async { while heard.recv().await.unwrap().table != SealedTable::Request {} };
    let key = both();
    tokio::select! {
        biased;
        () = batch_of_requests => {}
        ended = reseal(&location, &key, false, observer) => panic!("it ended: {ended:?}"),
    }
    let begun = check(&location, &both()).await.unwrap();
    let done = loop {
        match reseal(&location, &both(), false, silent()).await {
            // A batch that had begun goes on to its end, and has the SQLite database until then.
            Err(ResealError::Store(Error::InUse(_))) => tokio::task::yield_now().await,
            done => break done.unwrap(),
        }
    };
    let left: u64 = done.records.iter().map(|(_, records)| records).sum();
    let older: u64 = begun.tables.iter().map(|table| table.older).sum();
    assert!(0 < left && left <= older && older < u64::try_from(REQUESTS).unwrap(), "{left} of {older}");
    assert!(done.records.iter().all(|(table, records)| *table == SealedTable::Request || *records == 0));
    assert_opens_with_the_new_key_alone(&database, endpoint, &secret).await;
}

#[tokio::test]
async fn wrong_or_missing_key_is_refused_and_nothing_is_written() {
    let (database, _) = stopped().await;
    let location = database.config().location;
    let kept = records(&database).await;
    let wrong = KeySource::Given(new());
    for refused in
        [check(&location, &wrong).await.unwrap_err(), reseal(&location, &wrong, false, silent()).await.unwrap_err()]
    {
        let said = refused.to_string();
        assert!(matches!(refused, ResealError::UnknownKey { missing, .. } if missing == old().active()), "{said}");
        assert!(said.contains(&old().active().to_string()) && said.contains("nothing was changed"), "{said}");
    }
    let missing = KeySource::File("not-there.key".into());
    let refused = reseal(&location, &missing, true, silent()).await.unwrap_err();
    assert!(matches!(&refused, ResealError::Key { source: KeyFileError::Missing, .. }), "{refused}");
    assert!(refused.to_string().contains("not-there.key"), "{refused}");
    let refused = reseal(&location, &KeySource::Given(old()), true, silent()).await.unwrap_err();
    assert!(matches!(refused, ResealError::NoKeyFile), "{refused}");
    assert_eq!(records(&database).await, kept);
}

#[tokio::test]
async fn new_key_is_put_into_the_file_before_anything_is_sealed_with_it() {
    let (database, endpoint) = stopped().await;
    let location = database.config().location;
    let secret = secret_of(&database, endpoint, old()).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    Keyring::create(&file).unwrap();
    // The old key is none of the file's: it is refused, and the file stays as it is.
    let content = std::fs::read(&file).unwrap();
    assert!(reseal(&location, &KeySource::File(file.clone()), true, silent()).await.is_err());
    assert_eq!(std::fs::read(&file).unwrap(), content);

    std::fs::write(&file, "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n").unwrap();
    let done = reseal(&location, &KeySource::File(file.clone()), true, silent()).await.unwrap();
    let ring = Keyring::load(&file).unwrap();
    assert_eq!((done.active, &done.survey.idle), (ring.active(), &vec![old().active()]));
    assert_ne!(ring.active(), old().active());
    assert!(done.records.iter().all(|(_, records)| *records > 0), "{done:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.lines().next().unwrap()).unwrap();
    assert_eq!(secret_of(&database, endpoint, Keyring::load(&file).unwrap()).await, secret);
}

#[tokio::test]
async fn database_that_a_server_uses_is_left_alone() {
    let database = TestDatabase::create().await;
    let location = database.config().location;
    let shared = open(&database, old()).await;
    fill(&shared).await;
    let refused = reseal(&location, &both(), false, silent()).await.unwrap_err();
    match location {
        store::Location::Sqlite(_) => assert!(matches!(refused, ResealError::Store(Error::InUse(_))), "{refused}"),
        store::Location::Postgres(_) => {
            assert!(matches!(&refused, ResealError::Serving { server, .. } if server == "test"), "{refused}");
        }
    }
    let survey = check(&location, &both()).await.unwrap();
    assert!(survey.tables.iter().all(|table| table.older == table.records), "{survey:?}");
    shared.close().await;
}

#[tokio::test]
async fn record_that_does_not_open_ends_the_work_and_stays() {
    let (database, _) = stopped().await;
    let location = database.config().location;
    run(&database, "UPDATE secret SET tenant = 2").await;
    let secrets = records(&database).await["secret"].clone();
    let refused = reseal(&location, &both(), false, silent()).await.unwrap_err();
    assert!(
        matches!(&refused, ResealError::Record { table: "secret", row, source: SealError::Corrupt } if row == "key 1"),
        "{refused}"
    );
    assert_eq!(records(&database).await["secret"], secrets);
    run(&database, "UPDATE secret SET tenant = 1").await;
    reseal(&location, &both(), false, silent()).await.unwrap();
}

#[tokio::test]
async fn database_that_is_unused_has_nothing_to_be_sealed() {
    let database = TestDatabase::create().await;
    let location = database.config().location;
    if let store::Location::Sqlite(path) = &location {
        let refused = reseal(&location, &both(), false, silent()).await.unwrap_err();
        assert!(matches!(refused, ResealError::Look(MigrateError::Missing(_))), "{refused}");
        assert!(!path.exists(), "it is not made");
    }
    Db::open(&location).await.unwrap().close().await;
    let refused = reseal(&location, &both(), false, silent()).await.unwrap_err();
    assert!(matches!(refused, ResealError::Unused(_)), "{refused}");
}

twins!(
    "tests.rs",
    [
        everything_is_sealed_anew_and_the_old_key_can_go,
        interrupted_work_goes_on_where_it_was,
        wrong_or_missing_key_is_refused_and_nothing_is_written,
        new_key_is_put_into_the_file_before_anything_is_sealed_with_it,
        database_that_a_server_uses_is_left_alone,
        record_that_does_not_open_ends_the_work_and_stays,
        database_that_is_unused_has_nothing_to_be_sealed,
    ]
);
