//! Settings of a network namespace, sysctl(8).

use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::Error;

/// Writes the setting `name` below `/proc/sys`, for the network namespace of the calling process.
/// An `optional` one may be missing, such as those of IPv6.
pub(super) fn set(name: &str, value: &str, optional: bool) -> Result<(), Error> {
    let path = Path::new("/proc/sys").join(name);
    let written = open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|file| rustix::io::write(file, value.as_bytes()));
    match written {
        Err(Errno::NOENT) if optional => Ok(()),
        written => written
            .map(drop)
            .map_err(|errno| Error::on("write", &path, errno)),
    }
}
