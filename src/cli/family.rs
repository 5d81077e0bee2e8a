//! Jails of a family.

use crate::error::Result;
use crate::host::HostView;
use crate::names::JailName;
use crate::plan::Manifest;

/// Built jails of the family `name`.
pub(crate) fn members(name: &JailName, view: &HostView) -> Result<Vec<JailName>> {
    let mut names = Manifest::names(view)?;
    names.retain(|one| one.is_member() && one.family_name() == name.as_str());
    Ok(names)
}
