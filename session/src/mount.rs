//! Mounts by descriptor: a mount is first created detached, then attached, so that no path is
//! resolved twice.
//!
//! These functions change the mount namespace of the calling thread. Call them in
//! [`private_mounts`](crate::private_mounts), never in the namespace of the host.
//!
//! The calls are `open_tree(2)`, `fsopen(2)` and `move_mount(2)` (Linux 5.2) rather than
//! `mount(2)`: they take descriptors, so a path that a jailed user could replace can be opened
//! first, verified, and then mounted on (CVE-2021-30465, CVE-2025-31133: runc mounted on a path
//! that had become a link in between).

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount,
    open_tree,
};

use crate::{Error, syscalls};

/// Attributes of a file system that holds only data.
pub(crate) const NOSUID_NODEV_NOEXEC: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Source or target of a mount.
#[derive(Debug, Clone, Copy)]
pub enum MountPath<'a> {
    /// Path. Links in it are followed, as mount(8) follows them: only for paths that only root can
    /// change.
    Path(&'a Path),
    /// Open file or directory, for paths that other users can change. A target must have been
    /// opened in the namespace that is changed (the kernel fails with EINVAL otherwise), that is,
    /// in the closure of `private_mounts`.
    Open(BorrowedFd<'a>),
}

impl<'a> From<&'a Path> for MountPath<'a> {
    fn from(path: &'a Path) -> Self {
        Self::Path(path)
    }
}

impl<'a> From<BorrowedFd<'a>> for MountPath<'a> {
    fn from(fd: BorrowedFd<'a>) -> Self {
        Self::Open(fd)
    }
}

impl<'a> MountPath<'a> {
    /// Arguments of the `*at` calls: an empty path means the descriptor itself.
    fn parts(self) -> (BorrowedFd<'a>, &'a Path) {
        match self {
            Self::Path(path) => (CWD, path),
            Self::Open(fd) => (fd, Path::new("")),
        }
    }

    fn failed(self, what: &'static str, errno: Errno) -> Error {
        match self {
            Self::Path(path) => Error::on(what, path, errno),
            Self::Open(_) => Error::of(what)(errno),
        }
    }
}

/// A mount that is not attached to any path. Removed without a trace if it is dropped.
pub struct DetachedMount(OwnedFd);

impl fmt::Debug for DetachedMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DetachedMount").field(&self.0).finish()
    }
}

impl DetachedMount {
    /// A copy of the mount at `source` with the mounts below it.
    ///
    /// An open descriptor belongs to the namespace in which it was opened, and the kernel copies
    /// only mounts of the caller's namespace: for a descriptor of the host call this before
    /// `private_mounts`, and move the result into the closure.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn clone_tree<'a>(source: impl Into<MountPath<'a>>) -> Result<Self, Error> {
        let source = source.into();
        let (fd, name) = source.parts();
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE
            | OpenTreeFlags::AT_EMPTY_PATH;
        open_tree(fd, name, flags)
            .map(Self)
            .map_err(|errno| source.failed("bind", errno))
    }

    /// A new, empty tmpfs whose root directory has `mode`; nosuid, nodev, noexec.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn tmpfs(mode: u32) -> Result<Self, Error> {
        let mode = format!("{:o}", mode & 0o7777);
        Self::new("tmpfs", &[("mode", &mode)], NOSUID_NODEV_NOEXEC)
            .map_err(Error::of("create a tmpfs"))
    }

    /// A new file system without a device, with its options.
    pub(crate) fn new(
        kind: &str,
        options: &[(&str, &str)],
        attributes: MountAttrFlags,
    ) -> Result<Self, Errno> {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        // First column of mount tables.
        fsconfig_set_string(context.as_fd(), "source", kind)?;
        for (key, value) in options {
            fsconfig_set_string(context.as_fd(), *key, *value)?;
        }
        fsconfig_create(context.as_fd())?;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).map(Self)
    }

    /// Adds attributes to the mount and all mounts below it. Attributes that they have are never
    /// removed.
    pub(crate) fn set_attributes(&self, attributes: MountAttrFlags) -> Result<(), Errno> {
        if attributes.is_empty() {
            return Ok(());
        }
        syscalls::restrict_mounts(self.0.as_fd(), attributes)
    }

    /// Attaches the mount to `target`, which exists and is of the same kind: a directory to a
    /// directory, a file to a file.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn attach<'a>(self, target: impl Into<MountPath<'a>>) -> Result<(), Error> {
        let target = target.into();
        let (fd, name) = target.parts();
        // Links at the end of a path are followed, as by open_tree.
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH
            | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH
            | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
        move_mount(self.0.as_fd(), "", fd, name, flags)
            .map_err(|errno| target.failed("mount on", errno))?;
        // A copy of a shared mount is a peer of it: later mounts below it would appear on the host
        // as well.
        mount_change(
            descriptor_path(self.0.as_fd()),
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )
        .map_err(|errno| target.failed("make the mount private on", errno))
    }
}

/// Mounts `source` with the mounts below it at `target` as well: a recursive bind mount, private.
///
/// # Errors
/// [`Error::System`].
pub fn bind<'s, 't>(
    source: impl Into<MountPath<'s>>,
    target: impl Into<MountPath<'t>>,
) -> Result<(), Error> {
    DetachedMount::clone_tree(source)?.attach(target)
}

/// Mounts a new, empty tmpfs on `target`: nosuid, nodev, noexec, with `mode` for its root
/// directory.
///
/// # Errors
/// [`Error::System`].
pub fn tmpfs<'t>(target: impl Into<MountPath<'t>>, mode: u32) -> Result<(), Error> {
    DetachedMount::tmpfs(mode)?.attach(target)
}

/// Path of a descriptor for mount(2). It is in the descriptor table of the calling thread, so no
/// other process can change it.
fn descriptor_path(fd: BorrowedFd<'_>) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/thread-self/fd/{}", fd.as_raw_fd()))
}
