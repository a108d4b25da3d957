//! Connections that break at a commit, between the server and its database.

use super::{
    wire::{Cut, Wire},
    *,
};
use crate::{
    configure::{self, Imported},
    model::EventTypeSettings,
    repeat::{Call, Request},
};

#[tokio::test]
async fn commit_whose_answer_is_lost_is_known_by_its_mark() {
    let database = PostgresDatabase::create().await;
    let wire = Wire::to(&database).await;
    let shared = server(&wire.url, "one").await;
    append(&shared.db, 1).await.unwrap();
    wire.cut(Cut::After);
    assert_eq!(append(&shared.db, 2).await.unwrap(), 3);
    append(&shared.db, 3).await.unwrap();
    assert_eq!(appended(&shared.db).await, [1, 2, 3]);
}

#[tokio::test]
async fn commit_that_never_arrived_has_failed_and_cannot_happen_later() {
    let database = PostgresDatabase::create().await;
    let wire = Wire::to(&database).await;
    let shared = server(&wire.url, "one").await;
    append(&shared.db, 1).await.unwrap();
    wire.cut(Cut::Before);
    assert!(matches!(append(&shared.db, 2).await, Err(Error::Unavailable(_))));
    append(&shared.db, 3).await.unwrap();
    assert_eq!(appended(&shared.db).await, [1, 3]);
    // The session that was inside the transaction is gone, and with it what it held.
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
    let open = shared.db.read(move |conn| {
        Box::pin(async move {
            let row: Option<(i64,)> = fetch_optional!(conn, sql)?;
            Ok(row.expect("one number").0)
        })
    });
    assert_eq!(open.await.unwrap(), 0);
}

#[tokio::test]
async fn change_of_configuration_whose_answer_is_lost_takes_effect_once() {
    let database = PostgresDatabase::create().await;
    let wire = Wire::to(&database).await;
    let shared = server(&wire.url, "one").await;
    wire.cut(Cut::After);
    let endpoint = create_endpoint(&shared).await.unwrap();
    assert_eq!(shared.routes.status(endpoint), EndpointStatus::Enabled);
    // What this server knows of the configuration is what the gate asks for.
    append(&shared.db, 7).await.unwrap();
    assert_eq!(appended(&shared.db).await, [endpoint.0, 7]);

    wire.cut(Cut::Before);
    assert!(create_endpoint(&shared).await.is_err());
    append(&shared.db, 8).await.unwrap();
    assert_eq!(appended(&shared.db).await, [endpoint.0, 7, 8]);
}

#[tokio::test]
async fn commit_without_a_row_in_the_log_fails_when_its_answer_is_lost() {
    let database = PostgresDatabase::create().await;
    let wire = Wire::to(&database).await;
    let shared = server(&wire.url, "one").await;
    wire.cut(Cut::After);
    assert!(matches!(raise_counter(&shared.db).await, Err(Error::Unavailable(_))));
    // It did take place; whoever relies on it has to look.
    assert_eq!(raise_counter(&shared.db).await.unwrap(), 2);
}

/// Imports one event type under a request id; answered with what the import did. The commit has no row in the log.
async fn import(shared: &Arc<Shared>, name: &str) -> std::result::Result<String, configure::Error> {
    let request = Request::new(format!("import-{name}"), [1; 16]);
    let call = Call::new(TENANT, Some(request), |imported: Imported| format!("{imported:?}"));
    let types =
        vec![EventTypeSettings { name: name.to_owned(), description: String::new(), schema: None, deprecated: false }];
    Configurator::new(shared.clone()).import_event_types(call, types).await
}

#[tokio::test]
async fn call_whose_commit_met_a_broken_connection_can_be_repeated() {
    let database = PostgresDatabase::create().await;
    let wire = Wire::to(&database).await;
    let shared = server(&wire.url, "one").await;
    let created = format!("{:?}", Imported { created: 1, updated: 0, unchanged: 0 });
    // Whether it took place or not, the caller is told the same.
    for (name, cut) in [("took.place", Cut::After), ("did.not", Cut::Before)] {
        wire.cut(cut);
        let unknown = import(&shared, name).await;
        assert!(matches!(unknown, Err(configure::Error::Store(Error::Unavailable(_)))), "{cut:?}: {unknown:?}");
        // Acting once more would find the type there, and say so.
        assert_eq!(import(&shared, name).await.unwrap(), created, "{cut:?}");
        assert_eq!(import(&shared, name).await.unwrap(), created, "{cut:?}");
        // The version that the import raised is not known here yet. The heartbeat does this within a second.
        shared.catch_up().await.unwrap();
    }
}
