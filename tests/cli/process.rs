//! One run of the binary.

use std::{
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use tidings::{
    client::{Bearer, KeyedChannel},
    proto::webhook_service_client::WebhookServiceClient,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use tonic::transport::Endpoint;

use super::key::ADMIN_KEY;

/// Longer than anything here takes, shorter than anyone wants to wait.
const DEADLINE: Duration = Duration::from_secs(60);

/// The binary with nothing of the caller's environment but the key that servers are given and called with; temporary files
/// go to `directory`.
pub(crate) fn tidings(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(arguments).env_clear().env("TMPDIR", directory).current_dir(directory);
    command.env("TIDINGS_ADMIN_KEY", ADMIN_KEY).env("TIDINGS_API_KEY", ADMIN_KEY);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs the binary to its end.
pub(crate) async fn run(directory: &Path, arguments: &[&str]) -> Output {
    timeout(DEADLINE, tidings(directory, arguments).output()).await.expect("it ends").unwrap()
}

/// Runs the binary, which is to refuse; returns what it said.
pub(crate) async fn refusal(directory: &Path, arguments: &[&str]) -> String {
    refused(&mut tidings(directory, arguments)).await
}

/// As [`refusal`], for a command that has been made.
pub(crate) async fn refused(command: &mut Command) -> String {
    let output = timeout(DEADLINE, command.output()).await.expect("it ends").unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A run that goes on.
pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Self {
        Self::of(&mut tidings(directory, arguments))
    }

    /// A run of a command that has been made.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// A server on a port of its own, and its address.
    pub(crate) async fn serve(directory: &Path, database: &str) -> (Self, String) {
        let mut serving = Self::start(directory, &["serve", "--listen", "127.0.0.1:0", "--database", database]);
        let line = serving.line("listening on ").await;
        (serving, line.trim_start_matches("listening on ").to_owned())
    }

    /// Waits for a line that contains `text`.
    pub(crate) async fn line(&mut self, text: &str) -> String {
        timeout(DEADLINE, async {
            loop {
                let line = self.lines.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("it ended without {text:?}"));
                if line.contains(text) {
                    return line;
                }
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{text:?} never came"))
    }

    /// Waits for its end; returns its status and what it said on standard error.
    pub(crate) async fn ended(self, deadline: Duration) -> (Option<i32>, String) {
        let Self { child, lines } = self;
        let output = timeout(deadline, child.wait_with_output()).await.expect("it ends in time").unwrap();
        drop(lines);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    /// Sends a signal (`TERM`, `INT`) and waits for the end.
    pub(crate) async fn stop(&mut self, signal: &str, deadline: Duration) -> Option<i32> {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().await.unwrap();
        assert!(sent.success());
        // Read on, so that a full pipe holds nothing up.
        let ended = async {
            while let Ok(Some(_)) = self.lines.next_line().await {}
            self.child.wait().await.unwrap()
        };
        timeout(deadline, ended).await.expect("it ends in time").code()
    }
}

/// A client of the server at this URL.
pub(crate) fn client(server: String) -> WebhookServiceClient<KeyedChannel> {
    client_with(ADMIN_KEY, server)
}

/// A client that calls with this key.
pub(crate) fn client_with(key: &str, server: String) -> WebhookServiceClient<KeyedChannel> {
    let channel = Endpoint::from_shared(server).unwrap().connect_lazy();
    WebhookServiceClient::new(Bearer::new(key).unwrap().over(channel))
}
