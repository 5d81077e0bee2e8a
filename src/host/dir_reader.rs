//! An open directory of a host, for reads of many of its entries. Has no method that writes.
//!
//! A read costs one system call and no walk of the path. Names are single components and links are
//! never followed, so that nothing outside of the directory is reached.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat, readlinkat, statat};
use rustix::io::Errno;

use super::access_log::{AccessLog, FollowMode};
use super::stat::Stat;
use super::view::HostView;
use crate::error::Result;

/// An open directory.
#[derive(Debug)]
pub struct DirReader {
    handle: OwnedFd,
    /// Log of accesses, if they are recorded, and the path of this directory.
    access_log: Option<(Arc<AccessLog>, PathBuf)>,
}

impl HostView {
    /// Opens the directory at `path`, a path without links.
    ///
    /// # Errors
    /// `Failed` if there is none, or a component is a link.
    pub fn open_dir_reader(&self, path: &Path) -> Result<DirReader> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let handle = self.open2(path, flags, ResolveFlags::NO_SYMLINKS)?;
        let log = self.access_log.clone();
        Ok(DirReader {
            handle,
            access_log: log.map(|log| (log, path.to_owned())),
        })
    }
}

impl DirReader {
    /// Stat of an entry, a link not followed; `None` if it does not exist.
    ///
    /// # Errors
    /// The error of fstatat(2); the access log is invalid then.
    pub fn lstat(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        let stat: Option<Stat> =
            match statat(&self.handle, single(name)?, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => Some(stat.into()),
                Err(Errno::NOENT | Errno::NOTDIR) => None,
                Err(errno) => {
                    if let Some((log, _)) = &self.access_log {
                        log.invalidate();
                    }
                    return Err(errno.into());
                }
            };
        if let Some((log, path)) = &self.access_log {
            log.record(
                &path.join(name),
                FollowMode::NoSymlinks,
                false,
                stat.as_ref(),
            );
        }
        Ok(stat)
    }

    /// Text of a symbolic link.
    ///
    /// # Errors
    /// The error of readlinkat(2).
    pub fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        let text = readlinkat(&self.handle, single(name)?, Vec::with_capacity(256))?;
        Ok(PathBuf::from(OsString::from_vec(text.into_bytes())))
    }

    /// Opens a regular file, as [`DirReader::lstat`] has found it, for reads at offsets. If it was
    /// replaced since, nothing is followed or waited for: a link and a socket are refused here, a
    /// directory and a pipe when they are read.
    ///
    /// # Errors
    /// The error of openat(2).
    pub fn open(&self, name: &OsStr) -> io::Result<File> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let handle = openat(&self.handle, single(name)?, flags, Mode::empty())?;
        Ok(File::from(handle))
    }
}

fn single(name: &OsStr) -> io::Result<&OsStr> {
    if name.is_empty() || name == ".." || name.as_bytes().contains(&b'/') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn only_entries_of_the_directory_itself_are_reached() {
        let view = HostView::new(Path::new("/")).unwrap();
        let entries = view.open_dir_reader(Path::new("/usr")).unwrap();
        assert!(entries.lstat(OsStr::new("bin")).unwrap().is_some());
        assert!(
            entries
                .lstat(OsStr::new("no such entry"))
                .unwrap()
                .is_none()
        );
        for name in ["..", "", "../etc", "/etc"] {
            assert!(entries.lstat(OsStr::new(name)).is_err(), "{name}");
        }
        let directory = entries.open(OsStr::new("bin")).unwrap();
        assert!(directory.read_at(&mut [0; 4], 0).is_err());
    }
}
