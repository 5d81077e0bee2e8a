//! Device numbers: the disks that hold given paths, and the character device at a path.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat, major, minor, stat};

use super::kernel_file;
use crate::Error;

/// A whole disk: the kernel sets no limits on single partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) major: u32,
    pub(super) minor: u32,
}

/// `MAJOR:MINOR`, as in control files.
impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl Disk {
    /// Directory of the disk in sysfs(5).
    pub(super) fn directory(self) -> PathBuf {
        PathBuf::from(format!("/sys/dev/block/{self}"))
    }
}

/// The disks that hold `paths`. For a path that does not exist yet, its nearest existing ancestor
/// counts.
pub(super) fn disks(paths: &[&Path]) -> Result<Vec<Disk>, Error> {
    let mut found = Vec::new();
    for path in paths {
        let disk = disk_of(path)?;
        if !found.contains(&disk) {
            found.push(disk);
        }
    }
    Ok(found)
}

fn disk_of(path: &Path) -> Result<Disk, Error> {
    let known = path.ancestors().find_map(|above| stat(above).ok());
    let device = known.map_or(0, |stat| stat.st_dev);
    let part = Disk {
        major: major(device),
        minor: minor(device),
    };
    let none = || {
        Error::Unsupported(format!(
            "the file system of `{}` is not on a disk",
            path.display()
        ))
    };
    if part.major == 0 {
        return Err(none());
    }
    let directory = part.directory();
    if !kernel_file::exists(&directory.join("partition")) {
        return Ok(part);
    }
    // The directory is reached through a symbolic link, whose parent is the directory of the disk.
    let numbers = kernel_file::read(&directory.join("../dev"))?;
    let (major, minor) = numbers.trim().split_once(':').ok_or_else(none)?;
    Ok(Disk {
        major: major.parse().map_err(|_| none())?,
        minor: minor.parse().map_err(|_| none())?,
    })
}

/// Major and minor number of the character device at `path`.
pub(super) fn char_device(path: &Path) -> Result<(u32, u32), Error> {
    let found: Stat = stat(path).map_err(|errno| Error::on("find the device", path, errno))?;
    if FileType::from_raw_mode(found.st_mode) != FileType::CharacterDevice {
        return Err(Error::Unsupported(format!(
            "`{}` is not a character device",
            path.display()
        )));
    }
    Ok((major(found.st_rdev), minor(found.st_rdev)))
}
