//! The note in a root's private directory that says whose root it is, and what must be known of it even when the jail's records are gone.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::host::View;
use crate::names::{JailName, JailPath};

/// Our own directory in a jail's root, root's and closed to all others.
pub const PRIVATE: &str = ".jailctl";
/// The note in [`PRIVATE`].
pub const MARKER: &str = ".jailctl/jail";
/// A note above this size is not ours.
const SIZE_LIMIT: u64 = 1 << 20;

/// The note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Whose root it is.
    pub jail: JailName,
    /// Directories of the host that were made to hold it, itself included, outermost first.
    pub made: Vec<PathBuf>,
    /// Homes of users that are gone: their numbers must not come to mean somebody else.
    pub left: Vec<Left>,
}

/// A home without its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The login name it had.
    pub user: String,
    /// The user id that its files have.
    pub uid: u32,
    /// Where it is, inside the jail.
    pub home: JailPath,
}

impl Marker {
    /// The note in the directory `root`; `None` where there is none. It says nothing of homes that are gone by now.
    pub fn read(view: &View, root: &Path) -> Result<Option<Self>> {
        // No link can lead elsewhere: `root` is checked to be root's, and the private directory is root's alone.
        let path = root.join(MARKER);
        let Some(bytes) = view.read(&path, SIZE_LIMIT)? else {
            return Ok(None);
        };
        let mut marker: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::failed(format!("could not read `{}`", view.shown(&path).display()))
                .why(error.to_string())
                .hint("without it jailctl does not know whose root this is: restore it, or move the root away")
        })?;
        let mut left = Vec::new();
        for one in marker.left {
            if view.lstat(&root.join(one.home.relative()))?.is_some() {
                left.push(one);
            }
        }
        marker.left = left;
        Ok(Some(marker))
    }

    /// As it is stored.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let failed = |error: serde_json::Error| {
            Error::failed("could not note whose root it is").why(error.to_string())
        };
        let mut bytes = serde_json::to_vec(self).map_err(failed)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
