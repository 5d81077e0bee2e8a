//! sshd of this host: its configuration files ([`Config`]), the settings that it would use
//! ([`Sshd`]), and its reload.

mod address;
mod config;
mod connect;
mod connection_specs;
mod daemon;
mod expected_settings;
mod include;
mod kinds;
mod lexer;
mod match_line;
mod offline;
mod pattern;
#[cfg(test)]
mod tests;

pub use config::{Blocks, Config};
pub use daemon::{Reload, Settings, Sshd, SshdInfo};
pub use expected_settings::ExpectedSettings;
pub use match_line::ConnSpec;
