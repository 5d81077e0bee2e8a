//! jailctl: chroot jails for SSH and SFTP users, from one declarative file.
//!
//! # Map
//!
//! A build is one line of values; each arrow is one call:
//!
//! ```text
//! text                  --  spec::load              -->  Spec
//! Spec + host           --  resolve::resolve        -->  ResolvedJail
//! ResolvedJail + host   --  plan::build_plan        -->  Plan: steps in their order
//! Plan                  --  apply::Transaction      -->  Manifest: the record of the build
//! ```
//!
//! [`plan::build_plan`] is the middle: it reads the host (`observe`), calls [`resolve::resolve`],
//! compares the jail as it is to be with the jail as it was built (`compare`), and puts the steps
//! into their order (`step_order`). It reads only, so that `jailctl plan` is the first half of
//! `jailctl build`. `check` is the same plan of the spec as built: each of its steps is a
//! difference.
//!
//! [`apply`] executes the steps of a plan. The undo of each step is in a journal before
//! the step is executed, so that an error, or the next run after one that was interrupted, undoes
//! all steps before it; and a new tree is tested before it is live.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use jailctl::host::HostView;
//! use jailctl::plan::build_plan;
//! use jailctl::span::SourceText;
//! use jailctl::spec::{self, BuiltIn};
//!
//! let source = SourceText {
//!     name: "arkham.toml".to_owned(),
//!     text: "name = \"arkham\"\nbinaries = [\"ls\"]\n".to_owned(),
//! };
//! let spec = spec::load(&Arc::new(source.clone()), &BuiltIn)?;
//! let plan = build_plan(&spec, source, &HostView::new(Path::new("/"))?)?;
//! assert!(plan.is_change());
//! # Ok::<(), jailctl::error::Error>(())
//! ```
//!
//! # Modules
//!
//! | theme | module | content |
//! |---|---|---|
//! | input | [`spec`] | TOML to a [`spec::Spec`], or all findings at once; reads no file |
//! | host | [`host`] | all access to the system: [`host::HostView`] reads, [`host::Host`] writes |
//! | programs | [`elf`] | the closure of a program: what ld.so(8) of glibc or musl loads |
//! | decision | [`resolve`] | spec and host to tree, accounts, sshd settings and policy |
//! | decision | [`plan`] | steps of builds and removals, differences, the manifest |
//! | effect | [`apply`] | execution of steps, journal, undo, content store |
//! | diagnosis | [`doctor`] | problems that keep users from logging in |
//! | output | [`show`] | values to text and JSON |
//! | output | [`cli`] | arguments, exit status, and the only prints |
//! | shared | [`error`], [`span`], [`names`] | findings, source texts, validated names and paths |
//! | shared | [`layout`] | paths, file names and modes on disk |
//!
//! A module uses only modules before it: `error`, `span`, `names`, `layout` · `host`, `spec` ·
//! `elf` · `resolve` · `plan` · `apply`, `doctor` · `show` · `cli`. A test keeps this order, and
//! clippy's `disallowed-methods` keep file system calls and processes inside `host`. A host is a
//! value: the running system, or a directory (`--root DIR`). The kernel side of sessions is a crate
//! of its own, `jailctl-session`, which the PAM module shares.
//!
//! Start reading at [`plan::build_plan`]; [`resolve::Tree`] and [`plan::Step`] are its two nouns.
//!
//! # Glossary
//!
//! The jail and its description:
//!
//! - **jail**: a directory tree, its accounts, its sshd settings and its records together.
//! - **root**: the directory on the host that becomes `/` in a jail.
//! - **spec**: the TOML file that describes a jail, [`spec::Spec`].
//! - **template**: a named partial spec that a spec includes, [`spec::Templates`].
//! - **family**: jails of one spec, one for each user, with `%u` in their root; a **member** is one
//!   of them.
//! - **adopted account**: an account that existed before; it is restored, never deleted, when it
//!   leaves the jail.
//! - **gecos tag**: the comment field in passwd(5) that names the jail of an account,
//!   [`resolve::gecos_tag`].
//! - **way in**: a kind of connection that the spec allows: shell, sftp, rsync, forward and others,
//!   [`spec::AccessMethod`].
//! - **gate**: the login shell of accounts without the way in `shell`, the crate `jailctl-gate`.
//!
//! The content of a root:
//!
//! - **tree**: the content of a root as path to entry, [`resolve::Tree`].
//! - **entry**: one path of a tree with type, owner and mode, [`resolve::Entry`].
//! - **reason**: why an entry is in a tree: a line of the spec, another entry, a rule,
//!   [`resolve::Reason`].
//! - **closure**: a program with all objects that it needs to start, [`elf::Closure`].
//! - **rule**: data, helpers and settings of a program that its ELF file does not name; see
//!   `docs/rules.md`.
//! - **exchanged directory**: a directory of the root that is staged whole and swapped by
//!   renameat2(2), [`plan::EXCHANGED_DIRS`].
//! - **user directory**: a home or a `[[dir]]` with an owner, whose content a build never changes.
//! - **store**: the files of the jails in one directory by content, hard-linked into their roots,
//!   [`plan::store_index`].
//! - **marker**: the file in a root that names its jail, [`resolve::Marker`].
//!
//! Plan and execution:
//!
//! - **fleet**: all jails of a host, as far as a plan of one depends on them, [`plan::Fleet`].
//! - **target**: the jail that a plan leads to, [`plan::Target`].
//! - **plan**: the steps that make the host match a spec, or remove a jail, [`plan::Plan`].
//! - **step**: one action of a plan, [`plan::Step`].
//! - **journal**: the file of the run under way, written and synced before the steps.
//! - **undo**: the journalled reverse of a step; idempotent.
//! - **commit point**: the line of the journal after which a run is finished instead of undone.
//! - **deferred action**: an action after the commit point; idempotent.
//! - **manifest**: the record of a build: every entry with digest and reasons, [`plan::Manifest`].
//! - **difference**: a change of the host that `check` finds, [`plan::Difference`].
//!
//! Messages:
//!
//! - **finding**: one error or warning with its span and hints, [`error::Finding`].
//! - **span**: file, line and column of a value, [`span::Span`].
//! - **hint**: the command or line that resolves a finding.
//! - **notice**: information for the administrator that does not stop a run.
//! - **problem**: a result of `doctor`: a cause that keeps users from logging in.
//!
//! sshd and PAM:
//!
//! - **snippet**: the sshd settings of a jail, [`resolve::SshdSnippet`], in the drop-in of all
//!   jails, [`layout::JAILS_SNIPPET`].
//! - **common drop-in**: the drop-in with the settings of all jails, [`layout::COMMON_SNIPPET`].
//! - **PAM service**: a file of pam.conf(5), such as `/etc/pam.d/sshd`.
//! - **block**: the marked lines of jailctl in a PAM service.
//!
//! Sessions (the crate `jailctl-session`):
//!
//! - **session**: namespaces, mounts and cgroup of one connection to a jail.
//! - **plain chroot**: a connection that is confined by chroot(2) alone.
//! - **policy**: the file that describes the sessions of a jail to the PAM module.
//! - **barrier**: the root-owned tmpfs above the root of a session, which stops `..` of a directory
//!   that was passed in from outside.
//! - **init**: process 1 of the pid namespace of a session, see pid_namespaces(7).
//! - **slice**: the systemd.slice(5) of a jail, `jailctl-NAME.slice`, whose cgroup has the limits.
//! - **scope**: the systemd.scope(5) of one session in that slice.
//! - **register**: the files below `/run/jailctl/net` that record which jails have a network in
//!   use.
//! - **host view**: read access to a host, [`host::HostView`].
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
