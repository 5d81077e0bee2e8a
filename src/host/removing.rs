//! Removing trees, and telling beforehand what would not go.
//!
//! Goes down by descriptors only and never into a mount, of another file system or the same (`RESOLVE_NO_XDEV` sees bind mounts, which comparing
//! device numbers does not): a mount anywhere below is an error, and what lies beneath stays.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, OFlags, ResolveFlags, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;

use super::Dir;
use super::stat::{FileKind, Stat};
use crate::error::Result;

impl Dir {
    /// Removes whatever is at `path`, with all below it; nothing there is no error.
    pub fn remove_all(&self, path: &Path) -> Result<()> {
        self.remove_all_seen(path, &mut |_| {})
    }

    /// As [`Dir::remove_all`]; `see` is shown the facts of each file right before one of its names goes.
    pub fn remove_all_seen(&self, path: &Path, see: &mut dyn FnMut(&Stat)) -> Result<()> {
        let Some(stat) = self.lstat(path)? else {
            return Ok(());
        };
        if stat.kind() != FileKind::Directory {
            see(&stat);
            return self.remove_file(path);
        }
        self.within(path)?.empty(see)?;
        self.remove_dir(path)
    }

    /// Removes all below this directory, with an explicit stack: no depth that a user can make exhausts ours.
    fn empty(self, see: &mut dyn FnMut(&Stat)) -> Result<()> {
        let mut stack: Vec<(Self, OsString)> = vec![(self, OsString::new())];
        while let Some((directory, _)) = stack.last() {
            let mut below = None;
            for (name, stat) in directory.entries()? {
                let path = Path::new(&name);
                if stat.kind() == FileKind::Directory {
                    below = Some((directory.within(path)?, name));
                    break;
                }
                see(&stat);
                directory.remove_file(path)?;
            }
            if let Some(next) = below {
                stack.push(next);
            } else if let Some((_, name)) = stack.pop()
                && let Some((parent, _)) = stack.last()
            {
                parent.remove_dir(Path::new(&name))?;
            }
        }
        Ok(())
    }

    /// Fails where [`Dir::remove_all`] of the directory at `path` would: over what is immutable or only grows (chattr(1)), and over a mount. For
    /// trees that nobody but root changes; nothing there is no error.
    pub fn refuse_fixed(&self, path: &Path) -> Result<()> {
        if self.lstat(path)?.is_none() {
            return Ok(());
        }
        self.refuse_if_fixed(path)?;
        // Names, and not open directories: there may be more of them than descriptors.
        let mut ahead: Vec<PathBuf> = vec![path.to_owned()];
        while let Some(path) = ahead.pop() {
            let directory = self.within(&path)?;
            for name in directory.names()? {
                if directory.refuse_if_fixed(Path::new(&name))? == FileType::Directory {
                    ahead.push(path.join(name));
                }
            }
        }
        Ok(())
    }

    fn refuse_if_fixed(&self, path: &Path) -> Result<FileType> {
        let refuse = |errno| self.error("remove", path, errno);
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let found = statx(self.as_fd(), path, flags, StatxFlags::TYPE).map_err(refuse)?;
        let fixed = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
        if found.stx_attributes.intersects(fixed) {
            return Err(refuse(Errno::PERM));
        }
        if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
            return Err(refuse(Errno::XDEV));
        }
        Ok(FileType::from_raw_mode(found.stx_mode.into()))
    }

    /// The directory at `path`, on this directory's own mount.
    fn within(&self, path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let handle = self
            .open2(path, flags, ResolveFlags::NO_XDEV)
            .map_err(|errno| self.error("remove", path, errno))?;
        Ok(Self::from_handle(handle, self.shown(path)))
    }
}
