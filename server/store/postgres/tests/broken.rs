//! Connections that break at a commit, between the server and its database.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    configure::{self, Imported},
    model::EventTypeSettings,
    repeat::{Call, Request},
};

/// Cuts the connection instead of handing the commit on, or instead of handing the answer back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Never = 0,
    Before = 1,
    After = 2,
}

/// What stands between the server and its database.
struct Wire {
    url: String,
    cut: Arc<AtomicU8>,
}

impl Wire {
    async fn to(database: &PostgresDatabase) -> Self {
        let mut url = database.url();
        let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let cut = Arc::new(AtomicU8::new(Cut::Never as u8));
        let shared = cut.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, TcpStream::connect(target.clone()).await.unwrap(), shared.clone()));
            }
        });
        Self { url: url.into(), cut }
    }

    /// The next commit meets this.
    fn cut(&self, cut: Cut) {
        self.cut.store(cut as u8, Ordering::SeqCst);
    }
}

async fn carry(mut client: TcpStream, mut database: TcpStream, cut: Arc<AtomicU8>) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            Ok(read @ 1..) = client.read(&mut asked) => {
                let commits = asked[..read].windows(8).any(|window| window == b"; COMMIT");
                let cut = if commits { cut.swap(Cut::Never as u8, Ordering::SeqCst) } else { Cut::Never as u8 };
                if cut == Cut::Before as u8 {
                    // The session stays behind, inside its transaction.
                    drop(client);
                    return std::future::pending().await;
                }
                database.write_all(&asked[..read]).await.unwrap();
                if cut == Cut::After as u8 {
                    assert_ne!(database.read(&mut answered).await.unwrap(), 0);
                    return;
                }
            }
            Ok(read @ 1..) = database.read(&mut answered) => {
                if client.write_all(&answered[..read]).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}

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
