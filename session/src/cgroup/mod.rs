//! Limits that all sessions of a jail share, by control groups (cgroups(7)): one group for each
//! jail, with every process of its sessions in it.
//!
//! Where systemd runs the host, the groups are units of systemd (`systemd`, by `dbus`).
//! Elsewhere they are directories that this module creates in the mounted hierarchies, v1, v2 or
//! both. The first session creates them, and the end of the last one removes them.
//!
//! - `hierarchy`: the mounted hierarchies. `control_files`: the file of each limit.
//!   `group`: the group of a jail in one hierarchy.
//! - `session_count`: the number of sessions.
//! - [`usage`](fn@usage): resource usage. `freezer`: [`freeze`], [`thaw`] and [`kill`].
//!   `slice_kill`: [`kill_slice`], for jails without limits too.
//! - [`check`](fn@check), in `preflight`: limits that this host cannot enforce, for builds.
//!
//! **All or nothing**: a session for which one limit cannot be set does not begin.
//!
//! **Cost.** Moving a process by `cgroup.procs` waits until every CPU has passed a quiescent state
//! (RCU), which takes some ten milliseconds. v1 has `tasks` as well, by which a thread moves itself
//! without that wait, and a process that begins a session has one thread. So v1 is preferred where
//! a host has a controller there; v2 has no such file.

mod block_device;
mod control_files;
mod cpu_list;
mod dbus;
mod freezer;
mod group;
mod hierarchy;
mod kernel_file;
mod preflight;
mod session_count;
mod slice_kill;
mod systemd;
mod usage;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit};

use self::control_files::{HostDevices, settings};
pub use self::freezer::{freeze, is_frozen, kill, thaw};
use self::group::Group;
use self::hierarchy::Hierarchies;
pub use self::preflight::{Unsupported, check};
use self::session_count::Slot;
pub use self::slice_kill::{RaisedWeight, kill_slice};
use self::systemd::Owner;
pub use self::usage::{Usage, usage};
use crate::Error;
pub use crate::policy::Limits;

/// Number of polls for the end of the last processes of a group, and the pause between two.
const ROUNDS: usize = 200;
const ROUND: Duration = Duration::from_millis(5);

/// The membership of a session in the control groups of its jail.
#[derive(Debug)]
pub struct Membership {
    slot: Slot,
    groups: Vec<Group>,
    /// Files that move a process back to the groups before the session. Opened before the move,
    /// because a process in a cgroup namespace may not leave it by a file that it opens itself.
    origins: Vec<OwnedFd>,
}

/// Counts the calling process as a session of the jail, and moves it into the control groups of the
/// jail. Its later children are in them too. Missing groups are created; limits are set again.
///
/// `disk_paths` are paths on the disks of the jail, for the limits of disk I/O.
///
/// # Errors
/// [`Error::Refused`] for a frozen jail, for more sessions than [`Limits::sessions`], and where
/// systemd refuses; [`Error::Unsupported`] for a limit that this host does not enforce;
/// [`Error::Busy`] for a lock or a call to systemd that takes too long; [`Error::System`]. After an
/// error the session is not counted, and the process is in its former groups, or fit for nothing
/// but to end.
pub fn join(
    jail: &str,
    user: &str,
    limits: &Limits,
    disk_paths: &[&Path],
) -> Result<Membership, Error> {
    let slot = Slot::acquire(jail, user, limits.sessions)?;
    let hierarchies = Hierarchies::read()?;
    let devices = HostDevices::read(limits, disk_paths)?;
    let mut membership = Membership {
        slot,
        groups: Vec::new(),
        origins: Vec::new(),
    };
    let joined = if let Some(hierarchy) = systemd::hierarchy(&hierarchies)? {
        // systemd creates units one after the other, and this session is counted: no other session
        // has to wait for it.
        membership.slot.commit();
        refuse_frozen(jail, &Group::of_systemd(hierarchy, jail)).and_then(|()| {
            let owner = Owner { jail, user };
            systemd::join(owner, limits, hierarchy, &devices)
        })
    } else {
        membership.join_groups(jail, limits, &hierarchies, &devices)
    };
    if let Err(error) = joined {
        membership.abort();
        return Err(error);
    }
    membership.slot.commit();
    Ok(membership)
}

/// Moves the calling process out of sshd's control group where systemd runs the host: into a scope
/// in the slice of the jail, with a limit of tasks (systemd.resource-control(5)).
///
/// For connections without [`Limits`], which otherwise could use up the tasks of sshd's own unit.
/// On a host without systemd the process stays where it is.
///
/// # Errors
/// [`Error::Refused`] and [`Error::Busy`] if systemd does not create the scope; [`Error::System`].
/// After an error the process is still in sshd's group.
pub fn leave_sshd(jail: &str, user: &str) -> Result<(), Error> {
    if !systemd::is_running() {
        return Ok(());
    }
    let hierarchies = Hierarchies::read()?;
    match systemd::hierarchy(&hierarchies)? {
        Some(hierarchy) => {
            let owner = Owner { jail, user };
            systemd::join(
                owner,
                &Limits::default(),
                hierarchy,
                &HostDevices::default(),
            )
        }
        None => Ok(()),
    }
}

/// Removes the control groups of the jail and its session count if it has no session: a session
/// whose pid 1 was killed leaves them behind.
///
/// Waits up to one second for sessions that are ending.
///
/// # Errors
/// [`Error::System`], [`Error::Busy`] for a locked count of sessions, and [`Error::Refused`] if
/// systemd does not reply. Can be called again.
pub fn clear(jail: &str, limits: &Limits) -> Result<(), Error> {
    let hierarchies = Hierarchies::read()?;
    for _ in 0..ROUNDS {
        if let Some(last) = session_count::close(jail)? {
            if systemd::hierarchy(&hierarchies)?.is_some() {
                systemd::clear(jail)?;
            } else {
                remove(&Group::locate(jail, limits, &hierarchies)?);
            }
            return last.remove();
        }
        sleep(ROUND);
    }
    Ok(())
}

/// Removes groups; waits up to one second for processes that are ending.
fn remove(groups: &[Group]) {
    for _ in 0..ROUNDS {
        let left = groups.iter().filter(|group| !group.remove()).count();
        if left == 0 {
            return;
        }
        sleep(ROUND);
    }
}

/// Refuses a frozen group, in which the calling process would be frozen as well.
fn refuse_frozen(jail: &str, group: &Group) -> Result<(), Error> {
    if group.is_frozen()? {
        return Err(Error::Refused(format!(
            "the jail `{jail}` is frozen, until `jailctl thaw {jail}`"
        )));
    }
    Ok(())
}

/// Sets the limits of single processes, getrlimit(2): open files, and the size of a core dump.
pub(crate) fn set_rlimits(limits: Option<&Limits>) -> Result<(), Error> {
    match limits.and_then(|limits| limits.core_size) {
        Some(bytes) => set_rlimit(Resource::Core, bytes)
            .map_err(Error::of("limit the size of the session's core dumps"))?,
        None => no_core_dumps()?,
    }
    match limits.and_then(Limits::open_files) {
        Some(files) => set_rlimit(Resource::Nofile, files.into())
            .map_err(Error::of("limit the session's open files")),
        None => Ok(()),
    }
}

/// Disables core dumps of the calling process and its later children: `RLIMIT_CORE` of one byte,
/// soft and hard.
///
/// A core file has at least a page, so none is written. Where `kernel.core_pattern` names a
/// program, the kernel starts it as root, outside of the control groups and the root directory of
/// the process, even with a limit of 0; 1 is the only limit with which it does not (core(5),
/// `do_coredump` of `fs/coredump.c`).
///
/// # Errors
/// [`Error::System`].
pub fn no_core_dumps() -> Result<(), Error> {
    set_rlimit(Resource::Core, 1).map_err(Error::of("keep cores from being dumped"))
}

fn set_rlimit(resource: Resource, most: u64) -> Result<(), Errno> {
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(resource, limit)
}

impl Membership {
    fn join_groups(
        &mut self,
        jail: &str,
        limits: &Limits,
        hierarchies: &Hierarchies,
        devices: &HostDevices,
    ) -> Result<(), Error> {
        let own = kernel_file::read(Path::new("/proc/self/cgroup"))?;
        for hierarchy in hierarchies.required(limits)? {
            let version = hierarchy.version;
            let origin = hierarchy.cgroup_of(&own)?.join(version.procs_file());
            let origin = kernel_file::open_to_write(&origin)?;
            let group = Group::create(hierarchy, jail, limits)?;
            self.groups.push(group.clone());
            for setting in settings(limits, hierarchy, devices) {
                group.set(&setting)?;
            }
            refuse_frozen(jail, &group)?;
            group.join()?;
            self.origins.push(origin);
        }
        Ok(())
    }

    /// Moves the calling process, a child of the one that joined, back to the groups before the
    /// session.
    pub(crate) fn exit_cgroups(&self) -> Result<(), Errno> {
        let mut origins = self.origins.iter();
        origins.try_for_each(|origin| rustix::io::write(origin, b"0").map(drop))
    }

    /// Closes the files that move a process back. They are root's and open for writing, and the
    /// calling process may become the user of the session; pid 1 has moved before.
    pub(crate) fn close_origins(&mut self) {
        self.origins.clear();
    }

    /// Unregisters the session after its end, and removes the groups with the last one. Called by
    /// pid 1, from outside of the groups; uses no descriptor that was open before.
    ///
    /// Waits up to one second for processes that are ending.
    pub(crate) fn unregister(&self) {
        let Ok(Some(last)) = self.slot.release() else {
            return;
        };
        remove(&self.groups);
        drop(last);
    }

    /// Undoes a join after an error of what follows it.
    pub(crate) fn abort(&self) {
        // A process that could not move back ends all the same; the groups are then removed after
        // the next session.
        let _ = self.exit_cgroups();
        self.unregister();
    }
}
