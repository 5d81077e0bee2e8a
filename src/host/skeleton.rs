//! Skeletons of homes: check of the directory of a `skel` key, and its copy into a new home.
//!
//! Everything in a skeleton becomes a file of a jailed user, so that only files that all users may
//! read on the host are copied, whatever their directory and owner. The directory is read
//! twice, for the plan and for the creation of the home; what the second pass finds is copied, file
//! by file, by descriptor and without following a link.

use std::path::{Path, PathBuf};

use super::copy::Copier;
use super::dir::Dir;
use super::provenance::{Lookup, TreeEntry};
use super::stat::{FileKind, Ownership, Stat};
use super::view::HostView;
use crate::error::{Error, Result};

/// Directory of a `skel` key.
#[derive(Debug)]
pub struct Skeleton {
    /// Path without links.
    pub real: PathBuf,
    /// Entries, parents first.
    pub entries: Vec<TreeEntry>,
    /// Paths that may not be copied, each with the reason.
    pub objections: Vec<(PathBuf, String)>,
}

/// Reads the directory of a `skel` key. The inner error is the reason why the path cannot be one.
///
/// # Errors
/// `Failed` if it cannot be read.
pub fn skeleton(view: &HostView, path: &Path) -> Result<std::result::Result<Skeleton, String>> {
    let located = match view.locate(path)? {
        Lookup::Found(located) => located,
        Lookup::Missing => return Ok(Err("there is no such directory on the host".to_owned())),
        Lookup::Refused { at, writer } => return Ok(Err(Lookup::refusal(&at, &writer))),
    };
    if located.stat.kind() != FileKind::Directory {
        return Ok(Err("it is not a directory".to_owned()));
    }
    let entries = view.tree(&located)?;
    let mut objections = Vec::new();
    // Any user may own the directory itself: its entries count.
    if let Some(why) = closed(&located.stat) {
        objections.push((located.real.clone(), why));
    }
    for entry in &entries {
        let why = if !matches!(entry.stat.kind(), FileKind::File | FileKind::Directory) {
            Some("it is a link, device, pipe or socket".to_owned())
        } else if entry.stat.uid != 0 {
            Some("it is not owned by root".to_owned())
        } else {
            entry
                .control
                .objection(&entry.stat)
                .or_else(|| closed(&entry.stat))
        };
        objections.extend(why.map(|why| (entry.path.clone(), why)));
    }
    Ok(Ok(Skeleton {
        real: located.real,
        entries,
        objections,
    }))
}

/// Reason why a file or directory is not readable by all; `None` if it is.
fn closed(stat: &Stat) -> Option<String> {
    let needed = if stat.kind() == FileKind::Directory {
        0o005
    } else {
        0o004
    };
    (stat.mode & needed != needed).then(|| {
        format!(
            "not all users may read it (mode {:04o}), and a jailed user would",
            stat.permissions()
        )
    })
}

/// Copies the directory `path` of the host to `home` and sets the owner of the copies. Only root
/// may be able to write to `home`.
///
/// # Errors
/// `Failed` if an entry may not be copied, or changes during the copy; a part may be copied.
pub fn copy_skeleton(view: &HostView, path: &Path, home: &Dir, uid: u32, gid: u32) -> Result<()> {
    let failed = |path: &Path, why: String| {
        Error::failed(format!("could not copy the skeleton `{}`", path.display())).why(why)
    };
    let skeleton = skeleton(view, path)?.map_err(|why| failed(path, why))?;
    if let Some((path, why)) = skeleton.objections.into_iter().next() {
        return Err(failed(&path, why));
    }
    let mut copier = Copier::default();
    for entry in &skeleton.entries {
        let at = entry.path.strip_prefix(&skeleton.real);
        let at = at.map_err(|_| failed(&entry.path, "it is not in the skeleton".to_owned()))?;
        let owner = Ownership {
            uid,
            gid,
            mode: entry.stat.mode & 0o755 | 0o600,
        };
        if entry.stat.kind() == FileKind::Directory {
            home.create_dir(at, owner)?;
            continue;
        }
        let mut source = view.open_no_symlinks(&entry.path, &entry.stat)?;
        let mut file = home.create_file(at)?;
        copier.copy(&mut source, &entry.path, &mut file, &home.display_path(at))?;
        home.finish_file(at, &file, owner, Some(entry.stat.mtime))?;
    }
    Ok(())
}
