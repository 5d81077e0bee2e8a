//! Copying a skeleton into a new home, while that home is still in a private place.
//!
//! fs_extra goes by path, follows links and keeps no owners, so this is the one place for it: the source is root's and was found to hold only files
//! and directories, and nobody but root can reach the target.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use fs_extra::dir::{CopyOptions, copy};

use super::{Dir, FileKind, Ownership, View};
use crate::error::{Error, Result};

/// Copies what is in the host's directory `skeleton` to `home` and makes it the user's.
pub fn copy_skeleton(view: &View, skeleton: &Path, home: &Dir, uid: u32, gid: u32) -> Result<()> {
    let failed = |why: String| {
        Error::failed(format!(
            "could not copy the skeleton `{}`",
            skeleton.display()
        ))
        .why(why)
    };
    let real = view
        .trace(skeleton)?
        .ok_or_else(|| failed("there is no such directory".to_owned()))?
        .real;
    let target = PathBuf::from(format!("/proc/self/fd/{}", home.as_fd().as_raw_fd()));
    let options = CopyOptions::new().content_only(true).overwrite(false);
    copy(view.shown(&real), &target, &options).map_err(|error| failed(error.to_string()))?;
    give(home, uid, gid)
}

fn give(directory: &Dir, uid: u32, gid: u32) -> Result<()> {
    for (name, stat) in directory.entries()? {
        let path = Path::new(&name);
        let owner = Ownership {
            uid,
            gid,
            mode: stat.mode & 0o755 | 0o600,
        };
        if stat.kind() == FileKind::Directory {
            let below = directory.open_dir(path)?;
            give(&below, uid, gid)?;
            below.own(owner)?;
        } else {
            let file = directory.open_file(path)?;
            directory.finish_file(path, &file, owner, Some(stat.mtime))?;
        }
    }
    Ok(())
}
