//! What is done with files that have names in several trees: one system call each, in a directory that is open.

use std::fs::File;
use std::path::Path;

use rustix::fs::{AtFlags, XattrFlags, fgetxattr, fsetxattr, fstat, linkat, statat};
use rustix::io::Errno;

use super::dir::Dir;
use super::stat::Stat;
use crate::error::Result;

/// Where a security module keeps what it calls a file.
const LABEL: &str = "security.selinux";
/// A label above this size is not one.
const LABEL_LIMIT: usize = 4096;

impl Dir {
    /// The facts of this directory.
    pub fn stat(&self) -> Result<Stat> {
        fstat(self.as_fd())
            .map(Stat::from)
            .map_err(|errno| self.error("stat", Path::new("."), errno))
    }

    /// The facts of `name` in this directory itself; `None` where there is nothing.
    pub fn stat_entry(&self, name: &str) -> Result<Option<Stat>> {
        match statat(self.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(raw) => Ok(Some(raw.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.error("stat", Path::new(name), errno)),
        }
    }

    /// Makes `name` here another name of the file `from` in `source`, if the file system can: not past its limit of names, and not across mounts.
    pub fn hard_link_if_supported(&self, name: &Path, source: &Self, from: &str) -> Result<bool> {
        match linkat(source.as_fd(), from, self.as_fd(), name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::MLINK | Errno::XDEV | Errno::PERM | Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(self.error("link", name, errno)),
        }
    }

    /// The security label of this directory, where it has one.
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

    /// Gives the open file `name` of this directory a security label.
    pub fn set_security_label(&self, name: &Path, file: &File, label: &[u8]) -> Result<()> {
        fsetxattr(file, LABEL, label, XattrFlags::empty())
            .map_err(|errno| self.error("set the label of", name, errno))
    }
}
