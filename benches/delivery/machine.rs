//! Where it is measured, and what: the machine, and the revision of the code.

use std::{path::Path, process::Command};

use anyhow::Context as _;

use crate::report::results::Machine;

/// The machine that this runs on, with databases in `folder`.
pub(crate) fn describe(folder: &Path) -> anyhow::Result<Machine> {
    let uname = rustix::system::uname();
    Ok(Machine {
        processor: value_of("/proc/cpuinfo", "model name")?,
        cores: std::thread::available_parallelism()?.get() as u64,
        memory_gib: kibibytes(&value_of("/proc/meminfo", "MemTotal")?)?.div_ceil(1 << 20),
        kernel: format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy()),
        disk: disk(folder)?,
        rustc: output("rustc", &["--version"])?,
        postgres: String::new(),
    })
}

/// The commit that is checked out; with a `+` if files of the server differ from it.
pub(crate) fn revision() -> anyhow::Result<String> {
    let commit = output("git", &["rev-parse", "--short=9", "HEAD"])?;
    let changed = output("git", &["status", "--porcelain", "--", "server", "proto", "Cargo.toml", "Cargo.lock"])?;
    Ok(if changed.is_empty() { commit } else { commit + "+" })
}

/// The file system and the device that a folder is on, such as `ext4 on vda`; from the mount whose path is the longest.
fn disk(folder: &Path) -> anyhow::Result<String> {
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mount = fields
        .filter(|fields| fields.len() > 2 && folder.starts_with(fields[1]))
        .max_by_key(|fields| fields[1].len())
        .context("the folder is on no mount")?;
    Ok(format!("{} on {}", mount[2], mount[0].trim_start_matches("/dev/")))
}

/// The first value of a key in a file of lines `KEY: VALUE`.
fn value_of(path: &str, key: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let value = pairs.find(|(found, _)| found.trim() == key).map(|(_, value)| value.trim().to_owned());
    value.with_context(|| format!("{path} has no {key}"))
}

/// Reads `123 kB`.
fn kibibytes(text: &str) -> anyhow::Result<u64> {
    Ok(text.trim_end_matches("kB").trim().parse()?)
}

fn output(program: &str, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output()?;
    anyhow::ensure!(output.status.success(), "`{program} {}` failed", args.join(" "));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
