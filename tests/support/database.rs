//! The database of one test's server: SQLite, or Postgres for all tests of a run.

use sqlx::{Connection as _, PgConnection, Row as _, SqliteConnection};
use tidings::store::{Config, KeySource, Location};

use super::{postgres::PostgresDatabase, which};

/// A database that goes with this.
pub(crate) struct Database {
    directory: tempfile::TempDir,
    postgres: Option<PostgresDatabase>,
}

/// The lock that commits need, in other hands than the server's.
pub(crate) enum Hold {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Hold {
    /// Lets the server go on.
    pub(crate) async fn release(self) {
        match self {
            Self::Sqlite(conn) => conn.close().await.unwrap(),
            Self::Postgres(conn) => conn.close().await.unwrap(),
        }
    }
}

impl Database {
    /// A new one.
    pub(crate) async fn create() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), postgres: which::postgres().await }
    }

    /// How a server opens it.
    pub(crate) fn config(&self) -> Config {
        match &self.postgres {
            Some(postgres) => Config {
                location: Location::Postgres(String::from(postgres.url()).into()),
                key: KeySource::Given([7; 32].into()),
                replica: "test".to_owned(),
            },
            None => Config::sqlite(self.sqlite(), self.directory.path().join("tidings.key")),
        }
    }

    /// Keeps the server from committing anything for as long as this is held.
    pub(crate) async fn hold_writes(&self) -> Hold {
        match &self.postgres {
            Some(postgres) => {
                let mut conn = PgConnection::connect(postgres.url().as_str()).await.unwrap();
                sqlx::query("BEGIN").execute(&mut conn).await.unwrap();
                sqlx::query("SELECT 1 FROM gate FOR UPDATE").execute(&mut conn).await.unwrap();
                Hold::Postgres(conn)
            }
            None => {
                let mut conn = self.connect().await;
                sqlx::query("BEGIN IMMEDIATE").execute(&mut conn).await.unwrap();
                Hold::Sqlite(conn)
            }
        }
    }

    /// Asks for one row of numbers.
    pub(crate) async fn numbers(&self, sql: &'static str) -> Vec<i64> {
        match &self.postgres {
            Some(postgres) => {
                let mut conn = PgConnection::connect(postgres.url().as_str()).await.unwrap();
                let row = sqlx::query(sql).fetch_one(&mut conn).await.unwrap();
                conn.close().await.unwrap();
                (0..row.len()).map(|column| row.get(column)).collect()
            }
            None => {
                let mut conn = self.connect().await;
                let row = sqlx::query(sql).fetch_one(&mut conn).await.unwrap();
                conn.close().await.unwrap();
                (0..row.len()).map(|column| row.get(column)).collect()
            }
        }
    }

    /// Writes rows that no call would write so many of. `$1` is `bytes`.
    pub(crate) async fn execute(&self, sql: &'static str, bytes: &[u8]) {
        match &self.postgres {
            Some(postgres) => {
                let mut conn = PgConnection::connect(postgres.url().as_str()).await.unwrap();
                sqlx::query(sql).bind(bytes).execute(&mut conn).await.unwrap();
                conn.close().await.unwrap();
            }
            None => {
                let mut conn = self.connect().await;
                sqlx::query(sql).bind(bytes).execute(&mut conn).await.unwrap();
                conn.close().await.unwrap();
            }
        }
    }

    /// Whether `text` stands in the database as it is: in a file of SQLite's, or in a row of Postgres's.
    pub(crate) async fn holds(&self, text: &str) -> bool {
        match &self.postgres {
            Some(postgres) => {
                // Every table as XML, in which bytes are written in hexadecimal.
                let sql = "SELECT count(*) FROM pg_tables t, \
                           query_to_xml(format('SELECT * FROM %I', t.tablename), true, false, '') AS rows \
                           WHERE t.schemaname = 'public' AND (rows::text LIKE '%' || $1 || '%' \
                           OR rows::text LIKE '%' || upper(encode($1::bytea, 'hex')) || '%')";
                let mut conn = PgConnection::connect(postgres.url().as_str()).await.unwrap();
                sqlx::query("SET xmlbinary = hex").execute(&mut conn).await.unwrap();
                let (tables,): (i64,) = sqlx::query_as(sql).bind(text).fetch_one(&mut conn).await.unwrap();
                conn.close().await.unwrap();
                tables > 0
            }
            None => {
                let holds = |file: std::io::Result<std::fs::DirEntry>| {
                    let content = std::fs::read(file.unwrap().path()).unwrap();
                    content.windows(text.len()).any(|window| window == text.as_bytes())
                };
                std::fs::read_dir(self.directory.path()).unwrap().any(holds)
            }
        }
    }

    fn sqlite(&self) -> std::path::PathBuf {
        self.directory.path().join("tidings.db")
    }

    async fn connect(&self) -> SqliteConnection {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.sqlite());
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}
