//! Numbers of devices: which disks a path's files are on, and which character device is at a path.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat, major, minor, stat};

use super::kernel_file;
use crate::Error;

/// A whole disk: the kernel limits no partition by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) major: u32,
    pub(super) minor: u32,
}

/// As files of groups name it.
impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl Disk {
    /// Where the kernel shows it.
    pub(super) fn directory(self) -> PathBuf {
        PathBuf::from(format!("/sys/dev/block/{self}"))
    }
}

/// The disks that hold `places`; a place that is not there yet counts as the directory that it will be made in.
pub(super) fn disks(places: &[&Path]) -> Result<Vec<Disk>, Error> {
    let mut found = Vec::new();
    for place in places {
        let disk = disk_of(place)?;
        if !found.contains(&disk) {
            found.push(disk);
        }
    }
    Ok(found)
}

fn disk_of(place: &Path) -> Result<Disk, Error> {
    let known = place.ancestors().find_map(|path| stat(path).ok());
    let device = known.map_or(0, |stat| stat.st_dev);
    let part = Disk {
        major: major(device),
        minor: minor(device),
    };
    let none = || {
        Error::Refused(format!(
            "the file system of `{}` has no disk of its own",
            place.display()
        ))
    };
    if part.major == 0 {
        return Err(none());
    }
    let directory = part.directory();
    if !kernel_file::is_there(&directory.join("partition")) {
        return Ok(part);
    }
    // The name is a link into the disk's own directory.
    let numbers = kernel_file::read(&directory.join("../dev"))?;
    let (major, minor) = numbers.trim().split_once(':').ok_or_else(none)?;
    Ok(Disk {
        major: major.parse().map_err(|_| none())?,
        minor: minor.parse().map_err(|_| none())?,
    })
}

/// The number of the character device at `path`.
pub(super) fn char_device(path: &Path) -> Result<(u32, u32), Error> {
    let found: Stat = stat(path).map_err(|errno| Error::on("find the device", path, errno))?;
    if FileType::from_raw_mode(found.st_mode) != FileType::CharacterDevice {
        return Err(Error::Refused(format!(
            "`{}` is no character device",
            path.display()
        )));
    }
    Ok((major(found.st_rdev), minor(found.st_rdev)))
}
