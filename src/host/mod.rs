//! All access to the system. [`HostView`] reads; [`Host`] writes too. Nothing here depends on specs
//! and plans.
//!
//! A host is a value: the running system, or a directory that contains one (`--root DIR`). Every
//! path of a [`HostView`] is resolved with the root of the host as `/`, so that no link in a
//! directory leads out to the running system.
//!
//! # Errors
//! Unless documented otherwise, functions return `ErrorKind::Failed`, exit status 4, with the
//! system call, the path and the text of errno. Reads change nothing.

mod access_log;
mod access_replay;
mod account_entry;
mod account_files;
mod account_tools;
mod accounts;
mod backup_name;
mod clock;
mod command;
mod connections;
mod copy;
mod derived;
mod derived_facts;
mod dir;
mod dir_cache;
mod dir_reader;
mod empty_dirs;
pub mod glob;
mod hard_link;
mod inventory;
mod listeners;
mod lock;
mod log;
mod logins;
mod mounts;
mod new_file;
pub mod nft;
mod offline_accounts;
mod overlay;
mod ownership;
mod packages;
pub mod pam;
mod parallel;
mod process_info;
mod processes;
mod provenance;
mod remove;
mod routes;
mod skeleton;
pub mod sshd;
mod stat;

mod unused_uid;
mod user_manager;
mod view;
mod walk;
mod writer;

pub use account_entry::{AccountFields, Group, NewAccount, UserEntry};
pub use account_tools::Expiry;
pub use accounts::Accounts;
pub use backup_name::is_backup_name;
pub use clock::today;
pub use command::{Invocation, Output};
pub use copy::{Copier, Digest, digest};
pub use dir::Dir;
pub use dir_cache::ParentDirCache;
pub use dir_reader::DirReader;
pub use inventory::Inventory;
pub use listeners::{is_bound, listens};
pub use lock::Lock;
pub use logins::{Login, Via, need_root_for_logins};
pub use new_file::create_new_file;
pub use ownership::{OwnershipFlaw, UntrustedWriter};
pub use packages::{Dependent, InstalledPackage, Match, OpenDatabase, Package, PackageDatabase};
pub use parallel::parallel_for_each;
pub use process_info::Process;
pub use provenance::{Control, Located, Lookup, TreeEntry};
pub use routes::{Route, routes};
pub use skeleton::{Skeleton, copy_skeleton, skeleton};
pub use stat::{FileKind, Ownership, Stat};
pub use user_manager::manager_unit;
pub use view::{HostView, MountFlags, ResolvedPath};
pub use writer::Host;
