//! The plan that moves the root of a jail, before the build that makes all else fit it.

use std::path::Path;
use std::sync::Arc;

use super::live_sessions::describe;
use super::manifest::Manifest;
use super::removal::ensure_no_mounts;
use super::step::{SpecEdit, Step};
use super::types::Plan;
use crate::error::{Error, Result};
use crate::host::{HostView, Process};
use crate::resolve::check_root;
use crate::spec::Spec;

/// Plans to rename the root of a jail to that of `spec`, the spec with the new root, and to edit
/// its spec file. A rename keeps owners, ids and times; what depends on the path is built after it.
///
/// # Errors
/// [`crate::error::ErrorKind::Spec`] if sshd would refuse the new root;
/// [`crate::error::ErrorKind::Failed`] if it exists or is on another file system, or if something
/// runs or is mounted in the jail.
pub fn move_root(
    manifest: &Manifest,
    spec: &Spec,
    edit: Option<SpecEdit>,
    view: &HostView,
) -> Result<Plan> {
    let (from, to) = (&manifest.root, &spec.root.value);
    let refuse = || {
        Error::failed(format!(
            "could not move the jail `{}` to `{}`",
            manifest.name,
            to.display()
        ))
    };
    let accounts = view.accounts()?;
    check_root(spec, &accounts, view)?;
    if to.starts_with(from) || from.starts_with(to) {
        return Err(refuse().why("one root is in the other"));
    }
    if view.lstat(to)?.is_some() {
        return Err(refuse()
            .why("it exists")
            .hint("choose a directory that does not exist, or remove it: rmdir"));
    }
    let Some(root) = view.lstat(from)? else {
        return Err(refuse().why(format!("its root `{}` is gone", from.display())));
    };
    ensure_no_mounts(&manifest.name, from, view)?;
    if device_of(to, view)? != Some(root.dev) || device_of(from, view)? != Some(root.dev) {
        return Err(refuse()
            .why("it is on another file system, and files of users are never copied")
            .hint(format!(
                "remove the jail without `--purge`, copy the rest with `cp -a {} {}`, set `root` in its spec and build it",
                from.display(),
                to.display()
            )));
    }
    let uids: Vec<u32> = manifest
        .accounts
        .iter()
        .map(|account| account.uid)
        .collect();
    let living = Process::find_in_jail(view, from, &uids)?;
    if !living.is_empty() {
        return Err(refuse()
            .why(format!("processes run in it: {}", describe(view, &living)?))
            .hint(format!("end them: jailctl kill {}", manifest.name)));
    }
    let mut steps = vec![Step::MoveRoot {
        from: from.clone(),
        to: to.clone(),
        inode: root.ino,
    }];
    steps.extend(edit.map(Step::EditSpec));
    Ok(Plan {
        name: manifest.name.clone(),
        root: to.clone(),
        changes: Arc::default(),
        steps,
        snippet: None,
        keep_previous: false,
        notices: Vec::new(),
        unmanaged: Vec::new(),
        target: None,
        removal: None,
        manifest: Some(Arc::new(manifest.clone())),
    })
}

/// The device of the file system that a path is on: of the first directory above it that exists.
fn device_of(path: &Path, view: &HostView) -> Result<Option<u64>> {
    for above in path.ancestors().skip(1) {
        if let Some(stat) = view.lstat(above)? {
            return Ok(Some(stat.dev));
        }
    }
    Ok(None)
}
