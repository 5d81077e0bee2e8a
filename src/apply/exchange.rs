//! What is staged takes the place of what is live, one rename at a time, and can be put back from wherever a run was cut short.
//!
//! The moves are data, decided when everything is staged and noted in the journal before the first of them. Whether one was made is read
//! from the inodes themselves: undoing a move that was never made, or was undone before, does nothing.

use std::path::{Path, PathBuf};

use rustix::fs::RenameFlags;
use serde::{Deserialize, Serialize};

use super::store;
use crate::error::Result;
use crate::host::{Dir, Host, Ownership};

/// Seconds and nanoseconds.
type Time = (i64, u32);

/// Moves between a directory and the stage below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moves {
    /// The directory, on the host.
    pub(super) dir: PathBuf,
    /// The stage, below the directory.
    pub(super) stage: PathBuf,
    /// In the order in which they are made.
    pub(super) list: Vec<Move>,
}

/// One thing that is done to what is live. Paths are the same below the directory and below its stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Move {
    /// Exchanged with what is staged, which has this inode number.
    Exchange(PathBuf, u64),
    /// Moved from the stage to where nothing is.
    Place(PathBuf, u64),
    /// As `Place`, for a place of a user's: with the time at which everything in it was made. What came later is the user's, and stays.
    Furnish(PathBuf, u64, Time),
    /// Moved to the stage.
    Take(PathBuf),
    /// An empty directory is made.
    MakeDir(PathBuf, Ownership),
    /// A directory is removed if it is empty; it has this owner.
    RemoveDir(PathBuf, Ownership),
    /// A directory gets another owner and mode: those to come, and those before.
    Own(PathBuf, Ownership, Ownership),
}

impl Move {
    /// What brings the staged `path` to its place, or takes away what is there where nothing is staged; `None` where there is neither.
    pub(super) fn for_path(root: &Dir, stage: &Dir, path: &Path) -> Result<Option<Self>> {
        let at = || path.to_owned();
        Ok(match (stage.lstat(path)?, root.lstat(path)?) {
            (Some(staged), Some(_)) => Some(Self::Exchange(at(), staged.ino)),
            (Some(staged), None) => Some(Self::Place(at(), staged.ino)),
            (None, Some(_)) => Some(Self::Take(at())),
            (None, None) => None,
        })
    }

    fn make(&self, root: &Dir, stage: &Dir) -> Result<()> {
        match self {
            Self::Exchange(path, _) => stage.rename(path, root, path, RenameFlags::EXCHANGE),
            Self::Place(path, _) | Self::Furnish(path, ..) => {
                stage.rename(path, root, path, RenameFlags::NOREPLACE)
            }
            Self::Take(path) => root.rename(path, stage, path, RenameFlags::NOREPLACE),
            Self::MakeDir(path, owner) => root.create_dir(path, *owner).map(drop),
            // What a user or an admin put there stays, and the directory with it.
            Self::RemoveDir(path, _) if is_empty(root, path)? => root.remove_dir(path),
            Self::RemoveDir(..) => Ok(()),
            Self::Own(path, to, _) => root.open_dir(path)?.set_owner(*to),
        }
    }

    /// Takes the move back, if it was made. Gives the place that stays because somebody else put something into it.
    fn undo(&self, root: &Dir, stage: &Dir) -> Result<Option<PathBuf>> {
        let is_live = |path: &Path, inode: u64| -> Result<bool> {
            Ok(root.lstat(path)?.is_some_and(|stat| stat.ino == inode))
        };
        match self {
            Self::Exchange(path, staged) if is_live(path, *staged)? => {
                stage.rename(path, root, path, RenameFlags::EXCHANGE)?;
            }
            Self::Furnish(path, staged, made)
                if is_live(path, *staged)? && root.has_newer(path, *made)? =>
            {
                return Ok(Some(path.clone()));
            }
            Self::Place(path, staged) | Self::Furnish(path, staged, _)
                if is_live(path, *staged)? =>
            {
                root.rename(path, stage, path, RenameFlags::NOREPLACE)?;
            }
            Self::Take(path) if root.lstat(path)?.is_none() && stage.lstat(path)?.is_some() => {
                stage.rename(path, root, path, RenameFlags::NOREPLACE)?;
            }
            Self::MakeDir(path, _) if root.lstat(path)?.is_some() && is_empty(root, path)? => {
                root.remove_dir(path)?;
            }
            Self::RemoveDir(path, owner) if root.lstat(path)?.is_none() => {
                root.create_dir(path, *owner)?;
            }
            Self::Own(path, _, before) => root.open_dir(path)?.set_owner(*before)?,
            _ => {}
        }
        Ok(None)
    }
}

impl Moves {
    /// A stage of which nothing has come to be live yet.
    pub(super) fn none(dir: &Path, stage: &str) -> Self {
        Self {
            dir: dir.to_owned(),
            stage: stage.into(),
            list: Vec::new(),
        }
    }

    /// Makes all moves.
    pub(super) fn make(&self, root: &Dir) -> Result<()> {
        let stage = root.open_dir(&self.stage)?;
        self.list.iter().try_for_each(|one| one.make(root, &stage))
    }

    /// Takes all moves back, as far as they were made, and removes the stage. Gives the places that stay.
    pub(super) fn undo(&self, host: &Host, root: &Dir) -> Result<Vec<PathBuf>> {
        let mut left = Vec::new();
        if let Some(stage) = root.try_open_dir(&self.stage)? {
            for one in self.list.iter().rev() {
                left.extend(one.undo(root, &stage)?);
            }
            store::remove(host, &self.dir, root, &[&self.stage])?;
        }
        Ok(left)
    }
}

fn is_empty(root: &Dir, path: &Path) -> Result<bool> {
    Ok(root.open_dir(path)?.entries()?.is_empty())
}
