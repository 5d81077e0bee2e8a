//! Facts of one process, as proc(5) shows them.

use std::path::PathBuf;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its real user id.
    pub uid: u32,
    /// Its root directory.
    pub root: PathBuf,
}

/// A process as proc(5) shows it.
#[derive(Debug)]
pub(super) struct ProcessInfo {
    pub(super) process: Process,
    /// The pid of its parent; 0 where that is of another pid namespace.
    pub(super) parent: i32,
    /// The name that the kernel gives it (comm), of at most 15 bytes.
    pub(super) name: String,
    /// Whether that name is one of sshd's programs.
    pub(super) is_sshd: bool,
    /// Whether it is in the pid namespace of the caller itself, and not in one below.
    pub(super) is_near: bool,
    /// The arguments of one of sshd's, separated by NUL, or the title that it has put over them.
    pub(super) title: Option<String>,
}

impl ProcessInfo {
    /// Whether these are the arguments of an sshd that has just been started for one connection: by sshd itself (`-R`) or by a
    /// service manager (`-i`).
    pub(super) fn is_new_connection(&self) -> bool {
        let mut arguments = self.title.iter().flat_map(|title| title.split('\0'));
        arguments.any(|argument| matches!(argument, "-R" | "-i"))
    }
}
