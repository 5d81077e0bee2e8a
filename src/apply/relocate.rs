//! Renames of directories of jails as a whole, and the edit of a spec file.

use std::path::{Path, PathBuf};

use rustix::fs::RenameFlags;

use super::jail_root::write_marker;
use super::stage;
use crate::error::{Error, Result};
use crate::host::{Dir, Host, Ownership};
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

/// Renames a file or directory of the host to a path that does not exist. No symbolic link is
/// followed.
pub(super) fn rename(host: &Host, from: &Path, to: &Path) -> Result<()> {
    let (from_dir, from_name) = parent(host, from)?;
    let (to_dir, to_name) = parent(host, to)?;
    from_dir.rename(from_name, &to_dir, to_name, RenameFlags::NOREPLACE)?;
    to_dir.sync()?;
    from_dir.sync()
}

/// The open directory of a path, and its last component.
fn parent<'p>(host: &Host, path: &'p Path) -> Result<(Dir, &'p Path)> {
    let missing = || {
        Error::failed(format!("could not rename `{}`", path.display()))
            .why("its directory does not exist")
    };
    let (dir, name) = path.parent().zip(path.file_name()).ok_or_else(missing)?;
    let dir = if dir == Path::new("/") {
        Some(host.ensure_root_dir(dir, Ownership::root(0o755))?)
    } else {
        host.open_dir_nofollow(dir)?
    };
    Ok((dir.ok_or_else(missing)?, Path::new(name)))
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
