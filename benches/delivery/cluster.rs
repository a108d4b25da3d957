//! A Postgres of the benchmark's own, by `scripts/cluster.py`: with the durability that Postgres has by default.

use std::path::Path;

use anyhow::Context as _;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::process::Command;
use url::Url;

use crate::{process::Process, usage};

/// The variable in which the script gives the cluster's URL.
const VARIABLE: &str = "TIDINGS_TEST_POSTGRES";

/// What a cluster has behind it that is in use: memory that the system has given it for all of its buffers, and files of its
/// write-ahead log to be used again. A new one would get both bit by bit while it is measured.
const WEAR_IN: [&str; 4] = [
    "CREATE TABLE filled (filling TEXT)",
    "INSERT INTO filled SELECT repeat('x', 1000) FROM generate_series(1, 250000)",
    "CHECKPOINT",
    "DROP TABLE filled",
];

/// A running cluster. It ends when its input does: with this process, whatever ends that.
#[derive(Debug)]
pub(crate) struct Cluster {
    process: Process,
    url: Url,
    version: String,
    postmaster: u32,
}

impl Cluster {
    /// Starts a cluster and wears it in.
    ///
    /// # Errors
    /// No Postgres is found, or its data would be in memory, where a commit costs nothing.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mut command = Command::new("python3");
        command.args(["scripts/cluster.py", "sh", "-c", &format!("echo \"${VARIABLE}\"; exec cat >/dev/null")]);
        let mut process = Process::start(command.current_dir(env!("CARGO_MANIFEST_DIR")))?;
        let url: Url = process.line().await.context("starting a Postgres")?.parse()?;
        let mut conn = PgConnection::connect(url.as_str()).await?;
        let (version, data, backend): (String, String, i32) = sqlx::query_as(
            "SELECT current_setting('server_version'), current_setting('data_directory'), pg_backend_pid()",
        )
        .fetch_one(&mut conn)
        .await?;
        usage::refuse_memory_disk(Path::new(&data))?;
        let postmaster = usage::parent(backend.cast_unsigned())?;
        for statement in WEAR_IN {
            conn.execute(statement).await?;
        }
        conn.close().await?;
        Ok(Self { process, url, version, postmaster })
    }

    /// The URL of one of its databases; of the one for maintenance without a name.
    pub(crate) fn url(&self, name: Option<&str>) -> Url {
        let mut url = self.url.clone();
        if let Some(name) = name {
            url.set_path(name);
        }
        url
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// The process from which all of its processes descend.
    pub(crate) fn postmaster(&self) -> u32 {
        self.postmaster
    }

    /// Ends it, and returns when it is gone.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.process.finish().await
    }
}
