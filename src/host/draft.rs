//! A new file of the caller's own, beside whatever else lies where the caller works: for those who write specs, not for jails.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, fchmod, openat, unlinkat};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// Makes the file `path` of the running system with mode 0644, relative to where the caller is. Never touches one that is there: `false` then.
pub fn draft(path: &Path, text: &str) -> Result<bool> {
    let mode = Mode::from_raw_mode(0o644);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let handle = match openat(CWD, path, flags, mode) {
        Ok(handle) => handle,
        Err(Errno::EXIST) => return Ok(false),
        Err(errno) => return Err(Error::io("make", path, &errno.into())),
    };
    let mut file = File::from(handle);
    let written = fchmod(&file, mode)
        .map_err(std::io::Error::from)
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_all());
    written.map(|()| true).map_err(|error| {
        // Half of it would be taken for the whole.
        let _ = unlinkat(CWD, path, rustix::fs::AtFlags::empty());
        Error::io("write", path, &error)
    })
}
