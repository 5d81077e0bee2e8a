//! Opening paths without following links that other users may have created.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// Opens a directory: an absolute path without `below`, otherwise a path with `below` as root. No
/// link is followed, neither a symbolic one nor one of proc(5).
pub(crate) fn open_dir(below: Option<&OwnedFd>, path: &Path) -> Result<OwnedFd, Errno> {
    open(below, path, OFlags::DIRECTORY)
}

/// As [`open_dir`], for any kind of file.
pub(crate) fn open(below: Option<&OwnedFd>, path: &Path, kind: OFlags) -> Result<OwnedFd, Errno> {
    let (from, how) = match below {
        Some(below) => (below.as_fd(), ResolveFlags::IN_ROOT),
        None => (CWD, ResolveFlags::empty()),
    };
    openat2(
        from,
        path,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC | kind,
        Mode::empty(),
        how | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )
}
