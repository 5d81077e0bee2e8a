//! Skeletons of homes: what `skel` may name, and copying it into a new home.
//!
//! Whatever a skeleton holds becomes a jailed user's own file, so that it takes only what everybody may
//! read on the host, wherever it lies and whoever put it there. It is looked at twice, when a build is
//! planned and when the home is made; what is copied is what the second look found, file by file, by
//! descriptor and past no link.

use std::path::{Path, PathBuf};

use super::copy::Copier;
use super::dir::Dir;
use super::provenance::{Lookup, TreeEntry};
use super::stat::{FileKind, Ownership, Stat};
use super::view::HostView;
use crate::error::{Error, Result};

/// A directory that a `skel` names.
#[derive(Debug)]
pub struct Skeleton {
    /// Its path, free of links.
    pub real: PathBuf,
    /// What it holds, parents first.
    pub entries: Vec<TreeEntry>,
    /// What of it may not be copied, and why.
    pub objections: Vec<(PathBuf, String)>,
}

/// Looks at the directory that a `skel` names. The inner error is why it is none.
///
/// # Errors
/// Where it cannot be read.
pub fn skeleton(view: &HostView, path: &Path) -> Result<std::result::Result<Skeleton, String>> {
    let located = match view.locate(path)? {
        Lookup::Found(located) => located,
        Lookup::Missing => return Ok(Err("there is no such directory on the host".to_owned())),
        Lookup::Refused { at, stranger } => return Ok(Err(Lookup::refusal(&at, &stranger))),
    };
    if located.stat.kind() != FileKind::Directory {
        return Ok(Err("it is not a directory".to_owned()));
    }
    let entries = view.tree(&located)?;
    let mut objections = Vec::new();
    // The directory itself may belong to anybody: what counts is what it holds.
    if let Some(why) = closed(&located.stat) {
        objections.push((located.real.clone(), why));
    }
    for entry in &entries {
        let why = if !matches!(entry.stat.kind(), FileKind::File | FileKind::Directory) {
            Some("it is a link, device, pipe or socket".to_owned())
        } else if entry.stat.uid != 0 {
            Some("it is not root's".to_owned())
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

/// Why a file or directory is not for everybody; `None` if it is.
fn closed(stat: &Stat) -> Option<String> {
    let needed = if stat.kind() == FileKind::Directory {
        0o005
    } else {
        0o004
    };
    (stat.mode & needed != needed).then(|| {
        format!(
            "not everybody may read it (mode {:04o}), and a jailed user would",
            stat.permissions()
        )
    })
}

/// Copies what is in the host's directory `path` to `home` and makes it the user's. `home` is a private
/// place of root's.
///
/// # Errors
/// Where anything in it may not be copied, or changes meanwhile.
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
