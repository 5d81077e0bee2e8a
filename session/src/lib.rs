//! Puts a process into a jail's session: namespaces, mounts, root directory, ids, terminal.
//!
//! This is the one crate of the workspace that may use `unsafe`, and it is meant to be read in one sitting. It knows
//! nothing of specs or of what a jail is for: it gets open descriptors, ids and names, and it either does all that it
//! promises or returns an [`Error`].
//!
//! - `namespace`: a thread with namespaces of its own, for what must not show on the host.
//! - [`mount`]: bind mounts and tmpfs by descriptor, for use in there.
//! - [`mountinfo`]: fields of the table of mounts.
//! - [`exec`]: a program in a jail, as one of its users, with nothing of the caller's.
//! - [`policy`]: what the sessions of a jail are given, as a file that a build writes.
//! - [`open`]: the calling process, and all that it starts, in namespaces of its own as the policy says. For sshd by way of PAM, and for `enter`.
//! - [`cgroup`]: what all sessions of a jail may use together: control groups.
//! - [`network`]: a network of a jail's own, which its sessions share.
//! - [`layout`]: paths, file names and account conventions shared with `jailctl` and the PAM module.
//! - `kill`: the end of every process of a user id.
//! - `terminal`, `signals`: the caller's side of a session while it runs.
//! - `seccomp`: the system calls that a session is kept from.
//! - `place`: opening what is on the way without following it; `privileges`: giving them up.
//! - `sys`: the system calls that no library has; `error`: what went wrong.

pub mod cgroup;
mod error;
pub mod exec;
mod kill;
pub mod layout;
pub mod mount;
pub mod mountinfo;
mod namespace;
pub mod network;
pub mod open;
mod open_nofollow;
pub mod policy;
mod privileges;
mod pty;
mod seccomp;
mod signals;
mod syscalls;

pub use error::Error;
pub use kill::kill_user;
pub use namespace::{private_mounts, private_processes};
