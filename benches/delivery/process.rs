//! Child processes, and what they use.

use std::{path::Path, process::Stdio};

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// A process that is spoken with in lines, and killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts this binary in a role.
    pub(crate) fn role(role: &str, args: &[String]) -> anyhow::Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).arg(role).args(args))
    }

    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
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

    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// Processor seconds, user and system, that a process has used, from `/proc/PID/stat` (proc_pid_stat(5)): fields 14 and
/// 15, in ticks of 10 ms.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; what follows it begins with field 3.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let ticks =
        |field: usize| fields.get(field - 3).context("no such field")?.parse::<u64>().map_err(anyhow::Error::from);
    Ok((ticks(14)? + ticks(15)?) as f64 / 100.0)
}

/// The most memory that a process has had resident, in MiB (`VmHWM`).
pub(crate) fn memory_peak_mib(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes / 1024.0)
}

/// Fails if `folder` is in memory, where a commit costs nothing.
pub(crate) fn refuse_memory_disk(folder: &Path) -> anyhow::Result<()> {
    /// statfs(2): TMPFS_MAGIC and RAMFS_MAGIC.
    const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];
    let kind = rustix::fs::statfs(folder)?.f_type;
    anyhow::ensure!(!IN_MEMORY.contains(&kind), "{} is not on a disk", folder.display());
    Ok(())
}
