//! The gate: the login shell of jailed accounts without the way in `shell`.
//!
//! sshd(8) starts it for each connection with a constant argument (`ForceCommand`, or `command=` of
//! a key) and the command line of the client in `SSH_ORIGINAL_COMMAND`. The gate splits that line
//! into words without a shell ([`words`]), compares it with what the clients of the allowed
//! protocols send ([`request`]), and replaces itself by the program, or refuses in one line.
//!
//! - What an account may do is in a file of its jail ([`policy`]), which root owns. Without a valid
//!   file everything is refused.
//! - Nothing of the line reaches a shell. Options are passed on only if they are in the tables of
//!   the protocol; other arguments are paths.
//! - Directories of a policy are enforced twice: in the arguments, and by landlock(7) where the
//!   kernel has it, which also limits execution to programs that root owns.
//!
//! This library makes no system call, so that its tests and the fuzzer run anywhere; `jailctl` uses
//! it to write policies. The program is static and needs nothing of the jail but its file.
#![forbid(unsafe_code)]

mod borg;
mod git;
pub mod launch;
mod path;
pub mod policy;
pub mod refusal;
pub mod request;
mod restic;
mod rsync;
mod scp;
pub mod words;

pub use launch::Launch;
pub use policy::{Mode, Policy, Protocol, Way};
pub use refusal::Refusal;
pub use request::decide;
