//! The limits that the sessions of a jail share, as data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Open files of each process where memory is limited and they are not. The kernel's buffers of a netlink(7) socket count as nobody's memory, so that
/// the number of sockets is a limit of memory too. It is what most distributions give a login as its soft limit.
const OPEN_FILES: u32 = 1024;

/// What the sessions of a jail may use together, and each of their processes for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes of swap space, beside `memory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<u64>,
    /// Processor time, in per cent of one CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Share of the processors where they are short, against others' 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_weight: Option<u32>,
    /// The processors, as in cpuset(7): `0-1,4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u32>,
    /// Share of the jail's disks where they are short, against others' 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_weight: Option<u32>,
    /// Bytes a second read from each of the jail's disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_read: Option<u64>,
    /// Bytes a second written to each of the jail's disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_write: Option<u64>,
    /// Reads a second from each of the jail's disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_read_ops: Option<u32>,
    /// Writes a second to each of the jail's disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_write_ops: Option<u32>,
    /// Devices beside those that every session may use, by their paths on the host; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<PathBuf>>,
    /// Bytes in huge pages, of each size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hugetlb: Option<u64>,
    /// The class of packets, for tc(8) and netfilter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net_class: Option<u32>,
    /// The priority of packets, on each interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net_priority: Option<u32>,
    /// Open files of each process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u32>,
    /// Bytes of a core dump; `None`: none is dumped, nor given to a program of the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_size: Option<u64>,
    /// Sessions at one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u32>,
    /// In which group of each hierarchy the jail's own lies; it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

impl Limits {
    /// What the types do not say, for a policy that is read.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let plain = |part: &str| {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            !matches!(part, "" | "." | "..") && part.bytes().all(letter)
        };
        if let Some(parent) = &self.parent
            && !parent.split('/').all(plain)
        {
            return Err("the parent of its control groups is no plain path".to_owned());
        }
        if self.swap.is_some() && self.memory.is_none() {
            return Err("it limits swap space and no memory".to_owned());
        }
        Ok(())
    }

    /// Each limit that a group keeps: its key in a spec, and the controller that it needs.
    pub(crate) fn needs(&self) -> Vec<(&'static str, &'static str)> {
        let all = [
            (self.memory.is_some(), "memory", "memory"),
            (self.swap.is_some(), "swap", "memory"),
            (self.cpu.is_some(), "cpu", "cpu"),
            (self.cpu_weight.is_some(), "cpu_weight", "cpu"),
            (self.cpus.is_some(), "cpus", "cpuset"),
            (self.tasks.is_some(), "tasks", "pids"),
            (self.io_weight.is_some(), "io_weight", "io"),
            (self.io_read.is_some(), "io_read", "io"),
            (self.io_write.is_some(), "io_write", "io"),
            (self.io_read_ops.is_some(), "io_read_ops", "io"),
            (self.io_write_ops.is_some(), "io_write_ops", "io"),
            (self.devices.is_some(), "devices", "devices"),
            (self.hugetlb.is_some(), "hugetlb", "hugetlb"),
            (self.net_class.is_some(), "net_class", "net_cls"),
            (self.net_priority.is_some(), "net_priority", "net_prio"),
        ];
        let given = all.into_iter().filter(|(is, ..)| *is);
        given
            .map(|(_, key, controller)| (key, controller))
            .collect()
    }

    /// Open files of each process: what is given, and [`OPEN_FILES`] where it is not but memory is limited.
    pub(crate) fn open_files(&self) -> Option<u32> {
        self.open_files.or_else(|| self.memory.map(|_| OPEN_FILES))
    }

    pub(crate) fn has_rates(&self) -> bool {
        self.io_read.is_some()
            || self.io_write.is_some()
            || self.io_read_ops.is_some()
            || self.io_write_ops.is_some()
    }
}
