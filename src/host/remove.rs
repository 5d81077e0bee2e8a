//! Removal of trees, and a check beforehand that it can succeed.
//!
//! Walks down by descriptors and never into a mount, of another file system or the same
//! (`RESOLVE_NO_XDEV` detects bind mounts, which a comparison of device numbers does not): a mount
//! anywhere below is an error, and its contents stay.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxAttributes, StatxFlags, openat2, statx,
};
use rustix::io::Errno;

use super::dir::Dir;
use super::stat::{FileKind, Stat};
use crate::error::{Error, Result};

impl Dir {
    /// Removes `path` with everything below it; a path that does not exist is no error.
    ///
    /// # Errors
    /// `Failed`; a part of the tree may be removed.
    pub fn remove_all(&self, path: &Path) -> Result<()> {
        self.remove_all_with(path, &mut |_| {})
    }

    /// As [`Dir::remove_all`]; `see` is called with the stat of each file just before one of its
    /// names is removed.
    ///
    /// # Errors
    /// As [`Dir::remove_all`].
    pub fn remove_all_with(&self, path: &Path, see: &mut dyn FnMut(&Stat)) -> Result<()> {
        let Some(stat) = self.lstat(path)? else {
            return Ok(());
        };
        if stat.kind() != FileKind::Directory {
            see(&stat);
            return self.remove_file(path);
        }
        self.open_same_mount(path)?.remove_children(see)?;
        self.remove_dir(path)
    }

    /// Removes everything below this directory. No depth that a user can create exhausts the
    /// descriptors: two directories are open at a time, and the parent is opened by `..` and
    /// accepted if it is the same inode as before.
    fn remove_children(self, see: &mut dyn FnMut(&Stat)) -> Result<()> {
        let mut above: Vec<(OsString, (u64, u64))> = Vec::new();
        let mut here = self;
        loop {
            let mut below = None;
            for (name, stat) in here.entries()? {
                if stat.kind() == FileKind::Directory {
                    below = Some(name);
                    break;
                }
                see(&stat);
                here.remove_file(Path::new(&name))?;
            }
            if let Some(name) = below {
                let next = here.open_same_mount(Path::new(&name))?;
                let stat = here.stat()?;
                above.push((name, (stat.dev, stat.ino)));
                here = next;
            } else if let Some((name, inode)) = above.pop() {
                here = here.open_parent(inode)?;
                here.remove_dir(Path::new(&name))?;
            } else {
                return Ok(());
            }
        }
    }

    /// Parent of this directory, which has to have this device and inode number.
    fn open_parent(self, inode: (u64, u64)) -> Result<Self> {
        let here = self.display_path(Path::new(""));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve =
            ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        let handle = openat2(self.as_fd(), "..", flags, Mode::empty(), resolve)
            .map_err(|errno| self.error("leave", Path::new(""), errno))?;
        let up = Self::from_handle(handle, here.parent().unwrap_or(&here).to_owned());
        let stat = up.stat()?;
        if (stat.dev, stat.ino) == inode {
            return Ok(up);
        }
        Err(
            Error::failed(format!("could not remove `{}`", here.display()))
                .why("another process moved it")
                .hint("end that process, and try again"),
        )
    }

    /// Fails if [`Dir::remove_all`] of `path` would: because of an immutable or append-only inode
    /// (chattr(1)), or a mount. For trees that only root changes; a path that does not exist is no
    /// error.
    ///
    /// # Errors
    /// `Failed`, with the path that cannot be removed.
    pub fn check_removable(&self, path: &Path) -> Result<()> {
        if self.check_inode_removable(path)? != Some(FileType::Directory) {
            return Ok(());
        }
        // Names, and not open directories: there may be more of them than descriptors.
        let mut ahead: Vec<PathBuf> = vec![path.to_owned()];
        while let Some(path) = ahead.pop() {
            let directory = self.open_same_mount(&path)?;
            for name in directory.names()? {
                if directory.check_inode_removable(Path::new(&name))? == Some(FileType::Directory) {
                    ahead.push(path.join(name));
                }
            }
        }
        Ok(())
    }

    /// Stat of `path`, if it can be removed; `None` if it does not exist.
    fn check_inode_removable(&self, path: &Path) -> Result<Option<FileType>> {
        let refuse = |errno| self.error("remove", path, errno);
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let found = match statx(self.as_fd(), path, flags, StatxFlags::TYPE) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(refuse(errno)),
        };
        let fixed = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
        if found.stx_attributes.intersects(fixed) {
            return Err(refuse(Errno::PERM));
        }
        if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
            return Err(refuse(Errno::XDEV));
        }
        Ok(Some(FileType::from_raw_mode(found.stx_mode.into())))
    }

    /// Directory at `path`, on the mount of this directory.
    fn open_same_mount(&self, path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let handle = self
            .open2(path, flags, ResolveFlags::NO_XDEV)
            .map_err(|errno| self.error("remove", path, errno))?;
        Ok(Self::from_handle(handle, self.display_path(path)))
    }
}
