//! The plan of a build or of a removal: its steps in their order. Reads only; `apply` executes it.
//!
//! [`build_plan`] is the middle of a build: `observe` reads the host, `resolve::resolve` turns the
//! spec into the jail as it is to be, `compare` finds the paths that change, and `order` puts the
//! steps into the order that keeps the accounts confined at each point.

mod accounts;
mod build;
mod compare;
mod difference;
mod digests;
mod drift;
mod expiry;
mod fleet;
mod interrupted;
mod live_sessions;
mod locks;
pub mod manifest;
mod observe;
pub mod policy_text;
mod postponed_sessions;
mod preconditions;
mod purge;
mod record_drift;
mod relocate;
mod removal;
mod rename_user;
mod rollback;
mod running_processes;
mod session_policy;
mod sshd;
mod step;
mod step_order;
mod step_text;
pub mod store_index;
mod target;
mod text_file;
mod traces;
mod types;
mod vanished_root;
mod ways_in;
pub mod why;

pub use build::{build_moved, build_plan};
pub use compare::{
    Change, ChangeKind, Depth, EXCHANGED_DIRS, compare, dirs_to_exchange, user_dir_flaw,
};
pub use difference::{Difference, Drift, Kind as DriftKind};
pub use digests::RecordedDigests;
pub use drift::drift;
pub use expiry::{expiry, is_closed};
pub use fleet::Fleet;
pub use interrupted::interrupted;
pub use live_sessions::{describe, ensure_account_idle, ensure_empty, ensure_no_sessions};
pub use locks::{lock_plan, locked_text, locked_users};
pub use manifest::{Manifest, OriginalAccount, spec_as_built};
pub use postponed_sessions::PostponedSessions;
pub use purge::{LeftRoot, purge};
pub use relocate::move_root;
pub use removal::removal;
pub use rename_user::rename_users;
pub use rollback::{
    PreviousBuild, ensure_whole_family, other_member_affected, roll_back, roll_back_to,
};
pub use running_processes::{RunningProcesses, outdated_processes};
pub use session_policy::policy_as_built;
pub use sshd::{
    FoundSnippet, OWN_DROP_INS, snippet, snippet_edits, snippet_removal, verify_snippets,
};
pub use step::{SpecEdit, Step};
pub use step_text::{AccountPart, StepSummary, StepText};
pub use target::{RemoveOptions, Target};
pub use traces::{Subject as TraceSubject, Traces};
pub use types::Plan;
pub use vanished_root::VanishedRoot;
pub use ways_in::{WaysIn, exposure_as_built};
