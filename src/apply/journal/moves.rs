//! The moves of a journal: how a staged tree is exchanged with the live one. Data only, with pinned
//! names on disk; `exchange.rs` executes it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::Ownership;

/// A time of last change: seconds and nanoseconds since 1970-01-01.
pub(in crate::apply) type Time = (i64, u32);

/// Moves between a directory and the stage below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::apply) struct Moves {
    /// The directory, as a path of the host.
    pub(in crate::apply) dir: PathBuf,
    /// Path of the stage below the directory.
    pub(in crate::apply) stage: PathBuf,
    /// The moves, in the order of their execution.
    pub(in crate::apply) list: Vec<Move>,
}

/// One change of the live directory. A path is the same below the directory and below its stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::apply) enum Move {
    /// Exchanges a path with the staged one, which has this inode number.
    Exchange(PathBuf, u64),
    /// Moves a path, of this inode number, out of the stage to where nothing exists.
    #[serde(rename = "Place")]
    Install(PathBuf, u64),
    /// As `Install`, for a user directory, with the latest time of change in it. Whatever is newer
    /// was added by the user, and stays.
    #[serde(rename = "Furnish")]
    InstallUserDir(PathBuf, u64, Time),
    /// Moves a path into the stage.
    #[serde(rename = "Take")]
    Displace(PathBuf),
    /// Creates an empty directory.
    #[serde(rename = "MakeDir")]
    CreateDir(PathBuf, Ownership),
    /// Removes a directory of this owner and mode, if it is empty.
    RemoveDir(PathBuf, Ownership),
    /// Sets the owner and mode of a directory: the new ones, and the ones before.
    #[serde(rename = "Own")]
    SetOwner(PathBuf, Ownership, Ownership),
}

impl Moves {
    /// A stage out of which nothing has been moved yet: its undo deletes the stage.
    pub(in crate::apply) fn none(dir: &Path, stage: &str) -> Self {
        Self {
            dir: dir.to_owned(),
            stage: stage.into(),
            list: Vec::new(),
        }
    }
}
