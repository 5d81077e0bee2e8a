//! Small files of proc(5), sysfs(5) and cgroups, read and written as a whole.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Dir, Mode, OFlags, open, stat};
use rustix::io::Errno;

use crate::Error;
use crate::error::errno_of;

/// Maximum number of bytes read from a file; the largest in use is the table of mounts.
const LIMIT: u64 = 8 << 20;

/// Content of the file.
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

/// Content of the file, or `None` if it does not exist.
pub(super) fn read_if_exists(path: &Path) -> Result<Option<String>, Error> {
    match read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes one value to an existing file. The kernel accepts all of it or nothing.
pub(super) fn write(path: &Path, value: &str) -> Result<(), Error> {
    let failed = |errno| Error::on("write to", path, errno);
    let file = open_to_write(path)?;
    match rustix::io::write(&file, value.as_bytes()) {
        Ok(count) if count == value.len() => Ok(()),
        Ok(_) => Err(failed(Errno::IO)),
        Err(errno) => Err(failed(errno)),
    }
}

/// Opens the file for writing.
pub(super) fn open_to_write(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    open(path, flags, Mode::empty()).map_err(|errno| Error::on("write to", path, errno))
}

/// Whether the path exists.
pub(super) fn exists(path: &Path) -> bool {
    stat(path).is_ok()
}

/// Sorted names of the entries of an open directory.
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

/// Sorted names of the entries of a directory.
pub(super) fn list(path: &Path) -> Result<Vec<String>, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty())
        .and_then(names)
        .map_err(|errno| Error::on("list", path, errno))
}
