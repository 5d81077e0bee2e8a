//! The mounts of a session: the barrier with the root of the jail behind it, then the mounts of the
//! policy in the root.
//!
//! Called in the mount namespace of the session. Each mount point is opened first, without
//! following links, and mounted on by its descriptor.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};

use crate::Error;
use crate::mount::{DetachedMount, NOSUID_NODEV_NOEXEC};
use crate::open_nofollow::{open, open_dir};
use crate::policy::{Flags, Mount, Policy, Source};
use crate::shared_layout::{ROOT_NAME, SESSION_DIR, STATE};

/// Directory in which sshd opens terminals.
const TERMINALS: &str = "/dev/pts";
/// Path of the log for syslog(3): a socket, or a root-owned link to one.
const LOG: &str = "/dev/log";

/// Mounts the barrier, a tmpfs that only root may search, on the session directory of the jail, and
/// opens it.
pub(super) fn mount_barrier(policy: &Policy) -> Result<OwnedFd, Error> {
    let path = barrier_path(policy);
    let open = || open_dir(None, &path).map_err(|errno| Error::on("open", &path, errno));
    DetachedMount::new(
        "tmpfs",
        &[("mode", "700"), ("size", "1m")],
        NOSUID_NODEV_NOEXEC,
    )
    .map_err(Error::of("create a tmpfs"))?
    .attach(open()?.as_fd())?;
    open()
}

/// Unmounts the barrier with everything behind it.
pub(super) fn unmount_barrier(policy: &Policy) {
    // If this fails, sshd still has the error of the session.
    let _ = unmount(barrier_path(policy), UnmountFlags::DETACH);
}

fn barrier_path(policy: &Policy) -> PathBuf {
    Path::new(STATE).join(&policy.jail).join(SESSION_DIR)
}

/// Creates the mount point behind the barrier, and binds the root of the jail on it. Returns the
/// root in the session, and the root on the host.
pub(super) fn bind_root(policy: &Policy, barrier: &OwnedFd) -> Result<(OwnedFd, OwnedFd), Error> {
    let on_host = policy.root.as_path();
    let failed = |what| move |errno| Error::on(what, on_host, errno);
    let source = open_dir(None, on_host).map_err(failed("open the jail"))?;
    let stat = fstat(&source).map_err(failed("query the jail"))?;
    if stat.st_uid != 0 || stat.st_mode & 0o022 != 0 {
        return Err(Error::Refused(format!(
            "the jail's root `{}` can be changed by users other than root",
            on_host.display()
        )));
    }
    let inside = || open_dir(Some(barrier), Path::new(ROOT_NAME));
    mkdirat(barrier, ROOT_NAME, Mode::from_raw_mode(0o755))
        .and_then(|()| inside())
        .map_err(Error::of("create the mount point of the jail"))
        .and_then(|target| DetachedMount::clone_tree(source.as_fd())?.attach(target.as_fd()))?;
    let root = inside().map_err(Error::of("open the mount point of the jail"))?;
    Ok((root, source))
}

/// Mounts what the policy names in the root of the jail, in its order, but proc(5).
pub(super) fn mount_policy(policy: &Policy, root: &OwnedFd) -> Result<(), Error> {
    let mut mounts = policy.mounts.iter().filter(|mount| !is_proc(mount));
    mounts.try_for_each(|mount| mount_one(root, mount))
}

/// Mounts an empty tmpfs over the root of the jail on the host, so that the barrier is the only way
/// to it. sshd uses the configuration that it read when the connection began, which may be older
/// than the sessions of the jail: a chroot(2) to the root on the host. Here it finds a directory
/// that it refuses because of its mode, 022, which permits nothing in fact.
pub(super) fn mask_host_root(root: OwnedFd) -> Result<(), Error> {
    let options = [("mode", "022"), ("size", "4k"), ("nr_inodes", "1")];
    DetachedMount::new("tmpfs", &options, NOSUID_NODEV_NOEXEC)
        .map_err(Error::of("create a tmpfs"))?
        .attach(root.as_fd())?;
    // Closed before the fork of pid 1.
    drop(root);
    Ok(())
}

/// Mounts proc(5). The kernel uses the pid namespace of the caller.
pub(super) fn mount_proc(policy: &Policy, root: &OwnedFd) -> Result<(), Errno> {
    for mount in policy.mounts.iter().filter(|mount| is_proc(mount)) {
        mount_one(root, mount).map_err(|error| error.errno().unwrap_or(Errno::INVAL))?;
    }
    Ok(())
}

fn is_proc(mount: &Mount) -> bool {
    matches!(mount.source, Source::Proc)
}

/// Mounts one file system or directory.
fn mount_one(root: &OwnedFd, mount: &Mount) -> Result<(), Error> {
    let target = mount.target.as_path();
    let kind = match mount.source {
        Source::Log => OFlags::empty(),
        _ => OFlags::DIRECTORY,
    };
    let mount_point = || open(Some(root), target, kind);
    let failed = |errno: Errno| Error::on("mount on", target, errno);
    let attributes = attributes(mount.flags);
    let tree = match &mount.source {
        Source::Bind(source) => {
            let from = match open_dir(None, source) {
                Err(errno) if mount.optional && is_absent(errno) => return Ok(()),
                opened => opened.map_err(|errno| Error::on("mount", source, errno))?,
            };
            let tree = DetachedMount::clone_tree(from.as_fd())?;
            tree.set_attributes(attributes).map_err(failed)?;
            tree
        }
        Source::Tmpfs { mode, size } => {
            let mode = format!("{:o}", mode & 0o7777);
            let options = [("mode", mode.as_str()), ("size", size)];
            DetachedMount::new("tmpfs", &options, attributes).map_err(failed)?
        }
        Source::Proc => {
            let options = [("hidepid", "invisible")];
            DetachedMount::new("proc", &options, attributes).map_err(failed)?
        }
        Source::Sys => {
            let attributes = attributes | MountAttrFlags::MOUNT_ATTR_RDONLY;
            DetachedMount::new("sysfs", &[], attributes).map_err(failed)?
        }
        Source::Log => {
            let tree = log()?;
            tree.set_attributes(attributes).map_err(failed)?;
            tree
        }
        Source::Terminals { group } => {
            let group = group.to_string();
            let options = [
                ("gid", group.as_str()),
                ("mode", "620"),
                ("ptmxmode", "666"),
            ];
            DetachedMount::new("devpts", &options, attributes).map_err(failed)?
        }
    };
    let named = |error: Error| match error {
        Error::System {
            what,
            path: None,
            errno,
        } => Error::on(what, target, errno),
        other => other,
    };
    tree.attach(mount_point().map_err(failed)?.as_fd())
        .map_err(named)?;
    if matches!(mount.source, Source::Terminals { .. }) {
        let mounted = mount_point().map_err(failed)?;
        DetachedMount::clone_tree(mounted.as_fd())
            .map_err(named)?
            .attach(Path::new(TERMINALS))?;
    }
    Ok(())
}

/// Whether a directory of the host does not exist, or is that of a service which has stopped: a
/// FUSE daemon, a server of NFS. Any other error, such as that of a symbolic link, refuses a
/// session also for an optional mount.
fn is_absent(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NOENT | Errno::NOTCONN | Errno::STALE | Errno::HOSTDOWN | Errno::NODEV
    )
}

/// The socket of the host's log. Where systemd has it in `/run`, the path is a link that only root
/// can change.
fn log() -> Result<DetachedMount, Error> {
    let path = Path::new(LOG);
    let failed = |errno| Error::on("find the log of the host at", path, errno);
    let socket =
        openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let stat = fstat(&socket).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(failed(Errno::NOTSOCK));
    }
    DetachedMount::clone_tree(socket.as_fd())
}

fn attributes(flags: Flags) -> MountAttrFlags {
    let mut attributes = MountAttrFlags::empty();
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, flags.ro);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NOSUID, flags.nosuid);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NODEV, flags.nodev);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, flags.noexec);
    attributes
}
