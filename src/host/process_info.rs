//! Properties of a process in proc(5).

use std::path::PathBuf;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: i32,
    /// Real user id.
    pub uid: u32,
    /// Root directory.
    pub root: PathBuf,
}

/// A process with its properties in proc(5).
#[derive(Debug)]
pub(super) struct ProcessInfo {
    pub(super) process: Process,
    /// Process id of the parent; 0 if it is in another pid namespace.
    pub(super) parent: i32,
    /// Name of the process (comm), at most 15 bytes.
    pub(super) name: String,
    /// Whether the name is that of a program of sshd.
    pub(super) is_sshd: bool,
    /// Whether it is in the pid namespace of the caller, and not in one below.
    pub(super) is_near: bool,
    /// For sshd: the arguments, separated by NUL, or the title that replaced them.
    pub(super) title: Option<String>,
}

impl ProcessInfo {
    /// Whether the arguments are those of an sshd that was just started for one connection: by sshd
    /// itself (`-R`) or by a service manager (`-i`).
    pub(super) fn is_new_connection(&self) -> bool {
        let mut arguments = self.title.iter().flat_map(|title| title.split('\0'));
        arguments.any(|argument| matches!(argument, "-R" | "-i"))
    }
}
