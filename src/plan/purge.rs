//! The plan that deletes what a removal without `purge` has left: the root with the files of users.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::live_sessions::describe;
use super::manifest::Manifest;
use super::removal::ensure_no_mounts;
use super::step::Step;
use super::target::RemoveOptions;
use super::types::Plan;
use crate::error::{Error, Finding, Result};
use crate::host::{HostView, Process};
use crate::layout::{JAILS_DIR, MARKER};
use crate::names::JailName;
use crate::resolve::Marker;

/// A root that a removal has left.
#[derive(Clone, Debug)]
pub struct LeftRoot {
    /// Path of the root.
    pub root: PathBuf,
    /// Its marker, with the jail and the homes of its users.
    pub marker: Marker,
}

impl LeftRoot {
    /// Reads the root at `root`; `None` if it has no marker.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if a user other than root could have written the marker,
    /// or it cannot be read.
    pub fn at(root: &Path, view: &HostView) -> Result<Option<Self>> {
        if view.lstat(&root.join(MARKER))?.is_none() {
            return Ok(None);
        }
        // The marker names directories that are removed.
        if let Some(writer) = view.find_untrusted_writer(&root.join(MARKER))? {
            return Err(
                Error::failed(format!("could not use the root `{}`", root.display()))
                    .why(writer.to_string()),
            );
        }
        let marker = Marker::read(view, root)?;
        Ok(marker.map(|marker| Self {
            root: root.to_owned(),
            marker,
        }))
    }

    /// The roots of the jail or the family `name` in [`JAILS_DIR`] and the directories in it, of
    /// which no jail is built.
    ///
    /// # Errors
    /// As [`Self::at`].
    pub fn of_name(name: &JailName, view: &HostView) -> Result<Vec<Self>> {
        let top = Path::new(JAILS_DIR);
        let mut candidates = vec![];
        for entry in view.list(top)?.unwrap_or_default() {
            let path = top.join(entry);
            let is_dir = |path: &Path| -> Result<bool> {
                Ok(view
                    .lstat(path)?
                    .is_some_and(|stat| stat.is_root_only_dir()))
            };
            if !is_dir(&path)? {
                continue;
            }
            candidates.push(path.clone());
            // The root of a jail has no roots in it.
            if view.lstat(&path.join(MARKER))?.is_none() {
                for below in view.list(&path)?.unwrap_or_default() {
                    let below = path.join(below);
                    if is_dir(&below)? {
                        candidates.push(below);
                    }
                }
            }
        }
        let mut found = Vec::new();
        for path in candidates {
            let Some(left) = Self::at(&path, view)? else {
                continue;
            };
            let jail = &left.marker.jail;
            let is_it = jail == name || jail.is_member() && jail.family_name() == name.as_str();
            if is_it && Manifest::load(view, jail)?.is_none() {
                found.push(left);
            }
        }
        Ok(found)
    }
}

/// Plans to delete a root that a removal has left, with all that is in it.
///
/// # Errors
/// [`crate::error::ErrorKind::Spec`] if the jail exists; [`crate::error::ErrorKind::Failed`] if
/// something is mounted or runs in it, or the root of another jail is in it.
pub fn purge(left: &LeftRoot, view: &HostView) -> Result<Plan> {
    let (root, jail) = (&left.root, &left.marker.jail);
    let refuse = || Error::failed(format!("could not purge `{}`", root.display()));
    if Manifest::load(view, jail)?.is_some() {
        return Err(Finding::new(format!("could not purge the jail `{jail}`"))
            .why("it is built")
            .hint(format!(
                "`jailctl remove --purge {jail}` removes it with all data"
            ))
            .into());
    }
    for name in Manifest::names(view)? {
        if let Some(other) = Manifest::root_of(view, &name)?
            && (other.starts_with(root) || root.starts_with(&other))
        {
            return Err(refuse().why(format!(
                "the root `{}` of the jail `{name}` overlaps with it",
                other.display()
            )));
        }
    }
    ensure_no_mounts(jail, root, view)?;
    let living = Process::find_in_jail(view, root, &[])?;
    if !living.is_empty() {
        return Err(refuse().why(format!("processes run in it: {}", describe(view, &living)?)));
    }
    Ok(Plan {
        name: jail.clone(),
        root: root.clone(),
        changes: Arc::default(),
        steps: vec![Step::PurgeRoot {
            orphans: left.marker.left.clone(),
            made: left.marker.made.clone(),
        }],
        snippet: None,
        keep_previous: false,
        notices: Vec::new(),
        unmanaged: Vec::new(),
        target: None,
        removal: Some(RemoveOptions {
            purge: true,
            ..RemoveOptions::default()
        }),
        manifest: None,
    })
}
