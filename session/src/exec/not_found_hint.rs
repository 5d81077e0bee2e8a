//! Explanation of ENOENT from execve(2), which may also mean that the interpreter of an existing
//! program is missing.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;

use crate::error::escaped;

/// A second clause for the error, from the first bytes of the program. Reads only, and never fails.
pub(super) fn hint(root: BorrowedFd<'_>, program: &Path, errno: Errno) -> Option<String> {
    if errno != Errno::NOENT {
        return None;
    }
    let head = head(root, program).ok()?;
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?.trim_ascii();
        let interpreter = line.split(u8::is_ascii_whitespace).next()?;
        let interpreter = escaped(Path::new(OsStr::from_bytes(interpreter)));
        Some(format!(
            "the file is there, but not its interpreter `{interpreter}`"
        ))
    } else if head.starts_with(b"\x7fELF") {
        Some("the file is there, but not the loader that it names as its ELF interpreter".into())
    } else {
        // execvp(3) runs such a file by a shell.
        Some("the file has no `#!` line, and there is no /bin/sh to read it".into())
    }
}

/// First bytes of a regular file, found as the jailed process finds it.
fn head(root: BorrowedFd<'_>, program: &Path) -> Result<Vec<u8>, Errno> {
    // Opening a device or a pipe can have effects, so the file is opened with O_PATH first.
    let found = openat2(
        root,
        program,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )?;
    if FileType::from_raw_mode(fstat(&found)?.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let path = format!("/proc/thread-self/fd/{}", found.as_raw_fd());
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = vec![0; 128];
    let count = rustix::io::pread(file.as_fd(), &mut *bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}
