//! Limits of the sessions of a jail, as data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Open files of each process where memory is limited and open files are not. The kernel charges
/// the buffers of a netlink(7) socket to no control group, so the number of sockets is a limit of
/// memory too. Most distributions set it as the soft limit of a login.
const OPEN_FILES: u32 = 1024;

/// Limits of all sessions of a jail together, and of each of their processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes of swap space, in addition to `memory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<u64>,
    /// Processor time, in per cent of one CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// CPU weight where the processors are short, relative to the default of 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_weight: Option<u32>,
    /// List of processors in the format of cpuset(7): `0-1,4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// Number of processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u32>,
    /// I/O weight where the disks of the jail are short, relative to the default of 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_weight: Option<u32>,
    /// Bytes per second read from each disk of the jail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_read: Option<u64>,
    /// Bytes per second written to each disk of the jail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_write: Option<u64>,
    /// Read operations per second from each disk of the jail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_read_ops: Option<u32>,
    /// Write operations per second to each disk of the jail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_write_ops: Option<u32>,
    /// Paths on the host of the devices that sessions may open, in addition to those of every jail;
    /// `None` allows all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<PathBuf>>,
    /// Bytes in huge pages, of each size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hugetlb: Option<u64>,
    /// Class of packets (`net_cls.classid`), for tc(8) and netfilter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net_class: Option<u32>,
    /// Priority of packets (`net_prio.ifpriomap`), on each interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net_priority: Option<u32>,
    /// Open files of each process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u32>,
    /// Bytes of a core dump; with `None` no core is dumped or passed to a program of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_size: Option<u64>,
    /// Number of sessions at one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u32>,
    /// Existing group in each hierarchy below which the group of the jail is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

impl Limits {
    /// Checks what the types do not express. The error is a clause about the policy.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let plain = |part: &str| {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            !matches!(part, "" | "." | "..") && part.bytes().all(letter)
        };
        if let Some(parent) = &self.parent
            && !parent.split('/').all(plain)
        {
            return Err("the parent of its control groups is not a plain path".to_owned());
        }
        if self.swap.is_some() && self.memory.is_none() {
            return Err("it limits swap space without memory".to_owned());
        }
        Ok(())
    }

    /// The limits that control groups enforce: the key in a spec, and the controller that it needs.
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
            (self.net_class.is_some(), "net_cls_classid", "net_cls"),
            (self.net_priority.is_some(), "net_prio", "net_prio"),
        ];
        let given = all.into_iter().filter(|(is, ..)| *is);
        given
            .map(|(_, key, controller)| (key, controller))
            .collect()
    }

    /// Open files of each process: the given number, or [`OPEN_FILES`] where memory is limited.
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
