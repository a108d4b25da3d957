//! The real server in a process of its own: started on port 0, killed by its id, started again on the same database.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use sqlx::{Connection as _, FromRow, PgConnection, SqliteConnection, postgres::PgRow, sqlite::SqliteRow};
use tidings::{
    client::{Bearer, KeyedChannel},
    proto::webhook_service_client::WebhookServiceClient,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};
use tonic::transport::Endpoint;

use crate::{key::ADMIN_KEY, postgres::PostgresDatabase, which};

/// Beyond this whatever is waited for will not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How much of the server's log a failing test shows.
const LOG_LINES_SHOWN: usize = 60;

/// A key for the secrets in Postgres.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The key that comes after it.
const NEW_KEY: &str = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

const SERVER: &str = env!("CARGO_BIN_EXE_tidings");

pub(crate) type Client = WebhookServiceClient<KeyedChannel>;

/// Where a server's database, key and log are.
pub(crate) struct Home {
    directory: tempfile::TempDir,
    postgres: Option<PostgresDatabase>,
    /// What opens the secrets in Postgres.
    keys: String,
    /// What all that is random in a test derives from; shown when it fails.
    pub(crate) seed: u64,
}

/// A server that runs. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
}

impl Home {
    pub(crate) async fn new(seed: u64) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), postgres: which::postgres().await, keys: KEY.to_owned(), seed }
    }

    /// On Postgres, whatever the run is for.
    pub(crate) async fn on_postgres(seed: u64) -> Self {
        let postgres = Some(PostgresDatabase::create().await);
        Self { directory: tempfile::tempdir().unwrap(), postgres, keys: KEY.to_owned(), seed }
    }

    /// The Postgres database, if it has one.
    pub(crate) fn postgres(&self) -> &PostgresDatabase {
        self.postgres.as_ref().expect("it was made on Postgres")
    }

    /// Starts the server and waits until it listens.
    pub(crate) async fn start(&self) -> Process {
        self.start_crashing(None).await.expect("the server ended before it listened")
    }

    /// As [`Home::start`], for a server that may kill itself at `crash_at`, even before it listens.
    pub(crate) async fn start_crashing(&self, crash_at: Option<&str>) -> Option<Process> {
        let mut command = Command::new(SERVER);
        command.env_remove("CRASH_AT").envs(crash_at.map(|at| ("CRASH_AT", at)));
        self.spawn(command).await
    }

    /// Starts a server in which a task panics at `panic_at`.
    pub(crate) async fn start_panicking(&self, panic_at: &str) -> Process {
        let mut command = Command::new(SERVER);
        command.env("PANIC_AT", panic_at);
        self.spawn(command).await.expect("the server ended before it listened")
    }

    /// Starts a server whose files may not grow beyond `bytes`: writes beyond fail, until [`Process::lift_limit`].
    pub(crate) async fn start_limited(&self, bytes: u64) -> Process {
        let mut command = Command::new("sh");
        // Without a handler for the signal the process would be ended instead of the write being refused.
        command.args(["-c", "trap '' XFSZ; exec prlimit --fsize=\"$0\":unlimited \"$@\""]);
        command.arg(bytes.to_string()).arg(SERVER);
        self.spawn(command).await.expect("the server ended before it listened")
    }

    /// Starts a server whose waits for the disk are written to `trace`.
    pub(crate) async fn start_traced(&self, trace: &std::path::Path) -> Process {
        let mut command = Command::new("strace");
        // -D: the server stays the child that is stopped, and strace goes with it.
        command.args(["-D", "-f", "-qq", "-e", "trace=fdatasync,fsync", "-o"]).arg(trace).arg(SERVER);
        self.spawn(command).await.expect("the server ended before it listened")
    }

    /// Seals everything anew, in a process that may kill itself at `crash_at`. On SQLite it makes a new key if it is told to; on
    /// Postgres the new key is there already. Later starts have both keys.
    pub(crate) async fn reseal(&mut self, new_key: bool, crash_at: Option<&str>) -> Output {
        self.keys = format!("{NEW_KEY},{KEY}");
        let mut command = Command::new(SERVER);
        command.env_remove("CRASH_AT").envs(crash_at.map(|at| ("CRASH_AT", at))).args(["reseal", "--database"]);
        match &self.postgres {
            Some(postgres) => command.arg(postgres.url().as_str()).env("TIDINGS_KEY", &self.keys),
            None => command.arg(self.database()).args(new_key.then_some("--new-key")),
        };
        timeout(PATIENCE, command.output()).await.expect("it ends").unwrap()
    }

    /// Takes away all keys but the one that sealed last: starts go by it from now on.
    pub(crate) fn forget_older_keys(&mut self) {
        self.keys = NEW_KEY.to_owned();
        if self.postgres.is_none() {
            let file = self.database().with_extension("db.key");
            let keys = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, keys.lines().next().unwrap()).unwrap();
        }
    }

    async fn spawn(&self, mut command: Command) -> Option<Process> {
        let log = std::fs::File::options().create(true).append(true).open(self.log_path()).unwrap();
        command.args(["serve", "--listen", "127.0.0.1:0", "--allow-http", "--allow-cidr", "127.0.0.0/8"]);
        command.args(["--allow-port", "1-65535", "--database"]).env("TIDINGS_ADMIN_KEY", ADMIN_KEY);
        match &self.postgres {
            Some(postgres) => {
                command.arg(postgres.url().as_str()).args(["--replica-name", "test"]).env("TIDINGS_KEY", &self.keys)
            }
            None => command.arg(self.database()),
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("the server said nothing").unwrap()?;
        let address: SocketAddr = line.strip_prefix("listening on ").expect(&line).parse().unwrap();
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        Some(Process {
            child,
            address,
            client: WebhookServiceClient::new(Bearer::new(ADMIN_KEY).unwrap().over(channel)),
        })
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory.path().join("tidings.db")
    }

    /// What all lives of the server have logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Asks the database, while no server has it.
    pub(crate) async fn ask<T>(&self, sql: &'static str) -> Vec<T>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        match &self.postgres {
            Some(postgres) => {
                let mut conn = PgConnection::connect(postgres.url().as_str()).await.unwrap();
                sqlx::query_as(sql).fetch_all(&mut conn).await.unwrap()
            }
            None => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.database());
                let mut conn = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::query_as(sql).fetch_all(&mut conn).await.unwrap()
            }
        }
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            eprintln!("seed {}; the end of the server's log:\n{}", self.seed, shown.join("\n"));
        }
    }
}

impl Process {
    /// SIGKILL; returns when the process is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM; returns how the process ended.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        let kill = std::process::Command::new("kill").args(["-TERM", &self.id()]).status();
        assert!(kill.unwrap().success());
        self.ended().await
    }

    /// Lets the files of a server that was started with a limit grow again.
    pub(crate) fn lift_limit(&self) {
        let lift = std::process::Command::new("prlimit").args(["--pid", &self.id(), "--fsize=unlimited"]).status();
        assert!(lift.unwrap().success());
    }

    fn id(&self) -> String {
        self.child.id().expect("it has not ended yet").to_string()
    }

    /// Stops the server as an operator does.
    pub(crate) async fn stop(mut self) {
        let status = self.terminate().await;
        assert!(status.success(), "{status}");
    }

    /// Waits until the process ends by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("the server did not end").unwrap()
    }
}
