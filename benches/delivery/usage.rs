//! What processes use, as `/proc` tells it (proc_pid_stat(5), proc_pid_status(5)).

use std::path::Path;

use anyhow::Context as _;

/// Processor seconds, user and system, that a process has used: fields 14 and 15.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let fields = stat(pid)?;
    Ok(seconds(&fields, &[14, 15]))
}

/// Processor seconds of a process and all that descend from it, those that have ended and were waited for included: its
/// fields 14 to 17, and 14 and 15 of those that live.
pub(crate) fn cpu_seconds_of_family(root: u32) -> anyhow::Result<f64> {
    let mut sum = seconds(&stat(root)?, &[14, 15, 16, 17]);
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // One that ends meanwhile is waited for, and counted the next time.
        let Ok(fields) = stat(pid) else { continue };
        if fields.get(PARENT).is_some_and(|parent| *parent == u64::from(root)) {
            sum += seconds(&fields, &[14, 15]);
        }
    }
    Ok(sum)
}

/// The process that started another: field 4.
pub(crate) fn parent(pid: u32) -> anyhow::Result<u32> {
    Ok(u32::try_from(*stat(pid)?.get(PARENT).context("no parent")?)?)
}

/// The place of field 4 in what [`stat`] returns.
const PARENT: usize = 1;

/// The fields of `/proc/PID/stat` from the third on; what is no number is 0. Ticks are of 10 ms.
fn stat(pid: u32) -> anyhow::Result<Vec<u64>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; what follows it begins with field 3.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    Ok(fields.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0)).collect())
}

fn seconds(fields: &[u64], wanted: &[usize]) -> f64 {
    wanted.iter().filter_map(|field| fields.get(field - 3)).sum::<u64>() as f64 / 100.0
}

/// The most memory that a process has had resident, in MiB.
pub(crate) fn memory_peak_mib(pid: u32) -> anyhow::Result<f64> {
    status(pid, "VmHWM:")
}

/// The memory that a process has resident, in MiB.
pub(crate) fn memory_mib(pid: u32) -> anyhow::Result<f64> {
    status(pid, "VmRSS:")
}

fn status(pid: u32, name: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
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

/// Bytes that are free on the disk of `folder`.
pub(crate) fn free_bytes(folder: &Path) -> anyhow::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail * stat.f_frsize)
}
