//! Findings of a security review, each as a test named after its number: attacks by jailed users,
//! by two of them together, and mistakes of administrators. The payload is harmless: a token file
//! outside of the jail is read, or is not.

mod adoption;
mod follow_up;
mod host_modules;
mod kernel;
mod kill;
mod match_blocks;
mod mounts;
mod network;
mod pam_services;
mod proof;
mod regressions;
mod root_dir;
mod sources;
mod sshd_size;
mod ways_in;
