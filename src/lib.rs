//! jailctl: chroot jails for SSH and SFTP users, from one declarative file.
#![forbid(unsafe_code)]

pub mod apply;
pub mod cli;
pub mod elf;
pub mod error;
pub mod host;
pub mod names;
pub mod plan;
pub mod resolve;
pub mod show;
pub mod site;
pub mod spec;
