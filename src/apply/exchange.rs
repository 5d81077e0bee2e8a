//! Exchange of a staged tree with the live one, one rename(2) at a time.
//!
//! The moves are data, decided when everything is staged, and journalled before the first of them.
//! Whether a move was made is read from the inode numbers: the reversal of a move that was never
//! made, or is reversed already, does nothing. So it works wherever a run was interrupted.

use std::path::{Path, PathBuf};

use rustix::fs::RenameFlags;

use super::journal::moves::{Move, Moves};
use super::store;
use crate::error::Result;
use crate::host::{Dir, Host};

/// The move that brings the staged `path` into the live directory, or removes the live one where
/// nothing is staged; `None` where neither exists.
pub(super) fn move_for_path(root: &Dir, stage: &Dir, path: &Path) -> Result<Option<Move>> {
    let at = || path.to_owned();
    Ok(match (stage.lstat(path)?, root.lstat(path)?) {
        (Some(staged), Some(_)) => Some(Move::Exchange(at(), staged.ino)),
        (Some(staged), None) => Some(Move::Install(at(), staged.ino)),
        (None, Some(_)) => Some(Move::Displace(at())),
        (None, None) => None,
    })
}

/// Makes all moves below the open directory `root`.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) at the first move that fails. Those
/// before it are made, and [`reverse`] reverses them.
pub(super) fn make(moves: &Moves, root: &Dir) -> Result<()> {
    let stage = root.open_dir(&moves.stage)?;
    moves
        .list
        .iter()
        .try_for_each(|one| make_one(one, root, &stage))
}

/// Reverses all moves below the open directory `root`, as far as they were made, and deletes the
/// stage. Returns the user directories that stay, below `root`, because their users changed them.
pub(super) fn reverse(moves: &Moves, host: &Host, root: &Dir) -> Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    if let Some(stage) = root.try_open_dir(&moves.stage)? {
        for one in moves.list.iter().rev() {
            kept.extend(reverse_one(one, root, &stage)?);
        }
        store::remove(host, &moves.dir, root, &[&moves.stage])?;
    }
    Ok(kept)
}

fn make_one(one: &Move, root: &Dir, stage: &Dir) -> Result<()> {
    match one {
        Move::Exchange(path, _) => stage.rename(path, root, path, RenameFlags::EXCHANGE),
        Move::Install(path, _) | Move::InstallUserDir(path, ..) => {
            stage.rename(path, root, path, RenameFlags::NOREPLACE)
        }
        Move::Displace(path) => root.rename(path, stage, path, RenameFlags::NOREPLACE),
        Move::CreateDir(path, owner) => root.create_dir(path, *owner).map(drop),
        // What a user or an admin put there stays, and the directory with it.
        Move::RemoveDir(path, _) if is_empty(root, path)? => root.remove_dir(path),
        Move::RemoveDir(..) => Ok(()),
        Move::SetOwner(path, to, _) => root.open_dir(path)?.set_owner(*to),
    }
}

/// Reverses a move, if it was made. Returns the user directory that stays because of what was
/// added to it since.
fn reverse_one(one: &Move, root: &Dir, stage: &Dir) -> Result<Option<PathBuf>> {
    let is_live = |path: &Path, inode: u64| -> Result<bool> {
        Ok(root.lstat(path)?.is_some_and(|stat| stat.ino == inode))
    };
    match one {
        Move::Exchange(path, staged) if is_live(path, *staged)? => {
            stage.rename(path, root, path, RenameFlags::EXCHANGE)?;
        }
        Move::InstallUserDir(path, staged, created)
            if is_live(path, *staged)? && root.has_newer(path, *created)? =>
        {
            return Ok(Some(path.clone()));
        }
        Move::Install(path, staged) | Move::InstallUserDir(path, staged, _)
            if is_live(path, *staged)? =>
        {
            root.rename(path, stage, path, RenameFlags::NOREPLACE)?;
        }
        Move::Displace(path) if root.lstat(path)?.is_none() && stage.lstat(path)?.is_some() => {
            stage.rename(path, root, path, RenameFlags::NOREPLACE)?;
        }
        Move::CreateDir(path, _) if root.lstat(path)?.is_some() && is_empty(root, path)? => {
            root.remove_dir(path)?;
        }
        Move::RemoveDir(path, owner) if root.lstat(path)?.is_none() => {
            root.create_dir(path, *owner)?;
        }
        Move::SetOwner(path, _, before) => root.open_dir(path)?.set_owner(*before)?,
        _ => {}
    }
    Ok(None)
}

fn is_empty(root: &Dir, path: &Path) -> Result<bool> {
    Ok(root.open_dir(path)?.entries()?.is_empty())
}
