//! sshd as this host has it: what its configuration says ([`Config`]), what it would really do ([`Daemon`]), and telling it to read anew.

mod config;
mod daemon;
mod glob;
mod rooted;

pub use config::{Config, DROP_INS, MAIN, Sample};
pub use daemon::{Daemon, Expectation, Facts, Reload, Settings};
