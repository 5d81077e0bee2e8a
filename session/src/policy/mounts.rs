//! The mounts of a session, as data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One mount, over a directory of the jail that exists, or for the log over a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Where: an absolute path inside the jail.
    pub target: PathBuf,
    /// What.
    pub source: Source,
    /// How.
    pub flags: Flags,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Source {
    /// A directory of the host, with what is mounted below it.
    Bind(PathBuf),
    /// An empty file system in memory that ends with the session.
    Tmpfs {
        /// Permissions of its root.
        mode: u32,
        /// As the option `size` of tmpfs(5).
        size: String,
    },
    /// The session's own processes, proc(5). Needs `pid`.
    Proc,
    /// The kernel's devices, sysfs(5); of its interfaces those of the session's network. Read-only, whatever the flags say.
    Sys,
    /// The socket of the host's log, by which syslog(3) finds it, over a file of the jail.
    Log,
    /// The session's own terminals, pts(4). sshd takes its terminals from there as well.
    Terminals {
        /// The group of terminals.
        group: u32,
    },
}

/// Options of mount(8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four options of mount(8), independent of each other"
)]
pub struct Flags {
    /// Nothing can be written.
    pub ro: bool,
    /// No set-user-ID.
    pub nosuid: bool,
    /// No devices.
    pub nodev: bool,
    /// No programs.
    pub noexec: bool,
}
