//! Every function of the store does the same on SQLite and on Postgres: one script of calls, run on each, whose answers are
//! compared. The calls come in an order in which each finds something to do, with what is unusual besides what is usual.
//! What the answers should be, the tests beside the functions' callers say.

mod configuration;
mod endpoints;
mod engine;
mod event_times;
mod heard;
mod plans;

use std::{fmt::Debug, sync::Arc};

use futures_util::future::BoxFuture;

pub(super) use self::{
    engine::an_event,
    heard::{is_heard, logged},
};
use super::{Conn, Error, Result, Tx, delivery::DeliveryRow};
use crate::{
    fixture::TestDatabase,
    model::{Attempt, Clock, Event, EventContent, Incarnation, TenantKey, Timestamp},
    shared::Shared,
};

/// The sources of the store, in which its functions are declared.
const SOURCES: [(&str, &str); 27] = [
    ("api_key", include_str!("api_key.rs")),
    ("attempt", include_str!("attempt.rs")),
    ("audit", include_str!("audit.rs")),
    ("backlog", include_str!("backlog.rs")),
    ("credentials", include_str!("credentials.rs")),
    ("delivery", include_str!("delivery.rs")),
    ("endpoint", include_str!("endpoint.rs")),
    ("event", include_str!("event.rs")),
    ("event_delivery", include_str!("event_delivery.rs")),
    ("event_era", include_str!("event_era.rs")),
    ("event_time", include_str!("event_time.rs")),
    ("event_type", include_str!("event_type.rs")),
    ("header", include_str!("header.rs")),
    ("health", include_str!("health.rs")),
    ("hot", include_str!("hot/end.rs")),
    ("hot", include_str!("hot/overdue.rs")),
    ("hot", include_str!("hot/publish.rs")),
    ("hot", include_str!("hot/rows.rs")),
    ("hot", include_str!("hot/settle.rs")),
    ("lane", include_str!("lane.rs")),
    ("lease", include_str!("lease.rs")),
    ("log", include_str!("log.rs")),
    ("meta", include_str!("meta.rs")),
    ("replica", include_str!("replica.rs")),
    ("request", include_str!("request.rs")),
    ("secret", include_str!("secret.rs")),
    ("tenant", include_str!("tenant.rs")),
];

const TENANT: TenantKey = TenantKey::DEFAULT;
const OTHER: TenantKey = TenantKey(2);

/// Texts that a database may sort, fold or measure in ways of its own.
const TEXTS: [&str; 6] = ["", "a", "A", "ä ß İ", "'; --", "\u{1F600}\u{FFFF}\u{10FFFF}"];

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// A value, with what Debug shows the size of alone: what publishers and receivers sent is compared too.
trait Whole: Debug {
    /// What Debug does not show.
    fn unshown(&self) -> String;

    fn whole(&self) -> String {
        format!("{self:?}").replace(UNSHOWN, " bytes, below>") + &self.unshown()
    }
}

/// How Debug ends what it does not show.
const UNSHOWN: &str = " bytes>";

impl Whole for EventContent {
    fn unshown(&self) -> String {
        format!("{:?}", self.payload)
    }
}

impl Whole for Arc<EventContent> {
    fn unshown(&self) -> String {
        (**self).unshown()
    }
}

impl Whole for Event {
    fn unshown(&self) -> String {
        format!("{:?} {:?}", self.content.payload, self.labels)
    }
}

impl Whole for DeliveryRow {
    fn unshown(&self) -> String {
        format!("{:?}", self.response)
    }
}

impl Whole for Attempt {
    fn unshown(&self) -> String {
        format!("{:?}", self.response)
    }
}

/// All of each value.
fn whole<T: Whole>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|value| value.whole()).collect()
}

/// In an order of ours, where a function promises none.
fn sorted<T: std::fmt::Debug>(rows: Vec<T>) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
    rows.sort_unstable();
    rows
}

/// `writes!(house, tx, body)` and `reads!(house, conn, body)`: one unit of work, labelled by its own text.
macro_rules! writes {
    ($house:ident, $tx:ident, $body:expr) => {
        $house
            .write(stringify!($body), move |$tx| {
                Box::pin(async move {
                    let answer = $body;
                    $tx.commit().await?;
                    Ok(answer)
                })
            })
            .await
    };
}

macro_rules! reads {
    ($house:ident, $conn:ident, $body:expr) => {
        $house.read(stringify!($body), move |$conn| Box::pin(async move { Ok($body) })).await
    };
}

use {reads, writes};

/// A database, and what it has answered so far.
struct House {
    shared: Shared,
    answers: Vec<String>,
}

impl House {
    /// Calls functions that write, in one transaction.
    async fn write<T, F>(&mut self, label: &'static str, unit: F)
    where
        T: Debug + Send + 'static,
        F: for<'tx> FnOnce(&'tx mut Tx) -> BoxFuture<'tx, Result<T>> + Send + 'static,
    {
        let answer = self.shared.db.write(unit).await;
        self.note(label, answer);
    }

    /// Calls functions that read.
    async fn read<T, F>(&mut self, label: &'static str, unit: F)
    where
        T: Debug + Send + 'static,
        F: for<'conn> FnOnce(&'conn mut Conn) -> BoxFuture<'conn, Result<T>> + Send + 'static,
    {
        let answer = self.shared.db.read(unit).await;
        self.note(label, answer);
    }

    fn note<T: Debug>(&mut self, label: &str, answer: Result<T>) {
        let answer = match answer {
            Ok(answer) => {
                let answer = format!("{answer:?}");
                assert!(!answer.contains(UNSHOWN), "{label}: not all of it is compared; see `whole`");
                answer
            }
            // Of the causes each database has its own.
            Err(Error::Data(_)) => "refused".to_owned(),
            Err(error) => panic!("{label}: {error:?}"),
        };
        self.answers.push(format!("{label}: {answer}"));
    }

    fn owner(&self) -> Incarnation {
        self.shared.incarnation
    }
}

/// What the script is answered on the database of this kind of test.
async fn answers() -> Vec<String> {
    let database = TestDatabase::create().await;
    run(open(&database).await).await
}

async fn open(database: &TestDatabase) -> Shared {
    let clock = Clock::manual(Timestamp::from_micros(1_000_000));
    Shared::open(&database.config(), clock).await.unwrap()
}

/// Runs the script, and closes the database.
async fn run(shared: Shared) -> Vec<String> {
    let mut house = House { shared, answers: Vec::new() };
    configuration::run(&mut house).await;
    engine::run(&mut house).await;
    event_times::run(&mut house).await;
    house.shared.db.close().await;
    house.answers
}

#[tokio::test]
async fn both_databases_give_the_same_answers() {
    let sqlite = answers().await;
    crate::fixture::database::use_postgres(true);
    let postgres = answers().await;
    crate::fixture::database::use_postgres(false);
    for (sqlite, postgres) in sqlite.iter().zip(&postgres) {
        assert_eq!(sqlite, postgres);
    }
    assert_eq!(sqlite.len(), postgres.len());
    assert!(sqlite.len() > 60, "{} answers", sqlite.len());
}

#[test]
fn script_calls_every_function() {
    let script = [
        include_str!("conformance/configuration.rs"),
        include_str!("conformance/endpoints.rs"),
        include_str!("conformance/engine.rs"),
        include_str!("conformance/event_times.rs"),
    ]
    .concat();
    let mut functions = 0;
    for (module, source) in SOURCES {
        for declared in source.split("\npub(crate) async fn ").skip(1) {
            let name = declared.split(['(', '<']).next().unwrap();
            assert!(script.contains(&format!("{module}::{name}(")), "{module}::{name} is not called");
            functions += 1;
        }
    }
    assert!(functions > 50, "{functions} functions");
}
