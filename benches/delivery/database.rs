//! One run's database: a file of SQLite's in a folder of its own, or a database in the cluster.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sqlx::{Connection as _, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};
use tidings::store::Keyring;
use tokio::process::Command;

use crate::{bench::Bench, sql::Sql, usage};

/// The key that seals the secrets in Postgres.
const KEY: [u8; 32] = [7; 32];

/// The database in the cluster. There is one at a time.
const NAME: &str = "tidings_bench";

/// One run's database.
pub(crate) struct Database<'a> {
    bench: &'a Bench,
    directory: tempfile::TempDir,
}

impl<'a> Database<'a> {
    /// A new one, in place of the last.
    pub(crate) async fn create(bench: &'a Bench) -> anyhow::Result<Self> {
        if let Some(cluster) = &bench.cluster {
            let mut conn = Sql::Postgres(PgConnection::connect(cluster.url(None).as_str()).await?);
            conn.run(&format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")).await?;
            conn.run(&format!("CREATE DATABASE {NAME} TEMPLATE template0 ENCODING 'UTF8'")).await?;
            // What the last run left to be written is not this one's to pay for.
            conn.run("CHECKPOINT").await?;
            conn.close().await?;
        }
        Ok(Self { bench, directory: tempfile::tempdir_in(&bench.folder)? })
    }

    /// Tells a server where it is.
    pub(crate) fn tell(&self, command: &mut Command) {
        match &self.bench.cluster {
            Some(cluster) => {
                command.args(["--replica-name=bench", "--database", cluster.url(Some(NAME)).as_str()]);
                command.env("TIDINGS_KEY", STANDARD.encode(KEY));
            }
            None => {
                command.arg("--database").arg(self.sqlite());
            }
        }
    }

    /// A connection beside the server's, or instead of it.
    pub(crate) async fn connect(&self) -> anyhow::Result<Sql> {
        Ok(match &self.bench.cluster {
            Some(cluster) => Sql::Postgres(PgConnection::connect(cluster.url(Some(NAME)).as_str()).await?),
            None => {
                let options = SqliteConnectOptions::new().filename(self.sqlite());
                Sql::Sqlite(SqliteConnection::connect_with(&options).await?)
            }
        })
    }

    /// What its secrets are sealed with. A SQLite database has a key once a server has been started on it.
    pub(crate) fn keyring(&self) -> anyhow::Result<Keyring> {
        Ok(match self.bench.cluster {
            Some(_) => Keyring::new(&KEY, &[]),
            None => Keyring::load(&self.directory.path().join("tidings.db.key"))?,
        })
    }

    /// Processor seconds that its own processes have used: none of SQLite's, which works within the server.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        self.bench.cluster.as_ref().map_or(Ok(0.0), |cluster| usage::cpu_seconds_of_family(cluster.postmaster()))
    }

    /// The size of SQLite's write-ahead log; Postgres's is not bounded by Tidings.
    pub(crate) fn wal_path(&self) -> Option<PathBuf> {
        self.bench.cluster.is_none().then(|| self.directory.path().join("tidings.db-wal"))
    }

    /// A folder for files, gone with the database.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.directory.path()
    }

    fn sqlite(&self) -> PathBuf {
        self.directory.path().join("tidings.db")
    }
}
