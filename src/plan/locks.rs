//! Users that `jailctl lock` has locked: a file in the records of a jail, which builds obey.

use std::collections::BTreeSet;

use super::expiry::is_closed;
use super::manifest::Manifest;
use super::step::Step;
use super::text_file::read_text;
use super::types::Plan;
use crate::error::Result;
use crate::host::{HostView, UserEntry};
use crate::layout::{KEYS_DIR, LOCKED};
use crate::names::JailName;
use crate::resolve::ResolvedJail;

/// Login names of the locked users of a jail.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the file exists and cannot be read.
pub fn locked_users(view: &HostView, jail: &JailName) -> Result<BTreeSet<String>> {
    let text = read_text(view, &ResolvedJail::state(jail).join(LOCKED))?.unwrap_or_default();
    Ok(text.lines().map(str::to_owned).collect())
}

/// Content of the file for these login names.
pub fn locked_text(users: &BTreeSet<String>) -> String {
    users
        .iter()
        .flat_map(|user| [user.as_str(), "\n"])
        .collect()
}

/// Plans to lock a user of a built jail, or with `is_locked` unset to remove the lock. A locked
/// account is closed and has no keys; the build that follows the removal of a lock opens it.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the host cannot be read.
pub fn lock_plan(
    manifest: Manifest,
    user: &UserEntry,
    is_locked: bool,
    view: &HostView,
) -> Result<Plan> {
    let mut users = locked_users(view, &manifest.name)?;
    let is_new = if is_locked {
        users.insert(user.name.clone())
    } else {
        users.remove(&user.name)
    };
    let mut steps = Vec::new();
    // Recorded first: should the run be interrupted, a later build closes the account.
    if is_new {
        steps.push(Step::WriteLocks {
            users,
            user: user.name.clone(),
        });
    }
    let keys = ResolvedJail::state(&manifest.name).join(KEYS_DIR);
    let has_keys = view.lstat(&keys.join(&user.name))?.is_some();
    if is_locked && (has_keys || !is_closed(user.expires)) {
        steps.push(Step::DisableAccount {
            user: user.name.clone(),
        });
    }
    Ok(Plan::of_steps(manifest, steps))
}
