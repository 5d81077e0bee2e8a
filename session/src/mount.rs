//! Mounts, made by descriptor: a tree is first taken detached, then put in its place, so that nothing is looked up twice.
//!
//! These functions change the mount namespace of the thread that calls them. Call them inside
//! [`private_mounts`](crate::private_mounts), never in the host's own namespace.
//!
//! The calls are `open_tree(2)`, `fsopen(2)` and `move_mount(2)` (Linux 5.2) rather than `mount(2)`: they take
//! descriptors, so a place that a jailed user could swap can be opened first, looked at, and then mounted on
//! (CVE-2021-30465, CVE-2025-31133: runc mounted on a name that had become a link in between).

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

/// The options of a file system that holds data and nothing else.
pub(crate) const NOSUID_NODEV_NOEXEC: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Where a mount comes from, or goes to.
#[derive(Debug, Clone, Copy)]
pub enum MountPath<'a> {
    /// A name. Links in it are followed, as mount(8) follows them: only for names that nobody but root can change.
    Path(&'a Path),
    /// An open file or directory; for what others can change. A target must have been opened in the namespace that is
    /// being changed (the kernel says EINVAL otherwise), that is, inside the closure of `private_mounts`.
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
    /// As the `*at` calls take it: the empty name means the descriptor itself.
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

/// A mount that is nowhere yet. Dropped without being attached, it leaves no trace.
pub struct DetachedMount(OwnedFd);

impl fmt::Debug for DetachedMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tree").field(&self.0).finish()
    }
}

impl DetachedMount {
    /// What is at `source`, with the mounts below it, to be shown a second time elsewhere.
    ///
    /// An open descriptor belongs to the namespace it was opened in, and the kernel takes trees from the caller's own namespace
    /// only: call this before `private_mounts` for a descriptor of the host's, and move the result into the closure.
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

    /// A new, empty tmpfs whose root has `mode`; nosuid, nodev, noexec.
    pub fn tmpfs(mode: u32) -> Result<Self, Error> {
        let mode = format!("{:o}", mode & 0o7777);
        Self::fresh("tmpfs", &[("mode", &mode)], NOSUID_NODEV_NOEXEC)
            .map_err(Error::of("make a tmpfs"))
    }

    /// A new file system of a kind that has no device, with its options.
    pub(crate) fn fresh(
        kind: &str,
        options: &[(&str, &str)],
        attributes: MountAttrFlags,
    ) -> Result<Self, Errno> {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        // What mount tables show in the first column.
        fsconfig_set_string(context.as_fd(), "source", kind)?;
        for (key, value) in options {
            fsconfig_set_string(context.as_fd(), *key, *value)?;
        }
        fsconfig_create(context.as_fd())?;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).map(Self)
    }

    /// Takes rights from the tree and all that is mounted below it: what has them not, does not get them.
    pub(crate) fn set_attributes(&self, attributes: MountAttrFlags) -> Result<(), Errno> {
        if attributes.is_empty() {
            return Ok(());
        }
        syscalls::restrict_mounts(self.0.as_fd(), attributes)
    }

    /// Puts the tree over `target`, which exists and is of the same kind: a directory over a directory, a file over a file.
    pub fn attach<'a>(self, target: impl Into<MountPath<'a>>) -> Result<(), Error> {
        let target = target.into();
        let (fd, name) = target.parts();
        // A name is followed to its end, as open_tree follows it.
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH
            | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH
            | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
        move_mount(self.0.as_fd(), "", fd, name, flags)
            .map_err(|errno| target.failed("mount on", errno))?;
        // A tree taken from a shared mount is still a peer of it: what is mounted below it later would appear on the host as well.
        mount_change(
            own_name(self.0.as_fd()),
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )
        .map_err(|errno| target.failed("make private the mount on", errno))
    }
}

/// Shows `source`, with the mounts below it, at `target` as well: a recursive bind mount, private.
pub fn bind<'s, 't>(
    source: impl Into<MountPath<'s>>,
    target: impl Into<MountPath<'t>>,
) -> Result<(), Error> {
    DetachedMount::clone_tree(source)?.attach(target)
}

/// Puts a new, empty tmpfs over `target`: nosuid, nodev, noexec, its root with `mode`.
pub fn tmpfs<'t>(target: impl Into<MountPath<'t>>, mode: u32) -> Result<(), Error> {
    DetachedMount::tmpfs(mode)?.attach(target)
}

/// The one name by which mount(2) takes a descriptor. The name is of the calling thread's own table, so nobody can change it.
fn own_name(fd: BorrowedFd<'_>) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/thread-self/fd/{}", fd.as_raw_fd()))
}
