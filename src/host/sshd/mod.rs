//! sshd as this host has it: what its configuration says ([`Config`]), what it would really do ([`Daemon`]), and telling it to read anew.

mod address;
mod config;
mod connect;
mod daemon;
mod glob;
mod match_line;
mod pattern;
mod rooted;
mod sample;
#[cfg(test)]
mod tests;
mod words;

pub use config::{Blocks, Config, DROP_INS, MAIN};
pub use daemon::{Daemon, Expectation, Facts, Reload, Settings};
pub use match_line::Sample;
