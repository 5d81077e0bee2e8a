//! What a user's own program may bring along: a `#!` line or a RUNPATH names any file of the host, and
//! what everybody cannot reach there does not come into a jail because a user's file names it.

use std::path::Path;

use crate::elf::{Object, ObjectKind, Reason};
use crate::error::Result;
use crate::host::{Control, HostView, Lookup};

/// Why the object at `path`, which is free of links and was not asked for by the spec, may not be taken:
/// not everybody may read it, and no file under the control of root needs it. `None` if it may.
pub(super) fn objection(view: &HostView, path: &Path, object: &Object) -> Result<Option<String>> {
    let is_link = matches!(object.kind, ObjectKind::Link { .. });
    if is_link || is_public(view, path)? {
        return Ok(None);
    }
    for reason in &object.reasons {
        let by = match reason {
            Reason::Needed { by, .. } | Reason::Dlopen { by, .. } => by,
            Reason::Interpreter { of } | Reason::Env { of } => of,
            Reason::Named | Reason::SymlinkTo { .. } | Reason::Implicit { .. } => return Ok(None),
        };
        match view.locate(by)? {
            Lookup::Found(by) if by.control == Control::Trusted => return Ok(None),
            _ => {}
        }
    }
    Ok(Some(
        "not everybody may read it on the host, and only files of another user's choice need it"
            .to_owned(),
    ))
}

/// Whether everybody may pass each directory that leads to the file at `path`, and read it.
fn is_public(view: &HostView, path: &Path) -> Result<bool> {
    for (up, component) in path.ancestors().enumerate() {
        let needed = if up == 0 { 0o004 } else { 0o001 };
        let stat = view.lstat(component)?;
        if stat.is_none_or(|stat| stat.mode & needed == 0) {
            return Ok(false);
        }
    }
    Ok(true)
}
