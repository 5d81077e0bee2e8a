//! jailctl: chroot jails for SSH and SFTP users, from one declarative file.
#![forbid(unsafe_code)]

pub mod cli;
pub mod elf;
pub mod error;
pub mod host;
pub mod names;
pub mod site;
pub mod spec;
