//! Users that `jailctl lock` has locked: a file in the records of a jail, which builds obey.

use std::collections::BTreeSet;

use super::text_file::read_text;
use crate::error::Result;
use crate::host::HostView;
use crate::layout::LOCKED;
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
