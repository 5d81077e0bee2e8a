//! jailctl: chroot jails for SSH and SFTP users, from one declarative file.
//!
//! This page is the map. The way of a build is one line, and each arrow is one function:
//!
//! ```text
//! text ── spec::load ──> Spec ── resolve::resolve ──> ResolvedJail ── plan::plan ──> Plan ── apply::Transaction ──> Manifest
//! ```
//!
//! - [`spec`] turns TOML into a [`spec::Spec`], or into every finding at once, each with its line. It reads no file.
//! - [`resolve`] looks at the host and makes a [`resolve::ResolvedJail`]: each path of the tree with the reason why it is there, accounts with
//!   their numbers, what sshd is to do. It uses [`elf`], which knows what a program needs to start.
//! - [`plan`] compares that with what is found, the [`plan::Manifest`] of the last build included, and makes a [`plan::Plan`]: steps in their
//!   order. It reads only, so `jailctl plan` is the first half of `jailctl build`.
//! - [`apply`] takes the steps. It decides nothing. How each step is undone is in a journal before it is taken, so that an error, or the next run after
//!   one that died, undoes all that went before; and a new tree proves itself before it is live.
//! - [`host`] is the one door to the system. Its [`host::HostView`] has no method that writes and is all that `elf`, `resolve` and `plan` are given;
//!   its [`host::Host`] is what `apply` has. A host is a value: the running system, or a directory (`--root DIR`).
//! - [`doctor`] looks for what keeps a user of a jail from logging in, or a host from having jails.
//! - [`show`] turns values into text and JSON; [`cli`] is the only place that prints.
//! - [`error`], [`span`] and [`names`] are the words that all of them share: findings with their places, names and paths that obey rules.
//!
//! Who may use whom, lowest first: `error`, `site`, `names` · `host`, `spec` · `elf` · `resolve` · `plan` · `apply`, `doctor` · `show` · `cli`. A test keeps it so,
//! and clippy's `disallowed-methods` keep file system calls and processes inside `host`.
//!
//! Where to start reading: [`plan::plan`] is the middle of everything; [`resolve::Tree`] and [`plan::Step`] are its two nouns.
#![forbid(unsafe_code)]

pub mod apply;
pub mod cli;
pub mod doctor;
pub mod elf;
pub mod error;
pub mod host;
pub mod layout;
pub mod names;
pub mod plan;
pub mod resolve;
pub mod show;
pub mod span;
pub mod spec;
