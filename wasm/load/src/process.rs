//! What a process has used so far, from the process table.

use std::{fs, io, path::Path, time::Duration};

/// Clock ticks per second in `/proc`: fixed in Linux's interface, whatever the kernel's own timer does.
const TICKS: u64 = 100;

/// What a process has used up to a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// CPU time of all its threads, in the program and in the kernel.
    pub(crate) cpu: Duration,
    /// Resident memory in bytes, now.
    pub(crate) rss: u64,
    /// How often its threads that are alive gave up or lost a core.
    pub(crate) switches: u64,
}

impl Usage {
    /// Reads the figures of process `pid`; `None` is this process.
    pub(crate) fn of(pid: Option<u32>) -> io::Result<Self> {
        let folder = match pid {
            Some(pid) => format!("/proc/{pid}"),
            None => "/proc/self".to_owned(),
        };
        let folder = Path::new(&folder);
        let status = fs::read_to_string(folder.join("status"))?;
        let mut switches = 0;
        for thread in fs::read_dir(folder.join("task"))? {
            // A thread may end between the two reads.
            let Ok(status) = fs::read_to_string(thread?.path().join("status")) else {
                continue;
            };
            switches += field(&status, "voluntary_ctxt_switches:").unwrap_or(0);
            switches += field(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0);
        }
        Ok(Self {
            cpu: cpu(&fs::read_to_string(folder.join("stat"))?).ok_or_else(unreadable)?,
            rss: field(&status, "VmRSS:").ok_or_else(unreadable)? * 1024,
            switches,
        })
    }
}

fn unreadable() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the process table has another form",
    )
}

/// The number after `name` at the beginning of a line.
fn field(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// User and system time. The program's name comes before them in parentheses, and may hold anything.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1000 / TICKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_program_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 90 0 0 0 150 25 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu(stat), Some(Duration::from_millis(1750)));
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(Usage::of(None).unwrap().rss > 0);
        assert!(Usage::of(Some(0)).is_err());
    }
}
