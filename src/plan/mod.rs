//! The plan of a build or of a removal: its steps in their order. Reads only; `apply` executes it.
//!
//! [`build_plan`] is the middle of a build: `observe` reads the host, `resolve::resolve` turns the
//! spec into the jail as it is to be, `compare` finds the paths that change, and `order` puts the
//! steps into the order that keeps the accounts confined at each point.

mod accounts;
mod build;
mod compare;
mod digests;
mod drift;
mod fleet;
mod interrupted;
mod live_sessions;
pub mod manifest;
mod observe;
mod postponed_sessions;
mod preconditions;
mod removal;
mod rollback;
mod running_processes;
mod session_policy;
mod sshd;
mod step;
mod step_order;
pub mod store_index;
mod target;
mod text_file;
mod types;
mod ways_in;
pub mod why;

pub use accounts::{expiry, is_closed};
pub use build::build_plan;
pub use compare::{Change, ChangeKind, Depth, EXCHANGED_DIRS, compare, dirs_to_exchange};
pub use digests::RecordedDigests;
pub use drift::{Difference, Drift, Kind as DriftKind, drift};
pub use fleet::Fleet;
pub use interrupted::interrupted;
pub use live_sessions::{ensure_account_idle, ensure_empty, ensure_no_sessions};
pub use manifest::{Manifest, OriginalAccount, spec_as_built};
pub use postponed_sessions::PostponedSessions;
pub use removal::removal;
pub use rollback::{
    PreviousBuild, ensure_whole_family, other_member_affected, roll_back, roll_back_to,
};
pub use running_processes::{RunningProcesses, outdated_processes};
pub use sshd::{
    FoundSnippet, OWN_DROP_INS, snippet, snippet_edits, snippet_removal, verify_snippets,
};
pub use step::{AccountPart, Step, StepSummary, StepText};
pub use target::{RemoveOptions, Target};
pub use types::Plan;
pub use ways_in::{WaysIn, exposure_as_built};
