//! Access check of dependencies: a `#!` line or a RUNPATH can name any file of the host. A file
//! that is not world-readable is not copied into a jail because a user's file names it.

use std::path::Path;

use crate::elf::{Object, ObjectKind, Reason};
use crate::error::Result;
use crate::host::{Control, HostView, Lookup};

/// The reason why the object at `path`, which is free of links and not named by the spec, may not
/// be copied: it is not world-readable, and no file under the control of root needs it. `None` if
/// it may.
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
        "it is not world-readable on the host, and only files of other users need it".to_owned(),
    ))
}

/// Whether the file at `path` is world-readable, and each directory above it world-searchable.
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
