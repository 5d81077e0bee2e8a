//! Renames of directories of jails as a whole, and the edit of a spec file.

use std::path::{Path, PathBuf};

use rustix::fs::RenameFlags;

use super::jail_root::write_marker;
use super::stage;
use crate::error::{Error, Result};
use crate::host::{Host, Ownership};
use crate::names::JailName;
use crate::plan::SpecEdit;
use crate::resolve::Marker;

/// Renames the root of a jail, creates the parents of the new one, and updates its marker.
pub(super) fn move_root(host: &Host, jail: &JailName, from: &Path, to: &Path) -> Result<()> {
    let mut created: Vec<PathBuf> = Vec::new();
    for dir in to.ancestors() {
        if host.lstat(dir)?.is_some() {
            break;
        }
        created.push(dir.to_owned());
    }
    created.reverse();
    if let Some(parent) = to.parent() {
        host.ensure_root_dir(parent, Ownership::root(0o755))?;
    }
    rename(host, from, to)?;
    let marker = Marker::read(host, to)?;
    let dir = host.open_dir_nofollow(to)?.ok_or_else(|| {
        Error::failed(format!("could not open `{}`", to.display())).why("it is gone")
    })?;
    stage::private_dir(&dir)?;
    let mut marker = marker.unwrap_or(Marker {
        jail: jail.clone(),
        made: Vec::new(),
        left: Vec::new(),
    });
    // Directories that were made for the old root are removed with the jail, if they are empty.
    marker
        .made
        .retain(|dir| dir != from && !created.contains(dir));
    marker.made.extend(created);
    write_marker(&dir, &marker)
}

/// Renames a directory of the host to a path that does not exist. No symbolic link is followed.
pub(super) fn rename(host: &Host, from: &Path, to: &Path) -> Result<()> {
    let slash = host
        .open_dir_nofollow(Path::new("/"))?
        .ok_or_else(|| Error::failed("could not open `/`").why("it is gone"))?;
    let below = |path: &Path| path.strip_prefix("/").unwrap_or(path).to_owned();
    slash.rename(&below(from), &slash, &below(to), RenameFlags::NOREPLACE)?;
    for parent in [from.parent(), to.parent()].into_iter().flatten() {
        if let Some(dir) = host.open_dir_nofollow(parent)? {
            dir.sync()?;
        }
    }
    Ok(())
}

/// Reverses [`rename`], if `to` is the inode that was renamed, and nothing is at `from`.
pub(super) fn rename_back(host: &Host, from: &Path, to: &Path, inode: u64) -> Result<()> {
    let is_renamed = host.lstat(to)?.is_some_and(|stat| stat.ino == inode);
    if is_renamed && host.lstat(from)?.is_none() {
        rename(host, to, from)?;
    }
    Ok(())
}

/// Writes a spec file of the running system, with its owner and mode.
pub(super) fn edit_spec(host: &Host, edit: &SpecEdit) -> Result<()> {
    let Some(stat) = host.stat(&edit.path)? else {
        return Ok(());
    };
    let (dir, name) = host.parent_of(&edit.path)?;
    dir.replace_file(Path::new(name), edit.to.as_bytes(), stat.ownership())
}
