//! PAM services of a host as text: pam.conf(5).
//!
//! The service of sshd gets a block by which jailed accounts leave it early, every other service
//! one that refuses them.

mod block;
mod lines;
mod modules;
mod service;
mod services;

pub use modules::Modules;
pub use service::{Edit, SSHD, Service};
pub use services::{ServiceEdits, with_blocks, without_blocks, without_former};
