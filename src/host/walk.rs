//! Walk of a tree of the host that is copied.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, OFlags, ResolveFlags, fstat, statat};
use rustix::io::Errno;
use walkdir::WalkDir;

use super::access_log::FollowMode;
use super::stat::{FileKind, Stat};
use super::view::HostView;
use crate::error::{Error, Result};

/// Most entries in one source: more are taken for a mistake in the spec.
const ENTRY_LIMIT: usize = 1_000_000;

impl HostView {
    /// Everything below the directory `path`, a path without links: parents first and names sorted;
    /// links are listed and not followed.
    ///
    /// The walk resolves paths, and a user who can write to the tree can redirect it, so the result
    /// is a list of names only: files are opened with [`HostView::open_no_symlinks`], which follows
    /// no link.
    ///
    /// # Errors
    /// `Failed` if a directory cannot be read, or there are too many entries.
    pub fn walk(&self, path: &Path) -> Result<Vec<(PathBuf, Stat)>> {
        let handle = self.open2(
            path,
            OFlags::PATH | OFlags::DIRECTORY,
            ResolveFlags::NO_SYMLINKS,
        )?;
        let base = PathBuf::from(format!("/proc/self/fd/{}/", handle.as_raw_fd()));
        if self.access_log.is_some() {
            let stat = fstat(&handle)
                .map_err(|errno| Error::io("stat", &self.display_path(path), &errno.into()))?;
            self.record_access(path, FollowMode::NoSymlinks, true, Some(&stat.into()));
        }
        let mut found: Vec<(PathBuf, Stat)> = Vec::new();
        // Entries are sorted by directory, so that most have the same as the one before.
        let mut parent: Option<(PathBuf, OwnedFd)> = None;
        for entry in WalkDir::new(&base).min_depth(1).sort_by_file_name() {
            let entry = entry.map_err(|error| {
                let below = error
                    .path()
                    .and_then(|path| path.strip_prefix(&base).ok())
                    .unwrap_or(Path::new(""))
                    .to_owned();
                let source = error
                    .into_io_error()
                    .unwrap_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidData));
                Error::io("read", &self.display_path(&path.join(below)), &source)
            })?;
            let below = entry
                .path()
                .strip_prefix(&base)
                .unwrap_or(entry.path())
                .to_owned();
            let here = path.join(&below);
            let up = here.parent().unwrap_or(path);
            if parent.as_ref().is_none_or(|(known, _)| known != up) {
                let flags = OFlags::PATH | OFlags::DIRECTORY;
                let open = self.open2(up, flags, ResolveFlags::NO_SYMLINKS)?;
                parent = Some((up.to_owned(), open));
            }
            let Some((_, open)) = &parent else { continue };
            match statat(open, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(raw) => {
                    let stat = Stat::from(raw);
                    let listed = stat.kind() == FileKind::Directory;
                    self.record_access(&here, FollowMode::NoSymlinks, listed, Some(&stat));
                    found.push((here, stat));
                }
                Err(Errno::NOENT) => {}
                Err(errno) => {
                    return Err(Error::io("stat", &self.display_path(&here), &errno.into()));
                }
            }
            if found.len() > ENTRY_LIMIT {
                return Err(
                    Error::failed(format!("could not read `{}`", path.display()))
                        .why(format!("it contains more than {ENTRY_LIMIT} entries")),
                );
            }
        }
        Ok(found)
    }
}
