//! Files of an Include of sshd_config(5): patterns of glob(7), in any component of a path.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::host::derived_facts::Input;
use crate::host::glob::matches;
use crate::host::view::HostView;

/// Paths that match a pattern, in order. A path without wildcards need not exist. Adds the
/// directories that were listed to `inputs`.
///
/// # Errors
/// `Failed` if a directory cannot be read.
pub(super) fn expand_include(
    view: &HostView,
    pattern: &Path,
    inputs: &mut Vec<Input>,
) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str().to_string_lossy();
        if !name.contains(['*', '?', '[', '\\']) {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let mut next = Vec::new();
        for parent in found {
            inputs.push(Input::now(view, &parent, true)?);
            let names = view.list(&parent)?.unwrap_or_default();
            let named = |name: &&OsString| matches(part.as_os_str().as_bytes(), name.as_bytes());
            next.extend(names.iter().filter(named).map(|name| parent.join(name)));
        }
        found = next;
    }
    Ok(found)
}
