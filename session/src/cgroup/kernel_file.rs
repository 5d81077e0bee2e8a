//! Small files of the kernel's, in /proc, /sys and the file systems of groups: read and written as a whole.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Dir, Mode, OFlags, open, stat};
use rustix::io::Errno;

use crate::Error;
use crate::error::errno_of;

/// No file of the kernel's that is read here is as long; a table of mounts comes closest.
const LIMIT: u64 = 8 << 20;

/// The text of the file.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    let failed = |errno| Error::on("read", path, errno);
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let mut text = String::new();
    File::from(file)
        .take(LIMIT)
        .read_to_string(&mut text)
        .map_err(|error| failed(errno_of(&error)))?;
    Ok(text)
}

/// The text of a file that may not be there.
pub(super) fn read_if_exists(path: &Path) -> Result<Option<String>, Error> {
    match read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes one value to a file that exists. The kernel takes it as a whole or not at all.
pub(super) fn write(path: &Path, value: &str) -> Result<(), Error> {
    let failed = |errno| Error::on("write to", path, errno);
    let file = open_to_write(path)?;
    match rustix::io::write(&file, value.as_bytes()) {
        Ok(count) if count == value.len() => Ok(()),
        Ok(_) => Err(failed(Errno::IO)),
        Err(errno) => Err(failed(errno)),
    }
}

/// The file, for writing.
pub(super) fn open_to_write(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    open(path, flags, Mode::empty()).map_err(|errno| Error::on("write to", path, errno))
}

/// Whether there is anything at the path.
pub(super) fn is_there(path: &Path) -> bool {
    stat(path).is_ok()
}

/// The names in an open directory, sorted.
pub(super) fn names(directory: impl AsFd) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The names in a directory, sorted.
pub(super) fn list(path: &Path) -> Result<Vec<String>, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty())
        .and_then(names)
        .map_err(|errno| Error::on("list", path, errno))
}
