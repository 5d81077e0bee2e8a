//! Comparison of the tree as it is to be with the content of the root. `plan`, `build`, `check` and
//! `update` all use it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::manifest::{Manifest, Record, RecordKind};
use super::store_index::Index;
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::{Digest, FileKind, HostView, Inventory, Ownership, Stat};
use crate::names::JailPath;
use crate::resolve::{Content, Entry, EntryKind, Tree};

/// Directories of the root that only jailctl writes to, so that they are staged beside the live
/// ones and exchanged whole. Nothing else is ever replaced or removed as a tree.
pub const EXCHANGED_DIRS: [&str; 4] = ["dev", "etc", "jail", "usr"];

/// Check of files whose metadata shows no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// None: the metadata is trusted.
    Metadata,
    /// The whole content is read.
    Content,
}

/// Change of one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Path in the jail.
    pub path: JailPath,
    /// Kind of the change.
    pub act: ChangeKind,
    /// Difference, for a path that exists before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// Kind of the change of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// The path is created.
    Add,
    /// The path is replaced.
    Change,
    /// The path is deleted.
    Remove,
}

/// Compares a tree with the content of the root. `manifest` and `inventory` are `None` for a jail
/// that was not built yet. Returns the changes sorted by path.
///
/// # Errors
/// [`ErrorKind::Failed`] if a user directory or an entry outside of [`EXCHANGED_DIRS`] would have
/// to be replaced, or a file cannot be read.
pub fn compare(
    wanted: &Tree,
    manifest: Option<&Manifest>,
    inventory: Option<&Inventory>,
    store: &Index,
    depth: Depth,
    view: &HostView,
) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    let read = match (depth, manifest, inventory) {
        (Depth::Content, Some(manifest), Some(inventory)) => {
            let is_file = |path: &&JailPath| {
                let found = inventory.get(path);
                found.is_some_and(|stat| stat.kind() == FileKind::File)
            };
            let files: Vec<&JailPath> = manifest.files().filter(is_file).collect();
            inventory.digests(&files)?.into_iter().collect()
        }
        _ => BTreeMap::new(),
    };
    for (path, entry) in wanted.iter() {
        let found = inventory.and_then(|inventory| inventory.get(path));
        let record = manifest.and_then(|manifest| manifest.entries.get(path));
        let (Some(found), Some(inventory)) = (found, inventory) else {
            let because = record.map(|_| "it is missing".to_owned());
            changes.push(Change {
                path: path.clone(),
                act: ChangeKind::Add,
                because,
            });
            continue;
        };
        if entry.user_owned {
            if found.kind() != FileKind::Directory {
                return Err(Error::new(
                    ErrorKind::Failed,
                    Finding::new(format!(
                        "could not create the directory `{path}` in the jail"
                    ))
                    .why("something else exists there, and user directories are left alone")
                    .hint("move it away"),
                ));
            }
            let set_before = record.filter(|record| record.owner != entry.owner);
            let because = match set_before {
                Some(before) => Some(format!(
                    "the spec set the owner {}:{} and the mode {:04o} before",
                    before.owner.uid, before.owner.gid, before.owner.mode
                )),
                None => user_dir_flaw(found, entry.owner),
            };
            if because.is_some() {
                changes.push(Change {
                    path: path.clone(),
                    act: ChangeKind::Change,
                    because,
                });
            } else if let Some(because) = unusable(&entry.owner, found) {
                changes.push(Change {
                    path: path.clone(),
                    act: ChangeKind::Change,
                    because: Some(because),
                });
            }
            continue;
        }
        let is_tree = found.kind() == FileKind::Directory;
        if !EXCHANGED_DIRS.contains(&path.top()) && is_tree != (entry.kind == EntryKind::Directory)
        {
            // If it were exchanged, the next build would delete all that a user has put there.
            let found = if is_tree {
                "a directory"
            } else {
                "a file that is not a directory"
            };
            return Err(
                Error::failed(format!("could not put `{path}` into the jail"))
                    .why(format!("{found} exists there"))
                    .hint("check what it is, and move it away"),
            );
        }
        if let Some(because) =
            difference(path, entry, record, found, inventory, (store, &read), view)?
        {
            changes.push(Change {
                path: path.clone(),
                act: ChangeKind::Change,
                because: Some(because),
            });
        }
    }
    if let Some(inventory) = inventory {
        removals(wanted, manifest, inventory, &mut changes);
        // No path of a tree can have such a name: its directory is replaced without the file.
        for path in inventory.invalid_names() {
            let directory = path.parent().and_then(Path::to_str);
            if let Some(directory) = directory.and_then(|path| JailPath::new(path).ok()) {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                changes.retain(|change| change.path != directory);
                changes.push(Change {
                    path: directory,
                    act: ChangeKind::Change,
                    because: Some(format!("`{}` was put into it", name.escape_debug())),
                });
            }
        }
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

/// The difference of a user directory from the owner that it is to have; `None` if there is none.
///
/// Only what its user cannot have meant: another owner, the group of root, and a mode by which the
/// owner may not enter. Any other group and mode its user may have set.
pub fn user_dir_flaw(found: &Stat, owner: Ownership) -> Option<String> {
    if found.uid != owner.uid || found.gid == 0 && owner.gid != 0 {
        return Some(format!("it belongs to {}:{}", found.uid, found.gid));
    }
    let mode = found.permissions();
    (mode & owner.mode & 0o100 == 0 && owner.mode & 0o100 != 0)
        .then(|| format!("its mode is {mode:04o}, by which its user may not enter it"))
}

/// Adds the paths that are to be deleted.
fn removals(
    wanted: &Tree,
    manifest: Option<&Manifest>,
    inventory: &Inventory,
    changes: &mut Vec<Change>,
) {
    let gone = |path: &JailPath| wanted.get(path).is_none();
    for (path, _) in inventory
        .iter()
        .filter(|(path, _)| EXCHANGED_DIRS.contains(&path.top()) && gone(path))
    {
        let known = manifest.is_some_and(|manifest| manifest.entries.contains_key(path));
        let because = (!known).then(|| "the spec does not name it".to_owned());
        changes.push(Change {
            path: path.clone(),
            act: ChangeKind::Remove,
            because,
        });
    }
    // Elsewhere only recorded paths are deleted, and never user directories.
    for (path, record) in manifest.iter().flat_map(|manifest| &manifest.entries) {
        if !EXCHANGED_DIRS.contains(&path.top())
            && gone(path)
            && !record.kept
            && inventory.get(path).is_some()
        {
            changes.push(Change {
                path: path.clone(),
                act: ChangeKind::Remove,
                because: None,
            });
        }
    }
}

/// The difference between an entry and the file at its path; `None` if there is none.
fn difference(
    path: &JailPath,
    entry: &Entry,
    record: Option<&Record>,
    found: &Stat,
    inventory: &Inventory,
    (store, read): (&Index, &BTreeMap<&JailPath, Digest>),
    view: &HostView,
) -> Result<Option<String>> {
    let is = match found.kind() {
        FileKind::File => "a file",
        FileKind::Directory => "a directory",
        FileKind::Symlink => "a link",
        FileKind::Special => "a device",
    };
    let as_wanted = match &entry.kind {
        EntryKind::Directory => found.kind() == FileKind::Directory,
        EntryKind::File(_) => found.kind() == FileKind::File,
        EntryKind::Symlink(_) => found.kind() == FileKind::Symlink,
        EntryKind::Device { .. } => found.kind() == FileKind::Special,
    };
    if !as_wanted {
        return Ok(Some(format!("it is {is}")));
    }
    if let EntryKind::Symlink(target) = &entry.kind {
        let text = inventory.link(path)?;
        return Ok((text != *target).then(|| {
            format!(
                "it leads to `{}`",
                text.display().to_string().escape_debug()
            )
        }));
    }
    if (found.uid, found.gid) != (entry.owner.uid, entry.owner.gid) {
        return Ok(Some(format!("it belongs to {}:{}", found.uid, found.gid)));
    }
    if found.permissions() != entry.owner.mode {
        return Ok(Some(format!("its mode is {:04o}", found.permissions())));
    }
    match &entry.kind {
        EntryKind::Directory | EntryKind::Symlink(_) => Ok(None),
        EntryKind::Device { major, minor } => {
            let device = rustix::fs::makedev(*major, *minor);
            let is_it = found.rdev == device && found.mode & 0o170_000 == 0o020_000;
            Ok((!is_it).then(|| "it is another device".to_owned()))
        }
        EntryKind::File(content) => {
            let Some(RecordKind::File {
                sha256,
                source,
                stat,
            }) = record.map(|record| &record.kind)
            else {
                return Ok(Some("jailctl has no record of it".to_owned()));
            };
            let is_same = match read.get(path) {
                Some(digest) => digest == sha256,
                None if stat.is_same(found) || store.contains(found, sha256) => true,
                None => stat.size == found.size && inventory.digest(path)? == *sha256,
            };
            if !is_same {
                return Ok(Some("its content was changed in the jail".to_owned()));
            }
            match content {
                Content::Generated(content) => {
                    Ok((Digest::of(content) != *sha256).then(|| "its text changes".to_owned()))
                }
                Content::Host {
                    source: wanted,
                    stat,
                } => same_source(wanted, stat, source.as_ref(), sha256, view),
                Content::Recorded { sha256: wanted, .. } => {
                    Ok((wanted != sha256).then(|| "its content is another".to_owned()))
                }
            }
        }
    }
}

/// Why a user directory is of no use to its user or group; `None` if it is. A user may change the
/// mode, but hardly takes the own access away: that is a restored backup, or a `chown -R`.
fn unusable(wanted: &Ownership, found: &Stat) -> Option<String> {
    let is_shared = wanted.mode & 0o020 != 0;
    let needed = wanted.mode & if is_shared { 0o2770 } else { 0o700 };
    if found.uid != wanted.uid {
        Some(format!(
            "it belongs to the user id {} instead of {}",
            found.uid, wanted.uid
        ))
    } else if is_shared && found.gid != wanted.gid {
        Some(format!(
            "it has the group id {} instead of {}",
            found.gid, wanted.gid
        ))
    } else if found.mode & needed != needed {
        Some(format!(
            "its mode is {:04o} instead of {:04o}",
            found.permissions(),
            wanted.mode
        ))
    } else {
        None
    }
}

/// The difference between the host file of an entry and the one that was copied; `None` if the
/// content is the same.
fn same_source(
    wanted: &Path,
    now: &Stat,
    then: Option<&(std::path::PathBuf, Stat)>,
    sha256: &Digest,
    view: &HostView,
) -> Result<Option<String>> {
    let Some((path, then)) = then else {
        return Ok(Some(format!("it now comes from `{}`", wanted.display())));
    };
    if path != wanted {
        return Ok(Some(format!("it came from `{}`", path.display())));
    }
    if then.is_same(now) {
        return Ok(None);
    }
    // A new hard link, owner or backup changes the ctime; only the content matters.
    if then.size == now.size && then.mtime == now.mtime {
        let mut file = view.open_no_symlinks(wanted, now)?;
        if crate::host::digest(&mut file, wanted)? == *sha256 {
            return Ok(None);
        }
    }
    Ok(Some(format!(
        "`{}` was changed on the host",
        wanted.display()
    )))
}

/// The directories of [`EXCHANGED_DIRS`] that have to be exchanged.
pub fn dirs_to_exchange(changes: &[Change]) -> BTreeSet<&'static str> {
    EXCHANGED_DIRS
        .into_iter()
        .filter(|top| changes.iter().any(|change| change.path.top() == *top))
        .collect()
}
