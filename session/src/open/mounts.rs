//! What is mounted in a session: first the door with the jail behind it, then what the policy names, in the jail.
//!
//! Runs in the session's own mount namespace. Every place is opened first, without following a link, and then mounted on by its
//! descriptor.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};

use crate::Error;
use crate::mount::{DetachedMount, NOSUID_NODEV_NOEXEC};
use crate::open_nofollow::{open, open_dir};
use crate::policy::{Flags, Mount, Policy, ROOT_NAME, SESSION_DIR, STATE, Source};

/// Where terminals are, for sshd.
const TERMINALS: &str = "/dev/pts";
/// Where syslog(3) looks for the log: a socket, or root's link to one.
const LOG: &str = "/dev/log";

/// Mounts the tmpfs that only root may pass over the jail's door, and opens it.
pub(super) fn mount_barrier(policy: &Policy) -> Result<OwnedFd, Error> {
    let path = path(policy);
    let open = || open_dir(None, &path).map_err(|errno| Error::on("open", &path, errno));
    DetachedMount::fresh(
        "tmpfs",
        &[("mode", "700"), ("size", "1m")],
        NOSUID_NODEV_NOEXEC,
    )
    .map_err(Error::of("make a tmpfs"))?
    .attach(open()?.as_fd())?;
    open()
}

/// Takes the door away, with all behind it.
pub(super) fn unmount_barrier(policy: &Policy) {
    // Were it still there, sshd would have the error to go by, as it has now.
    let _ = unmount(path(policy), UnmountFlags::DETACH);
}

fn path(policy: &Policy) -> PathBuf {
    Path::new(STATE).join(&policy.jail).join(SESSION_DIR)
}

/// Mounts the jail behind the door, and in it what the policy names. Gives the jail's root.
pub(super) fn bind_root(policy: &Policy, barrier: &OwnedFd) -> Result<(OwnedFd, OwnedFd), Error> {
    let on_host = policy.root.as_path();
    let failed = |what| move |errno| Error::on(what, on_host, errno);
    let source = open_dir(None, on_host).map_err(failed("open the jail"))?;
    let stat = fstat(&source).map_err(failed("look at the jail"))?;
    if stat.st_uid != 0 || stat.st_mode & 0o022 != 0 {
        return Err(Error::Refused(format!(
            "the jail's root `{}` can be changed by others than root",
            on_host.display()
        )));
    }
    let inside = || open_dir(Some(barrier), Path::new(ROOT_NAME));
    mkdirat(barrier, ROOT_NAME, Mode::from_raw_mode(0o755))
        .and_then(|()| inside())
        .map_err(Error::of("make the place of the jail"))
        .and_then(|place| DetachedMount::clone_tree(source.as_fd())?.attach(place.as_fd()))?;
    let root = inside().map_err(Error::of("open the jail behind its door"))?;
    Ok((root, source))
}

/// Mounts what the policy names in the root of the jail, in its order, but proc(5).
pub(super) fn mount_policy(policy: &Policy, root: &OwnedFd) -> Result<(), Error> {
    let mut mounts = policy.mounts.iter().filter(|mount| !is_proc(mount));
    mounts.try_for_each(|mount| mount_one(root, mount))
}

/// Lets nothing but the door lead to the jail. sshd goes by what it was told when the connection came, which may have been before the jail had sessions:
/// to chroot(2) to the jail's own directory. Here it finds one that it refuses, since others could write to it, and nobody can.
pub(super) fn mask_host_root(root: OwnedFd) -> Result<(), Error> {
    let options = [("mode", "022"), ("size", "4k"), ("nr_inodes", "1")];
    DetachedMount::fresh("tmpfs", &options, NOSUID_NODEV_NOEXEC)
        .map_err(Error::of("make a tmpfs"))?
        .attach(root.as_fd())?;
    // Closed before the fork of pid 1.
    drop(root);
    Ok(())
}

/// Mounts what shows the session its processes. The kernel takes those of the caller's own pid namespace.
pub(super) fn mount_proc(policy: &Policy, root: &OwnedFd) -> Result<(), Errno> {
    for mount in policy.mounts.iter().filter(|mount| is_proc(mount)) {
        mount_one(root, mount).map_err(|error| error.errno().unwrap_or(Errno::INVAL))?;
    }
    Ok(())
}

fn is_proc(mount: &Mount) -> bool {
    matches!(mount.source, Source::Proc)
}

/// Makes one mount.
fn mount_one(root: &OwnedFd, mount: &Mount) -> Result<(), Error> {
    let target = mount.target.as_path();
    let kind = match mount.source {
        Source::Log => OFlags::empty(),
        _ => OFlags::DIRECTORY,
    };
    let place = || open(Some(root), target, kind);
    let failed = |errno: Errno| Error::on("mount on", target, errno);
    let attributes = attributes(mount.flags);
    let tree = match &mount.source {
        Source::Bind(source) => {
            let from = open_dir(None, source).map_err(|errno| Error::on("mount", source, errno))?;
            let tree = DetachedMount::clone_tree(from.as_fd())?;
            tree.set_attributes(attributes).map_err(failed)?;
            tree
        }
        Source::Tmpfs { mode, size } => {
            let mode = format!("{:o}", mode & 0o7777);
            let options = [("mode", mode.as_str()), ("size", size)];
            DetachedMount::fresh("tmpfs", &options, attributes).map_err(failed)?
        }
        Source::Proc => {
            let options = [("hidepid", "invisible")];
            DetachedMount::fresh("proc", &options, attributes).map_err(failed)?
        }
        Source::Sys => {
            let attributes = attributes | MountAttrFlags::MOUNT_ATTR_RDONLY;
            DetachedMount::fresh("sysfs", &[], attributes).map_err(failed)?
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
            DetachedMount::fresh("devpts", &options, attributes).map_err(failed)?
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
    tree.attach(place().map_err(failed)?.as_fd())
        .map_err(named)?;
    if matches!(mount.source, Source::Terminals { .. }) {
        let mounted = place().map_err(failed)?;
        DetachedMount::clone_tree(mounted.as_fd())
            .map_err(named)?
            .attach(Path::new(TERMINALS))?;
    }
    Ok(())
}

/// The host's log. A link leads to it where systemd has it in `/run`, and nobody but root can change that.
fn log() -> Result<DetachedMount, Error> {
    let path = Path::new(LOG);
    let failed = |errno| Error::on("find the host's log at", path, errno);
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
