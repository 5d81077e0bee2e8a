//! Mounts of a session, as data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One mount, over an existing directory of the jail, or for [`Source::Log`] over a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Mount point, an absolute path inside the jail.
    pub target: PathBuf,
    /// Source of the mount.
    pub source: Source,
    /// Mount options.
    pub flags: Flags,
    /// Whether sessions begin without it while the directory of the host is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// File system or directory that is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Source {
    /// Directory of the host, with the mounts below it.
    Bind(PathBuf),
    /// Empty tmpfs, which ends with the session.
    Tmpfs {
        /// Permissions of its root directory.
        mode: u32,
        /// Option `size` of tmpfs(5).
        size: String,
    },
    /// Processes of the session, proc(5). Needs `pid`.
    Proc,
    /// sysfs(5), with the network interfaces of the session. Always read-only.
    Sys,
    /// Socket of the host's log, which syslog(3) opens, over a file of the jail.
    Log,
    /// Terminals of the session, pts(4). sshd opens its terminals there as well.
    Terminals {
        /// Group id that owns the terminals.
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
    /// Read-only.
    pub ro: bool,
    /// Set-user-ID and set-group-ID bits have no effect.
    pub nosuid: bool,
    /// Device files have no effect.
    pub nodev: bool,
    /// Files cannot be executed.
    pub noexec: bool,
}
