//! Child processes that are spoken with in lines.

use std::process::Stdio;

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// A process that is spoken with in lines, and killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts this binary in a role.
    pub(crate) fn role(role: &str, args: &[String]) -> anyhow::Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).arg(role).args(args).kill_on_drop(true))
    }

    /// Starts a process. Its standard error is ours.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?).lines();
        Ok(Self { child, input, output })
    }

    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the process has ended")
    }

    pub(crate) async fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        Ok(self.input.write_all(format!("{line}\n").as_bytes()).await?)
    }

    /// The next line it prints.
    pub(crate) async fn line(&mut self) -> anyhow::Result<String> {
        self.output.next_line().await?.context("the process ended without a word")
    }

    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        Ok(serde_json::from_str(&self.line().await?)?)
    }

    /// The address in the line `listening on ADDRESS`.
    pub(crate) async fn address(&mut self) -> anyhow::Result<String> {
        let line = self.line().await?;
        let address = line.rsplit(' ').next().context("no address")?;
        Ok(format!("http://{address}"))
    }

    /// SIGKILL; returns when the process is gone.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// SIGTERM; returns when the process has ended by itself.
    pub(crate) async fn terminate(mut self) -> anyhow::Result<()> {
        let told = Command::new("kill").args(["-TERM", &self.id()?.to_string()]).status().await?;
        anyhow::ensure!(told.success(), "the process could not be told to end");
        self.child.wait().await?;
        Ok(())
    }

    /// Closes its input, and returns when it has ended.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        let Self { mut child, input, output } = self;
        drop(input);
        child.wait().await?;
        drop(output);
        Ok(())
    }
}
