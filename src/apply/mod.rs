//! Execution of plans: the only code that changes jails, accounts and files of the host.
//!
//! The journal has the undo of each step before the step is executed, so an error, or the next
//! command after an interrupted one, undoes everything. What cannot be undone is deferred until
//! all else has succeeded, and then finished.
//!
//! - [`Transaction`] executes the steps of plans, and finishes or rolls back; [`recover()`] does
//!   either for an interrupted run.
//! - `journal` is the file format and its data; `undo` and `commit` execute it.
//! - `steps` has the execution and the undo of each step; `accounts`, `jail_root`,
//!   `sshd_snippet`, `session_policy`, `manifest` and `removal` do the work, by subject.
//! - `stage`, `writer`, `store` and `exchange` write a tree beside the live one and exchange the
//!   two; `staged_test` tests it in between.

mod accounts;
mod audit_line;
mod commit;
mod content;
mod context;
mod exchange;
mod jail_root;
mod journal;
mod manifest;
mod options;
mod recover;
mod relocate;
mod removal;
pub mod session_control;
mod session_policy;
mod sshd_snippet;
mod stage;
mod staged_test;
mod steps;
mod store;
mod store_gc;
mod transaction;
mod tree_only;
mod undo;
mod writer;

pub use options::Options;
pub use recover::recover;
pub use transaction::Transaction;
pub use tree_only::write_tree_only;
