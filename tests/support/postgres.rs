//! A Postgres database of a test's own, in the cluster that `TIDINGS_TEST_POSTGRES` names. Used by the tests inside the
//! crate as well.

use sqlx::{Connection as _, Executor as _, PgConnection};
use url::Url;

const VARIABLE: &str = "TIDINGS_TEST_POSTGRES";

/// A database that is dropped with this.
#[derive(Debug)]
pub(crate) struct PostgresDatabase {
    pub(crate) cluster: Url,
    pub(crate) name: String,
}

impl PostgresDatabase {
    /// Makes a new database. Fails, rather than skips, where there is no cluster to make it in.
    pub(crate) async fn create() -> Self {
        Self::create_with("ENCODING 'UTF8'").await
    }

    /// Makes a new database with these options.
    pub(crate) async fn create_with(options: &str) -> Self {
        let database = Self::new();
        run(&database.cluster, format!("CREATE DATABASE {} TEMPLATE template0 {options}", database.name)).await;
        database
    }

    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
        let cluster = std::env::var(VARIABLE).unwrap_or_else(|_| {
            panic!("{VARIABLE} has to name a Postgres cluster: run the tests with `make test` or `make postgres`")
        });
        Self {
            cluster: cluster.parse().expect("the cluster's URL"),
            name: format!("tidings_test_{:016x}", rand::random::<u64>()),
        }
    }

    /// The URL by which a server opens it.
    pub(crate) fn url(&self) -> Url {
        let mut url = self.cluster.clone();
        url.set_path(&self.name);
        url
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        let (cluster, drop) = (self.cluster.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // A runtime of its own, for the test's may be the one that is being left.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(&cluster, drop));
        });
        let dropped = dropping.join();
        assert!(dropped.is_ok() || std::thread::panicking(), "the database is dropped");
    }
}

/// Runs SQL on a connection of its own.
pub(crate) async fn run(database: &Url, sql: String) {
    let mut conn = PgConnection::connect(database.as_str()).await.expect("the cluster can be reached");
    conn.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.expect("the cluster lets its role do this");
    conn.close().await.expect("the connection ends");
}
