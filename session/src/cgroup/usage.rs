//! Resource usage of the sessions of a jail, from the accounting of its control groups.

use std::path::Path;

use super::group::Group;
use super::hierarchy::{Hierarchies, Version};
use super::kernel_file::{self, read_if_exists};
use super::session_count;
use crate::Error;
use crate::policy::Limits;

/// Resource usage; `None` where no controller of this host counts it. Counters begin with the first
/// session and end with the last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of sessions.
    pub sessions: u64,
    /// Whether the jail is frozen.
    pub frozen: bool,
    /// Number of processes and threads.
    pub tasks: Option<u64>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Maximum of bytes of memory so far.
    pub memory_peak: Option<u64>,
    /// Number of processes killed because memory was exhausted.
    pub oom_kills: Option<u64>,
    /// Microseconds of processor time.
    pub cpu: Option<u64>,
    /// Number of periods (a tenth of a second) in which the CPU quota was exhausted.
    pub throttled: Option<u64>,
    /// Microseconds for which processes were throttled, summed over all processors.
    pub throttled_time: Option<u64>,
    /// Bytes read from disks.
    pub read: Option<u64>,
    /// Bytes written to disks.
    pub written: Option<u64>,
}

/// Current resource usage of the sessions of the jail.
///
/// # Errors
/// [`Error::System`] if a counter cannot be read, [`Error::Busy`] if the count of sessions is
/// locked for too long.
pub fn usage(jail: &str, limits: &Limits) -> Result<Usage, Error> {
    let hierarchies = Hierarchies::read()?;
    let mut usage = Usage {
        sessions: session_count::count(jail)?,
        ..Usage::default()
    };
    for group in Group::locate(jail, limits, &hierarchies)? {
        if group.exists() {
            // Without limits sessions are not registered, but have a scope each under systemd.
            usage.sessions = usage.sessions.max(scopes(group.path())?);
            usage.frozen |= group.is_frozen()?;
            usage.add(&group)?;
        }
    }
    Ok(usage)
}

/// Number of scopes below the slice of a jail.
fn scopes(slice: &Path) -> Result<u64, Error> {
    let names = kernel_file::list(slice)?;
    let scopes = names
        .iter()
        .filter(|name| name.strip_suffix(".scope").is_some());
    Ok(scopes.count() as u64)
}

impl Usage {
    fn add(&mut self, group: &Group) -> Result<(), Error> {
        let text = |file: &str| read_if_exists(&group.path().join(file));
        let number = |file: &str| Ok::<_, Error>(text(file)?.and_then(|text| plain(&text)));
        let set = |field: &mut Option<u64>, value: Option<u64>| *field = field.or(value);
        set(&mut self.tasks, number("pids.current")?);
        match group.version() {
            Version::V1 => {
                set(&mut self.memory, number("memory.usage_in_bytes")?);
                set(&mut self.memory_peak, number("memory.max_usage_in_bytes")?);
                let oom = text("memory.oom_control")?.unwrap_or_default();
                set(&mut self.oom_kills, named(&oom, "oom_kill"));
                let nanoseconds = number("cpuacct.usage")?;
                set(&mut self.cpu, nanoseconds.map(|count| count / 1000));
                let stat = text("cpu.stat")?.unwrap_or_default();
                set(&mut self.throttled, named(&stat, "nr_throttled"));
                let nanoseconds = named(&stat, "throttled_time");
                set(
                    &mut self.throttled_time,
                    nanoseconds.map(|count| count / 1000),
                );
                if let Some(bytes) = text("blkio.throttle.io_service_bytes")? {
                    set(&mut self.read, Some(v1_disks(&bytes, "Read")));
                    set(&mut self.written, Some(v1_disks(&bytes, "Write")));
                }
            }
            Version::V2 => {
                set(&mut self.memory, number("memory.current")?);
                set(&mut self.memory_peak, number("memory.peak")?);
                let events = text("memory.events")?.unwrap_or_default();
                set(&mut self.oom_kills, named(&events, "oom_kill"));
                let stat = text("cpu.stat")?.unwrap_or_default();
                set(&mut self.cpu, named(&stat, "usage_usec"));
                set(&mut self.throttled, named(&stat, "nr_throttled"));
                set(&mut self.throttled_time, named(&stat, "throttled_usec"));
                if let Some(bytes) = text("io.stat")? {
                    set(&mut self.read, Some(v2_disks(&bytes, "rbytes=")));
                    set(&mut self.written, Some(v2_disks(&bytes, "wbytes=")));
                }
            }
        }
        Ok(())
    }
}

fn plain(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Number in the line `name NUMBER`.
fn named(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (found, number) = line.split_once(' ')?;
        (found == name).then(|| plain(number)).flatten()
    })
}

/// Sum of lines such as `254:0 Read 4096`.
fn v1_disks(text: &str, kind: &str) -> u64 {
    let of_line = |line: &str| {
        let mut words = line.split(' ');
        let (_, found, number) = (words.next()?, words.next()?, words.next()?);
        (found == kind).then(|| plain(number)).flatten()
    };
    text.lines().filter_map(of_line).sum()
}

/// Sum of words such as `rbytes=4096` in lines such as `254:0 rbytes=4096 wbytes=0 …`.
fn v2_disks(text: &str, start: &str) -> u64 {
    let words = text.split_whitespace();
    let numbers = words.filter_map(|word| plain(word.strip_prefix(start)?));
    numbers.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let v1 = "254:0 Read 4096\n254:0 Write 512\n254:0 Total 4608\n7:1 Read 1\nTotal 4609\n";
        assert_eq!((v1_disks(v1, "Read"), v1_disks(v1, "Write")), (4097, 512));
        let v2 = "254:0 rbytes=10 wbytes=3 rios=1\n7:1 rbytes=5 wbytes=0\n8:0 \n";
        assert_eq!((v2_disks(v2, "rbytes="), v2_disks(v2, "wbytes=")), (15, 3));
        let events = "low 0\noom 4\noom_kill 2\noom_group_kill 0\n";
        assert_eq!(named(events, "oom_kill"), Some(2));
        assert_eq!(named(events, "oom_"), None);
    }
}
