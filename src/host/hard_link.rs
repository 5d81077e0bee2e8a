//! Hard links and security labels of files in an open directory: one system call each.

use std::fs::File;
use std::path::Path;

use rustix::fs::{AtFlags, XattrFlags, fgetxattr, fsetxattr, fstat, linkat, statat};
use rustix::io::Errno;

use super::dir::Dir;
use super::stat::Stat;
use crate::error::Result;

/// Extended attribute of the label of SELinux.
const LABEL: &str = "security.selinux";
/// Largest label that is read, in bytes.
const LABEL_LIMIT: usize = 4096;

impl Dir {
    /// Stat of this directory.
    ///
    /// # Errors
    /// `Failed` if fstat(2) fails.
    pub fn stat(&self) -> Result<Stat> {
        fstat(self.as_fd())
            .map(Stat::from)
            .map_err(|errno| self.error("stat", Path::new("."), errno))
    }

    /// Stat of `name` in this directory, a link not followed; `None` if it does not exist.
    ///
    /// # Errors
    /// `Failed` if fstatat(2) fails.
    pub fn stat_entry(&self, name: &str) -> Result<Option<Stat>> {
        match statat(self.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(raw) => Ok(Some(raw.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.error("stat", Path::new(name), errno)),
        }
    }

    /// Creates `name` as another name of the file `from` in `source`; `false` if the file system
    /// cannot: at its limit of names, across mounts, or without hard links.
    ///
    /// # Errors
    /// `Failed` for any other error; there is no new name.
    pub fn hard_link_if_supported(&self, name: &Path, source: &Self, from: &str) -> Result<bool> {
        match linkat(source.as_fd(), from, self.as_fd(), name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::MLINK | Errno::XDEV | Errno::PERM | Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(self.error("link", name, errno)),
        }
    }

    /// Security label of this directory, if it has one.
    ///
    /// # Errors
    /// `Failed` if it cannot be read.
    pub fn security_label(&self) -> Result<Option<Vec<u8>>> {
        let mut label = vec![0; LABEL_LIMIT];
        match fgetxattr(self.as_fd(), LABEL, label.as_mut_slice()) {
            Ok(length) => {
                label.truncate(length);
                Ok(Some(label))
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            Err(errno) => Err(self.error("read the label of", Path::new("."), errno)),
        }
    }

    /// Sets the security label of the open file `name` of this directory.
    ///
    /// # Errors
    /// `Failed`; the label is as it was.
    pub fn set_security_label(&self, name: &Path, file: &File, label: &[u8]) -> Result<()> {
        fsetxattr(file, LABEL, label, XattrFlags::empty())
            .map_err(|errno| self.error("set the label of", name, errno))
    }
}
