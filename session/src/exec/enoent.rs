//! What ENOENT of execve(2) leaves out: it is also the answer if the program is there and its interpreter is not.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;

use crate::error::shown;

/// A second sentence for the error, if the program's first bytes have one to tell. Reads, and never fails.
pub(super) fn hint(root: BorrowedFd<'_>, program: &Path, errno: Errno) -> Option<String> {
    if errno != Errno::NOENT {
        return None;
    }
    let head = head(root, program).ok()?;
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?.trim_ascii();
        let interpreter = line.split(u8::is_ascii_whitespace).next()?;
        let interpreter = shown(Path::new(OsStr::from_bytes(interpreter)));
        Some(format!(
            "the file is there, but not its interpreter `{interpreter}`"
        ))
    } else if head.starts_with(b"\x7fELF") {
        Some("the file is there, but not the loader that it names as its ELF interpreter".into())
    } else {
        // execvp(3) hands such a file to a shell.
        Some("the file has no `#!` line, and there is no /bin/sh to read it".into())
    }
}

/// The first bytes of a regular file, found as the jailed process finds it.
fn head(root: BorrowedFd<'_>, program: &Path) -> Result<Vec<u8>, Errno> {
    // To open a device or a pipe could do something, so first what opens nothing.
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
    let again = format!("/proc/thread-self/fd/{}", found.as_raw_fd());
    let file = open(again, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = vec![0; 128];
    let count = rustix::io::pread(file.as_fd(), &mut *bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}
