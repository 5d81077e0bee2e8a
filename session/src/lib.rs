//! Sessions of jails: moving a process into namespaces, mounts, control groups and a network, and
//! running programs as users of a jail.
//!
//! This crate and the PAM module are the only ones of the workspace that may use `unsafe`, and each
//! is small enough to be reviewed at once. The crate knows nothing of specs: its input are
//! policies, open descriptors, ids and names, and it does everything that a function promises, or
//! returns an [`Error`].
//!
//! Data:
//! - [`policy`]: the sessions of a jail, as a file that a build writes.
//! - [`shared_layout`]: paths, file names and account conventions, shared with `jailctl` and the
//!   PAM module. [`mountinfo`]: fields of the table of mounts.
//!
//! Sessions:
//! - [`open`]: the calling process, and all that it starts, in a session: the order of the kernel
//!   actions. For sshd by way of PAM, and for `jailctl enter`.
//! - [`cgroup`]: limits that all sessions of a jail share, and freezing them.
//! - [`network`]: the network that the sessions of a jail share.
//! - `seccomp`: the system calls that a session may make.
//! - [`kill_user`], in `kill`: killing all processes of a user id.
//!
//! Programs:
//! - [`exec`]: a program in a jail, as one of its users, with nothing of the caller's.
//! - `pty`, `signals`: terminal and signals of the caller while a program runs.
//! - `privileges`: dropping root.
//!
//! Calls:
//! - [`private_mounts`], in `namespace`: a thread in new namespaces, for mounts that never show on
//!   the host. [`mount`]: bind mounts and tmpfs by descriptor.
//! - `open_nofollow`: opening paths without following links. `syscalls`: system calls that no
//!   library offers.
//!
//! # Example
//!
//! A program in a session, as root and with one thread:
//!
//! ```no_run
//! use std::path::Path;
//!
//! use jailctl_session::exec::{ExecRequest, ExitKind, run};
//! use jailctl_session::open::{Utmp, open};
//! use jailctl_session::policy::Policy;
//!
//! let Some(policy) = Policy::load("arkham")? else {
//!     return Ok(()); // a plain chroot
//! };
//! let session = open(&policy, "harlequin", Utmp::None)?;
//! let ended = run(&ExecRequest {
//!     root: session.root(),
//!     uid: 4101,
//!     gid: 4100,
//!     groups: &[],
//!     cwd: Path::new("/home/harlequin"),
//!     program: Path::new("/bin/sh"),
//!     argv0: "-sh".into(),
//!     args: vec!["-c".into(), "id".into()],
//!     env: vec![("HOME".into(), "/home/harlequin".into())],
//! })?;
//! assert_eq!(ended, ExitKind::Code(0));
//! # Ok::<(), jailctl_session::Error>(())
//! ```

pub mod cgroup;
mod error;
pub mod exec;
pub mod journal;
mod kill;
pub mod mount;
pub mod mountinfo;
mod namespace;
pub mod network;
pub mod open;
mod open_nofollow;
pub mod policy;
mod privileges;
mod pty;
mod refusals;
mod seccomp;
pub mod shared_layout;
mod signals;
mod syscalls;

pub use error::Error;
pub use kill::kill_user;
pub use namespace::{private_mounts, private_processes};
pub use refusals::count_refusal;
